target_link_libraries(voxgrad_apps PUBLIC CLI11::CLI11 PRIVATE nlohmann_json::nlohmann_json spdlog::spdlog_header_only)

add_executable(voxgrad apps/main.cc)
target_link_libraries(voxgrad PRIVATE voxgrad_apps spdlog::spdlog_header_only voxgrad_options)
install(TARGETS voxgrad)
