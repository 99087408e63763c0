// Reading NIfTI files made by hand: every datatype, both byte orders and versions, plain, gzipped and in
// pairs.
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "gzip_craft.h"
#include "io/file.h"
#include "io/nifti.h"
#include "io/sha256.h"
#include "nifti_craft.h"
#include "tensor/core/parallel.h"

namespace voxgrad {
namespace {

using testing::Bytes;
using testing::CraftedNifti;
using testing::expect_error;
using testing::TemporaryFolder;

void put_gzip(const std::string& path, const Bytes& bytes) {
  testing::put_file(path, testing::gzip_member(bytes));
}

/// All combinations of version, byte order and compression.
template <class F>
void each_form(F&& f) {
  for (const int version : {1, 2})
    for (const bool big : {false, true})
      for (const bool zipped : {false, true}) {
        SCOPED_TRACE(cat("NIfTI-", version, big ? " big" : " little", zipped ? " gzip" : " plain"));
        const TemporaryFolder folder;
        CraftedNifti craft;
        craft.version = version;
        craft.big = big;
        const std::string path = folder / (zipped ? "a.nii.gz" : "a.nii");
        const auto put = [&](const Bytes& bytes) {
          zipped ? put_gzip(path, bytes) : testing::put_file(path, bytes);
        };
        f(craft, path, put);
      }
}

template <class T>
void check_type(int code, const char* name) {
  SCOPED_TRACE(name);
  using Limits = std::numeric_limits<T>;
  const std::vector<T> stored = {T(0), T(1), T(100), Limits::max(), Limits::lowest(), T(7)};
  each_form([&](CraftedNifti& craft, const std::string& path, const auto& put) {
    craft.dim = {3, 3, 2, 1, 1, 1, 1, 1};
    craft.datatype = code;
    craft.bitpix = sizeof(T) * 8;
    put(craft.file(craft.voxels(stored)));
    const NiftiImage image = read_nifti(path);
    EXPECT_EQ(name_of(image.header.datatype), name);
    EXPECT_EQ(image.header.big_endian, craft.big);
    EXPECT_EQ(image.header.version, craft.version);
    ASSERT_EQ(image.stored.size(), stored.size() * sizeof(T));
    EXPECT_EQ(std::memcmp(image.stored.data(), stored.data(), image.stored.size()), 0);  // little-endian now
    const std::vector<double> values = image.values();
    ASSERT_EQ(values.size(), stored.size());
    for (size_t i = 0; i < stored.size(); ++i) EXPECT_EQ(values[i], static_cast<double>(stored[i]));
    const Tensor volume = read_volume(path);
    EXPECT_EQ(volume.shape(), (Shape{1, 1, 2, 3}));
    for (size_t i = 0; i < stored.size(); ++i)
      EXPECT_EQ(volume.data<float>()[i], static_cast<float>(static_cast<double>(stored[i])));
  });
}

TEST(NiftiRead, EveryIntegerAndFloatType) {
  check_type<uint8_t>(2, "uint8");
  check_type<int16_t>(4, "int16");
  check_type<int32_t>(8, "int32");
  check_type<float>(16, "float32");
  check_type<double>(64, "float64");
  check_type<int8_t>(256, "int8");
  check_type<uint16_t>(512, "uint16");
  check_type<uint32_t>(768, "uint32");
  check_type<int64_t>(1024, "int64");
  check_type<uint64_t>(1280, "uint64");
}

TEST(NiftiRead, ComplexAndRgbGiveStoredBytesAndRefuseValuesByName) {
  struct Case {
    int code, bits;
    const char* name;
  };
  for (const Case c :
       {Case{32, 64, "complex64"}, {1792, 128, "complex128"}, {128, 24, "rgb24"}, {2304, 32, "rgba32"}})
    each_form([&](CraftedNifti& craft, const std::string& path, const auto& put) {
      craft.dim = {2, 2, 1, 1, 1, 1, 1, 1};
      craft.datatype = c.code;
      craft.bitpix = c.bits;
      Bytes voxels, little;
      if (c.code == 32) {
        voxels = craft.voxels<float>({1, 2, 3, 4});
        little = CraftedNifti().voxels<float>({1, 2, 3, 4});
      } else if (c.code == 1792) {
        voxels = craft.voxels<double>({1, 2, 3, 4});
        little = CraftedNifti().voxels<double>({1, 2, 3, 4});
      } else {  // bytes have no order
        voxels = little = craft.voxels<uint8_t>(c.bits == 24 ? std::vector<uint8_t>{1, 2, 3, 4, 5, 6}
                                                             : std::vector<uint8_t>{1, 2, 3, 4, 5, 6, 7, 8});
      }
      put(craft.file(voxels));
      const NiftiImage image = read_nifti(path);
      EXPECT_EQ(image.stored, little);
      expect_error([&] { image.values(); }, ErrorCode::data, {"datatype", c.name});
      expect_error([&] { read_volume(path); }, ErrorCode::data, {path, "datatype", c.name});
    });
}

TEST(NiftiRead, Float128Complex256AndBinaryAreRefusedByName) {
  struct Case {
    int code, bits;
    const char* name;
  };
  for (const Case c : {Case{1536, 128, "float128"}, {2048, 256, "complex256"}, {1, 1, "binary"}})
    each_form([&](CraftedNifti& craft, const std::string& path, const auto& put) {
      craft.datatype = c.code;
      craft.bitpix = c.bits;
      put(craft.file(Bytes(24 * 32)));
      expect_error([&] { read_nifti(path); }, ErrorCode::data, {path, "datatype", c.name, "not supported"});
      EXPECT_EQ(name_of(read_nifti_header(path).datatype), c.name);
    });
}

TEST(NiftiRead, OneToSevenDimensions) {
  for (int rank = 1; rank <= 7; ++rank)
    each_form([&](CraftedNifti& craft, const std::string& path, const auto& put) {
      std::vector<int16_t> voxels;
      int64_t n = 1;
      craft.dim.assign(8, -5);  // what stands behind dim[0] extents means nothing
      craft.dim[0] = rank;
      for (int i = 1; i <= rank; ++i) n *= craft.dim[static_cast<size_t>(i)] = i == 3 ? 1 : 2;
      for (int64_t i = 0; i < n; ++i) voxels.push_back(static_cast<int16_t>(i));
      put(craft.file(craft.voxels(voxels)));
      NiftiHeader h;
      const Tensor volume = read_volume(path, &h);
      EXPECT_EQ(static_cast<int>(h.dims.size()), rank);
      EXPECT_EQ(h.voxels(), n);
      EXPECT_EQ(volume.shape(), (Shape{rank < 4 ? 1 : 1 << (rank - 3), 1, rank < 2 ? 1 : 2, 2}));
      for (int64_t i = 0; i < n; ++i) EXPECT_EQ(volume.data<float>()[i], static_cast<float>(i));
    });
}

TEST(NiftiRead, SlopeAndIntercept) {
  const double nan = std::nan(""), inf = INFINITY;
  struct Case {
    double slope, inter, want_slope, want_inter;
  };
  for (const Case c : {Case{2, 0.5, 2, 0.5},
                       {1, 0, 1, 0},
                       {0, 7, 1, 0},
                       {nan, 7, 1, 0},
                       {inf, 7, 1, 0},
                       {0, nan, 1, 0},
                       {-1, 0, -1, 0}})
    each_form([&](CraftedNifti& craft, const std::string& path, const auto& put) {
      craft.slope = c.slope;
      craft.inter = c.inter;
      std::vector<int16_t> voxels(24, 3);
      put(craft.file(craft.voxels(voxels)));
      const NiftiImage image = read_nifti(path);
      EXPECT_EQ(image.header.slope, c.want_slope);
      EXPECT_EQ(image.header.inter, c.want_inter);
      EXPECT_EQ(image.values(), std::vector<double>(24, 3 * c.want_slope + c.want_inter));
      EXPECT_EQ(read_volume(path).data<float>()[23], static_cast<float>(3 * c.want_slope + c.want_inter));
    });
}

TEST(NiftiRead, ScalingIsOneMultiplicationAndOneAdditionInDouble) {
  CraftedNifti craft;
  craft.slope = 0.1f;
  craft.inter = 0.7f;
  const TemporaryFolder folder;
  std::vector<int16_t> voxels(24);
  for (int16_t i = 0; i < 24; ++i) voxels[static_cast<size_t>(i)] = static_cast<int16_t>(1237 * i);
  testing::put_file(folder / "a.nii", craft.file(craft.voxels(voxels)));
  const std::vector<double> values = read_nifti(folder / "a.nii").values();
  for (size_t i = 0; i < 24; ++i) {
    const volatile double product = voxels[i] * static_cast<double>(0.1f);
    EXPECT_EQ(values[i], product + static_cast<double>(0.7f));
  }
}

TEST(NiftiRead, ALargeVolumeIsTheSameWithAnyNumberOfThreads) {
  const TemporaryFolder folder;
  CraftedNifti craft;
  craft.dim = {3, 100, 90, 80, 1, 1, 1, 1};
  craft.slope = 0.3;
  std::vector<int16_t> voxels(720'000);
  for (size_t i = 0; i < voxels.size(); ++i) voxels[i] = static_cast<int16_t>(i * 31);
  put_gzip(folder / "a.nii.gz", craft.file(craft.voxels(voxels)));
  const int before = thread_count();
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    results.push_back(read_volume(folder / "a.nii.gz").to_vector<float>());
  }
  set_thread_count(before);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0][719'999], static_cast<float>(voxels[719'999] * static_cast<double>(0.3f)));
}

