#include "eval/agreement.h"

#include <limits>
#include <numeric>

#include "tensor/core/parallel.h"

namespace voxgrad {

namespace {

double mean_of_matrix(const std::vector<double>& d) {
  return std::accumulate(d.begin(), d.end(), 0.0) / static_cast<double>(d.size());
}

/// The mean of a matrix of n x n distances over its pairs (i, j) with i != j. The distances on the diagonal
/// are 0.
double mean_of_different_pairs(const std::vector<double>& d, size_t n) {
  return std::accumulate(d.begin(), d.end(), 0.0) / static_cast<double>(n * (n - 1));
}

/// d(a_i, b_j) in row order.
std::vector<double> distances(const std::vector<Tensor>& a, const std::vector<Tensor>& b, int classes) {
  std::vector<double> d(a.size() * b.size());
  parallel_for(static_cast<int64_t>(d.size()), [&](int64_t k) {
    const auto i = static_cast<size_t>(k);
    d[i] = iou_distance(a[i / b.size()], b[i % b.size()], classes);
  });
  return d;
}

}  // namespace

double iou_distance(const Tensor& a, const Tensor& b, int classes) {
  detail::check_map("iou_distance", a, DType::i32, b.shape());
  detail::check_map("iou_distance", b, DType::i32, a.shape());
  std::vector<int64_t> both(static_cast<size_t>(classes)), either(both.size());
  const int32_t *pa = a.data<int32_t>(), *pb = b.data<int32_t>();
  const auto at = [classes](int32_t label) {
    if (label < 0 || label >= classes)
      fail(ErrorCode::data, "[iou_distance] expected labels from 0 to ", classes - 1, ", got ", label);
    return static_cast<size_t>(label);
  };
  for (int64_t i = 0; i < a.numel(); ++i) {
    const size_t ca = at(pa[i]), cb = at(pb[i]);
    ++either[ca];
    if (ca == cb)
      ++both[ca];
    else
      ++either[cb];
  }
  double sum = 0;
  int present = 0;
  for (size_t c = 1; c < both.size(); ++c) {
    if (either[c] == 0) continue;
    sum += static_cast<double>(both[c]) / static_cast<double>(either[c]);
    ++present;
  }
  return present == 0 ? 0 : 1 - sum / present;
}

Agreement agreement(const std::vector<Tensor>& samples, const std::vector<Tensor>& annotations, int classes) {
  require(!samples.empty() && !annotations.empty(), "[agreement] expected samples and annotations, got ",
          samples.size(), " and ", annotations.size());
  const std::vector<double> cross = distances(samples, annotations, classes);
  const std::vector<double> among_samples = distances(samples, samples, classes),
                            among_annotations = distances(annotations, annotations, classes);
  Agreement result;
  result.diversity = mean_of_matrix(among_samples);
  result.ged_squared = 2 * mean_of_matrix(cross) - result.diversity - mean_of_matrix(among_annotations);
  if (samples.size() > 1 && annotations.size() > 1)
    result.ged_squared_unbiased = 2 * mean_of_matrix(cross) -
                                  mean_of_different_pairs(among_samples, samples.size()) -
                                  mean_of_different_pairs(among_annotations, annotations.size());
  const size_t n = std::lcm(samples.size(), annotations.size());
  std::vector<double> cost(n * n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      cost[i * n + j] = cross[i % samples.size() * annotations.size() + j % annotations.size()];
  const std::vector<int> column = assign(cost, static_cast<int>(n));
  double matched = 0;
  for (size_t i = 0; i < n; ++i) matched += 1 - cost[i * n + static_cast<size_t>(column[i])];
  result.hm_iou = matched / static_cast<double>(n);
  return result;
}

std::vector<int> assign(const std::vector<double>& cost, int n) {
  const auto size = static_cast<size_t>(n);
  require(cost.size() == size * size, "[assign] expected ", size * size, " costs, got ", cost.size());
  // Shortest augmenting paths with potentials; row and column 0 are sentinels.
  std::vector<double> row_potential(size + 1), column_potential(size + 1);
  std::vector<size_t> row_of(size + 1), before(size + 1);
  for (size_t row = 1; row <= size; ++row) {
    row_of[0] = row;
    size_t column = 0;
    std::vector<double> slack(size + 1, std::numeric_limits<double>::infinity());
    std::vector<bool> done(size + 1);
    do {
      done[column] = true;
      const size_t i = row_of[column];
      size_t next = 0;
      double least = std::numeric_limits<double>::infinity();
      for (size_t j = 1; j <= size; ++j) {
        if (done[j]) continue;
        const double reduced = cost[(i - 1) * size + j - 1] - row_potential[i] - column_potential[j];
        if (reduced < slack[j]) {
          slack[j] = reduced;
          before[j] = column;
        }
        if (slack[j] < least) {
          least = slack[j];
          next = j;
        }
      }
      for (size_t j = 0; j <= size; ++j) {
        if (done[j]) {
          row_potential[row_of[j]] += least;
          column_potential[j] -= least;
        } else {
          slack[j] -= least;
        }
      }
      column = next;
    } while (row_of[column] != 0);
    for (; column != 0; column = before[column]) row_of[column] = row_of[before[column]];
  }
  std::vector<int> column_of(size);
  for (size_t j = 1; j <= size; ++j) column_of[row_of[j] - 1] = static_cast<int>(j - 1);
  return column_of;
}

}  // namespace voxgrad
