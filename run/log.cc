#include "run/log.h"

#include <cmath>

#include "io/file.h"
#include "run/fields.h"

namespace voxgrad {
namespace {

using detail::Fields;
using nlohmann::json;

json numbers_json(const std::map<std::string, double>& values) {
  json object = json::object();
  for (const auto& [name, value] : values)
    object[name] = value;  // a number that is not finite is dumped as null
  return object;
}

json json_of(const StartLine& line) {
  return {{"kind", "start"},
          {"stage", line.stage},
          {"step", line.step},
          {"voxgrad", line.version},
          {"runtime", to_json(line.runtime)}};
}

json json_of(const StepLine& line) {
  return {{"kind", "step"},
          {"stage", line.stage},
          {"step", line.step},
          {"loss", line.loss},
          {"terms", numbers_json(line.terms)},
          {"lr", line.learning_rate},
          {"grad_norm", line.gradient_norm},
          {"seconds", line.seconds}};
}

json json_of(const ValidationLine& line) {
  json object = {{"kind", "validation"}, {"stage", line.stage}, {"values", numbers_json(line.values)}};
  if (line.step) object["step"] = *line.step;
  return object;
}

json json_of(const OtherLine& line) {
  require(!line.kind.empty() && line.kind != "start" && line.kind != "step" && line.kind != "validation",
          "[log] expected a kind of its own, got \"", line.kind, "\"");
  return {{"kind", line.kind}};
}

StartLine start_from(const Fields& f) {
  StartLine line{f.text("stage"), f.whole("step"), f.text("voxgrad"), {}};
  if (f.has("arithmetic")) {  // format 1
    const Fields arithmetic = f.object("arithmetic");
    line.runtime = detail::runtime_from(arithmetic);
    if (arithmetic.has("kernels")) line.runtime.instruction_set = arithmetic.text("kernels");
  } else {
    line.runtime = detail::runtime_from(f.object("runtime"));
  }
  return line;
}

StepLine step_from(const Fields& f) {
  StepLine line;
  line.stage = f.text("stage");
  line.step = f.whole("step", 1);
  line.loss = f.number("loss");
  if (f.has("terms")) line.terms = f.object("terms").numbers();  // format 1 has none
  line.learning_rate = f.number("lr");
  line.gradient_norm = f.number("grad_norm");
  line.seconds = f.number("seconds");
  return line;
}

ValidationLine validation_from(const Fields& f) {
  ValidationLine line;
  line.stage = f.text("stage");
  if (f.has("step")) line.step = f.whole("step");
  if (f.has("values")) {
    line.values = f.object("values").numbers();
    return line;
  }
  for (const std::string& key : f.keys())  // in format 1 the values are beside the other fields
    if (key != "kind" && key != "stage" && key != "step" && key != "seconds")
      line.values[key] = f.number(key);
  return line;
}

LogLine line_from(const json& object, const std::string& where) {
  const Fields f(object, where);
  const std::string kind = f.text("kind");
  if (kind == "start") return start_from(f);
  if (kind == "step") return step_from(f);
  if (kind == "validation") return validation_from(f);
  return OtherLine{kind};
}

/// Calls use(line, text, where) for each complete line. `text` includes the newline.
template <class Use>
void each_line(const std::string& text, const std::string& path, Use&& use) {
  size_t begin = 0;
  for (int number = 1; begin < text.size(); ++number) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) return;  // incomplete line of an interrupted process
    const std::string_view line(text.data() + begin, end + 1 - begin);
    const std::string where = cat("[log] ", path, ':', number);
    const json object = json::parse(line, nullptr, false);
    if (object.is_discarded())
      fail(ErrorCode::data, where, ": expected a JSON object, got something that is no JSON");
    use(line_from(object, where), line, where);
    begin = end + 1;
  }
}

}  // namespace

RunLog::RunLog(std::string path) : path_(std::move(path)) {
  keep([](const LogLine&, const std::string&) { return true; });
}

void RunLog::keep(const std::function<bool(const LogLine&, const std::string&)>& wanted) {
  if (!file_exists(path_)) return;
  const std::string text = read_text(path_);
  std::string kept;
  each_line(text, path_, [&](const LogLine& parsed, std::string_view line, const std::string& where) {
    if (wanted(parsed, where)) kept += line;
  });
  if (kept.size() < text.size()) write_text(path_, kept);
}

void RunLog::write(const LogLine& line) {
  append_line(path_, std::visit([](const auto& l) { return detail::dump_json(json_of(l)); }, line));
}

std::vector<LogLine> read_log(const std::string& path) {
  std::vector<LogLine> lines;
  each_line(read_text(path), path, [&](LogLine parsed, std::string_view, const std::string&) {
    lines.push_back(std::move(parsed));
  });
  return lines;
}

}  // namespace voxgrad
