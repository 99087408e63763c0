#include "io/png.h"

#include <png.h>

#include <limits>

#include "io/file.h"

namespace voxgrad {
namespace {

/// An image of libpng's simplified interface, which stores errors here instead of using longjmp.
struct Image {
  png_image png{};
  Image() { png.version = PNG_IMAGE_VERSION; }
  ~Image() { png_image_free(&png); }
  Image(const Image&) = delete;
};

}  // namespace

std::vector<std::byte> encode_png(const Tensor& picture) {
  require(picture.dtype() == DType::u8 && (picture.rank() == 2 || picture.rank() == 3),
          "[png] expected u8 [H, W] or [H, W, C], got ", picture.dtype(), " ", picture.shape());
  const int64_t channels = picture.rank() == 3 ? picture.dim(2) : 1;
  require((channels == 1 || channels == 3) && picture.numel() > 0, "[png] expected 1 or 3 channels, got ",
          picture.shape());
  Image image;
  image.png.width = static_cast<png_uint_32>(picture.dim(1));
  image.png.height = static_cast<png_uint_32>(picture.dim(0));
  image.png.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image.png);
  std::vector<std::byte> bytes(size);
  const auto stride = static_cast<png_int_32>(picture.dim(1) * channels);
  if (!png_image_write_to_memory(&image.png, bytes.data(), &size, 0, picture.data<uint8_t>(), stride,
                                 nullptr))
    fail(ErrorCode::internal, "[png] cannot encode ", picture.shape(), ": ", image.png.message);
  bytes.resize(size);
  return bytes;
}

void write_png(const std::string& path, const Tensor& picture) {
  const std::vector<std::byte> bytes = encode_png(picture);
  FileWriter file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

Tensor read_png(const std::string& path) {
  const std::string bytes = read_text(path);
  Image image;
  const auto damaged = [&] {
    fail(ErrorCode::data, "[png] ", path, ": expected a PNG picture: ", image.png.message);
  };
  if (!png_image_begin_read_from_memory(&image.png, bytes.data(), bytes.size())) damaged();
  constexpr uint64_t kMostPixels = uint64_t{1} << 28;  // a small file can claim a huge picture
  if (uint64_t{image.png.width} * image.png.height > kMostPixels)
    fail(ErrorCode::data, "[png] ", path, ": expected at most ", kMostPixels, " pixels, got ",
         image.png.width, "x", image.png.height);
  const bool colour = (image.png.format & PNG_FORMAT_FLAG_COLOR) != 0;
  image.png.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  Tensor picture = Tensor::empty({image.png.height, image.png.width, colour ? 3 : 1}, DType::u8);
  const png_color black{0, 0, 0};
  if (!png_image_finish_read(&image.png, &black, picture.mutable_data<uint8_t>(), 0, nullptr)) damaged();
  return picture;
}

std::string base64(std::span<const std::byte> bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < n ? std::to_integer<uint32_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) text += k <= n ? digits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

}  // namespace voxgrad
