# voxgrad_library(NAME DEPENDENCY...): one static library a folder, linked only along the table in CMakeLists.txt.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# Fused operations are written, never chosen by the compiler: the same bits whatever the instruction set.
add_library(voxgrad_dialect INTERFACE)
target_compile_options(voxgrad_dialect INTERFACE -ffp-contract=off -fno-math-errno -fno-trapping-math
  -Wall -Wextra -Wshadow -Wno-missing-field-initializers $<$<BOOL:${VOXGRAD_WERROR}>:-Werror>)
add_library(voxgrad_options INTERFACE)
target_link_libraries(voxgrad_options INTERFACE voxgrad_dialect)
if(VOXGRAD_SANITIZE)  # -O1 -g1 compiles in less than half the time of -O2 -g; reports still have functions and lines
  target_compile_options(voxgrad_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer -O1 -g1)
  target_link_options(voxgrad_options INTERFACE -fsanitize=address,undefined)
endif()

set(VOXGRAD_FOLDERS "" CACHE INTERNAL "")
set(VOXGRAD_TABLE "" CACHE INTERNAL "")

function(voxgrad_library name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${name}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/tensor/.*/cuda/|/main\\.cc$|/tensor/.*/cpu/isa/")
  if(NOT sources)
    message(STATUS "voxgrad: ${name}/ has no sources yet")
    add_library(voxgrad_${name} INTERFACE)
    set(scope INTERFACE)
  else()
    add_library(voxgrad_${name} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(voxgrad_${name} PRIVATE $<BUILD_INTERFACE:voxgrad_options>)
    set_target_properties(voxgrad_${name} PROPERTIES EXPORT_NAME ${name})
  endif()
  add_library(voxgrad::${name} ALIAS voxgrad_${name})
  target_include_directories(voxgrad_${name} ${scope} $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/voxgrad>)
  target_compile_features(voxgrad_${name} ${scope} cxx_std_20)
  foreach(dependency ${ARGN})
    target_link_libraries(voxgrad_${name} ${scope} voxgrad_${dependency})
  endforeach()
  set(VOXGRAD_FOLDERS "${VOXGRAD_FOLDERS};${name}" CACHE INTERNAL "")
  string(REPLACE ";" " " line "${name}: ${ARGN}")
  set(VOXGRAD_TABLE "${VOXGRAD_TABLE};${line}" CACHE INTERNAL "")
  if(EXISTS ${PROJECT_SOURCE_DIR}/${name}/build.cmake)  # external libraries and special flags of the folder
    include(${PROJECT_SOURCE_DIR}/${name}/build.cmake)
  endif()
endfunction()

# The libraries with their headers as <voxgrad/FOLDER/...>, the command, and find_package(voxgrad).
function(voxgrad_install)
  set(folders ${VOXGRAD_FOLDERS})
  list(REMOVE_ITEM folders apps)
  foreach(folder IN LISTS folders)
    install(TARGETS voxgrad_${folder} EXPORT voxgrad_targets)
    install(DIRECTORY ${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/voxgrad FILES_MATCHING PATTERN "*.h"
      PATTERN "isa" EXCLUDE PATTERN "cuda" EXCLUDE PATTERN "gpu.h" EXCLUDE)
  endforeach()
  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/voxgrad)
  install(EXPORT voxgrad_targets NAMESPACE voxgrad:: DESTINATION ${package})
  include(CMakePackageConfigHelpers)
  configure_package_config_file(cmake/voxgrad-config.cmake.in ${PROJECT_BINARY_DIR}/voxgrad-config.cmake
    INSTALL_DESTINATION ${package})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/voxgrad-config-version.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/voxgrad-config.cmake ${PROJECT_BINARY_DIR}/voxgrad-config-version.cmake
    DESTINATION ${package})
  install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
endfunction()
