// Records a sequence of work as a CUDA graph and replays it.
#include "tensor/core/cuda/context.h"

namespace voxgrad::cuda {

struct Graph {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  int arena = 0;
};

namespace {

Status begin(Context* context) {
  return enter(context, "graph", [](Context& c) {
    require(!c.capturing(), "expected no capture under way");
    // Relaxed mode: during the capture the pool may call cudaMalloc, which is no work of the stream.
    check(cudaStreamBeginCapture(c.stream, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
    c.arena = c.pool->open_arena();
  });
}

Status end(Context* context, Graph** out) {
  return enter(context, "graph", [&](Context& c) {
    require(c.capturing(), "expected a capture under way");
    auto g = std::make_unique<Graph>();
    g->arena = c.arena;
    c.arena = 0;
    c.pool->close_arena();
    try {
      check(cudaStreamEndCapture(c.stream, &g->graph), "cudaStreamEndCapture");
      check(cudaGraphInstantiate(&g->executable, g->graph, 0), "cudaGraphInstantiate");
    } catch (...) {
      if (g->graph) (void)cudaGraphDestroy(g->graph);
      c.pool->drop_arena(g->arena);
      throw;
    }
    *out = g.release();
  });
}

Status abandon(Context* context) {
  return enter(context, "graph", [](Context& c) {
    if (!c.capturing()) return;
    cudaGraph_t graph = nullptr;
    (void)cudaStreamEndCapture(c.stream, &graph);
    if (graph) (void)cudaGraphDestroy(graph);
    (void)cudaGetLastError();
    c.pool->close_arena();
    c.pool->drop_arena(c.arena);
    c.arena = 0;
  });
}

Status launch(Context* context, Graph* graph) {
  return enter(context, "graph", [&](Context& c) {
    require(!c.capturing(), "expected no capture under way");
    check(cudaGraphLaunch(graph->executable, c.stream), "cudaGraphLaunch");
  });
}

Status destroy(Context* context, Graph* graph) {
  return enter(context, "graph", [&](Context& c) {
    if (!graph) return;
    check(cudaStreamSynchronize(c.stream), "cudaStreamSynchronize");
    (void)cudaGraphExecDestroy(graph->executable);
    (void)cudaGraphDestroy(graph->graph);
    c.pool->drop_arena(graph->arena);
    delete graph;
  });
}

Status nodes(Graph* graph, uint64_t* count) {
  return guarded("graph", [&] {
    size_t n = 0;
    check(cudaGraphGetNodes(graph->graph, nullptr, &n), "cudaGraphGetNodes");
    *count = n;
  });
}

}  // namespace

extern const GraphFns graph_functions{begin, end, abandon, launch, destroy, nodes};

}  // namespace voxgrad::cuda