TEST(NiftiRead, FieldsOfTheHeader) {
  each_form([&](CraftedNifti& craft, const std::string& path, const auto& put) {
    craft.pixdim = {-1, 2, 3, 4, 5, 1, 1, 1};
    craft.descrip = std::string(80, 'd');  // no terminating zero
    craft.aux_file = "aux";
    craft.intent_name = "name";
    craft.intent = 1002;
    craft.units = 2;
    craft.qform = 1;
    craft.sform = 4;
    craft.quatern[1] = 0.5;
    craft.qoffset[2] = -7;
    craft.srow[3] = 11;
    put(craft.file(Bytes(48)));
    const NiftiHeader h = read_nifti_header(path);
    EXPECT_EQ(h.dims, (std::vector<int64_t>{4, 3, 2}));
    EXPECT_EQ(h.pixdim, (std::vector<double>{2, 3, 4}));
    EXPECT_EQ(h.qfac, -1);
    EXPECT_EQ(h.descrip, std::string(80, 'd'));
    EXPECT_EQ(h.aux_file, "aux");
    EXPECT_EQ(h.intent_name, "name");
    EXPECT_EQ(h.intent_code, 1002);
    EXPECT_EQ(h.xyzt_units, 2);
    EXPECT_EQ(h.qform_code, 1);
    EXPECT_EQ(h.sform_code, 4);
    EXPECT_EQ(h.quatern[1], 0.5);
    EXPECT_EQ(h.qoffset[2], -7);
    EXPECT_EQ(h.srow[0][3], 11);
    EXPECT_EQ(h.vox_offset, craft.version == 2 ? 544 : 352);
    EXPECT_EQ(h.extent(1), 3);
    EXPECT_EQ(h.extent(5), 1);
    EXPECT_EQ(h.spacing(2), 4);
    EXPECT_EQ(h.spacing(3), 1);
  });
}

