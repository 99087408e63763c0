// Asks Linux for permission to use AMX tiles. Tiles make the registers of a thread 8 KiB larger, and its
// signal frames too. So Linux (5.16 and later) wants every process to ask once; a thread that uses a tile
// without permission is killed.
#pragma once
#include <string>

namespace voxgrad::cpu {

struct AmxState {
  bool usable = false;
  std::string text;  ///< "yes", "not on this CPU", or "refused by the system: " and the reason
};

/// Says whether this process may use tiles. The first call asks the system. It comes before the pool starts
/// its threads (parallel.cc), because the system refuses if a thread has an alternate signal stack that is
/// too small for the larger frames. A refusal is no error.
const AmxState& amx_state();

/// The state that follows from two facts: whether the CPU has AMX-TILE and AMX-BF16, and what request()
/// answers (0 or an errno). Without the CPU's support nothing is requested.
AmxState ask_for_amx(bool cpu_has_it, int (*request)());

}  // namespace voxgrad::cpu
