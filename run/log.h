// log.jsonl: the log of a run. Each line is a JSON object, and its field "kind" selects one of the types
// below. Lines of unknown kinds, from a later version, are kept but not used.
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

/// A start or resumption of the run, with the runtime that computes from there on.
struct StartLine {
  std::string stage;  ///< name of the present stage; "scoring" after the last one
  int64_t step = 0;
  std::string version;  ///< version of voxgrad
  RuntimeRecord runtime;
};
struct StepLine {
  std::string stage;
  int64_t step = 0;  ///< counted from 1
  double loss = 0;
  std::map<std::string, double> terms;          ///< named parts of the loss, and other numbers
  double learning_rate = 0, gradient_norm = 0;  ///< L2 norm before clipping
  double seconds = 0;                           ///< since the stage began in this process
};
/// Scores of a stage on cases ("nll_training"). Without a step they belong to the end of the stage.
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
  /// Opens a new log or the log of an earlier start. An incomplete line at the end is removed.
  /// ErrorCode::data, naming file, line and field, for any other line that is not a JSON object or lacks a
  /// field of its kind.
  explicit RunLog(std::string path);
  /// Appends a line and flushes it to the system. Numbers that are not finite are written as null. Of an
  /// OtherLine only the kind is written.
  void write(const LogLine& line);
  /// Removes the lines for which `wanted` is false. A resumed run removes the lines that it will write again.
  /// `where`: a text that begins the message of an error about the line.
  void keep(const std::function<bool(const LogLine&, const std::string& where)>& wanted);

 private:
  std::string path_;
};

/// The lines of a log, in order, without an incomplete line at the end. Numbers that were not finite are NaN.
/// Also reads logs of format 1: their start lines have the instruction set but no precision, and their step
/// lines have no terms. ErrorCode::data, naming file, line and field, for a damaged line.
std::vector<LogLine> read_log(const std::string& path);

}  // namespace voxgrad
