# Writes OUT, which tells system_info.cc the commit of SOURCE: empty where SOURCE is no git checkout of its own. A file
# that would stay the same is not touched.
set(commit "")
find_program(GIT git)
if(GIT AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --short=12 HEAD
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND ${GIT} -C ${SOURCE} status --porcelain --untracked-files=no
    OUTPUT_VARIABLE changes ERROR_QUIET)
  if(commit AND changes)
    string(APPEND commit " with changes")
  endif()
endif()
file(CONFIGURE OUTPUT ${OUT} @ONLY CONTENT [=[
// Made by io/commit.cmake.
namespace voxgrad::detail {
extern const char* const kCommit;
const char* const kCommit = "@commit@";
}  // namespace voxgrad::detail
]=])
