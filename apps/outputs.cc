#include "apps/outputs.h"

#include <nlohmann/json.hpp>

#include "io/file.h"
#include "tensor/core/error.h"

namespace voxgrad::apps {

void try_output(const std::string& path, const std::string& what,
                const std::function<bool(const std::string& text)>& own) {
  if (is_folder(path)) fail(ErrorCode::usage, "[output] ", path, ": expected a file to write, got a folder");
  if (file_exists(path) && !own(read_text(path)))
    fail(ErrorCode::usage, "[output] ", path, ": expected no file, or ", what,
         " of voxgrad, which would be replaced; remove the file, or choose another name");
  if (const size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0)
    make_folders(path.substr(0, slash));
  if (file_exists(path)) {
    FileWriter{path};  // without commit() the file stays unchanged
    return;
  }
  write_text(path,
             "");  // an error for a name that is too long occurs only when the temporary file is renamed
  remove_file(path);
}

bool is_report(const std::string& text) {
  return text.find("<meta name=\"generator\" content=\"voxgrad report\">") != std::string::npos;
}

bool is_plan(const std::string& text) { return text.starts_with("# A plan of voxgrad"); }

bool is_score_table(const std::string& text) {
  const auto j = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  return j.is_object() && j.contains("cases") && j.contains("mean") && j.contains("options") &&
         !j.contains("rows");
}

bool is_score_columns(const std::string& text) {
  const std::string first = text.substr(0, text.find('\n'));
  return first.starts_with("case,") && first.find("dsc.") != std::string::npos;
}

}  // namespace voxgrad::apps
