#include "tensor/graph.h"

#include "tensor/gpu.h"

namespace voxgrad {

DeviceGraph::DeviceGraph(const Device& device, const std::function<void()>& work) : device_(device) {
  require(device.is_cuda(), "[graph] expected a CUDA device, got ", device.str());
  const cuda::GraphFns& f = gpu::module().graph;
  cuda::Context* const c = gpu::context(device);
  gpu::check(f.begin(c));
  try {
    work();
  } catch (...) {
    (void)f.abandon(c);
    throw;
  }
  gpu::check(f.end(c, &graph_));
}

DeviceGraph::~DeviceGraph() { (void)gpu::module().graph.destroy(gpu::context(device_), graph_); }

void DeviceGraph::launch() { gpu::check(gpu::module().graph.launch(gpu::context(device_), graph_)); }

uint64_t DeviceGraph::nodes() const {
  uint64_t n = 0;
  gpu::check(gpu::module().graph.nodes(graph_, &n));
  return n;
}

}  // namespace voxgrad
