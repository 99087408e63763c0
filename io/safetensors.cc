#include "io/safetensors.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "io/file.h"
#include "io/json_reason.h"

namespace voxgrad {
namespace {

using nlohmann::json;

constexpr uint64_t kMostHeader = 100'000'000;  // the limit of the format
constexpr const char* kMetadata = "__metadata__";

const char* format_name(DType t) {
  switch (t) {
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
    case DType::bf16:
      return "BF16";
    case DType::i64:
      return "I64";
    case DType::i32:
      return "I32";
    case DType::u8:
      return "U8";
  }
  return "";
}

std::optional<DType> dtype_named(const std::string& name) {
  for (const DType t : {DType::f32, DType::f64, DType::bf16, DType::i64, DType::i32, DType::u8})
    if (name == format_name(t)) return t;
  return std::nullopt;
}

/// A tensor's name for messages. It comes from the file, so characters other than printable ASCII become '?'.
std::string shown(const std::string& name) {
  std::string text = name.substr(0, 200);
  for (char& c : text)
    if (c < ' ' || c > '~') c = '?';
  return "tensor \"" + text + "\"";
}

template <class... Parts>
[[noreturn]] void damaged(const std::string& path, const std::string& what, const Parts&... parts) {
  fail(ErrorCode::data, "[safetensors] ", path, ": ", what, ": ", parts...);
}

struct Entry {
  std::string name;
  DType dtype;
  Shape shape;
  uint64_t begin, end;
};

uint64_t unsigned_number(const json& value, const std::string& path, const std::string& what) {
  if (!value.is_number_unsigned())
    damaged(path, what, "expected whole numbers of at least 0, got ", value.dump());
  return value.get<uint64_t>();
}

Entry parse_entry(const std::string& name, const json& value, const std::string& path) {
  const std::string what = shown(name);
  if (!value.is_object()) damaged(path, what, "expected an object");
  for (const auto& [key, unused] : value.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      damaged(path, what, "expected dtype, shape and data_offsets only, got a further key");
  const auto field = [&](const char* key) -> const json& {
    const auto it = value.find(key);
    if (it == value.end()) damaged(path, what, "expected ", key, ", got none");
    return *it;
  };
  Entry entry{name, DType::f32, {}, 0, 0};
  const json& dtype = field("dtype");
  if (!dtype.is_string()) damaged(path, what, "dtype: expected a string");
  const auto known = dtype_named(dtype.get<std::string>());
  if (!known)
    damaged(path, what, "dtype: expected F32, F64, BF16, I64, I32 or U8, got ",
            dtype.dump(-1, ' ', true, json::error_handler_t::replace));
  entry.dtype = *known;

  const json& shape = field("shape");
  if (!shape.is_array() || shape.size() > Shape::kMaxRank)
    damaged(path, what, "shape: expected a list of at most ", Shape::kMaxRank, " numbers");
  uint64_t bytes = size_of(entry.dtype);
  for (const json& extent : shape) {
    const uint64_t n = unsigned_number(extent, path, what + ": shape");
    if (n > std::numeric_limits<int64_t>::max() || __builtin_mul_overflow(bytes, n, &bytes))
      damaged(path, what, "shape: expected a size that can be counted in 64 bits, got ", shape.dump());
    entry.shape.push_back(static_cast<int64_t>(n));
  }

  const json& offsets = field("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2)
    damaged(path, what, "data_offsets: expected a list of two numbers");
  entry.begin = unsigned_number(offsets[0], path, what + ": data_offsets");
  entry.end = unsigned_number(offsets[1], path, what + ": data_offsets");
  if (entry.end < entry.begin || entry.end - entry.begin != bytes)
    damaged(path, what, "data_offsets: expected ", bytes, " bytes for ", entry.dtype, " ", entry.shape,
            ", got ", offsets.dump());
  return entry;
}

/// Parses the JSON header. Refuses duplicate keys, which a JSON parser accepts.
json parse_header(const std::string& text, const std::string& path) {
  if (text.empty() || text[0] != '{') damaged(path, "header", "expected it to begin with {");
  std::vector<std::set<std::string>> keys;  // keys of the open objects
  const auto watch = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > 4) damaged(path, "header", "expected at most two levels of objects");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
      damaged(path, shown(value.get<std::string>()), "expected one entry, got a second of the same name");
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::exception& e) {
    damaged(path, "header", "expected JSON, got: ", json_reason(e));
  }
}

std::map<std::string, std::string> parse_metadata(const json& value, const std::string& path) {
  if (!value.is_object()) damaged(path, kMetadata, "expected an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) damaged(path, kMetadata, "expected strings as values");
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

/// Checks that the tensors, in the order of their offsets, fill the bytes after the header without holes.
void check_layout(std::vector<Entry>& entries, uint64_t bytes, const std::string& path) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t position = 0;
  for (const Entry& e : entries) {
    if (e.begin != position)
      damaged(path, shown(e.name), "data_offsets: expected it to begin where the one before ends (", position,
              "), got ", e.begin);
    position = e.end;
  }
  if (position != bytes)
    damaged(path, "size", "expected ", position, " bytes of tensors behind the header, got ", bytes);
}

/// Checks the header's size. `rest`: the number of bytes that follow the size field.
void check_header_size(uint64_t size, uint64_t rest, const std::string& path) {
  if (size > kMostHeader || size > rest)
    damaged(path, "header", "expected a size of at most ", kMostHeader, " and inside the file of ",
            rest + sizeof size, " bytes, got ", size);
}

/// The entries of a header, sorted by offset. They are checked against the number of bytes that follow,
/// before memory is allocated.
std::vector<Entry> read_entries(const std::string& text, uint64_t bytes, const std::string& path,
                                std::map<std::string, std::string>& metadata) {
  const json header = parse_header(text, path);
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadata)
      metadata = parse_metadata(value, path);
    else
      entries.push_back(parse_entry(name, value, path));
  }
  check_layout(entries, bytes, path);
  return entries;
}

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

}  // namespace

