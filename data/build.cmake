target_link_libraries(voxgrad_data PRIVATE $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>)
