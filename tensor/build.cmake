target_link_libraries(voxgrad_tensor PUBLIC Threads::Threads ${CMAKE_DL_LIBS})  # dl: tensor/core/device.cc

# The kernels of tensor/FAMILY/cpu/isa/ are written once and compiled for each instruction set, in a namespace of its name.
file(GLOB isa_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tensor/*/cpu/isa/*.cc)
file(GLOB isa_bf16_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tensor/*/cpu/isa/bf16/*.cc)
file(GLOB isa_amx_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tensor/*/cpu/isa/amx/*.cc)
set(isa_flags_portable "")
set(isa_flags_avx2 -mavx2 -mfma)
set(isa_flags_avx512 -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma -mprefer-vector-width=512)
set(isa_flags_avx512bf16 ${isa_flags_avx512} -mavx512bf16)  # only the kernels of cpu/isa/bf16/
set(isa_flags_amx ${isa_flags_avx512bf16} -mamx-tile -mamx-bf16)    # only those of cpu/isa/amx/
set(isas portable)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND isas avx2 avx512 avx512bf16 amx)
  target_compile_definitions(voxgrad_tensor PRIVATE VOXGRAD_X86_KERNELS)
endif()
foreach(isa IN LISTS isas)
  if(isa STREQUAL avx512bf16)
    add_library(voxgrad_kernels_${isa} OBJECT ${isa_bf16_sources})
  elseif(isa STREQUAL amx)
    add_library(voxgrad_kernels_${isa} OBJECT ${isa_amx_sources})
  else()
    add_library(voxgrad_kernels_${isa} OBJECT ${isa_sources})
  endif()
  target_include_directories(voxgrad_kernels_${isa} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(voxgrad_kernels_${isa} PRIVATE voxgrad_dialect)
  target_compile_definitions(voxgrad_kernels_${isa} PRIVATE VOXGRAD_ISA=${isa})
  # Full optimisation in every build type: unrolled tiles would spill otherwise.
  # GCC 12 takes _mm512_undefined_ps of its own header for a mistake (GCC bug 105593).
  target_compile_options(voxgrad_kernels_${isa} PRIVATE -O3 -Wno-maybe-uninitialized ${isa_flags_${isa}})
  # Neither debug information nor sanitizers: with them GCC takes minutes for a file of unrolled tiles. What a
  # sanitizer build checks of the kernels is the reference (VOXGRAD_CPU_ISA=ref).
  target_compile_options(voxgrad_kernels_${isa} PRIVATE -g0)
  target_sources(voxgrad_tensor PRIVATE $<TARGET_OBJECTS:voxgrad_kernels_${isa}>)
endforeach()

# OpenBLAS in its serial build: the thread pool is ours.
find_package(OpenBLAS REQUIRED)
target_include_directories(voxgrad_tensor PRIVATE ${OpenBLAS_INCLUDE_DIRS})
if(VOXGRAD_PORTABLE)
  string(REGEX REPLACE "\\.so$" ".a" static_openblas "${OpenBLAS_LIBRARIES}")
  if(EXISTS "${static_openblas}")
    set(OpenBLAS_LIBRARIES ${static_openblas})
  endif()
endif()
target_link_libraries(voxgrad_tensor PRIVATE ${OpenBLAS_LIBRARIES})
