// Convolutions through cuDNN's backend C API. The engines come from its heuristics (mode A, then the fallback
// list), in their order. Engines that round more than the problem allows are left out. So are those that
// differ from run to run, where the problem must not.
//
// Tensors are given as [N, C, D, H, W] with channels-last strides. Filters are [K, C, T, R, S], in memory in
// the order K, T, R, S, C. Where the input comes in parts, each part is one convolution that adds to the
// result. Where no engine can add, the parts are copied side by side.
#include <algorithm>
#include <array>
#include <vector>

#include "tensor/conv/cuda/cudnn.h"
#include "tensor/conv/cuda/plans.h"
#include "tensor/core/cuda/copy.h"
#include "tensor/core/cuda/kernels.h"

namespace voxgrad::cuda {
namespace {

constexpr int64_t kX = 1, kW = 2, kY = 3;  // names of the tensors in a graph
constexpr int kMaxTried = 12;  // most engines of a heuristic's list that are built for one problem

// One convolution of one part, as cuDNN sees it.
struct Single {
  Pass pass;
  ConvShape shape;  // cin: channels of the part
  DType type, gradient_type;
  bool tf32, deterministic, add;
};

cudnnDataType_t type_of(DType t) { return t == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT; }

Descriptor tensor(Cudnn& d, int64_t name, DType type, const std::array<int64_t, 5>& dims,
                  const std::array<int64_t, 5>& strides) {
  Descriptor t(d, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "tensor descriptor");
  const cudnnDataType_t data = type_of(type);
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &data);
  t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 5, dims.data());
  t.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 5, strides.data());
  t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, name);
  t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t{16});
  t.finalize();
  return t;
}

Descriptor volume(Cudnn& d, int64_t name, DType type, int64_t n, const int64_t (&e)[3], int64_t c) {
  return tensor(d, name, type, {n, c, e[0], e[1], e[2]},
                {e[0] * e[1] * e[2] * c, 1, e[1] * e[2] * c, e[2] * c, c});
}

struct Names {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
};

Names names(Pass pass) {
  switch (pass) {
    case Pass::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case Pass::backward_data:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case Pass::backward_weights:
      break;
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

// The operation graph of one convolution, and all that the graph refers to.
struct OperationGraph {
  Descriptor x, w, y, convolution, operation, graph;
  OperationGraph(Cudnn& d, const Single& s)
      : x(volume(d, kX, s.type, s.shape.n, s.shape.in, s.shape.cin)),
        w(volume(d, kW, s.pass == Pass::backward_weights ? s.gradient_type : s.type, s.shape.cout,
                 s.shape.kernel, s.shape.cin)),
        y(volume(d, kY, s.type, s.shape.n, s.shape.out, s.shape.cout)),
        convolution(d, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "convolution descriptor"),
        operation(d, names(s.pass).type, "convolution operation"),
        graph(d, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "operation graph") {
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t dilation[3] = {1, 1, 1};
    convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    convolution.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    convolution.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{3});
    convolution.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 3, s.shape.pad);
    convolution.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 3, s.shape.pad);
    convolution.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 3, dilation);
    convolution.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 3, s.shape.stride);
    convolution.finalize();
    const Names n = names(s.pass);
    const float alpha = 1, beta = s.add ? 1.0f : 0.0f;
    operation.set(n.convolution, convolution);
    operation.set(n.x, x);
    operation.set(n.w, w);
    operation.set(n.y, y);
    operation.set(n.alpha, CUDNN_TYPE_FLOAT, 1, &alpha);
    operation.set(n.beta, CUDNN_TYPE_FLOAT, 1, &beta);
    operation.finalize();
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &d.handle);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
    graph.finalize();
  }
};

// The engine configurations that a heuristic proposes. The best one comes first.
std::vector<Descriptor> proposals(Cudnn& d, const Descriptor& graph, cudnnBackendHeurMode_t mode) {
  std::vector<Descriptor> configs;
  Descriptor heuristics(d, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "engine heuristics");
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (heuristics.try_finalize() != CUDNN_STATUS_SUCCESS) return configs;  // no engine takes this problem
  const int64_t count =
      heuristics.read(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < count; ++i) {
    configs.emplace_back(d, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, "engine configuration");
    raw.push_back(configs.back().get());
  }
  const int64_t filled =
      count ? heuristics.read(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, raw.data())
            : 0;
  while (static_cast<int64_t>(configs.size()) > std::max<int64_t>(filled, 0)) configs.pop_back();
  return configs;
}

// Sets `number` to the number of the engine. Returns why the engine may not be used, or nothing where it may.
std::string refuse(Cudnn& d, const Descriptor& config, const Single& s, int64_t* number) {
  Descriptor engine(d, CUDNN_BACKEND_ENGINE_DESCRIPTOR, "engine");
  cudnnBackendDescriptor_t raw = engine.get();
  (void)config.read(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
  (void)engine.read(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, number);
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT] = {};
  const int64_t count = engine.read(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                    CUDNN_NUMERICAL_NOTE_TYPE_COUNT, notes);
  const bool exact = s.type == DType::f32 && !s.tf32;
  for (int64_t i = 0; i < count; ++i) switch (notes[i]) {
      case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
        if (s.deterministic) return "differs from run to run";
        break;
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
        if (exact) return "uses TF32";
        break;
      case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
        if (exact || s.type == DType::bf16) return "rounds its inputs";
        break;
      case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        return "adds in less than f32";
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
        return "large Winograd tiles lose too much";
      default:
        break;
    }
  return "";
}

