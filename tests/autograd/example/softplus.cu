// softplus on a CUDA device, by the functions of the plain loops.
#include "tensor/core/cuda/entry.h"
#include "tensor/core/cuda/map.cuh"
#include "tests/autograd/example/softplus_calls.h"
#include "tests/autograd/example/softplus_ref.h"

namespace voxgrad::cuda {
namespace {

struct Value {
  __device__ float operator()(float x) const { return ref::softplus(x); }
};
struct Slope {
  __device__ float operator()(float x, float dy) const { return dy * ref::softplus_slope(x); }
};

void softplus_forward(Context& c, const SoftplusForward& call) {
  visit_type(call.type, [&]<class T>(T) { map1(c, call.n, as<T>(call.x), as<T>(call.y), Value{}); });
}

void softplus_backward(Context& c, const SoftplusBackward& call) {
  visit_type(call.type,
             [&]<class T>(T) { map2(c, call.n, as<T>(call.x), as<T>(call.dy), as<T>(call.dx), Slope{}); });
}

constexpr KernelEntry kEntries[] = {kEntry<softplus_forward>, kEntry<softplus_backward>};

}  // namespace

extern const std::span<const KernelEntry> softplus_kernels{kEntries};

}  // namespace voxgrad::cuda
