// log.jsonl: one JSON object a line, appended as a run goes. "kind" says which of these it is; lines of other
// kinds, of a later version, are kept and passed over.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "run/runtime_record.h"

namespace voxgrad {

/// A start or resumption of the run: what computed from there on.
struct StartLine {
  std::string stage;  ///< name of the stage under way; "scoring" behind the last one
  int64_t step = 0;
  std::string version;  ///< of voxgrad
  RuntimeRecord runtime;
};
struct StepLine {
  std::string stage;
  int64_t step = 0;  ///< counted from 1
  double loss = 0;
  std::map<std::string, double> terms;          ///< named parts of the loss, or numbers beside it
  double learning_rate = 0, gradient_norm = 0;  ///< L2 norm before clipping
  double seconds = 0;                           ///< since the stage began in this process
};
/// Scores of a stage on cases ("nll_training"); without a step they stand for the end of the stage.
struct ValidationLine {
  std::string stage;
  std::optional<int64_t> step;
  std::map<std::string, double> values;
};
struct OtherLine {
  std::string kind;
};
using LogLine = std::variant<StartLine, StepLine, ValidationLine, OtherLine>;

class RunLog {
 public:
  /// Opens a log, or the one that a run left: half a line at its end is removed. ErrorCode::data, naming
  /// file, line and field, for any other line that is no JSON object or lacks a field of its kind.
  explicit RunLog(std::string path);
  /// Appends a line and flushes it to the system. Numbers that are not finite are written as null. An
  /// OtherLine is written as its kind alone.
  void write(const LogLine& line);
  /// Keeps the lines for which `wanted` is true: a resumed run takes out those that it will write again.
  /// `where` begins the message of an error about the line.
  void keep(const std::function<bool(const LogLine&, const std::string& where)>& wanted);

 private:
  std::string path_;
};

/// The lines of a log, in order; half a line at the end is left out. Numbers that were not finite are NaN.
/// Reads the logs of format 1 too: their start lines name the instruction set and no precision, their step
/// lines have no terms. ErrorCode::data, naming file, line and field, for what is damaged.
std::vector<LogLine> read_log(const std::string& path);

}  // namespace voxgrad
