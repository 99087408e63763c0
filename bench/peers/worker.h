// bench/peers/: the same work in voxgrad and in PyTorch. compare.py drives a worker and times PyTorch in turn
// with it. The worker reads one JSON command a line from stdin and writes one JSON reply to stdout. Tensors
// travel as safetensors files. The commands, and what each does or replies:
//   {"do": "info"}                                  threads, instruction set, version
//   {"do": "machine"}                               FMA peak and copy bandwidth, measured now
//   {"do": "prepare", "task": "conv", ...}          makes a task; the reply is what the peer must know of it
//   {"do": "time", "part": "forward", "repeats": 3} seconds of the best repeat; with "runs": n, the mean of n
//                                                   runs in each repeat
//   {"do": "memory", "part": "step"}                how much running a part raises the peak memory of the
//                                                   process, or the peak of the task's device
//   {"do": "describe"}                              the task's device, and its convolution plans
//   {"do": "results", "file": F}                    writes what the peer must agree with
#pragma once
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "tensor/core/tensor.h"

namespace voxgrad::bench {

using Json = nlohmann::ordered_json;

class Task {
 public:
  virtual ~Task() = default;
  virtual void run(const std::string& part) = 0;
  virtual void wait() {}  ///< for work that is queued on a device
  virtual std::map<std::string, Tensor> results() = 0;
  Device device;
  Json reply = Json::object();  ///< what `prepare` answers
};

std::unique_ptr<Task> make_conv_task(const Json& command);  ///< cin, cout, file (x, w, dy)
std::unique_ptr<Task> make_norm_task(const Json& command);  ///< file (x, gamma, beta, dy)
std::unique_ptr<Task> make_unet_task(
    const Json& command);  ///< base, levels, recompute, device, precision, graph, file (x, label), weights
std::unique_ptr<Task> make_pgrd_task(
    const Json& command);  ///< base, levels, samples, steps, device, file (x), weights
std::unique_ptr<Task> make_read_task(const Json& command);  ///< path

}  // namespace voxgrad::bench