TEST(NiftiRead, ExtensionsAndPaddingAreSkipped) {
  each_form([&](CraftedNifti& craft, const std::string& path, const auto& put) {
    const std::vector<int16_t> voxels(24, 9);
    craft.extension.resize(48);
    craft.put<int32_t>(craft.extension, 0, 32);  // esize, ecode, text
    craft.put<int32_t>(craft.extension, 4, 6);
    craft.put<int32_t>(craft.extension, 32, 16);
    put(craft.file(craft.voxels(voxels)));
    EXPECT_EQ(read_nifti(path).values(), std::vector<double>(24, 9));
    craft.extension.resize(112);  // zeros up to vox_offset
    put(craft.file(craft.voxels(voxels)));
    EXPECT_EQ(read_nifti(path).values(), std::vector<double>(24, 9));
    // Padding without an extension: the extender is 0.
    Bytes bytes = craft.file(craft.voxels(voxels));
    bytes[craft.header().size()] = std::byte{0};
    bytes[craft.header().size() + 20] = std::byte{77};
    put(bytes);
    EXPECT_EQ(read_nifti(path).values(), std::vector<double>(24, 9));
  });
}

TEST(NiftiRead, PairsWithEitherPartZipped) {
  for (const int version : {1, 2})
    for (const bool header_zipped : {false, true})
      for (const bool image_zipped : {false, true})
        for (const int offset : {0, 32}) {
          const TemporaryFolder folder;
          CraftedNifti craft;
          craft.version = version;
          craft.big = offset == 0;
          craft.magic = "ni1";
          craft.vox_offset = offset;
          craft.extender = version == 1;  // either is a whole header file
          const std::string header = folder / (header_zipped ? "a.hdr.gz" : "a.hdr");
          const std::string image = folder / (image_zipped ? "a.img.gz" : "a.img");
          std::vector<int16_t> voxels(24);
          for (int16_t i = 0; i < 24; ++i) voxels[static_cast<size_t>(i)] = i;
          Bytes stored(static_cast<size_t>(offset), std::byte{99});
          const Bytes order = craft.voxels(voxels);
          stored.insert(stored.end(), order.begin(), order.end());
          header_zipped ? put_gzip(header, craft.front()) : testing::put_file(header, craft.front());
          image_zipped ? put_gzip(image, stored) : testing::put_file(image, stored);
          for (const std::string& path : {header, image}) {
            const NiftiImage read = read_nifti(path);
            EXPECT_TRUE(read.header.pair);
            EXPECT_EQ(read.values()[23], 23);
            EXPECT_TRUE(read_nifti_header(path).pair);
          }
        }
}

