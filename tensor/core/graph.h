// Work of a CUDA device recorded once and replayed as one: a training step, a step of the sampler.
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
  /// Runs `work` with the device recording what it queues instead of doing it. Run the same work once before:
  /// what is made at first use (plans of convolutions) cannot be made here. It must not read results or copy
  /// from the host; what changes between replays lies in tensors that outlive the graph. Tensors that `work`
  /// makes keep their memory for as long as the graph lives.
  DeviceGraph(const Device& device, const std::function<void()>& work);
  ~DeviceGraph();
  DeviceGraph(const DeviceGraph&) = delete;
  DeviceGraph& operator=(const DeviceGraph&) = delete;

  /// Queues all of it.
  void launch();
  /// How many pieces of work it holds.
  uint64_t nodes() const;

 private:
  Device device_;
  cuda::Graph* graph_ = nullptr;
};

/// Work that is queued again and again, with its input and its constants in the same places. On a CUDA device
/// the first run queues it as it is, which makes what is made at first use; the second records it, and from
/// then on it is replayed. On the CPU, where DeviceOptions::graphs is off, for fewer than three runs, or once
/// a recording was refused (traced as a warning; out of memory only when a second recording is too, after the
/// pool gave back what nobody uses), every run queues it as it is. The same bits either way.
class ReplayedWork {
 public:
  ReplayedWork(const Device& device, std::function<void()> work, int64_t runs);
  void run();
  bool recorded() const { return graph_ != nullptr; }
  /// How many pieces of work the graph holds; 0 where nothing was recorded.
  uint64_t nodes() const { return graph_ ? graph_->nodes() : 0; }
  /// Why a recording was refused.
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
