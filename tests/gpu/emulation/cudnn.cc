// The functions of cuDNN's backend API that tensor/*/cuda calls. Descriptors keep their attributes as they
// were set. Convolutions are plain loops over the strides of their tensors. The functions are part of the
// emulated module itself, and VOXGRAD_CUDNN names that module.
//
// For a problem in f32, the heuristics propose in mode A first kRefused engines in TF32 (number 100 and on).
// Then, for every problem, they propose:
// 1: differs from run to run,
// 2: adds in less than f32,
// 3: asks for too large a workspace,
// 4: cannot be built,
// 5: is wrong from 6 input channels on (it leaves out the last tap),
// 6: is right.
// The fallback is engine 7. No engine adds to a result where a part has an odd number of channels, or leaves
// gradients of weights of bf16 tensors in f32.
#include <cudnn_backend.h>

#include "emulation.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

constexpr int kRefused = 20;

struct Object {
  cudnnBackendDescriptorType_t type;
  bool final = false;
  std::map<cudnnBackendAttributeName_t, std::vector<char>> attributes;
  // What configurations and plans are made from: part of an object that is not this one's to delete.
  const Object* graph = nullptr;
  int64_t engine = -1;

  template <class T>
  std::vector<T> all(cudnnBackendAttributeName_t name) const {
    const auto a = attributes.find(name);
    if (a == attributes.end()) return {};
    std::vector<T> values(a->second.size() / sizeof(T));
    std::memcpy(values.data(), a->second.data(), values.size() * sizeof(T));
    return values;
  }
  template <class T>
  T one(cudnnBackendAttributeName_t name) const {
    const std::vector<T> values = all<T>(name);
    if (values.size() != 1) ::emulation::fail("cuDNN: an attribute is missing or has several values");
    return values[0];
  }
  const Object& part(cudnnBackendAttributeName_t name) const {
    const auto* const object = static_cast<const Object*>(one<cudnnBackendDescriptor_t>(name));
    if (!object->final) ::emulation::fail("cuDNN: a descriptor is used that was not finalised");
    return *object;
  }
};

Object& of(cudnnBackendDescriptor_t d) { return *static_cast<Object*>(d); }

size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      return 8;
    default:
      return 4;
  }
}

struct Array {
  cudnnDataType_t type;
  std::vector<int64_t> dims, strides;
  int64_t id;
  explicit Array(const Object& t)
      : type(t.one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE)),
        dims(t.all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS)),
        strides(t.all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES)),
        id(t.one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID)) {}
  int64_t place(int64_t a, int64_t b, int64_t z, int64_t y, int64_t x) const {
    return a * strides[0] + b * strides[1] + z * strides[2] + y * strides[3] + x * strides[4];
  }
  float read(const void* p, int64_t at) const {
    if (type == CUDNN_DATA_FLOAT) return static_cast<const float*>(p)[at];
    const uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t*>(p)[at]) << 16;
    float v;
    std::memcpy(&v, &bits, sizeof v);
    return v;
  }
  void write(void* p, int64_t at, float v) const {
    if (type == CUDNN_DATA_FLOAT) {
      static_cast<float*>(p)[at] = v;
      return;
    }
    uint32_t bits;
    std::memcpy(&bits, &v, sizeof bits);
    static_cast<uint16_t*>(p)[at] = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
};

enum class Pass { forward, data, weights };

// One convolution: y [n, k, out], x [n, c, in], w [k, c, taps].
struct Convolution {
  Pass pass;
  Array x, w, y;
  std::vector<int64_t> pad, stride;
  float beta;

  static cudnnBackendAttributeName_t name(Pass p, cudnnBackendAttributeName_t f,
                                          cudnnBackendAttributeName_t d, cudnnBackendAttributeName_t w) {
    return p == Pass::forward ? f : p == Pass::data ? d : w;
  }
  static Pass pass_of(const Object& o) {
    switch (o.type) {
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        return Pass::forward;
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        return Pass::data;
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
        return Pass::weights;
      default:
        ::emulation::fail("cuDNN: an operation that is no convolution");
        return Pass::forward;
    }
  }
  explicit Convolution(const Object& o)
      : pass(pass_of(o)),
        x(o.part(name(pass, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X))),
        w(o.part(name(pass, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW))),
        y(o.part(name(pass, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY))),
        beta(o.one<float>(name(pass, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA))) {
    const Object& c = o.part(name(pass, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC));
    pad = c.all<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
    stride = c.all<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
  }

