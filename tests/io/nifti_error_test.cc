// What is refused, with file, field and expectation in the message, in every form of the file.
#include <cmath>

#include "gzip_craft.h"
#include "io/file.h"
#include "io/nifti.h"
#include "nifti_craft.h"

namespace voxgrad {
namespace {

using testing::Bytes;
using testing::CraftedNifti;
using testing::expect_error;
using testing::TemporaryFolder;

/// Crafts a sound file, lets `spoil` change it, and expects read_nifti to refuse it with these words.
void expect_refused(const std::function<void(CraftedNifti&)>& spoil, std::initializer_list<std::string> parts,
                    int line = __builtin_LINE()) {
  for (const int version : {1, 2})
    for (const bool big : {false, true})
      for (const bool zipped : {false, true}) {
        SCOPED_TRACE(
            cat("line ", line, ", NIfTI-", version, big ? " big" : " little", zipped ? " gzip" : " plain"));
        const TemporaryFolder folder;
        CraftedNifti craft;
        craft.version = version;
        craft.big = big;
        spoil(craft);
        const Bytes bytes = craft.file(craft.voxels(std::vector<int16_t>(24)));
        const std::string path = folder / (zipped ? "a.nii.gz" : "a.nii");
        if (zipped) {
          testing::put_file(path, testing::gzip_member(bytes));
        } else {
          testing::put_file(path, bytes);
        }
        expect_error([&] { read_nifti(path); }, ErrorCode::data, {path});
        expect_error([&] { read_nifti(path); }, ErrorCode::data, parts);
      }
}

TEST(NiftiError, NothingSpoiledIsRead) {
  const TemporaryFolder folder;
  CraftedNifti craft;
  testing::put_file(folder / "a.nii", craft.file(Bytes(48)));
  EXPECT_EQ(read_nifti(folder / "a.nii").values().size(), 24u);
}

TEST(NiftiError, Dimensions) {
  for (const int64_t rank : {0, -1, 8, 32767})
    expect_refused([=](CraftedNifti& c) { c.dim[0] = rank; }, {"dim[0]: expected 1 to 7", cat("got ", rank)});
  for (const int64_t extent : {0, -1, -32768})
    expect_refused([=](CraftedNifti& c) { c.dim[2] = extent; },
                   {"dim[2]: expected at least 1", cat("got ", extent)});
  expect_refused([](CraftedNifti& c) { c.pixdim[2] = NAN; }, {"pixdim[2]: expected a finite"});
  expect_refused([](CraftedNifti& c) { c.pixdim[1] = INFINITY; }, {"pixdim[1]: expected a finite"});
}

TEST(NiftiError, SizesAreCheckedBeforeMemoryIsAskedFor) {
  expect_refused([](CraftedNifti& c) { c.dim = {3, 32767, 32767, 32767, 1, 1, 1, 1}; },
                 {"voxels: expected", "32767x32767x32767 voxels of int16", "got"});
  expect_refused([](CraftedNifti& c) { c.dim = {7, 32767, 32767, 32767, 32767, 32767, 32767, 32767}; },
                 {"dim: expected", "63 bits"});
  expect_refused([](CraftedNifti& c) { c.dim = {4, 32767, 32767, 32767, 1000, 1, 1, 1}; },
                 {"voxels: expected"});
  CraftedNifti craft;
  craft.version = 2;
  craft.dim = {2, int64_t{1} << 40, int64_t{1} << 40, 1, 1, 1, 1, 1};
  const TemporaryFolder folder;
  testing::put_file(folder / "a.nii", craft.file(Bytes(48)));
  expect_error([&] { read_nifti(folder / "a.nii"); }, ErrorCode::data, {"dim: expected", "63 bits"});
}

TEST(NiftiError, TypeAndOffset) {
  for (const int code : {0, -1, 3, 255, 55, 2826})
    expect_refused([=](CraftedNifti& c) { c.datatype = code; },
                   {"datatype: expected a code", cat("got ", code)});
  expect_refused([](CraftedNifti& c) { c.bitpix = 8; }, {"bitpix: expected 16 for int16, got 8"});
  expect_refused([](CraftedNifti& c) { c.vox_offset = -16; },
                 {"vox_offset: expected a whole number", "got -16"});
  expect_refused([](CraftedNifti& c) { c.vox_offset = 16; },
                 {"vox_offset: expected a whole number of at least"});
  expect_refused([](CraftedNifti& c) { c.vox_offset = 1e15; }, {"voxels: expected"});
  for (const double offset : {352.5, static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    CraftedNifti craft;  // NIfTI-1 keeps it as a float
    Bytes bytes = craft.file(Bytes(48));
    craft.put<float>(bytes, 108, static_cast<float>(offset));
    const TemporaryFolder folder;
    testing::put_file(folder / "a.nii", bytes);
    expect_error([&] { read_nifti(folder / "a.nii"); }, ErrorCode::data,
                 {"vox_offset: expected a whole number"});
  }
}

TEST(NiftiError, ScalingAndOrientation) {
  expect_refused([](CraftedNifti& c) { c.inter = NAN; }, {"scl_inter: expected a finite"});
  expect_refused([](CraftedNifti& c) { c.sform = 1, c.srow[5] = NAN; }, {"srow: expected finite"});
  expect_refused([](CraftedNifti& c) { c.qform = 1, c.quatern[0] = INFINITY; }, {"quatern: expected finite"});
  expect_refused([](CraftedNifti& c) { c.qform = 1, c.qoffset[0] = NAN; }, {"qoffset: expected finite"});
}

TEST(NiftiRead, AQformThatIsNotFiniteIsDroppedBesideAnSform) {
  for (const bool offset : {false, true}) {
    CraftedNifti c;
    c.qform = c.sform = 1;
    c.srow[0] = c.srow[5] = c.srow[10] = 3;
    (offset ? c.qoffset : c.quatern)[1] = NAN;
    const TemporaryFolder folder;
    testing::put_file(folder / "a.nii", c.file(c.voxels(std::vector<int16_t>(24))));
    const NiftiHeader h = read_nifti_header(folder / "a.nii");
    EXPECT_TRUE(h.qform_dropped);
    EXPECT_EQ(h.qform_code, 0);
    EXPECT_EQ(h.affine()[1][1], 3);
  }
}

TEST(NiftiError, Magic) {
  expect_refused([](CraftedNifti& c) { c.magic = "nx1"; }, {"magic: expected \"n+"});
  expect_refused([](CraftedNifti& c) { c.magic = "ni1"; }, {"magic: expected a single file"});
  expect_refused([](CraftedNifti& c) { c.magic = c.version == 1 ? "n+2" : "n+3"; }, {"magic: expected \"n+"});
  CraftedNifti craft;
  craft.magic = std::string(4, '\0');
  const TemporaryFolder folder;
  testing::put_file(folder / "a.hdr", craft.header());
  testing::put_file(folder / "a.img", Bytes(48));
  expect_error([&] { read_nifti(folder / "a.hdr"); }, ErrorCode::data,
               {folder / "a.hdr", "magic", "ANALYZE 7.5"});
  expect_error([&] { read_nifti(folder / "a.img"); }, ErrorCode::data,
               {folder / "a.hdr", "magic", "ANALYZE 7.5"});
  craft = {};
  craft.version = 2;
  Bytes text = craft.file(Bytes(48));
  text[8] = std::byte{'\n'};
  testing::put_file(folder / "text.nii", text);
  expect_error([&] { read_nifti(folder / "text.nii"); }, ErrorCode::data, {"magic", "transfer as text"});
}

TEST(NiftiError, NoNiftiAtAll) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.nii";
  for (const size_t size : {0, 1, 3}) {
    testing::put_file(path, std::string(size, 'x'));
    expect_error([&] { read_nifti(path); }, ErrorCode::data, {path, "sizeof_hdr"});
  }
  testing::put_file(path, std::string(2000, 'x'));
  expect_error([&] { read_nifti(path); }, ErrorCode::data, {path, "sizeof_hdr: expected 348"});
  expect_error([&] { read_nifti_header(path); }, ErrorCode::data, {path, "sizeof_hdr: expected 348"});
  testing::put_file(folder / "plain.nii.gz", CraftedNifti().file(Bytes(48)));
  expect_error([&] { read_nifti(folder / "plain.nii.gz"); }, ErrorCode::data,
               {folder / "plain.nii.gz", "[gzip]"});
  expect_error([&] { read_nifti(folder.path()); }, ErrorCode::data, {folder.path(), "folder"});
  expect_error([&] { read_nifti(folder / "none.nii"); }, ErrorCode::data, {folder / "none.nii"});
}

TEST(NiftiError, EveryCutAndOneByteTooMany) {
  for (const int version : {1, 2}) {
    const TemporaryFolder folder;
    CraftedNifti craft;
    craft.version = version;
    craft.extension.resize(16);
    craft.put<int32_t>(craft.extension, 0, 16);
    const Bytes whole = craft.file(Bytes(48));
    const auto write = [&](const Bytes& bytes) {
      testing::put_file(folder / "a.nii", bytes);
      testing::put_file(folder / "a.nii.gz", testing::gzip_member(bytes));
    };
    for (size_t size = 0; size <= whole.size() + 1; ++size) {
      if (size == whole.size()) continue;
      Bytes bytes = whole;
      bytes.resize(size);
      write(bytes);
      expect_error([&] { read_nifti(folder / "a.nii"); }, ErrorCode::data,
                   {folder / "a.nii", "expected", "got"});
      expect_error([&] { read_nifti(folder / "a.nii.gz"); }, ErrorCode::data,
                   {folder / "a.nii.gz", "expected", "got"});
    }
    write(whole);
    EXPECT_EQ(read_nifti(folder / "a.nii").stored, read_nifti(folder / "a.nii.gz").stored);
  }
}

TEST(NiftiError, Extensions) {
  const auto spoil = [](int32_t esize, size_t size) {
    return [=](CraftedNifti& c) {
      c.extension.assign(size, std::byte{0});
      c.put<int32_t>(c.extension, 0, esize);
      c.put<int32_t>(c.extension, 4, 6);
    };
  };
  for (const int32_t esize : {-16, 0, 8, 17, 64, 2147483632})
    expect_refused(spoil(esize, 32), {"extension: expected an esize", cat("got ", esize)});
  expect_refused(spoil(16, 20), {"extension: expected esize and ecode"});
}

TEST(NiftiError, PairsThatLackAPart) {
  const TemporaryFolder folder;
  CraftedNifti craft;
  craft.magic = "ni1";
  testing::put_file(folder / "a.hdr", craft.front());
  expect_error([&] { read_nifti(folder / "a.hdr"); }, ErrorCode::data,
               {folder / "a.hdr", "voxels", folder / "a.img"});
  testing::put_file(folder / "b.img", Bytes(48));
  expect_error([&] { read_nifti(folder / "b.img"); }, ErrorCode::data, {folder / "b.hdr"});
  testing::put_file(folder / "a.img", Bytes(47));
  expect_error([&] { read_nifti(folder / "a.hdr"); }, ErrorCode::data,
               {folder / "a.img", "expected 48 bytes", "got 47"});
  testing::put_file(folder / "a.img", Bytes(49));
  expect_error([&] { read_nifti(folder / "a.hdr"); }, ErrorCode::data,
               {folder / "a.img", "expected 48 bytes", "got 49"});
  testing::put_file(folder / "c.hdr", CraftedNifti().front());
  testing::put_file(folder / "c.img", Bytes(48));
  expect_error([&] { read_nifti(folder / "c.hdr"); }, ErrorCode::data,
               {folder / "c.hdr", "expected the header of a pair"});
  Bytes junk = craft.front();
  junk.resize(junk.size() + 5);
  testing::put_file(folder / "a.img", Bytes(48));
  testing::put_file(folder / "a.hdr", junk);
  expect_error([&] { read_nifti(folder / "a.hdr"); }, ErrorCode::data, {folder / "a.hdr", "extension"});
}

}  // namespace
}  // namespace voxgrad
