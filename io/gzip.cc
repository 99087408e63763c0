#include "io/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <climits>
#include <functional>
#include <limits>
#include <new>
#include <optional>

#include "tensor/core/error.h"

#ifdef VOXGRAD_HAVE_LIBDEFLATE
#include <libdeflate.h>
#endif

namespace voxgrad {
namespace {

constexpr int kGzipWindow = 15 + 16;  // zlib: 15 is the largest window, 16 selects gzip header and trailer
constexpr size_t kChunk = 256 << 10;

uInt zlib_size(size_t size) { return static_cast<uInt>(std::min<size_t>(size, UINT_MAX / 2)); }

}  // namespace

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

uint64_t gzip_output_bound(uint64_t compressed) {
  constexpr uint64_t ratio = 1032;  // 258 bytes from two bits
  return compressed > std::numeric_limits<uint64_t>::max() / ratio ? std::numeric_limits<uint64_t>::max()
                                                                   : compressed * ratio;
}

struct GzipReader::State {
  std::string name;
  std::optional<FileReader> file;
  std::vector<std::byte> buffer;
  std::span<const std::byte> memory;  // the unread bytes in memory
  z_stream stream{};
  bool first = true, inside = false, ended = false;
  bool started = false;

  ~State() {
    if (started) inflateEnd(&stream);
  }
  void start() {
    if (inflateInit2(&stream, kGzipWindow) != Z_OK) throw std::bad_alloc();
    started = true;
  }
  /// Gives zlib more input if it has none. Returns false at the end of the input.
  bool refill() {
    if (stream.avail_in > 0) return true;
    if (file) {
      const size_t got = file->read(buffer.data(), buffer.size());
      stream.next_in = reinterpret_cast<Bytef*>(buffer.data());
      stream.avail_in = zlib_size(got);
      return got > 0;
    }
    const uInt n = zlib_size(memory.size());
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(memory.data()));
    stream.avail_in = n;
    memory = memory.subspan(n);
    return n > 0;
  }
  template <class... Parts>
  [[noreturn]] void damaged(const Parts&... parts) const {
    fail(ErrorCode::data, "[gzip] ", name, ": ", parts...);
  }
  [[noreturn]] void more_bytes() const {
    damaged("expected the end of the file, or zeros, after the last gzip member, got more bytes");
  }
  /// Skips zeros at the end of the file. Tapes and some archives pad files with zeros, and gzip also skips
  /// them.
  void end_in_zeros() {
    while (refill()) {
      const Bytef* const end = stream.next_in + stream.avail_in;
      if (std::any_of<const Bytef*>(stream.next_in, end, [](Bytef b) { return b != 0; })) more_bytes();
      stream.avail_in = 0;
    }
    ended = true;
  }
  /// Starts reading a member. Called before a member or at the end of the file.
  void begin_member() {
    if (!refill()) {
      if (first) damaged("expected a gzip file, got an empty one");
      ended = true;
      return;
    }
    if (!first) {
      if (*stream.next_in == 0) return end_in_zeros();
      // For bytes after the last member, zlib would report a bad header. This error is clearer.
      if (*stream.next_in != 0x1f) more_bytes();
      if (inflateReset2(&stream, kGzipWindow) != Z_OK) damaged("expected a gzip stream");
    }
    first = false;
    inside = true;
  }
};

GzipReader::GzipReader(const std::string& path) : state_(std::make_unique<State>()) {
  state_->name = path;
  state_->file.emplace(path);
  state_->buffer.resize(kChunk);
  state_->start();
}

GzipReader::GzipReader(std::span<const std::byte> compressed, const std::string& name)
    : state_(std::make_unique<State>()) {
  state_->name = name;
  state_->memory = compressed;
  state_->start();
}

GzipReader::~GzipReader() = default;
GzipReader::GzipReader(GzipReader&&) noexcept = default;

size_t GzipReader::read(void* to, size_t size) {
  State& s = *state_;
  size_t done = 0;
  while (done < size && !s.ended) {
    if (!s.inside) {
      s.begin_member();
      continue;
    }
    if (!s.refill()) s.damaged("expected the rest of a gzip stream, got the end of the file (cut short)");
    const uInt room = zlib_size(size - done);
    s.stream.next_out = static_cast<Bytef*>(to) + done;
    s.stream.avail_out = room;
    const int result = inflate(&s.stream, Z_NO_FLUSH);
    done += room - s.stream.avail_out;
    if (result == Z_STREAM_END)
      s.inside = false;
    else if (result == Z_MEM_ERROR)
      throw std::bad_alloc();
    else if (result != Z_OK && result != Z_BUF_ERROR)
      s.damaged("expected a sound gzip stream, got: ", s.stream.msg ? s.stream.msg : "a damaged one");
  }
  return done;
}