  void run(const void* const (&data)[3], bool last_tap) const {
    const Array& result = pass == Pass::forward ? y : pass == Pass::data ? x : w;
    void* const out = const_cast<void*>(data[pass == Pass::forward ? 2 : pass == Pass::data ? 0 : 1]);
    const int64_t n = x.dims[0], cin = x.dims[1], cout = y.dims[1], taps = w.dims[2] * w.dims[3] * w.dims[4];
    int64_t size = 1;
    for (const int64_t d : result.dims) size *= d;
    // The sums lie beside the elements of the result, all of which are in one piece.
    std::vector<double> sums(static_cast<size_t>(size));
    for (int64_t b = 0; b < n; ++b)
      for (int64_t place = 0; place < y.dims[2] * y.dims[3] * y.dims[4]; ++place) {
        const int64_t at[3] = {place / y.dims[4] / y.dims[3], place / y.dims[4] % y.dims[3],
                               place % y.dims[4]};
        for (int64_t t = 0; t < taps - !last_tap; ++t) {
          const int64_t tap[3] = {t / w.dims[4] / w.dims[3], t / w.dims[4] % w.dims[3], t % w.dims[4]};
          int64_t from[3];
          bool inside = true;
          for (size_t k = 0; k < 3; ++k) {
            from[k] = at[k] * stride[k] - pad[k] + tap[k];
            inside = inside && from[k] >= 0 && from[k] < x.dims[k + 2];
          }
          if (!inside) continue;
          const int64_t x_at = x.place(b, 0, from[0], from[1], from[2]),
                        y_at = y.place(b, 0, at[0], at[1], at[2]);
          for (int64_t o = 0; o < cout; ++o) {
            const int64_t w_at = w.place(o, 0, tap[0], tap[1], tap[2]), o_at = y_at + o * y.strides[1];
            if (pass == Pass::forward) {
              double sum = 0;
              for (int64_t c = 0; c < cin; ++c)
                sum += double{x.read(data[0], x_at + c * x.strides[1])} *
                       double{w.read(data[1], w_at + c * w.strides[1])};
              sums[static_cast<size_t>(o_at)] += sum;
            } else {
              const double dy = double{y.read(data[2], o_at)};
              if (pass == Pass::data)
                for (int64_t c = 0; c < cin; ++c)
                  sums[static_cast<size_t>(x_at + c * x.strides[1])] +=
                      dy * double{w.read(data[1], w_at + c * w.strides[1])};
              else
                for (int64_t c = 0; c < cin; ++c)
                  sums[static_cast<size_t>(w_at + c * w.strides[1])] +=
                      dy * double{x.read(data[0], x_at + c * x.strides[1])};
            }
          }
        }
      }
    for (int64_t i = 0; i < size; ++i) {
      const double before = beta != 0 ? double{beta} * double{result.read(out, i)} : 0;
      result.write(out, i, static_cast<float>(sums[static_cast<size_t>(i)] + before));
    }
  }
};

const Object& operation_of(const Object& graph) { return graph.part(CUDNN_ATTR_OPERATIONGRAPH_OPS); }

std::vector<int64_t> engines(const Object& heuristics) {
  const Object& graph = heuristics.part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
  if (heuristics.one<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE) == CUDNN_HEUR_MODE_FALLBACK)
    return {7};
  std::vector<int64_t> all;
  if (Convolution(operation_of(graph)).x.type == CUDNN_DATA_FLOAT)
    for (int k = 0; k < kRefused; ++k) all.push_back(100 + k);
  for (int64_t k = 1; k <= 6; ++k) all.push_back(k);
  return all;
}

