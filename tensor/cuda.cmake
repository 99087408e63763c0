# The CUDA backend: voxgrad_cuda.so, opened at run time (tensor/core/device.cc). Nothing links it. Built where nvcc and
# the headers of cuDNN 9 are; VOXGRAD_CUDA=ON makes their absence an error, OFF leaves it out.
set(VOXGRAD_CUDA AUTO CACHE STRING "Build the CUDA backend: AUTO, ON or OFF")
set_property(CACHE VOXGRAD_CUDA PROPERTY STRINGS AUTO ON OFF)
if(VOXGRAD_CUDA STREQUAL "OFF" OR VOXGRAD_SANITIZE)
  return()
endif()

find_program(VOXGRAD_NVCC nvcc HINTS ENV CUDACXX PATHS /usr/local/cuda/bin)
get_filename_component(voxgrad_cuda_root "${VOXGRAD_NVCC}" REALPATH)
get_filename_component(voxgrad_cuda_root "${voxgrad_cuda_root}/../.." ABSOLUTE)
find_path(VOXGRAD_CUDNN_INCLUDE cudnn_backend.h HINTS ${voxgrad_cuda_root}/include
  DOC "Folder of cudnn_backend.h (the toolkit's, or nvidia/cudnn/include of a Python)")
if(NOT VOXGRAD_NVCC OR NOT VOXGRAD_CUDNN_INCLUDE)
  if(VOXGRAD_CUDA STREQUAL "ON")
    message(FATAL_ERROR "voxgrad: VOXGRAD_CUDA=ON needs nvcc (${VOXGRAD_NVCC}) and cudnn_backend.h (${VOXGRAD_CUDNN_INCLUDE})")
  endif()
  message(STATUS "voxgrad: no CUDA backend (nvcc: ${VOXGRAD_NVCC}, cudnn_backend.h: ${VOXGRAD_CUDNN_INCLUDE})")
  return()
endif()

# Machine code for 8.0 and 9.0, and PTX for newer devices.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
endif()
set(CMAKE_CUDA_COMPILER ${VOXGRAD_NVCC})
enable_language(CUDA)

file(GLOB cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tensor/*/cuda/*.cu
  ${PROJECT_SOURCE_DIR}/tensor/*/cuda/*.cc)
add_library(voxgrad_cuda MODULE ${cuda_sources})
set_target_properties(voxgrad_cuda PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden
  CUDA_RUNTIME_LIBRARY Static)
target_include_directories(voxgrad_cuda PRIVATE ${PROJECT_SOURCE_DIR} ${VOXGRAD_CUDNN_INCLUDE}
  ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} ${voxgrad_cuda_root}/include)
target_compile_definitions(voxgrad_cuda PRIVATE VOXGRAD_VERSION="${PROJECT_VERSION}")
# No contraction that the compiler chooses, as everywhere.
set_target_properties(voxgrad_cuda PROPERTIES CXX_STANDARD 20 CUDA_STANDARD 20)
target_compile_options(voxgrad_cuda PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false --extended-lambda --expt-relaxed-constexpr
    -Xcompiler=-ffp-contract=off>
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off -Wall -Wextra -Wshadow -Wno-missing-field-initializers>)
target_link_libraries(voxgrad_cuda PRIVATE ${CMAKE_DL_LIBS} Threads::Threads)
target_link_options(voxgrad_cuda PRIVATE -Wl,--exclude-libs,ALL -Wl,--no-undefined)
install(TARGETS voxgrad_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/voxgrad)
