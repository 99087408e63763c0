// Permission to use AMX tiles. A thread that touches a tile without it is killed, so Linux (5.16 and later)
// wants to be asked once a process: the registers of a thread grow by 8 KiB, and so do its signal frames.
#pragma once
#include <string>

namespace voxgrad::cpu {

struct AmxState {
  bool usable = false;
  std::string text;  ///< "yes", "not on this CPU" or "refused by the system: " and why
};

/// Whether this process may use tiles. The first call asks the system, before the pool starts its threads
/// (parallel.cc): a thread whose alternate signal stack is too small for the larger frames makes the system
/// refuse. A refusal is no error.
const AmxState& amx_state();

/// What to make of a CPU that has AMX-TILE and AMX-BF16 or not, and of the answer to request(): 0 or an
/// errno. Without the CPU nothing is requested.
AmxState ask_for_amx(bool cpu_has_it, int (*request)());

}  // namespace voxgrad::cpu
