#include "methods/registry.h"

#include <algorithm>
#include <map>

namespace voxgrad {

// A new method is one line here.
#define VOXGRAD_METHODS(METHOD) \
  METHOD(unet_method)           \
  METHOD(mc_dropout_method)     \
  METHOD(pgrd_no_dds_method)    \
  METHOD(pgrd_method)

#define VOXGRAD_DECLARE(record) extern const MethodRecord record;
VOXGRAD_METHODS(VOXGRAD_DECLARE)

namespace {

#define VOXGRAD_ENTRY(record) &record,
constexpr const MethodRecord* kMethods[] = {VOXGRAD_METHODS(VOXGRAD_ENTRY)};

std::string cell(std::string text) {
  for (size_t i = 0; (i = text.find('|', i)) != std::string::npos; i += 2) text.replace(i, 1, "\\|");
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

std::span<const MethodRecord* const> all_methods() { return kMethods; }

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const MethodRecord* m : kMethods) names.push_back(m->name);
  return names;
}

std::unique_ptr<Method> make_method(const std::string& name) {
  std::string known;
  for (const MethodRecord* m : kMethods) {
    if (m->name == name) return make_method(*m);
    known += (known.empty() ? "" : ", ") + m->name;
  }
  fail(ErrorCode::usage, "[method] expected one of ", known, ", got ", name);
}

const std::set<std::string>& all_option_keys() {
  static const std::set<std::string> keys = [] {
    std::set<std::string> all;
    for (const MethodRecord* m : kMethods) {
      const std::unique_ptr<Method> method = make_method(*m);
      for (const Option& o : method->options().all()) all.insert(o.key);
    }
    return all;
  }();
  return keys;
}

std::string configuration_document() {
  std::string text =
      "# Configuration\n\nThe keys of `config.toml`, for `voxgrad train --config FILE` and `--set "
      "KEY=VALUE`. "
      "Each method has its own keys: `voxgrad train --method NAME --print-config` prints them. A key of "
      "another "
      "method is accepted and has no effect. `voxgrad predict --set KEY=VALUE` takes the keys that the "
      "column "
      "\"when\" calls prediction or runtime; runtime keys never change what is stored in a model. This page "
      "is made from the declarations in the source by `voxgrad train --print-config-table`, and a test "
      "compares them.\n\n";
  text += "| method | what it is |\n|---|---|\n";
  for (const MethodRecord* m : kMethods) text += "| `" + m->name + "` | " + cell(m->text) + " |\n";
  // Rows that differ between methods in nothing but who has them are one.
  std::vector<std::pair<std::string, std::vector<std::string>>> rows;
  constexpr const char* types[] = {"boolean", "integer", "number", "string", "list of numbers"};
  constexpr const char* uses[] = {"training", "prediction", "runtime"};
  for (const MethodRecord* m : kMethods) {
    const std::unique_ptr<Method> method = make_method(*m);
    for (const Option& o : method->options().all()) {
      const std::string row = "| `" + o.key + "` | " + types[o.default_value.index()] + " | `" +
                              cell(value_text(o.default_value)) + "` | " + cell(range_text(o)) + " | " +
                              uses[static_cast<int>(o.use)] + " | " + cell(o.text) + " |";
      const auto known =
          std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r.first == row; });
      if (known != rows.end())
        known->second.push_back(m->name);
      else
        rows.push_back({row, {m->name}});
    }
  }
  const auto section = [&](const std::string& heading, const std::vector<std::string>& who) {
    text += "\n## " + heading +
            "\n\n| key | type | default | range | when | meaning |\n|---|---|---|---|---|---|\n";
    for (const auto& [row, methods] : rows)
      if (methods == who) text += row + "\n";
  };
  std::vector<std::vector<std::string>> sections;
  for (const auto& [row, methods] : rows)
    if (std::find(sections.begin(), sections.end(), methods) == sections.end()) sections.push_back(methods);
  for (const auto& who : sections) {
    std::string heading;
    for (const std::string& name : who) heading += (heading.empty() ? "`" : ", `") + name + "`";
    section(who.size() == std::size(kMethods) ? "Every method" : heading, who);
  }
  return text;
}

}  // namespace voxgrad