static std::vector<std::byte> inflate_all(GzipReader reader, uint64_t limit, const std::string& name) {
  std::vector<std::byte> content;
  for (;;) {
    const size_t before = content.size();
    if (before == limit) {
      std::byte extra;
      if (reader.read(&extra, 1) > 0)
        fail(ErrorCode::data, "[gzip] ", name, ": expected at most ", limit, " bytes of content, got more");
      return content;
    }
    const uint64_t step = std::max<uint64_t>(kChunk, before);
    content.resize(before + static_cast<size_t>(std::min(limit - before, step)));
    const size_t got = reader.read(content.data() + before, content.size() - before);
    if (before + got < content.size()) {
      content.resize(before + got);
      return content;
    }
  }
}

std::vector<std::byte> read_gzip(const std::string& path, uint64_t limit) {
  return inflate_all(GzipReader(path), limit, path);
}

std::vector<std::byte> inflate_gzip(std::span<const std::byte> compressed, uint64_t limit,
                                    const std::string& name) {
  return inflate_all(GzipReader(compressed, name), limit, name);
}

namespace {

/// Decompresses with libdeflate. Returns true if the content has exactly the size of `to`. In every other
/// case it returns false, and zlib decompresses again, so that checks and messages are the same.
bool inflate_fast([[maybe_unused]] std::span<const std::byte> compressed,
                  [[maybe_unused]] std::span<std::byte> to) {
#ifdef VOXGRAD_HAVE_LIBDEFLATE
  struct Free {
    void operator()(libdeflate_decompressor* d) const { libdeflate_free_decompressor(d); }
  };
  const std::unique_ptr<libdeflate_decompressor, Free> decompressor(libdeflate_alloc_decompressor());
  if (!decompressor || compressed.empty()) return false;
  while (!compressed.empty()) {
    constexpr std::byte header_crc{0x02};  // libdeflate does not check the header's CRC
    if (compressed.size() < 18 || (compressed[3] & header_crc) != std::byte{0}) return false;
    size_t used = 0, made = 0;
    std::byte none;
    if (libdeflate_gzip_decompress_ex(decompressor.get(), compressed.data(), compressed.size(),
                                      to.empty() ? &none : to.data(), to.size(), &used,
                                      &made) != LIBDEFLATE_SUCCESS)
      return false;
    compressed = compressed.subspan(used);
    to = to.subspan(made);
    if (!compressed.empty() && compressed[0] == std::byte{0}) return false;  // zlib skips padding zeros
  }
  return to.empty();
#else
  return false;
#endif
}

}  // namespace

uint64_t inflate_gzip_into(std::span<const std::byte> compressed, std::span<std::byte> to,
                           const std::string& name) {
  if (inflate_fast(compressed, to)) return to.size();
  GzipReader reader(compressed, name);
  const size_t got = reader.read(to.data(), to.size());
  std::byte extra;
  return got < to.size() ? got : got + reader.read(&extra, 1);
}

namespace {

/// Compresses one gzip member and passes the output to `sink`.
class Deflater {
 public:
  using Sink = std::function<void(const std::byte* from, size_t size)>;

  Deflater(int level, Sink sink) : sink_(std::move(sink)) {
    constexpr int kMemory = 8;
    if (deflateInit2(&stream_, level, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY) != Z_OK)
      throw std::bad_alloc();
    header_.os = 255;  // unknown: the same bytes on every system
    deflateSetHeader(&stream_, &header_);
  }
  ~Deflater() { deflateEnd(&stream_); }
  Deflater(const Deflater&) = delete;

  void write(const void* from, size_t size) {
    const std::byte* p = static_cast<const std::byte*>(from);
    while (size > 0) {
      const uInt n = zlib_size(size);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(p));
      stream_.avail_in = n;
      run(Z_NO_FLUSH);
      p += n;
      size -= n;
    }
  }
  void finish() { run(Z_FINISH); }

 private:
  void run(int flush) {
    int result;
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      result = deflate(&stream_, flush);
      sink_(buffer_.data(), buffer_.size() - stream_.avail_out);
    } while (stream_.avail_out == 0 || (flush == Z_FINISH && result != Z_STREAM_END));
  }

  Sink sink_;
  z_stream stream_{};
  gz_header header_{};
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kChunk);
};

}  // namespace

std::vector<std::byte> gzip(std::span<const std::byte> content, int level) {
  std::vector<std::byte> out;
  Deflater deflater(level,
                    [&](const std::byte* from, size_t size) { out.insert(out.end(), from, from + size); });
  deflater.write(content.data(), content.size());
  deflater.finish();
  return out;
}

struct GzipWriter::State {
  FileWriter file;
  Deflater deflater;

  State(const std::string& path, int level)
      : file(path), deflater(level, [this](const std::byte* from, size_t size) { file.write(from, size); }) {}
};

GzipWriter::GzipWriter(const std::string& path, int level) : state_(std::make_unique<State>(path, level)) {}
GzipWriter::~GzipWriter() = default;

void GzipWriter::write(const void* from, size_t size) { state_->deflater.write(from, size); }

void GzipWriter::commit() {
  state_->deflater.finish();
  state_->file.commit();
}

}  // namespace voxgrad
