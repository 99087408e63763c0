#include "tensor/core/graph.h"

#include <utility>

#include "tensor/core/gpu.h"
#include "tensor/core/trace.h"

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

ReplayedWork::ReplayedWork(const Device& device, std::function<void()> work, int64_t runs)
    : device_(device),
      work_(std::move(work)),
      wanted_(device.is_cuda() && device_options().graphs && runs >= 3) {}

void ReplayedWork::record() {
  const auto record_once = [&] { graph_ = std::make_unique<DeviceGraph>(device_, work_); };
  try {
    try {
      record_once();
    } catch (const Error& e) {
      if (e.code() != ErrorCode::memory) throw;
      // A graph keeps its memory. So memory that only earlier work needed goes back to the device first.
      gpu::check(gpu::module().memory.trim(gpu::context(device_)));
      record_once();
    }
    if (tracing()) trace({"kernel", "graph", cat("recorded, ", graph_->nodes(), " nodes")});
  } catch (const Error& e) {
    // If the work itself is wrong or the device failed, the error comes again when the work is queued.
    wanted_ = false;
    refusal_ = e.what();
    if (tracing()) trace({"warning", "graph", "not recorded, queued step by step: " + refusal_});
  }
}

void ReplayedWork::run() {
  if (wanted_ && warm_ && !graph_) record();
  if (graph_) return graph_->launch();
  work_();
  warm_ = true;
}

}  // namespace voxgrad
