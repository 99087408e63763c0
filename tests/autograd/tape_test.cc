// The tape: sums of gradients, shared buffers, recomputation, errors.
#include "autograd/tape.h"

#include <gtest/gtest.h>

#include "autograd/finite_check.h"
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "tensor/core/finite.h"

namespace voxgrad {
namespace {

Tensor number(double v) { return Tensor::from<double>({1}, {v}); }

TEST(Tape, AGradientHandedToTwoLeavesStaysTwo) {
  // add hands the same tensor to both; what is added to the one must not reach the other.
  const Var a = Var::leaf(number(2)), b = Var::leaf(number(3));
  Tape tape;
  const Var twice = ops::scale(a, 2);
  tape.backward(ops::add(twice, ops::add(a, b)));
  EXPECT_EQ(a.grad().item(), 3);
  EXPECT_EQ(b.grad().item(), 1);
}

TEST(Tape, TheSeedOfTheWalkIsNotWritten) {
  const Var a = Var::leaf(number(2));
  const Tensor seed = number(5);
  Tape tape;
  tape.backward(ops::add(a, a), seed);
  EXPECT_EQ(a.grad().item(), 10);
  EXPECT_EQ(seed.item(), 5);
}

TEST(Tape, AGivenBufferIsAddedTo) {
  const Tensor flat = Tensor::from<double>({2}, {100, 200});
  const Var a = Var::leaf(number(2), flat.view(0, {1})), b = Var::leaf(number(3), flat.view(1, {1}));
  for (int walk = 0; walk < 2; ++walk) {
    Tape tape;
    tape.backward(ops::mul(a, b));
  }
  EXPECT_EQ(flat.to_vector<double>(), (std::vector<double>{106, 204}));
}

TEST(Tape, ConstantsAndDetachedValuesGetNoGradient) {
  const Var a = Var::leaf(number(2)), c(number(7));
  Tape tape;
  const Var y = ops::mul(a, c);
  tape.backward(ops::add(y, ops::mul(y.detach(), a)));
  EXPECT_EQ(a.grad().item(), 7 + 14);
  EXPECT_FALSE(c.grad().defined());
}

TEST(Tape, RecomputationGivesTheSameBits) {
  const auto gradient = [](bool recompute) {
    const Var x = Var::leaf(sample_normal({2, 2, 3, 4, 3}, 0)),
              w = Var::leaf(sample_normal({3, 3, 3, 3, 2}, 1));
    StepRandom random;
    random.set(1, 2);
    Tape tape;
    tape.set_recompute(recompute);
    const Var gamma(Tensor::full({3}, 1, DType::f64)), beta(Tensor::full({3}, 0.1, DType::f64));
    Var h = ops::norm_act(x, gamma, beta, 3, Act::leaky_relu);
    h = ops::gelu(ops::silu(ops::scale(h, 1.5, 0.2)));
    h = ops::dropout(ops::modulate(h, Var(sample_normal({2, 3}, 2)), Var(sample_normal({2, 3}, 3))), 0.3,
                     random, 4);
    tape.backward(ops::mean(ops::mul(ops::conv3d({h}, w), ops::conv3d({h}, w))));
    auto g = x.grad().to_vector<double>();
    const auto more = w.grad().to_vector<double>();
    g.insert(g.end(), more.begin(), more.end());
    return g;
  };
  EXPECT_EQ(gradient(true), gradient(false));
}

TEST(Tape, MisuseIsAnError) {
  const Var a = Var::leaf(sample_normal({3}, 0));
  {
    Tape tape;
    const Var y = ops::scale(a, 2);
    EXPECT_THROW(tape.backward(y), Error);  // three elements and no seed
  }
  {
    Tape tape;
    EXPECT_THROW(tape.backward(Var(number(1))), Error);  // a constant
    const Var y = ops::sum(a);
    tape.backward(y);
    EXPECT_THROW(tape.backward(y), Error);  // twice
  }
  Tape tape;
  EXPECT_THROW(ops::time_embedding(sample_normal({3}, 0), 3), Error);
  EXPECT_THROW(ops::relu(Var()), Error);
}

TEST(FiniteCheck, NamesTheOpThatMadeTheFirstNumberThatIsNotFinite) {
  const auto message = [](auto&& compute) {
    try {
      compute();
      return std::string("no error");
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::diverged);
      return std::string(e.what());
    }
  };
  const Var w = Var::leaf(Tensor::from<float>({2}, {3, 1e38f}));
  const auto compute = [&] { return ops::relu(ops::scale(ops::scale(w, 10), 0)); };
  EXPECT_EQ(message(compute), "no error") << "nobody looks";
  const FiniteCheck check([&](const Tensor& t) { return t.raw() == w.value().raw() ? "net.w" : ""; });
  EXPECT_EQ(message(compute),
            "[scale] expected a finite output, got inf at [1] of [2], computed from net.w [2]");
  EXPECT_EQ(message([] { ops::relu(Var(Tensor::from<float>({1}, {NAN}))); }),
            "[relu] expected a finite input, got a tensor [1] with nan at [0] of [1]");
  // Forward 1e-30 is fine; backward 1e30 * 1e30 is not.
  EXPECT_EQ(
      message([] {
        const Var x = Var::leaf(Tensor::from<float>({1}, {1e-30f}));
        Tape tape;
        tape.backward(ops::scale(ops::scale(x, 1e30), 1e30));
      }),
      "[scale] backward: expected a finite gradient of input 0 (an input that was not kept), got inf at "
      "[0] of [1]");
}

// An op that turned NaN into a number would hide a broken network from whoever looks at its loss.
TEST(FiniteCheck, ActivationsLossesAndSoftmaxKeepNan) {
  Tensor x = Tensor::zeros({1, 2, 2, 2, 3});
  x.mutable_data<float>()[4] = NAN;
  const Tensor label = Tensor::zeros({1, 2, 2, 2}, DType::i32);
  const Var v(x);
  const std::vector<std::pair<const char*, Var>> results{{"relu", ops::relu(v)},
                                                         {"leaky_relu", ops::leaky_relu(v, 0.01)},
                                                         {"silu", ops::silu(v)},
                                                         {"gelu", ops::gelu(v)},
                                                         {"sigmoid", ops::sigmoid(v)},
                                                         {"softmax", ops::softmax(v)},
                                                         {"dice", ops::soft_dice(v, label)},
                                                         {"log_softmax", ops::log_softmax(v)},
                                                         {"cross_entropy", ops::cross_entropy(v, label)}};
  for (const auto& [name, y] : results) EXPECT_GE(first_not_finite(y.value()), 0) << name;
}

}  // namespace
}  // namespace voxgrad
