# Runs as a test: what scripts/test says of skipped tests (run_tests in scripts/setup.sh), with a folder of four tests
# that ctest runs.
#   cmake -DSOURCE=repository -DWORK=folder -P test_summary.cmake
find_program(BASH bash REQUIRED)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
function(write_test name properties text)
  file(APPEND ${WORK}/CTestTestfile.cmake "add_test(${name} sh -c [[${text}]])\n")
  if(properties)
    file(APPEND ${WORK}/CTestTestfile.cmake "set_tests_properties(${name} PROPERTIES ${properties})\n")
  endif()
endfunction()
# Runs the tests and checks status and end of the output: `end` is a regular expression.
function(expect status end)
  execute_process(COMMAND ${BASH} -c "set -o pipefail; root=$0; source $0/scripts/setup.sh; run_tests $1" ${SOURCE} ${WORK}
    OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE result)
  if(NOT result EQUAL status OR NOT output MATCHES "${end}")
    message(FATAL_ERROR "expected status ${status} and ${end}, got ${result} and\n${output}${errors}")
  endif()
endfunction()

write_test(passes "" "echo fine")
expect(0 "passes [. ]+Passed[^\n]*\n\nskipped: 0\n\n100% tests passed, 0 tests failed out of 1\n\nTotal Test time[^\n]*\n$")

set(skips [[SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\];SKIPPED:"]])
write_test(by_the_library "${skips}" "printf 'a_test.cc:3: Skipped\\nno device\\nthe driver is missing\\n[  SKIPPED ] A.b\\n'")
write_test(by_a_script "${skips}" "echo 'SKIPPED: no emulator'")
write_test(again "${skips}" "echo 'SKIPPED: no device'")
set(counted "skipped: 3 \\(2 no device, 1 no emulator\\)\n\n")
expect(0 "${counted}100% tests passed, 0 tests failed out of 4\n\nTotal Test time[^\n]*\n$")

write_test(fails "" "exit 1")
write_test(disabled "DISABLED TRUE" "exit 1")
expect(8 "${counted}80% tests passed, 1 tests failed out of 5\n\nTotal Test time[^\n]*\n\nThe following tests did not run:\n\t *6 - disabled \\(Disabled\\)\n\nThe following tests FAILED:\n\t *5 - fails \\(Failed\\)\n$")
