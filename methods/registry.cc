#include "methods/registry.h"

#include <algorithm>

namespace voxgrad {

// A new method needs one line here.
#define VOXGRAD_METHODS(METHOD) \
  METHOD(unet_method)           \
  METHOD(mc_dropout_method)     \
  METHOD(ensemble_method)       \
  METHOD(m_heads_method)        \
  METHOD(prob_unet_method)      \
  METHOD(ddpm_method)           \
  METHOD(refine_method)         \
  METHOD(pgrd_no_pgr_method)    \
  METHOD(pgrd_no_dds_method)    \
  METHOD(pgrd_paper_method)     \
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
      "# Configuration\n\n"
      "This page lists the keys of `config.toml`. `voxgrad train --config FILE` reads such a file, and "
      "`--set KEY=VALUE` sets a single key.\n\n"
      "- Each method has its own keys. `voxgrad train --method NAME --print-config` prints them. A key of "
      "another method is accepted and has no effect.\n"
      "- The column \"when\" says when a key is used. `voxgrad predict --set KEY=VALUE` takes the keys of "
      "prediction and runtime. A model does not store runtime keys.\n"
      "- `voxgrad train --print-config-table` makes this page from the declarations in the source. A test "
      "compares the two.\n\n";
  text += "| method | what it is |\n|---|---|\n";
  for (const MethodRecord* m : kMethods) text += "| `" + m->name + "` | " + cell(m->text) + " |\n";
  // Each option table has one section. A key that is the same in several methods has one row.
  struct Row {
    std::string begin, end;  // the text before and after the column of methods
    std::vector<std::string> methods;
  };
  std::vector<std::pair<std::string, std::vector<Row>>> sections;
  constexpr const char* types[] = {"boolean", "integer", "number", "string", "list of numbers"};
  constexpr const char* uses[] = {"training", "prediction", "runtime"};
  for (const MethodRecord* m : kMethods) {
    const std::unique_ptr<Method> method = make_method(*m);
    for (const Option& o : method->options().all()) {
      const std::string table = o.key.substr(0, o.key.find('.'));
      auto section =
          std::find_if(sections.begin(), sections.end(), [&](const auto& s) { return s.first == table; });
      if (section == sections.end()) section = sections.insert(section, {table, {}});
      const Row row{"| `" + o.key + "` | " + types[o.default_value.index()] + " | `" +
                        cell(value_text(o.default_value)) + "` | " + cell(range_text(o)) + " | " +
                        uses[static_cast<int>(o.use)] + " | ",
                    " | " + cell(o.text) + " |\n",
                    {m->name}};
      auto& rows = section->second;
      const auto known = std::find_if(rows.begin(), rows.end(),
                                      [&](const Row& r) { return r.begin == row.begin && r.end == row.end; });
      if (known != rows.end())
        known->methods.push_back(m->name);
      else
        rows.push_back(row);
    }
  }
  for (const auto& [table, rows] : sections) {
    text +=
        "\n## " + table +
        "\n\n| key | type | default | range | when | methods | meaning |\n|---|---|---|---|---|---|---|\n";
    for (const Row& row : rows) {
      std::string methods;
      for (const std::string& name : row.methods) methods += (methods.empty() ? "`" : ", `") + name + "`";
      text += row.begin + (row.methods.size() == std::size(kMethods) ? "all" : methods) + row.end;
    }
  }
  return text;
}

}  // namespace voxgrad
