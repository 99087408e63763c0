target_link_libraries(voxgrad_io
  PUBLIC nlohmann_json::nlohmann_json
  PRIVATE ZLIB::ZLIB OpenSSL::Crypto PNG::PNG)
# toml++ header-only: where a distribution builds it as a library its target would link that.
target_include_directories(voxgrad_io SYSTEM PRIVATE
  $<TARGET_PROPERTY:tomlplusplus::tomlplusplus,INTERFACE_INCLUDE_DIRECTORIES>)
target_compile_definitions(voxgrad_io PRIVATE VOXGRAD_VERSION="${PROJECT_VERSION}")

# The commit is asked for at every build: a configured build folder sees many.
set(commit_source ${PROJECT_BINARY_DIR}/io/commit.cc)
add_custom_target(voxgrad_commit BYPRODUCTS ${commit_source} COMMENT ""
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DOUT=${commit_source} -P ${PROJECT_SOURCE_DIR}/io/commit.cmake)
target_sources(voxgrad_io PRIVATE ${commit_source})
add_dependencies(voxgrad_io voxgrad_commit)

# libdeflate inflates a whole .nii.gz about twice as fast as zlib. Without it everything works through zlib.
option(VOXGRAD_LIBDEFLATE "Use libdeflate, where it is found, to read .nii.gz" ON)
if(VOXGRAD_LIBDEFLATE)
  find_path(LIBDEFLATE_INCLUDE_DIR libdeflate.h)
  find_library(LIBDEFLATE_LIBRARY deflate)
  if(LIBDEFLATE_INCLUDE_DIR AND LIBDEFLATE_LIBRARY)
    target_compile_definitions(voxgrad_io PRIVATE VOXGRAD_HAVE_LIBDEFLATE)
    target_include_directories(voxgrad_io PRIVATE ${LIBDEFLATE_INCLUDE_DIR})
    target_link_libraries(voxgrad_io PRIVATE ${LIBDEFLATE_LIBRARY})
  else()
    message(STATUS "voxgrad: libdeflate not found, gzip is read with zlib alone")
  endif()
endif()
