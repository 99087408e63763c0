// Signals. SIGINT and SIGTERM ask a command that has something to save to stop, and end every other command.
// SIGPIPE becomes an error of the write and does not end the process.
#pragma once

namespace voxgrad::apps {

/// For commands that poll interrupted(). After this call the first SIGINT or SIGTERM only sets a flag, so
/// that the command can save and leaves no incomplete files. The second one ends the process.
void watch_signals();
/// Makes a closed pipe and an exceeded file size limit errors of the write instead of signals.
void ignore_signals_of_writes();
/// True after SIGINT or SIGTERM.
bool interrupted();
/// The number of the received signal, or 0. The command exits with 128 + this number.
int interrupt_signal();

}  // namespace voxgrad::apps
