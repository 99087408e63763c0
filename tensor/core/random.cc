#include "tensor/core/random.h"

#include "tensor/core/calls.h"
#include "tensor/core/kernel.h"
#include "tensor/core/parallel.h"
#include "tensor/core/ref/random.h"

namespace voxgrad {
namespace {

Philox generator_of(const RandomNumbers& c) {
  Philox g{c.seed, static_cast<Stream>(c.stream), c.draw};
  if (c.offset) {
    g.seed += static_cast<uint64_t>(c.offset[0]);
    g.draw += static_cast<uint32_t>(c.offset[1]);
  }
  return g;
}

// f(block index) gives the four numbers of a block.
template <class F>
void numbers(const RandomNumbers& c, F block) {
  parallel_ranges(c.n, 1 << 14, [block, first = c.first, y = c.y](int64_t begin, int64_t end) {
    uint64_t loaded = ~uint64_t{0};
    std::array<float, 4> values{};
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t element = first + static_cast<uint64_t>(i);
      if (element / 4 != loaded) values = block(loaded = element / 4);
      y[i] = values[element % 4];
    }
  });
}

void plain_numbers(const RandomNumbers& c) {
  const Philox g = generator_of(c);
  if (c.normal) return numbers(c, [g](uint64_t b) { return g.normals(b); });
  numbers(c, [g](uint64_t b) {
    return std::array{g.uniform(4 * b), g.uniform(4 * b + 1), g.uniform(4 * b + 2), g.uniform(4 * b + 3)};
  });
}

void plain_columns(const RandomColumns& c) {
  const Philox generator{static_cast<uint64_t>(c.key[0]), static_cast<Stream>(c.stream),
                         static_cast<uint32_t>(c.key[1])};
  parallel_ranges(c.count, 1 << 12, [&](int64_t begin, int64_t end) {
    ref::random_columns(generator, begin, end, c.rows, c.columns, c.count, c.table, c.y);
  });
}

constexpr Implementation<RandomNumbers> kNumbers[] = {kCuda<RandomNumbers>, {"ref", nullptr, plain_numbers}};
constexpr Implementation<RandomColumns> kColumns[] = {kCuda<RandomColumns>, {"ref", nullptr, plain_columns}};

void draw(const Tensor& y, bool normal, const Philox& g, uint64_t first, const Tensor& offset) {
  run(kNumbers, {.device = device_of(y, offset),
                 .type = y.dtype(),
                 .normal = normal,
                 .seed = g.seed,
                 .stream = static_cast<uint32_t>(g.stream),
                 .draw = g.draw,
                 .offset = elements<int64_t>(offset),
                 .first = first,
                 .n = y.numel(),
                 .y = elements<float>(y)});
}

}  // namespace

Tensor random_normal(const Shape& shape, const Philox& generator, uint64_t first) {
  const Tensor y = Tensor::empty(shape);
  draw(y, true, generator, first, {});
  return y;
}

Tensor random_uniform(const Shape& shape, const Philox& generator, uint64_t first) {
  const Tensor y = Tensor::empty(shape);
  draw(y, false, generator, first, {});
  return y;
}

void fill_normal(Tensor& y, const Philox& generator, const Tensor& offset) {
  require(!offset.defined() || offset.shape() == Shape{2},
          "[random] expected an offset of seed and draw, got ", offset.shape());
  draw(y, true, generator, 0, offset);
}

StepRandom::StepRandom(const Device& device) : key_(Tensor::empty_on(device, {2}, DType::i64)) { set(0, 0); }

void StepRandom::set(uint64_t seed, int64_t step) {
  key_.copy_from(Tensor::from<int64_t>({2}, {static_cast<int64_t>(seed), step}));
}

uint64_t first_of_site(uint32_t site, int64_t elements) {
  require(site < (1u << 22) && elements >= 0 && elements < (int64_t{1} << 40), "[", current_op(),
          "] expected a site below 2^22 and less than 2^40 elements, got site ", site, " and ", elements);
  return uint64_t{site} << 40;
}

Philox philox_of(const Tensor& key, Stream stream) {
  require(key.shape() == Shape{2}, "[", current_op(), "] expected a key of seed and step, got ", key.shape());
  const int64_t* const k = key.data<int64_t>();
  return {static_cast<uint64_t>(k[0]), stream, static_cast<uint32_t>(k[1])};
}

void fill_normal(Tensor& y, const StepRandom& random, Stream stream, uint32_t site) {
  const OpScope scope("random");
  draw(y, true, {0, stream, 0}, first_of_site(site, y.numel()), random.key());
}

Tensor random_columns(const Tensor& table, const StepRandom& random, Stream stream, int64_t count) {
  const OpScope scope("random_columns");
  require(table.rank() == 2 && table.dim(1) > 0 && table.dim(1) < (int64_t{1} << 32) && count >= 0,
          "[random_columns] expected a table [R, T] with 0 < T < 2^32 and a count, got ", table.shape(),
          " and ", count);
  const Tensor y = Tensor::empty_on(table.device(), {table.dim(0), count});
  run(kColumns, {.device = device_of(table, random.key()),
                 .type = DType::f32,
                 .stream = static_cast<uint32_t>(stream),
                 .key = elements<int64_t>(random.key()),
                 .rows = table.dim(0),
                 .columns = table.dim(1),
                 .count = count,
                 .table = elements<float>(table),
                 .y = elements<float>(y)});
  return y;
}

}  // namespace voxgrad
