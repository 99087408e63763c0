// SIGINT and SIGTERM ask a command that has something to save to stop, and end every other one; SIGPIPE is an
// error of writing, not the end of the process.
#pragma once

namespace voxgrad::apps {

/// For commands that poll interrupted(): from here on the first SIGINT or SIGTERM only sets a flag, so that
/// the command can save and leave nothing half written; the second one ends the process.
void watch_signals();
/// A closed pipe and a limit of file sizes become errors of the write.
void ignore_signals_of_writes();
/// True once SIGINT or SIGTERM has come.
bool interrupted();
/// Its number, 0 before; the command exits with 128 + number.
int interrupt_signal();

}  // namespace voxgrad::apps
