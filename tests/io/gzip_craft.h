// gzip members made with zlib, independent of the writer under test.
#pragma once
#include <zlib.h>

#include "testing.h"

namespace voxgrad::testing {

/// A member made here with zlib, with a name, an extra field and a header CRC where asked for.
inline Bytes gzip_member(const Bytes& content, bool header_crc = false) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
  gz_header header{};
  header.hcrc = header_crc;
  Bytef name[] = "a name", extra[] = "extra";
  header.name = name;
  header.extra = extra;
  header.extra_len = 5;
  if (header_crc) deflateSetHeader(&stream, &header);
  Bytes out(content.size() + content.size() / 1000 + 200);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace voxgrad::testing
