// Trains one linear layer with an installed voxgrad and prints what a gradient is.
#include <voxgrad/io/safetensors.h>
#include <voxgrad/nn/layers.h>
#include <cmath>
#include <cstdio>

int main() {
  using namespace voxgrad;
  Parameters p;
  const Linear layer(p, "layer", 2, 1);
  p.allocate(1);
  const Var x(Tensor::from<float>({1, 2}, {3, 4})), y(Tensor::from<float>({1, 1}, {1}));
  Tape tape;
  const Var loss = ops::mse(layer(x), y);
  tape.backward(loss);
  const float* g = p[0].grad().data<float>();
  std::printf("loss %g, gradient %g %g\n", loss.value().item(), static_cast<double>(g[0]),
              static_cast<double>(g[1]));
  // d loss / d w_i = 2 (w x - y) x_i, so the two gradients are as 3 to 4.
  return std::isfinite(loss.value().item()) && std::fabs(g[0] * 4 - g[1] * 3) <= 1e-5f * std::fabs(g[0]) ? 0
                                                                                                         : 1;
}
