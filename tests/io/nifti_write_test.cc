#include <cerrno>

#include "io/file.h"
#include "io/gzip.h"
#include "io/nifti.h"
#include "nifti_craft.h"

namespace voxgrad {
namespace {

using testing::Bytes;
using testing::CraftedNifti;
using testing::expect_error;
using testing::TemporaryFolder;

/// A header with something in every field.
NiftiHeader full_header() {
  NiftiHeader h = make_nifti_header({4, 3, 2}, {0.5, 1.25, 3}, {-10, 20, 30.5});
  h.qfac = -1;
  h.qform_code = 2;
  h.sform_code = 4;
  h.quatern = {0.5, -0.25, 0.125};
  h.srow[1] = {0.1f, -0.2f, 0.3f, -40.5};
  h.xyzt_units = 2;
  h.descrip = "made by a scanner";
  h.aux_file = "aux.txt";
  h.slope = 2.5;
  h.inter = -7;
  h.cal_max = 100;
  h.toffset = 1.5;
  h.slice_code = 3;
  h.slice_end = 1;
  h.dim_info = 57;
  return h;
}

void expect_same_grid(const NiftiHeader& a, const NiftiHeader& b) {
  EXPECT_EQ(a.version, b.version);
  EXPECT_EQ(a.qfac, b.qfac);
  EXPECT_EQ(a.qform_code, b.qform_code);
  EXPECT_EQ(a.sform_code, b.sform_code);
  EXPECT_EQ(a.quatern, b.quatern);
  EXPECT_EQ(a.qoffset, b.qoffset);
  EXPECT_EQ(a.srow, b.srow);
  EXPECT_EQ(a.xyzt_units, b.xyzt_units);
  EXPECT_EQ(a.affine(), b.affine());
  EXPECT_EQ(a.qform_affine(), b.qform_affine());
  for (int axis = 0; axis < 3; ++axis) EXPECT_EQ(a.spacing(axis), b.spacing(axis));
}

TEST(NiftiWrite, AnImageIsReadAsItWasWritten) {
  for (const int version : {1, 2})
    for (const char* name : {"a.nii", "a.nii.gz", "a.hdr", "a.hdr.gz", "a.img", "a.img.gz"}) {
      SCOPED_TRACE(cat(name, " NIfTI-", version));
      const TemporaryFolder folder;
      NiftiImage image{full_header(), Bytes(24 * 2)};
      image.header.version = version;
      image.header.datatype = NiftiType::int16;
      image.header.big_endian = true;  // as the input was stored
      for (size_t i = 0; i < image.stored.size(); ++i) image.stored[i] = static_cast<std::byte>(i);
      write_nifti(folder / name, image);
      const NiftiImage read = read_nifti(folder / name);
      const NiftiHeader &h = read.header, &w = image.header;
      expect_same_grid(h, w);
      EXPECT_EQ(read.stored, image.stored);
      EXPECT_FALSE(h.big_endian);
      EXPECT_EQ(h.pair, name[2] != 'n');
      EXPECT_EQ(folder.entries(), h.pair ? 2u : 1u);
      EXPECT_EQ(h.dims, w.dims);
      EXPECT_EQ(h.pixdim, w.pixdim);
      EXPECT_EQ(h.datatype, w.datatype);
      EXPECT_EQ(h.slope, 2.5);
      EXPECT_EQ(h.inter, -7);
      EXPECT_EQ(h.descrip, w.descrip);
      EXPECT_EQ(h.aux_file, w.aux_file);
      EXPECT_EQ(h.cal_max, 100);
      EXPECT_EQ(h.toffset, 1.5);
      EXPECT_EQ(h.slice_code, 3);
      EXPECT_EQ(h.slice_end, 1);
      EXPECT_EQ(h.dim_info, 57);
      EXPECT_EQ(read.values()[0], 0x0100 * 2.5 - 7);
    }
}

TEST(NiftiWrite, BytesAreThoseOfTheStandard) {
  const TemporaryFolder folder;
  NiftiImage image{make_nifti_header({4, 3, 2}, {2, 3, 4}, {5, 6, 7}), Bytes(48, std::byte{1})};
  image.header.datatype = NiftiType::int16;
  for (const int version : {1, 2}) {
    CraftedNifti craft;
    craft.version = image.header.version = version;
    craft.qform = craft.sform = 1;
    for (int i = 0; i < 3; ++i) {
      craft.qoffset[i] = craft.srow[4 * i + 3] = i + 5;
      craft.srow[5 * i] = i + 2;
    }
    Bytes want = craft.file(image.stored);
    if (version == 1) want[38] = std::byte{'r'};
    write_nifti(folder / "a.nii", image);
    EXPECT_EQ(testing::get_file(folder / "a.nii"), want);
  }
}

TEST(NiftiWrite, AVolumeKeepsTheGridOfItsInput) {
  const TemporaryFolder folder;
  const NiftiHeader like = full_header();
  const auto check = [&](const Tensor& voxels, const std::string& name, const char* type, int intent) {
    SCOPED_TRACE(name + " " + type);
    write_volume(folder / name, like, voxels, intent);
    const NiftiImage image = read_nifti(folder / name);
    expect_same_grid(image.header, like);
    EXPECT_EQ(name_of(image.header.datatype), type);
    EXPECT_EQ(image.header.slope, 1);
    EXPECT_EQ(image.header.inter, 0);
    EXPECT_EQ(image.header.intent_code, intent);
    const auto* raw = static_cast<const std::byte*>(voxels.raw());
    EXPECT_EQ(image.stored, Bytes(raw, raw + voxels.nbytes()));
    return image.header;
  };
  for (const char* name : {"a.nii", "a.nii.gz"}) {
    EXPECT_EQ(check(Tensor::full({2, 3, 4}, 0.25), name, "float32", 0).dims, (std::vector<int64_t>{4, 3, 2}));
    EXPECT_EQ(check(Tensor::full({1, 2, 3, 4}, 7, DType::u8), name, "uint8", 1002).dims,
              (std::vector<int64_t>{4, 3, 2}));
    EXPECT_EQ(check(Tensor::full({2, 3, 4}, -7, DType::i32), name, "int32", 1002).dims,
              (std::vector<int64_t>{4, 3, 2}));
    EXPECT_EQ(check(Tensor::full({5, 2, 3, 4}, 1e300, DType::f64), name, "float64", 0).dims,
              (std::vector<int64_t>{4, 3, 2, 5}));
    EXPECT_EQ(check(Tensor::full({2, 3, 4}, 5, DType::i64), name, "int64", 0).dims,
              (std::vector<int64_t>{4, 3, 2}));
  }
  EXPECT_EQ(read_volume(folder / "a.nii").shape(), (Shape{1, 2, 3, 4}));
}

TEST(NiftiWrite, A2dInputGivesA2dOutput) {
  const TemporaryFolder folder;
  NiftiHeader like = full_header();
  like.dims = {4, 3};
  like.pixdim = {0.5, 1.25};
  write_volume(folder / "a.nii", like, Tensor::full({1, 3, 4}, 1));
  EXPECT_EQ(read_nifti_header(folder / "a.nii").dims, (std::vector<int64_t>{4, 3}));
  write_volume(folder / "b.nii", like, Tensor::full({6, 1, 3, 4}, 1));
  EXPECT_EQ(read_nifti_header(folder / "b.nii").dims, (std::vector<int64_t>{4, 3, 1, 6}));
}

TEST(NiftiWrite, ExtentsBeyond16BitsBecomeNifti2) {
  const TemporaryFolder folder;
  const NiftiHeader like = make_nifti_header({40000, 1, 2}, {1, 1, 1});
  write_volume(folder / "a.nii", like, Tensor::full({2, 1, 40000}, 3, DType::u8));
  const NiftiHeader h = read_nifti_header(folder / "a.nii");
  EXPECT_EQ(h.version, 2);
  EXPECT_EQ(h.dims, (std::vector<int64_t>{40000, 1, 2}));
}

TEST(NiftiWrite, EqualVolumesGiveEqualBytes) {
  const TemporaryFolder folder;
  for (const char* name : {"a.nii.gz", "b.nii.gz"})
    write_volume(folder / name, full_header(), Tensor::full({2, 3, 4}, 1.5));
  EXPECT_EQ(testing::get_file(folder / "a.nii.gz"), testing::get_file(folder / "b.nii.gz"));
}

TEST(NiftiWrite, AnotherGridIsAWrongUse) {
  const TemporaryFolder folder;
  expect_error(
      [&] {
        write_volume(folder / "a.nii", full_header(), Tensor::full({4, 3, 2}, 1));
      },
      ErrorCode::internal, {"expected the grid"});
  expect_error(
      [&] {
        write_volume(folder / "a.nii", full_header(), Tensor::full({3, 4}, 1));
      },
      ErrorCode::internal, {"[T, D, H, W]"});
  expect_error(
      [&] {
        write_volume(folder / "a.nii", full_header(), Tensor::zeros({2, 3, 4}, DType::bf16));
      },
      ErrorCode::internal, {"bf16"});
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(NiftiWrite, AFailureLeavesNoPartOfAnImage) {
  for (const char* call : {"open", "write", "fsync", "rename"})
    for (const char* name : {"a.nii", "a.nii.gz"}) {
      const TemporaryFolder folder;
      set_file_fault([&](std::string_view c, const std::string&) { return c == call ? ENOSPC : 0; });
      expect_error(
          [&] {
            write_volume(folder / name, full_header(), Tensor::full({2, 3, 4}, 1));
          },
          ErrorCode::system, {folder / name, "No space left"});
      set_file_fault({});
      EXPECT_EQ(folder.entries(), 0u) << call;
    }
}

// The thickness of a true 2-D image stands in its sform alone: its probabilities must lie on the same grid.
TEST(NiftiWrite, ClassesOfATwoDimensionalImageKeepItsThickness) {
  const testing::TemporaryFolder t;
  NiftiHeader flat = make_nifti_header({4, 3, 1}, {1, 1, 2.5});
  flat.dims = {4, 3};
  flat.pixdim = {1, 1};
  ASSERT_EQ(flat.spacing(2), 2.5);
  write_volume(t / "p.nii.gz", flat, Tensor::zeros({2, 1, 3, 4}));
  const NiftiHeader h = read_nifti_header(t / "p.nii.gz");
  EXPECT_EQ(h.dims, (std::vector<int64_t>{4, 3, 1, 2}));
  EXPECT_EQ(h.spacing(2), 2.5);
}

}  // namespace
}  // namespace voxgrad
