# Runs as a test: the command as another CPU sees it. Under qemu-x86_64 it must choose the kernels that this CPU has,
# run without an instruction it lacks, and train to the same bytes as this machine does with the same kernels.
#   cmake -DVOXGRAD=.. -DCPU=Nehalem -DKERNELS=portable -DWORK=folder -P emulated.cmake
find_program(QEMU qemu-x86_64)
if(NOT QEMU)
  message("SKIPPED: qemu-x86_64 is not installed (Debian: qemu-user)")
  return()
endif()
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

function(run)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE out ERROR_VARIABLE err RESULT_VARIABLE result)
  if(result)
    message(FATAL_ERROR "${ARGN}: ${result}\n${out}${err}")
  endif()
  set(out "${out}" PARENT_SCOPE)
endfunction()

run(${QEMU} -cpu ${CPU} ${VOXGRAD} info --json)
string(JSON kernels GET "${out}" kernels)
if(NOT kernels STREQUAL KERNELS)
  message(FATAL_ERROR "expected ${KERNELS} kernels on a ${CPU}, got ${kernels}")
endif()
run(${VOXGRAD} phantom ${WORK}/data --cases 6 --size 16 --seed 3)
set(train train ${WORK}/data --method pgrd --seed 1 --threads 2 --max-steps 1 --set plan.base_features=4
  --set sampling.samples=1 --set sampling.steps=2 --set train.max_scored=1 --cache off)
run(${QEMU} -cpu ${CPU} ${VOXGRAD} ${train} -o ${WORK}/emulated)

execute_process(COMMAND ${CMAKE_COMMAND} -E env VOXGRAD_CPU_ISA=${KERNELS} ${VOXGRAD} ${train} -o ${WORK}/native
  ERROR_VARIABLE err RESULT_VARIABLE result)
if(result EQUAL 7)
  message("SKIPPED: this CPU has no ${KERNELS} kernels to compare with\n${err}")
  return()
elseif(result)
  message(FATAL_ERROR "native training: ${result}\n${err}")
endif()
foreach(name model.safetensors metrics.json)
  file(SHA256 ${WORK}/emulated/${name} emulated)
  file(SHA256 ${WORK}/native/${name} native)
  if(NOT emulated STREQUAL native)
    message(SEND_ERROR "${name} differs between ${CPU} and this CPU with ${KERNELS} kernels")
  endif()
endforeach()
