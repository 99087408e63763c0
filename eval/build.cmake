target_link_libraries(voxgrad_eval PRIVATE nlohmann_json::nlohmann_json)

# The style and the scripts of the report are files of their own kind in the tree and text in the library.
foreach(asset css:report.css tables:report.js voxels:report_voxels.js picture:report_picture.js viewer:report_viewer.js)
  string(REPLACE ":" ";" asset ${asset})
  list(POP_FRONT asset name file)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/eval/${file})
  file(READ ${PROJECT_SOURCE_DIR}/eval/${file} report_${name})
endforeach()
configure_file(${PROJECT_SOURCE_DIR}/eval/report_assets.cc.in ${PROJECT_BINARY_DIR}/eval/report_assets.cc @ONLY)
target_sources(voxgrad_eval PRIVATE ${PROJECT_BINARY_DIR}/eval/report_assets.cc)
