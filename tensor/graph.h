// Work of a CUDA device recorded once and replayed as one: a training step, a step of the sampler.
#pragma once
#include <functional>

#include "tensor/device.h"

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

}  // namespace voxgrad