SafeTensors read_safetensors(const std::string& path) {
  FileReader file(path);
  uint64_t header_size = 0;
  if (file.read(&header_size, sizeof header_size) != sizeof header_size)
    damaged(path, "header", "expected at least 8 bytes, got ", file.size());
  const uint64_t rest = file.size() - sizeof header_size;
  check_header_size(header_size, rest, path);
  std::string text(header_size, '\0');
  if (file.read(text.data(), text.size()) != text.size())
    damaged(path, "header", "expected ", header_size, " bytes, got fewer");
  SafeTensors content;
  for (const Entry& e : read_entries(text, rest - header_size, path, content.metadata)) {
    Tensor tensor = Tensor::empty(e.shape, e.dtype);
    if (file.read(tensor.raw(), tensor.nbytes()) != tensor.nbytes())
      damaged(path, shown(e.name), "expected ", tensor.nbytes(), " bytes, got fewer");
    content.tensors.emplace(e.name, std::move(tensor));
  }
  return content;
}

MappedSafeTensors map_safetensors(const std::string& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  const std::span<const std::byte> bytes = file->bytes();
  uint64_t header_size = 0;
  if (bytes.size() < sizeof header_size)
    damaged(path, "header", "expected at least 8 bytes, got ", bytes.size());
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  file->check();
  const uint64_t rest = bytes.size() - sizeof header_size;
  check_header_size(header_size, rest, path);
  const std::byte* const behind = bytes.data() + sizeof header_size;
  const std::string text(reinterpret_cast<const char*>(behind), header_size);
  file->check();
  MappedSafeTensors mapped{{}, file};
  for (const Entry& e : read_entries(text, rest - header_size, path, mapped.content.metadata)) {
    const std::byte* const data = behind + header_size + e.begin;
    Tensor tensor;
    if (reinterpret_cast<uintptr_t>(data) % size_of(e.dtype) == 0) {
      tensor = Tensor::over(file, data, e.shape, e.dtype);
    } else {
      tensor = Tensor::empty_on(Device::cpu(), e.shape, e.dtype);
      std::memcpy(tensor.raw(), data, tensor.nbytes());
      file->check();
    }
    mapped.content.tensors.emplace(e.name, std::move(tensor));
  }
  return mapped;
}

void write_safetensors(const std::string& path, const SafeTensors& content, unsigned mode) {
  // Tensors with larger elements come first. Then every tensor is aligned to its elements, for readers that
  // map the file.
  std::vector<std::pair<std::string, Tensor>> ordered(content.tensors.begin(), content.tensors.end());
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return size_of(a.second.dtype()) > size_of(b.second.dtype());
  });
  json header = json::object();
  uint64_t position = 0;
  for (const auto& [name, tensor] : ordered) {
    require(tensor.defined() && name != kMetadata, "[safetensors] ", path, ": expected a tensor for \"", name,
            "\"");
    const uint64_t end = position + tensor.nbytes();
    header[name] = {{"dtype", format_name(tensor.dtype())},
                    {"shape", std::vector<int64_t>(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {position, end}}};
    position = end;
  }
  if (!content.metadata.empty()) header[kMetadata] = content.metadata;
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception& e) {
    fail(ErrorCode::internal, "[safetensors] ", path, ": expected names in UTF-8: ", json_reason(e));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  require(text.size() <= kMostHeader, "[safetensors] ", path, ": expected a header of at most ", kMostHeader,
          " bytes");

  FileWriter file(path, mode);
  const uint64_t header_size = text.size();
  file.write(&header_size, sizeof header_size);
  file.write(text.data(), text.size());
  for (const auto& [name, tensor] : ordered) {
    const Tensor host = tensor.to(Device::cpu());
    file.write(host.raw(), host.nbytes());
  }
  file.commit();
}

}  // namespace voxgrad