// A finalised execution plan of one part, and all that it was made from.
struct CudnnPlan {
  std::shared_ptr<const OperationGraph> graph;
  Descriptor config, plan;
  int64_t workspace;
  std::string name;
  void run(Context& c, const void* x, const void* w, const void* y) const {
    Cudnn& d = need_cudnn(c);
    const Scratch memory(c, static_cast<uint64_t>(workspace));
    Descriptor pack(d, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "variant pack");
    const int64_t ids[3] = {kX, kW, kY};
    const void* const pointers[3] = {x, w, y};
    void* const space = workspace ? memory.as<void>() : nullptr;
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, ids);
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers);
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &space);
    pack.finalize();
    d.check(d.cudnnBackendExecute(d.handle, plan.get(), pack.get()), "cudnnBackendExecute");
  }
};

// The most memory that an engine may take beside its operands. Some engines need a second copy of them.
uint64_t max_workspace(const Single& s) {
  const ConvShape& e = s.shape;
  const int64_t in = e.n * e.in[0] * e.in[1] * e.in[2] * e.cin,
                out = e.n * e.out[0] * e.out[1] * e.out[2] * e.cout;
  return std::max(uint64_t{1} << 30, 2 * static_cast<uint64_t>(in + out) * size_of(s.type));
}

// The plan of an engine configuration. Where there is none, null, and `reason` says why.
std::shared_ptr<const CudnnPlan> make_plan(Cudnn& d, const std::shared_ptr<const OperationGraph>& graph,
                                           Descriptor config, int64_t number, uint64_t max_workspace,
                                           std::string* reason) {
  Descriptor plan(d, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "execution plan");
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &d.handle);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
  if (const cudnnStatus_t status = plan.try_finalize(); status != CUDNN_STATUS_SUCCESS) {
    *reason = d.text(status);
    return nullptr;
  }
  int64_t workspace = 0;
  (void)plan.read(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &workspace);
  if (static_cast<uint64_t>(workspace) > max_workspace) {
    *reason = cat("needs a workspace of ", workspace >> 20, " MiB");
    return nullptr;
  }
  return std::make_shared<const CudnnPlan>(
      CudnnPlan{graph, std::move(config), std::move(plan), workspace,
                cat("engine ", number, " workspace ", workspace >> 10, " KiB")});
}

// Calls use(plan) for each plan that can be built, until it returns true. Then returns nothing. Otherwise
// returns what was left out and why.
template <class Use>
std::string for_plans(Cudnn& d, const Single& s, Use&& use) {
  std::string why;
  try {
    const auto graph = std::make_shared<const OperationGraph>(d, s);
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
      int tried = 0;  // refused engines cost nothing and do not count: two thirds of those for f32 use TF32
      for (Descriptor& config : proposals(d, graph->graph, mode)) {
        int64_t number = -1;
        std::string reason = refuse(d, config, s, &number);
        if (reason.empty() && tried++ == kMaxTried) break;
        const auto plan = reason.empty()
                              ? make_plan(d, graph, std::move(config), number, max_workspace(s), &reason)
                              : nullptr;
        if (plan && use(plan)) return "";
        if (!plan) why += cat("engine ", number, " ", reason, "; ");
      }
    }
  } catch (const DeviceLost&) {
    throw;
  } catch (const Error& e) {  // a combination of types that cuDNN does not know, say
    if (e.code() == ErrorCode::memory) throw;
    why += e.what();
  }
  return why.empty() ? "no engine" : why;
}

Single single(const ConvPlanProblem& p, int64_t channels, DType gradient, bool add) {
  Single s{p.pass, p.shape, p.type, gradient, p.tf32, p.deterministic, add};
  s.shape.cin = channels;
  return s;
}

using PlanPtr = std::shared_ptr<const CudnnPlan>;

// Runs one plan for each part. plans[k] belongs to part k.
void run_parts(Context& c, const ConvPlanProblem& p, const ConvArrays& a, const std::vector<PlanPtr>& plans,
               DType gradient) {
  int64_t first = 0;
  for (int k = 0; k < p.parts; ++k) {
    const int64_t channels = p.channels[k], weights = p.taps() * channels * p.shape.cout;
    const bool gradients = p.pass == Pass::backward_weights;
    const Scratch w(c, static_cast<uint64_t>(weights) * size_of(gradients ? gradient : p.type));
    if (!gradients) pack_weights(c, p, first, channels, a.w, w.as<void>());
    plans[static_cast<size_t>(k)]->run(c, a.x[k].data, w.as<void>(), a.y);
    if (gradients) unpack_weights(c, p, first, channels, gradient, w.as<void>(), a.dw);
    first += channels;
  }
}

