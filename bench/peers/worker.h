// bench/peers/: the same work here and in PyTorch. compare.py drives a worker, one JSON command a line on
// stdin and one JSON reply on stdout, and times PyTorch in turn with it; tensors travel as safetensors files.
//   {"do": "info"}                                  threads, instruction set, version
//   {"do": "machine"}                               FMA peak and copy bandwidth, measured now
//   {"do": "prepare", "task": "conv", ...}          makes a task; the reply is what the peer must know of it
//   {"do": "time", "part": "forward", "repeats": 3} seconds of the best repeat; "runs": n in each, the mean
//   of them
//   {"do": "memory", "part": "step"}                growth of the process's peak memory by running a part, or
//   the
//                                                   peak of the task's device
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
