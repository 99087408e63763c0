// One convolution, and one instance norm with leaky ReLU, forward and backward.
#include "bench/peers/worker.h"
#include "io/safetensors.h"
#include "tensor/conv/conv.h"
#include "tensor/norm/norm.h"

namespace voxgrad::bench {
namespace {

Tensor take(const SafeTensors& file, const std::string& name) {
  const auto it = file.tensors.find(name);
  require(it != file.tensors.end(), "[worker] expected a tensor ", name);
  return it->second.clone();  // aligned, as the tensors of a network are
}

class ConvTask : public Task {
 public:
  explicit ConvTask(const Json& command) {
    const SafeTensors file = read_safetensors(command.at("file"));
    x_ = {take(file, "x")};
    w_ = take(file, "w");
    dy_ = take(file, "dy");
    p_ = make_conv_problem(x_, w_.shape(), {1, 1, 1}, {1, 1, 1});
    y_ = Tensor::empty(dy_.shape());
    dx_ = {Tensor::empty(x_[0].shape())};
    dw_ = Tensor::empty(w_.shape());
    reply["flops"] = p_.flops();
  }
  void run(const std::string& part) override {
    if (part == "forward") return conv3d_forward(p_, x_, w_, {}, y_);
    if (part == "backward_data") return conv3d_backward_data(p_, dy_, w_, dx_);
    if (part == "backward_weights") return conv3d_backward_weights(p_, x_, dy_, dw_, nullptr);
    fail(ErrorCode::usage, "[conv] no part ", part);
  }
  std::map<std::string, Tensor> results() override {
    for (const char* part : {"forward", "backward_data", "backward_weights"}) run(part);
    return {{"y", y_}, {"dx", dx_[0]}, {"dw", dw_}};
  }

 private:
  ConvProblem p_;
  std::vector<Tensor> x_, dx_;
  Tensor w_, dy_, y_, dw_;
};

class NormTask : public Task {
 public:
  explicit NormTask(const Json& command) {
    const SafeTensors file = read_safetensors(command.at("file"));
    x_ = take(file, "x");
    dy_ = take(file, "dy");
    const int64_t n = x_.dim(0), c = x_.dim(-1);
    require(n == 1, "[norm] expected one example");
    gamma_ = take(file, "gamma").reshape({1, c});
    beta_ = take(file, "beta").reshape({1, c});
    mean_ = Tensor::empty({n, c});
    rstd_ = Tensor::empty({n, c});
    y_ = Tensor::empty(x_.shape());
    dx_ = Tensor::empty(x_.shape());
    dgamma_ = Tensor::empty({n, c});
    dbeta_ = Tensor::empty({n, c});
    reply["bytes"] = x_.nbytes();
  }
  void run(const std::string& part) override {
    constexpr double slope = 0.01;
    if (part == "forward") {
      norm_stats(x_, x_.dim(-1), 1e-5, mean_, rstd_);
      return norm_act_forward(x_, mean_, rstd_, gamma_, beta_, Act::leaky_relu, slope, y_);
    }
    if (part == "backward")
      return norm_act_backward(x_, mean_, rstd_, gamma_, beta_, Act::leaky_relu, slope, dy_, dx_, dgamma_,
                               dbeta_);
    fail(ErrorCode::usage, "[norm] no part ", part);
  }
  std::map<std::string, Tensor> results() override {
    run("forward");
    run("backward");
    return {{"y", y_}, {"dx", dx_}, {"dgamma", dgamma_}, {"dbeta", dbeta_}};
  }

 private:
  Tensor x_, dy_, gamma_, beta_, mean_, rstd_, y_, dx_, dgamma_, dbeta_;
};

}  // namespace

std::unique_ptr<Task> make_conv_task(const Json& command) { return std::make_unique<ConvTask>(command); }
std::unique_ptr<Task> make_norm_task(const Json& command) { return std::make_unique<NormTask>(command); }

}  // namespace voxgrad::bench
