target_link_libraries(voxgrad_eval PRIVATE nlohmann_json::nlohmann_json)

# The style and the script of the report are files of their own kind in the tree and text in the library.
set(report_css ${PROJECT_SOURCE_DIR}/eval/report.css)
set(report_js ${PROJECT_SOURCE_DIR}/eval/report.js)
set(viewer_js ${PROJECT_SOURCE_DIR}/eval/report_viewer.js)
set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${report_css} ${report_js} ${viewer_js})
file(READ ${report_css} VOXGRAD_REPORT_CSS)
file(READ ${report_js} VOXGRAD_REPORT_JS)
file(READ ${viewer_js} VOXGRAD_VIEWER_JS)
configure_file(${PROJECT_SOURCE_DIR}/eval/report_assets.cc.in ${PROJECT_BINARY_DIR}/eval/report_assets.cc @ONLY)
target_sources(voxgrad_eval PRIVATE ${PROJECT_BINARY_DIR}/eval/report_assets.cc)
