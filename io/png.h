// Reads and writes PNG pictures (8-bit gray and RGB), and encodes base64 for pictures in HTML.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tensor/core/tensor.h"

namespace voxgrad {

/// Encodes a picture as PNG. u8 [H, W] or [H, W, 1] is gray, [H, W, 3] is RGB. Equal pictures give equal
/// bytes.
std::vector<std::byte> encode_png(const Tensor& picture);
/// Writes a picture to a PNG file, atomically.
void write_png(const std::string& path, const Tensor& picture);
/// Reads a PNG as u8 [H, W, 1] (gray) or [H, W, 3] (RGB). Errors: ErrorCode::data, naming the file.
Tensor read_png(const std::string& path);

/// base64 (RFC 4648) with padding, on one line.
std::string base64(std::span<const std::byte> bytes);

}  // namespace voxgrad
