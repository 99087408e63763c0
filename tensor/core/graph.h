// Records work of a CUDA device once and replays it as a whole: a training step, a step of the sampler.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "tensor/core/device.h"

namespace voxgrad::cuda {
struct Graph;
}

namespace voxgrad {

class DeviceGraph {
 public:
  /// Runs `work` while the device records what is queued and does not compute it. The same work must have run
  /// once before: that first run makes what cannot be made while recording, such as the plans of
  /// convolutions. The work must not read results or copy from the host. What changes between replays lies in
  /// tensors that outlive the graph. Tensors that `work` makes keep their memory as long as the graph lives.
  DeviceGraph(const Device& device, const std::function<void()>& work);
  ~DeviceGraph();
  DeviceGraph(const DeviceGraph&) = delete;
  DeviceGraph& operator=(const DeviceGraph&) = delete;

  /// Queues all recorded work.
  void launch();
  /// The number of pieces of work in the graph.
  uint64_t nodes() const;

 private:
  Device device_;
  cuda::Graph* graph_ = nullptr;
};

/// Work that is repeated, with its input and its constants in the same places. On a CUDA device the first run
/// queues the work directly, and so makes what is made at first use (plans of convolutions). The second run
/// records the work and replays it. Later runs replay it.
///
/// Nothing is recorded, and every run queues the work directly, if the device is the CPU, if
/// DeviceOptions::graphs is off, or if there are fewer than three runs. After a recording was refused, that
/// run and all later runs queue the work directly, too. A refusal is traced as a warning. If memory runs out
/// while recording, the pool gives its unused memory back and the recording is tried once more. The results
/// have the same bits either way.
class ReplayedWork {
 public:
  ReplayedWork(const Device& device, std::function<void()> work, int64_t runs);
  void run();
  bool recorded() const { return graph_ != nullptr; }
  /// The number of pieces of work in the graph; 0 if nothing was recorded.
  uint64_t nodes() const { return graph_ ? graph_->nodes() : 0; }
  /// Why a recording was refused; empty if none was.
  const std::string& refusal() const { return refusal_; }

 private:
  void record();

  Device device_;
  std::function<void()> work_;
  bool wanted_, warm_ = false;
  std::unique_ptr<DeviceGraph> graph_;
  std::string refusal_;
};

}  // namespace voxgrad
