// Reads NIfTI: finds the files of an image, checks their sizes against the header, then reads the voxels.
#include <algorithm>
#include <cctype>
#include <cstring>

#include "io/file.h"
#include "io/gzip.h"
#include "io/nifti_format.h"

namespace voxgrad {
namespace detail {
namespace {

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && std::equal(end.rbegin(), end.rend(), text.rbegin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

std::string described(const NiftiHeader& h) {
  std::string text;
  for (const int64_t d : h.dims) {
    if (!text.empty()) text += 'x';
    text += std::to_string(d);
  }
  return text + " voxels of " + name_of(h.datatype);
}

[[noreturn]] void wrong_size(const NiftiHeader& h, uint64_t needed, const std::string& got,
                             const std::string& file) {
  nifti_error(file, "voxels", "expected ", needed, " bytes (", described(h), " from byte ", h.vox_offset,
              " on), got ", got);
}

/// vox_offset + bytes of the voxels.
uint64_t needed_bytes(const NiftiHeader& h, const std::string& file) {
  uint64_t total = 0;
  if (__builtin_add_overflow(static_cast<uint64_t>(h.vox_offset), voxel_bytes(h, file), &total))
    nifti_error(file, "vox_offset", "expected an offset inside a file, got ", h.vox_offset);
  return total;
}

/// An opened file and its first two bytes. It counts as gzip if its content or its name says so. If only the
/// name does, the gzip reader refuses the content.
struct Opened {
  FileReader file;
  std::array<std::byte, 2> start{};
  size_t start_size;
  bool gz;

  explicit Opened(const std::string& path) : file(path), start_size(file.read(start.data(), start.size())) {
    gz = is_gzip(std::span(start).first(start_size)) || ends_with(path, ".gz");
  }
  /// The whole file: the first two bytes and the rest.
  Block all() {
    Block bytes(std::max<size_t>(file.size(), start_size));
    std::copy_n(start.begin(), start_size, bytes.data());  // copies nothing for an empty file
    const size_t got = start_size + file.read(bytes.data() + start_size, bytes.size() - start_size);
    bytes.keep(0, got);
    return bytes;
  }
  size_t read(std::byte* to, size_t size) {
    const size_t n = std::min(size, start_size);
    std::memcpy(to, start.data(), n);
    start_size -= n;
    return n + file.read(to + n, size - n);
  }
};

/// Reads the first bytes of a file, which contain its header.
std::vector<std::byte> first_bytes(const std::string& path) {
  std::vector<std::byte> bytes(kNifti2Size);
  Opened opened(path);
  bytes.resize(opened.gz ? GzipReader(path).read(bytes.data(), bytes.size())
                         : opened.read(bytes.data(), bytes.size()));
  return bytes;
}

/// Decompresses `needed` bytes and stores those after h.vox_offset, the voxels, in `stored`. Returns the
/// bytes before the voxels.
std::vector<std::byte> inflate_voxels(std::span<const std::byte> compressed, const NiftiHeader& h,
                                      uint64_t needed, const std::string& file, Block& stored) {
  if (needed > gzip_output_bound(compressed.size()))  // checked before memory is allocated
    wrong_size(h, needed, cat("a gzip file of ", compressed.size(), " bytes, which cannot hold them"), file);
  stored = Block(needed);
  const uint64_t got = inflate_gzip_into(compressed, stored, file);
  if (got != needed) wrong_size(h, needed, got < needed ? std::to_string(got) : "more", file);
  const auto offset = static_cast<size_t>(h.vox_offset);
  std::vector<std::byte> front(stored.data(), stored.data() + offset);
  stored.keep(offset, needed - offset);
  return front;
}

void finish(Voxels& image) {
  if (image.header.big_endian) swap_voxels(image.stored, image.header.datatype);
}

void check_front(std::span<const std::byte> front, const NiftiHeader& h, const std::string& file) {
  check_extensions(front.subspan(nifti_header_size(h.version)), h.big_endian, h.pair, file);
}

Voxels inflate_single(std::span<const std::byte> compressed, const std::string& file) {
  std::vector<std::byte> start(kNifti2Size);
  start.resize(GzipReader(compressed, file).read(start.data(), start.size()));
  Voxels image{parse_nifti_header(start, file), Block()};
  const NiftiHeader& h = image.header;
  if (h.pair)
    nifti_error(file, "magic", "expected a single file (\"n+1\" or \"n+2\"), got the header of a pair");
  require_readable(h, file);
  const auto front = inflate_voxels(compressed, h, needed_bytes(h, file), file, image.stored);
  check_front(front, h, file);
  finish(image);
  return image;
}

Voxels read_single(const std::string& path) {
  Opened opened(path);
  if (opened.gz) return inflate_single(opened.all(), path);
  std::vector<std::byte> start(kNifti2Size);
  start.resize(opened.read(start.data(), start.size()));
  Voxels image{parse_nifti_header(start, path), Block()};
  const NiftiHeader& h = image.header;
  if (h.pair)
    nifti_error(path, "magic", "expected a single file (\"n+1\" or \"n+2\"), got the header of a pair");
  require_readable(h, path);
  const uint64_t needed = needed_bytes(h, path), offset = static_cast<uint64_t>(h.vox_offset);
  if (opened.file.size() != needed) wrong_size(h, needed, std::to_string(opened.file.size()), path);
  // The first read is longer than a NIfTI-1 header, so `start` may already contain some of the voxels.
  std::vector<std::byte> front = start;
  front.resize(offset);
  if (offset > start.size()) {
    const size_t got = opened.read(front.data() + start.size(), offset - start.size());
    if (got != offset - start.size()) wrong_size(h, needed, std::to_string(start.size() + got), path);
  }
  check_front(front, h, path);
  image.stored = Block(needed - offset);
  const size_t early = start.size() > offset ? start.size() - offset : 0;
  if (early > 0) std::memcpy(image.stored.data(), start.data() + offset, early);
  const size_t got = early + opened.read(image.stored.data() + early, image.stored.size() - early);
  if (got != image.stored.size()) wrong_size(h, needed, std::to_string(offset + got), path);
  finish(image);
  return image;
}

/// Reads the header of a pair and checks its extensions.
NiftiHeader read_pair_header(const std::string& path) {
  constexpr uint64_t kMostExtensions = uint64_t{256} << 20;  // much more than any real header has
  Opened opened(path);
  std::vector<std::byte> bytes;
  if (opened.gz) {
    bytes = read_gzip(path, kMostExtensions);
  } else {
    if (opened.file.size() > kMostExtensions)
      nifti_error(path, "header", "expected a header file, got ", opened.file.size(), " bytes");
    const Block all = opened.all();
    bytes.assign(all.data(), all.data() + all.size());
  }
  const NiftiHeader h = parse_nifti_header(bytes, path);
  if (!h.pair)
    nifti_error(path, "magic",
                "expected the header of a pair (\"ni1\" or \"ni2\"), got that of a single file");
  check_front(bytes, h, path);
  return h;
}

Voxels read_pair(const NiftiPaths& paths) {
  Voxels image{read_pair_header(paths.header), Block()};
  const NiftiHeader& h = image.header;
  require_readable(h, paths.header);
  if (!file_exists(paths.image))
    nifti_error(paths.header, "voxels", "expected them in ", paths.image, ", which does not exist");
  const uint64_t needed = needed_bytes(h, paths.header);
  Opened opened(paths.image);
  if (opened.gz) {
    inflate_voxels(opened.all(), h, needed, paths.image, image.stored);
  } else {
    if (opened.file.size() != needed) wrong_size(h, needed, std::to_string(opened.file.size()), paths.image);
    image.stored = Block(needed);
    const size_t got = opened.read(image.stored.data(), image.stored.size());
    if (got != needed) wrong_size(h, needed, std::to_string(got), paths.image);
    const auto offset = static_cast<size_t>(h.vox_offset);
    image.stored.keep(offset, needed - offset);
  }
  finish(image);
  return image;
}

}  // namespace

NiftiPaths nifti_paths(const std::string& path) {
  const bool gz = ends_with(path, ".gz");
  const std::string plain = gz ? path.substr(0, path.size() - 3) : path;
  const std::string suffix = gz ? path.substr(path.size() - 3) : "";
  const bool header = ends_with(plain, ".hdr");
  if (!header && !ends_with(plain, ".img")) return {path, ""};
  const bool upper = std::isupper(static_cast<unsigned char>(plain.back())) != 0;
  const std::string stem = plain.substr(0, plain.size() - 3);
  const std::string other = stem + (header ? (upper ? "IMG" : "img") : (upper ? "HDR" : "hdr"));
  const std::string zipped = other + (upper ? ".GZ" : ".gz");
  std::string partner = other + suffix;  // usually both files are gzipped or both are plain
  if (!file_exists(partner)) {
    const std::string second = gz ? other : zipped;
    if (file_exists(second)) partner = second;
  }
  return header ? NiftiPaths{path, partner} : NiftiPaths{partner, path};
}

}  // namespace detail

namespace detail {
Voxels read_voxels(const std::string& path) {
  const NiftiPaths paths = nifti_paths(path);
  return paths.image.empty() ? read_single(path) : read_pair(paths);
}
}  // namespace detail

std::vector<std::string> nifti_files(const std::string& path) {
  const detail::NiftiPaths paths = detail::nifti_paths(path);
  return paths.image.empty() ? std::vector{path} : std::vector{paths.header, paths.image};
}

NiftiImage read_nifti(const std::string& path) {
  const detail::Voxels voxels = detail::read_voxels(path);
  return {voxels.header, {voxels.stored.data(), voxels.stored.data() + voxels.stored.size()}};
}

NiftiHeader read_nifti_header(const std::string& path) {
  const detail::NiftiPaths paths = detail::nifti_paths(path);
  if (!paths.image.empty()) return detail::read_pair_header(paths.header);
  const NiftiHeader h = detail::parse_nifti_header(detail::first_bytes(path), path);
  if (h.pair)
    detail::nifti_error(path, "magic",
                        "expected a single file (\"n+1\" or \"n+2\"), got the header of a pair");
  return h;
}

}  // namespace voxgrad
