// Convolution plans. The plan of a problem is the first implementation of an ordered list that neither
// declines nor fails its one check against the plain f32 kernel (check.cu). Rules and heuristics choose it,
// never timing. Plans are kept with the context.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "tensor/conv/cuda/problem.h"
#include "tensor/core/cuda/context.h"

namespace voxgrad::cuda {

/// The arrays of one pass. In the gradient with respect to the input, x holds dx. Weights are in the order
/// that the problem states.
struct ConvArrays {
  Part x[kMaxParts];
  void* y;           ///< y or dy
  const void* w;     ///< not in the gradient of the weights
  void* dw;          ///< only in the gradient of the weights
  const void* bias;  ///< only forward, may be null; only plans with `adds_bias` add it
};

using ConvRunner = std::function<void(Context&, const ConvPlanProblem&, const ConvArrays&)>;

struct ConvPlan {
  ConvRunner run;
  bool adds_bias = false;
  std::string text;  ///< implementation, engine, error, and what declined before it
};

/// An implementation left the device unusable, so nothing that could be tried after it would run.
class DeviceLost : public Error {
  using Error::Error;
};

struct Cudnn;  // cudnn.h

/// What the convolutions keep with a device.
struct ConvPlans {
  std::shared_ptr<Cudnn> cudnn;  ///< opened at first use; destroyed after the plans that use it
  std::map<std::string, ConvPlan> plans;
};
/// The cuDNN of a device. Throws ErrorCode::device where it is not found, and says where it was looked for.
Cudnn& need_cudnn(Context& c);

/// Given to each implementation in turn, which offers runners until one is taken.
class ConvOffer {
 public:
  ConvOffer(Context& c, const ConvPlanProblem& p) : context_(c), problem_(p) {}
  /// Runs it once on random data and checks the result. Returns true where it is taken: then stop.
  bool offer(const std::string& name, ConvRunner run, bool adds_bias = false);
  void decline(const std::string& name, const std::string& why) { declined_ += name + ": " + why + "; "; }
  bool taken() const { return static_cast<bool>(plan_.run); }
  ConvPlan& plan() { return plan_; }
  const std::string& declined() const { return declined_; }

 private:
  Context& context_;
  const ConvPlanProblem& problem_;
  ConvPlan plan_;
  std::string declined_;
};

/// The plan of a problem. It is made at first use. Throws where a graph is being captured and there is
/// no plan yet.
const ConvPlan& conv_plan(Context& c, const ConvPlanProblem& p);

// The implementations, in the order in which they are asked.
void offer_conv_head(Context& c, const ConvPlanProblem& p, ConvOffer& o);         // head.cu
void offer_conv_first(Context& c, const ConvPlanProblem& p, ConvOffer& o);        // first.cu
void offer_conv_mma(Context& c, const ConvPlanProblem& p, ConvOffer& o);          // mma.cu
void offer_conv_mma_weights(Context& c, const ConvPlanProblem& p, ConvOffer& o);  // mma_weights.cu
void offer_conv_cudnn(Context& c, const ConvPlanProblem& p, ConvOffer& o);        // cudnn_plans.cc
void offer_conv_general(Context& c, const ConvPlanProblem& p, ConvOffer& o);      // general.cu

// check.cu
/// Fills y with n fixed random numbers; `which` selects them, and `scale` keeps sums near 1.
void fill_random(Context& c, DType type, int64_t n, uint32_t which, float scale, void* y);
/// The error of what a runner wrote, as allowed_error defines it, on a sample of its results. Waits.
double conv_error(Context& c, const ConvPlanProblem& p, const ConvArrays& a);

// pack.cu
/// out [cout, taps, channels] = the weights of input channels [first, first + channels), in the type of x.
void pack_weights(Context& c, const ConvPlanProblem& p, int64_t first, int64_t channels, const void* w,
                  void* out);
/// The reverse, for gradients. `from` is the type of `packed`: f32 or bf16.
void unpack_weights(Context& c, const ConvPlanProblem& p, int64_t first, int64_t channels, DType from,
                    const void* packed, void* dw);
/// y [places, channels] += bias.
void add_bias(Context& c, DType type, DType bias_type, int64_t places, int64_t channels, const void* bias,
              void* y);
/// dbias = the sum of dy [places, channels] over the places.
void sum_bias(Context& c, DType type, DType bias_type, int64_t places, int64_t channels, const void* dy,
              void* dbias);

}  // namespace voxgrad::cuda