TEST(NiftiRead, AffineOfSformQformOrSpacing) {
  each_form([&](CraftedNifti& craft, const std::string& path, const auto& put) {
    craft.pixdim = {-1, 2, 3, 4, 1, 1, 1, 1};
    craft.quatern[2] = std::sqrt(0.5);  // 90 degrees about z: x goes to y, y to -x
    craft.qoffset[0] = 10;
    for (int i = 0; i < 12; ++i) craft.srow[i] = i;
    put(craft.file(Bytes(48)));
    // Neither code: method 1 of the standard, spacing on the diagonal.
    Affine a = read_nifti_header(path).affine();
    EXPECT_EQ(a, (Affine{{{2, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 4, 0}, {0, 0, 0, 1}}}));
    craft.qform = 1;
    put(craft.file(Bytes(48)));
    a = read_nifti_header(path).affine();
    const Affine turned = {{{0, -3, 0, 10}, {2, 0, 0, 0}, {0, 0, -4, 0}, {0, 0, 0, 1}}};
    for (size_t i = 0; i < 4; ++i)
      for (size_t j = 0; j < 4; ++j) EXPECT_NEAR(a[i][j], turned[i][j], 1e-6) << i << ' ' << j;
    craft.sform = 2;
    put(craft.file(Bytes(48)));
    a = read_nifti_header(path).affine();
    EXPECT_EQ(a, (Affine{{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}, {0, 0, 0, 1}}}));
    EXPECT_NEAR(read_nifti_header(path).qform_affine()[0][1], -3, 1e-6);
  });
}

TEST(NiftiRead, AQuaternionBeyondLengthOneIsATurnBy180Degrees) {
  NiftiHeader h = make_nifti_header({4, 4, 4}, {1, 1, 1});
  h.sform_code = 0;
  h.quatern = {0, 1.0000001, 0};
  const Affine a = h.affine();
  EXPECT_NEAR(a[0][0], -1, 1e-9);
  EXPECT_NEAR(a[1][1], 1, 1e-9);
  EXPECT_NEAR(a[2][2], -1, 1e-9);
}

TEST(NiftiRead, TheConformanceFilesReadAsNibabelReadsThem) {
  const char* data = std::getenv("VOXGRAD_DATA");
  if (!data) GTEST_SKIP() << "VOXGRAD_DATA is not set";
  const std::string root = std::string(data) + "/nifti-conformance/";
  const auto manifest = nlohmann::json::parse(read_text(root + "manifest.json"));
  size_t count = 0;
  for (const auto& entry : manifest["valid"]) {
    const std::string file = entry["file"].get<std::string>();
    SCOPED_TRACE(file);
    const NiftiImage image = read_nifti(root + file);
    EXPECT_EQ(name_of(image.header.datatype), entry["datatype"]);
    EXPECT_EQ(image.header.voxels(), entry["values"]["count"]);
    EXPECT_EQ(sha256_hex(image.stored), entry["values"]["sha256_stored_le"]);
    EXPECT_EQ(image.header.qform_code, entry["qform_code"]);
    EXPECT_EQ(image.header.sform_code, entry["sform_code"]);
    ++count;
  }
  EXPECT_EQ(count, 98u);
  for (const char* list : {"invalid", "header_only"})
    for (const auto& entry : manifest[list]) {
      const std::string file = root + entry["file"].get<std::string>();
      expect_error([&] { read_nifti(file); }, ErrorCode::data, {file});
    }
}

}  // namespace
}  // namespace voxgrad
