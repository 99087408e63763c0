// SIGINT and SIGTERM ask a command to stop; SIGPIPE is an error of writing, not the end of the process.
#pragma once

namespace voxgrad::apps {

/// Installs the handlers. The first SIGINT or SIGTERM only sets a flag that long loops poll, so that they can
/// save and leave nothing half written; the second one ends the process.
void watch_signals();
/// True once SIGINT or SIGTERM has come.
bool interrupted();
/// Its number, 0 before; the command exits with 128 + number.
int interrupt_signal();

}  // namespace voxgrad::apps