// Copies the inputs side by side into one array, so that one convolution suffices. A gradient with respect to
// the input is computed in such an array and copied to the parts.
void run_joined(Context& c, const ConvPlanProblem& p, const ConvArrays& a, const PlanPtr& plan,
                DType gradient) {
  const int64_t places = p.in_places();
  const Scratch joined(c, static_cast<uint64_t>(places * p.shape.cin) * size_of(p.type));
  const auto columns = [&](const void* x, int64_t x_width, int64_t from, void* y, int64_t y_width, int64_t to,
                           int64_t count) {
    copy_columns(c, p.type, places, x, x_width, from, y, y_width, to, count);
  };
  ConvPlanProblem whole = p;
  whole.parts = 1;
  whole.channels[0] = p.shape.cin;
  ConvArrays b = a;
  b.x[0] = {joined.as<void>(), p.shape.cin};
  int64_t first = 0;
  if (p.pass != Pass::backward_data)
    for (int k = 0; k < p.parts; first += p.channels[k++])
      columns(a.x[k].data, p.channels[k], 0, joined.as<void>(), p.shape.cin, first, p.channels[k]);
  run_parts(c, whole, b, {plan}, gradient);
  if (p.pass == Pass::backward_data)
    for (int k = 0; k < p.parts; first += p.channels[k++])
      columns(joined.as<void>(), p.shape.cin, first, a.x[k].data, p.channels[k], 0, p.channels[k]);
}

// Takes the first plan of each part that can be built. Only for the last part, the alternatives are tried
// one by one.
bool offer_parts(Context& c, Cudnn& d, const ConvPlanProblem& p, DType gradient, ConvOffer& o) {
  std::vector<PlanPtr> plans;
  for (int k = 0; k + 1 < p.parts; ++k) {
    PlanPtr found;
    const std::string why = for_plans(d, single(p, p.channels[k], gradient, p.pass == Pass::forward && k > 0),
                                      [&](const PlanPtr& plan) {
                                        found = plan;
                                        return true;
                                      });
    if (!found) {
      o.decline(cat("cuDNN part ", k), why);
      return false;
    }
    plans.push_back(found);
  }
  const int last = p.parts - 1;
  const std::string why =
      for_plans(d, single(p, p.channels[last], gradient, p.pass == Pass::forward && last > 0),
                [&](const PlanPtr& plan) {
                  std::vector<PlanPtr> all = plans;
                  all.push_back(plan);
                  std::string name = cat("cuDNN ", d.version);
                  for (const PlanPtr& each : all) name.append(" ").append(each->name);
                  return o.offer(
                      name, [all, gradient](Context& context, const ConvPlanProblem& q, const ConvArrays& a) {
                        run_parts(context, q, a, all, gradient);
                      });
                });
  if (!o.taken()) o.decline("cuDNN", why);
  (void)c;
  return o.taken();
}

bool offer_joined(Cudnn& d, const ConvPlanProblem& p, DType gradient, ConvOffer& o) {
  const std::string why = for_plans(d, single(p, p.shape.cin, gradient, false), [&](const PlanPtr& plan) {
    return o.offer(cat("cuDNN ", d.version, " on copied inputs ", plan->name),
                   [plan, gradient](Context& context, const ConvPlanProblem& q, const ConvArrays& a) {
                     run_joined(context, q, a, plan, gradient);
                   });
  });
  if (!o.taken()) o.decline("cuDNN on copied inputs", why);
  return o.taken();
}

}  // namespace

void offer_conv_cudnn(Context& c, const ConvPlanProblem& p, ConvOffer& o) {
  try {
    Cudnn& d = need_cudnn(c);
    const ConvMode mode = p.type == DType::bf16 ? ConvMode::bf16 : p.tf32 ? ConvMode::tf32 : ConvMode::fp32;
    if (const char* const why = cudnn_refusal(d.version, mode)) return o.decline("cuDNN", why);
    // Gradients of weights beside bf16 are best kept in f32, where an engine does that.
    const bool both = p.pass == Pass::backward_weights && p.type == DType::bf16;
    for (const DType gradient :
         both ? std::vector<DType>{DType::f32, DType::bf16} : std::vector<DType>{p.type}) {
      if (offer_parts(c, d, p, gradient, o)) return;
      if (p.parts > 1 && offer_joined(d, p, gradient, o)) return;
    }
  } catch (const DeviceLost&) {
    throw;
  } catch (const Error& e) {
    if (e.code() == ErrorCode::memory) throw;
    o.decline("cuDNN", e.what());
  }
}

Cudnn& need_cudnn(Context& c) {
  std::shared_ptr<Cudnn>& kept = c.part<ConvPlans>().cudnn;
  if (!kept) kept = std::make_shared<Cudnn>(c.stream);
  return *kept;
}

std::string describe_cudnn(Context& c) { return need_cudnn(c).description(); }

}  // namespace voxgrad::cuda
