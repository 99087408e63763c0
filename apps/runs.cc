// `voxgrad runs FOLDER`: prints a table of the runs in a folder.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/run_info.h"
#include "io/file.h"
#include "tensor/core/error.h"

namespace voxgrad::apps {
namespace {

using nlohmann::json;

/// Whether a folder with a manifest.json is a run: the manifest names a method. A manifest that is not JSON
/// may be that of a damaged run. So it counts as one, and the table lists it as unreadable.
bool is_run(const RunFolder& run) {
  const json manifest = json::parse(read_text(run.manifest()), nullptr, /*allow_exceptions=*/false);
  return manifest.is_discarded() || manifest.contains("method");
}

/// The run folders in a folder, sorted by name, or the folder itself if it is a run.
std::vector<RunFolder> runs_in(const std::string& folder) {
  if (!is_folder(folder)) fail(ErrorCode::data, "[runs] ", folder, ": expected a folder");
  if (file_exists(RunFolder{folder}.manifest())) return {{folder}};
  std::vector<RunFolder> runs;
  for (const std::string& name : list_folder(folder))
    if (const RunFolder run{folder + "/" + name}; file_exists(run.manifest()) && is_run(run))
      runs.push_back(run);
  std::sort(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return runs;
}

/// A row of the table. A run that cannot be read gives a row with the error.
json row_of(const RunFolder& run) {
  try {
    return summary_of_run(run);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::data && e.code() != ErrorCode::system) throw;
    return {{"name", run.path.substr(run.path.rfind('/') + 1)}, {"path", run.path}, {"error", e.what()}};
  }
}

std::vector<std::string> cells_of(const json& row) {
  if (row.contains("error")) return {row["name"], "-", "-", "cannot be read", "-", "-", "-", "-"};
  std::string steps;
  for (const json& s : row["stages"]) steps += (steps.empty() ? "" : " + ") + s["steps"].dump();
  std::vector<std::string> cells{row["name"], row["method"], row["dataset"], row["status"], steps};
  for (const char* name : {"dsc", "nll", "ece"}) {
    std::ostringstream text;
    if (row["scores"].contains(name))
      text << std::fixed << std::setprecision(4) << row["scores"][name].get<double>();
    cells.push_back(text.str());
  }
  for (std::string& cell : cells)
    if (cell.empty()) cell = "-";
  return cells;
}

void print_table(const json& rows) {
  std::vector<std::vector<std::string>> table{
      {"run", "method", "data set", "status", "steps", "Dice", "NLL", "ECE"}};
  for (const json& row : rows) table.push_back(cells_of(row));
  std::vector<size_t> width(table[0].size());
  for (const auto& cells : table)
    for (size_t i = 0; i < cells.size(); ++i) width[i] = std::max(width[i], cells[i].size());
  for (const auto& cells : table) {
    for (size_t i = 0; i < cells.size(); ++i)
      std::cout << cells[i]
                << (i + 1 < cells.size() ? std::string(width[i] - cells[i].size() + 2, ' ') : "\n");
  }
  std::cout << "scores: the method on held-out cases, as fractions; NLL in nats a voxel\n";
}

}  // namespace

void add_runs(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("runs", "List the runs in a folder: method, data set, status, scores");
  auto folder = std::make_shared<std::string>();
  auto as_json = std::make_shared<bool>(false);
  command->add_option("FOLDER", *folder, "Folder that holds run folders, or a run folder")->required();
  command->add_flag("--json", *as_json, "Print JSON");
  command->callback([folder, as_json] {
    json rows = json::array();
    for (const RunFolder& run : runs_in(*folder)) rows.push_back(row_of(run));
    if (*as_json)
      std::cout << rows.dump(1, ' ', false, json::error_handler_t::replace) << '\n';
    else if (rows.empty())
      std::cout << *folder << ": no runs\n";
    else
      print_table(rows);
  });
}

}  // namespace voxgrad::apps