// Fills descriptors of the caller with what it reads.
cudnnStatus_t give(const Object& d, cudnnBackendAttributeName_t name, int64_t capacity, int64_t* count,
                   void* values) {
  const auto number = [&](int64_t v) {
    *count = 1;
    std::memcpy(values, &v, sizeof v);
    return CUDNN_STATUS_SUCCESS;
  };
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS: {
      const std::vector<int64_t> all = engines(d);
      *count = static_cast<int64_t>(all.size());
      if (capacity == 0) return CUDNN_STATUS_SUCCESS;
      *count = std::min(*count, capacity);
      for (int64_t k = 0; k < *count; ++k) {
        Object& config = of(static_cast<cudnnBackendDescriptor_t*>(values)[k]);
        config.graph = &d.part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
        config.engine = all[static_cast<size_t>(k)];
        config.final = true;
      }
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_ENGINECFG_ENGINE:
      *count = 1;
      of(*static_cast<cudnnBackendDescriptor_t*>(values)).engine = d.engine;
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
      return number(d.engine);
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE: {
      *count = 0;
      const auto note = [&](cudnnBackendNumericalNote_t n) {
        if (*count < capacity) static_cast<cudnnBackendNumericalNote_t*>(values)[(*count)++] = n;
      };
      if (d.engine >= 100) note(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
      if (d.engine == 1) note(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
      if (d.engine == 2) note(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      return number(d.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).engine == 3 ? int64_t{64} << 30 : 1000);
    default:
      return CUDNN_STATUS_NOT_SUPPORTED;
  }
}

bool fits(const Object& plan) {
  const Object& config = plan.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  if (config.engine == 4) return false;
  const Convolution c(operation_of(*config.graph));
  return c.beta == 0 || c.x.dims[1] % 2 == 0;
}

}  // namespace

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

size_t cudnnGetVersion() { return 91900; }
const char* cudnnGetErrorString(cudnnStatus_t) { return "emulated failure"; }
cudnnStatus_t cudnnCreate(cudnnHandle_t* h) { return *h = new cudnnContext, CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnDestroy(cudnnHandle_t h) { return delete h, CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t s) { return h->stream = s, CUDNN_STATUS_SUCCESS; }

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* d) {
  *d = new Object{type, false, {}, nullptr, -1};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d) {
  return delete &of(d), CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  if (of(d).final) return CUDNN_STATUS_BAD_PARAM;
  const char* const bytes = static_cast<const char*>(values);
  of(d).attributes[name].assign(bytes, bytes + size_of(type) * static_cast<size_t>(count));
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, int64_t capacity, int64_t* count,
                                       void* values) {
  return give(of(d), name, capacity, count, values);
}
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d) {
  Object& o = of(d);
  if (o.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR && !fits(o)) return CUDNN_STATUS_NOT_SUPPORTED;
  if (o.type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR) {
    const Convolution c(operation_of(o.part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH)));
    if (c.x.type != c.w.type) return CUDNN_STATUS_NOT_SUPPORTED;
  }
  o.final = true;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendExecute(cudnnHandle_t h, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  const Object& config = of(plan).part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  const Convolution c(operation_of(*config.graph));
  const std::vector<int64_t> ids = of(pack).all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const std::vector<void*> given = of(pack).all<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  auto* const workspace = of(pack).one<char*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  const void* data[3] = {};
  for (size_t k = 0; k < ids.size(); ++k)
    for (const auto& [array, place] : {std::pair{&c.x, 0}, {&c.w, 1}, {&c.y, 2}})
      if (ids[k] == array->id) data[place] = given[k];
  if (const char* const fault = std::getenv("VOXGRAD_EMULATION_FAULT");
      fault && std::to_string(config.engine) == fault) {
    ::emulation::lose_device();
    return CUDNN_STATUS_EXECUTION_FAILED;
  }
  const bool last_tap = config.engine != 5 || c.x.dims[1] < 6;
  ::emulation::enqueue(h->stream, [=, x = data[0], w = data[1], y = data[2]] {
    std::memset(workspace, 0xff, 1000);
    c.run({x, w, y}, last_tap);
  });
  return CUDNN_STATUS_SUCCESS;
}
