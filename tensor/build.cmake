target_link_libraries(voxgrad_tensor PUBLIC Threads::Threads)
