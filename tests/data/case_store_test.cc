// Prepared data on disk: the same voxels as without, keys, room, damage, faults, and several users.
#include "data/case_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>

#include "data/patches.h"
#include "data/phantom.h"
#include "io/safetensors.h"
#include "tensor/core/parallel.h"
#include "tests/data/fixture.h"

namespace voxgrad {
namespace {

using testing::make_plan;

namespace fs = std::filesystem;

class Store : public ::testing::Test {
 protected:
  void SetUp() override { write("data", "mri"); }

  void write(const std::string& name, const std::string& modality) const {
    PhantomOptions o;
    o.cases = 3;
    o.size = 16;
    o.raters = 2;
    o.modality = modality;
    write_phantom(at(name), o);
  }
  std::string at(const std::string& name) const { return folder_ / name; }
  CacheOptions options(int64_t bound = 0) const { return {at("cache"), bound}; }
  Dataset dataset() const { return open_dataset(at("data")); }
  static Plan plan_of(const Dataset& d) { return make_plan(d, {0, 1, 2}, {.base_features = 4}); }
  /// The only file of this kind.
  std::string only_file(const std::string& what = "case") const {
    std::string found;
    for (const StoredFile& f : stored_files(at("cache")))
      if (f.what == what) {
        EXPECT_EQ(found, "");
        found = at("cache") + "/" + f.file;
      }
    return found;
  }
  static void set_used(const std::string& path, int64_t seconds) {
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }

  const testing::TemporaryFolder folder_;
};

template <class F>
void expect_error(F&& f, ErrorCode code, const std::vector<std::string>& parts) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(code)) << e.what();
    for (const std::string& part : parts)
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << "no " << part << " in: " << e.what();
    return;
  }
  ADD_FAILURE() << "expected an error";
}

template <class T>
void expect_same(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_EQ(a.to_vector<T>(), b.to_vector<T>());
}

TEST_F(Store, AStoredCaseIsTheCaseThatIsPreparedInMemory) {
  const Dataset d = dataset();
  const Plan plan = plan_of(d);
  CaseStore memory;
  const int threads = thread_count();
  for (int round = 0; round < 2; ++round) {
    set_thread_count(round == 0 ? 1 : 3);
    CaseStore store(options());
    for (const Case& c : d.cases) {
      const PreparedCase a = memory.prepared(c, plan), b = store.prepared(c, plan);
      EXPECT_FALSE(a.file);
      ASSERT_TRUE(b.file);
      b.verify();
      EXPECT_EQ(a.digest, b.digest);
      EXPECT_EQ(a.name, b.name);
      EXPECT_EQ(a.original, b.original);
      EXPECT_EQ(a.crop_begin, b.crop_begin);
      EXPECT_EQ(a.crop_size, b.crop_size);
      EXPECT_EQ(a.content, b.content);
      EXPECT_EQ(a.spacing, b.spacing);
      EXPECT_EQ(a.axes, b.axes);
      EXPECT_EQ(a.air, b.air);
      EXPECT_EQ(a.low, b.low);
      EXPECT_EQ(a.high, b.high);
      expect_same<float>(a.image, b.image);
      expect_same<uint8_t>(a.label, b.label);
      ASSERT_EQ(a.annotations.size(), 2u);
      ASSERT_EQ(b.annotations.size(), 2u);
      for (size_t i = 0; i < 2; ++i) expect_same<uint8_t>(a.annotations[i], b.annotations[i]);
      ASSERT_EQ(a.class_voxels.size(), 3u);
      for (size_t i = 0; i < 3; ++i) expect_same<int64_t>(a.class_voxels[i], b.class_voxels.at(i));
      const PreprocessedCase direct = preprocess(load_case(c, 1, 3), plan), padded = pad_case(b, plan.patch);
      expect_same<float>(direct.image, padded.image);
      expect_same<int32_t>(direct.label, padded.label);
    }
    EXPECT_EQ(store.found(), round == 0 ? 0 : 3);
    EXPECT_EQ(store.made(), round == 0 ? 3 : 0);
  }
  set_thread_count(threads);
}

TEST_F(Store, PlansAreThoseWithoutAStore) {
  write("ct", "ct");
  for (const char* name : {"data", "ct"}) {
    const Dataset d = open_dataset(at(name));
    const std::string want = plan_to_json(make_plan(d, {0, 2}, {}));
    for (int round = 0; round < 2; ++round) {
      CaseStore store(options());
      EXPECT_EQ(plan_to_json(make_plan(d, {0, 2}, {}, &store)), want);
    }
  }
  EXPECT_EQ(stored_files(at("cache")).size(), 4u);
}

TEST_F(Store, WhatIsStoredHasItsKnownBits) {
  // If a change is meant to change it, raise kVersion of case_store.cc and put the new digests here.
  write("ct", "ct");
  const auto stored = [&](const std::string& what) {
    return read_safetensors(only_file(what)).metadata.at("sha256").substr(0, 16);
  };
  const auto prepared = [&](const Dataset& d, const Plan& plan) {
    fs::remove_all(at("cache"));
    CaseStore(options()).prepared(d.cases[0], plan);
    return stored("case");
  };
  const Dataset mri = dataset(), ct = open_dataset(at("ct"));
  Plan plan = plan_of(mri);
  ASSERT_TRUE(plan.mask_normalisation);
  EXPECT_EQ(prepared(mri, plan), "cf125489c9960153");
  plan.mask_normalisation = false;
  plan.spacing = {1.2, 0.9, 1.1};
  EXPECT_EQ(prepared(mri, plan), "b95b238cf265e60d");
  Plan slices = plan_of(ct);
  EXPECT_EQ(prepared(ct, slices), "ac1c8e44e4e2a87f");
  slices.spacing = {4, 0.8, 1.3};
  EXPECT_EQ(prepared(ct, slices), "b85d8688472797b0");
  fs::remove_all(at("cache"));
  CaseStore(options()).fingerprint(ct.cases[0], 1, 3, 1000);
  EXPECT_EQ(stored("fingerprint"), "30cac864d9b5199c");
}

TEST_F(Store, TheKeyIsWhatPreprocessingReads) {
  const Dataset d = dataset();
  const Plan plan = plan_of(d);
  const auto made = [&](const Case& c, const Plan& p) {
    CaseStore store(options());
    store.prepared(c, p);
    return store.made();
  };
  EXPECT_EQ(made(d.cases[0], plan), 1);
  EXPECT_EQ(made(d.cases[0], plan), 0);
  Plan other = plan;
  other.patch = {8, 8, 8};
  other.features = {99};
  other.batch_size = 7;
  EXPECT_EQ(made(d.cases[0], other), 0) << "patch and network are no part of it";
  other.spacing[1] = 1.5;
  EXPECT_EQ(made(d.cases[0], other), 1);
  other = plan;
  other.mask_normalisation = !plan.mask_normalisation;
  EXPECT_EQ(made(d.cases[0], other), 1);
  other = plan;
  other.normalisation = {"ct"};
  other.intensity = {{0, 1, 0.5, 0.1}};
  EXPECT_EQ(made(d.cases[0], other), 1);
  other.intensity[0].std = 0.2;
  EXPECT_EQ(made(d.cases[0], other), 1);
  other = plan;
  other.normalisation = {"none"};
  EXPECT_EQ(made(d.cases[0], other), 1);
  other.axes = "LPS";
  EXPECT_EQ(made(d.cases[0], other), 1);
  // The same bytes under another name and place are the same case.
  fs::copy(at("data"), at("copy"), fs::copy_options::recursive);
  EXPECT_EQ(made(open_dataset(at("copy")).cases[0], plan), 0);
  // Every file of the case counts.
  const Case& c = d.cases[0];
  for (const std::string& file : {c.images[0], c.label, c.annotations[1].file, c.posterior}) {
    const std::string from = d.cases[1].name, name = c.name;
    std::string donor = file;
    donor.replace(donor.find(name), name.size(), from);
    fs::copy_file(donor, file, fs::copy_options::overwrite_existing);
    EXPECT_EQ(made(c, plan), 1) << file;
    EXPECT_EQ(made(c, plan), 0) << file;
  }
}

TEST_F(Store, WarningsAreStoredAndNameTheFilesOfTheCaseAtHand) {
  testing::write_image(at("data") + "/imagesTr/phantom_001_0000.nii.gz", Tensor::full({16, 16, 16}, 3));
  fs::copy(at("data"), at("copy"), fs::copy_options::recursive);
  for (const char* name : {"data", "copy"}) {
    const Dataset d = open_dataset(at(name));
    CaseStore store(options());
    const CaseFingerprint f = store.fingerprint(d.cases[0], 1, 3, 0),
                          fresh = read_fingerprint(d.cases[0], 1, 3, 0);
    ASSERT_EQ(f.warnings.size(), 1u);
    EXPECT_EQ(f.warnings[0].line(), fresh.warnings.at(0).line());
    EXPECT_EQ(f.warnings[0].kind, "constant");
    EXPECT_EQ(f.warnings[0].case_name, "phantom_001");
    EXPECT_EQ(f.warnings[0].file, d.cases[0].images[0]);
    EXPECT_NE(f.warnings[0].text.find("every voxel is 3"), std::string::npos);
    EXPECT_EQ(f.summary.corner, std::vector<double>{3});
    EXPECT_EQ(f.summary.class_voxels, fresh.summary.class_voxels);
    EXPECT_EQ(f.summary.image_hash, fresh.summary.image_hash);
    EXPECT_EQ(f.summary.axes, "RAS");
    EXPECT_EQ(f.summary.shape, fresh.summary.shape);
    EXPECT_EQ(f.summary.low, fresh.summary.low);
  }
  EXPECT_EQ(stored_files(at("cache")).size(), 1u);
}

TEST_F(Store, FolderAndFilesAreForTheirOwnerAlone) {
  const Dataset d = dataset();
  CaseStore store(options());
  store.prepared(d.cases[0], plan_of(d));
  struct stat status {};
  ASSERT_EQ(::stat(at("cache").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(::stat(only_file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(Store, TheDigestIsThatOfWhatTrainingSees) {
  const Dataset d = dataset();
  const Plan plan = plan_of(d);
  CaseStore memory;
  const std::string before = memory.prepared(d.cases[0], plan).digest;
  fs::copy_file(d.cases[1].annotations[1].file, d.cases[0].annotations[1].file,
                fs::copy_options::overwrite_existing);
  EXPECT_EQ(memory.prepared(d.cases[0], plan).digest, before) << "no method reads annotations";
  fs::copy_file(d.cases[1].label, d.cases[0].label, fs::copy_options::overwrite_existing);
  EXPECT_NE(memory.prepared(d.cases[0], plan).digest, before);
}

TEST_F(Store, ALeftoverIsListedCountedAndCleaned) {
  const Dataset d = dataset();
  const Plan plan = plan_of(d);
  CaseStore(options()).prepared(d.cases[0], plan);
  write_text(only_file() + ".123-4.part", std::string(1000, 'x'));
  set_used(only_file(), ::time(nullptr) + 1000);  // clocks differ
  EXPECT_EQ(stored_files(at("cache")).size(), 2u);
  EXPECT_EQ(only_file("unfinished"), only_file() + ".123-4.part");
  { const CaseStore another(options()); }
  EXPECT_NE(only_file("unfinished"), "") << "somebody may be writing it";
  EXPECT_EQ(remove_stored_files(at("cache"), 0).size(), 2u);
  EXPECT_TRUE(list_folder(at("cache")).empty());
}

TEST_F(Store, WithoutABoundOfTheUsersARunMayNeedMoreThanHalf) {
  const Dataset d = dataset();
  const Plan plan = plan_of(d);
  CaseStore(options()).prepared(d.cases[0], plan);
  EXPECT_THROW(CaseStore(options(1)).prepared(d.cases[1], plan), Error);
  EXPECT_NO_THROW(CaseStore(options()).prepared(d.cases[1], plan));
}

TEST_F(Store, AFileIsNeverWrittenAgain) {
  const Dataset d = dataset();
  const Plan plan = plan_of(d);
  CaseStore(options()).prepared(d.cases[0], plan);
  struct stat before {
  }, after{};
  ASSERT_EQ(::stat(only_file().c_str(), &before), 0);
  set_used(only_file(), 1000);
  CaseStore(options()).prepared(d.cases[0], plan);
  ASSERT_EQ(::stat(only_file().c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_GT(after.st_mtim.tv_sec, 1000) << "its use is noted";
}

TEST_F(Store, WhatWasUsedLongestAgoMakesRoom) {
  const Dataset d = dataset();
  const Plan plan = plan_of(d);
  CaseStore first(options());
  first.prepared(d.cases[0], plan);
  const std::string of_first = only_file();
  set_used(of_first, 1000);
  const int64_t each = static_cast<int64_t>(file_status(of_first)->bytes);
  CaseStore(options()).prepared(d.cases[1], plan);
  write_text(at("cache") + "/notes.txt", "not ours");

  CaseStore third(options(each * 5 / 2));
  const PreparedCase c = third.prepared(d.cases[2], plan);
  EXPECT_FALSE(file_exists(of_first));
  EXPECT_EQ(stored_files(at("cache")).size(), 2u);
  EXPECT_TRUE(file_exists(at("cache") + "/notes.txt"));
  // What the run itself uses stays, and the bound is a bound.
  third.prepared(d.cases[1], plan);
  expect_error([&] { third.prepared(d.cases[0], plan); }, ErrorCode::system, {at("cache"), "--cache-size"});
  EXPECT_EQ(stored_files(at("cache")).size(), 2u);
  // A map outlives its file.
  remove_stored_files(at("cache"), 0);
  EXPECT_TRUE(stored_files(at("cache")).empty());
  EXPECT_TRUE(file_exists(at("cache") + "/notes.txt"));
  EXPECT_EQ(pad_case(c, plan.patch).image.to_vector<float>(),
            preprocess(load_case(d.cases[2], 1, 3), plan).image.to_vector<float>());
}

TEST_F(Store, ListsAndRemovesByAge) {
  const Dataset d = dataset();
  const Plan plan = plan_of(d);
  CaseStore store(options());
  make_plan(d, {0}, {}, &store);
  store.prepared(d.cases[1], plan);
  set_used(only_file("fingerprint"), 1000);
  const std::vector<StoredFile> files = stored_files(at("cache"), /*names=*/true);
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].name, "phantom_001");
  EXPECT_EQ(files[0].what, "fingerprint");
  EXPECT_EQ(files[1].name, "phantom_002");
  EXPECT_GT(files[1].bytes, 16u * 16 * 16 * 4);
  EXPECT_EQ(remove_stored_files(at("cache"), 86400).size(), 1u);
  EXPECT_EQ(only_file("fingerprint"), "");
  EXPECT_TRUE(stored_files(at("none")).empty());
  EXPECT_TRUE(remove_stored_files(at("none"), 0).empty());
}

TEST_F(Store, DamageIsAnErrorThatNamesTheFile) {
  const Dataset d = dataset();
  const Plan plan = plan_of(d);
  CaseStore(options()).prepared(d.cases[0], plan);
  const std::string file = only_file(), whole = read_text(file);
  const auto batch = [&] {
    CaseStore store(options());
    const std::vector<PreparedCase> cases{store.prepared(d.cases[0], plan)};
    training_batch(cases, plan, {}, 1, 0);
  };
  EXPECT_NO_THROW(batch());
  for (const size_t at_byte : {size_t{0}, size_t{9}, size_t{60}, whole.size() / 2, whole.size() - 1}) {
    std::string damaged = whole;
    damaged[at_byte] = static_cast<char>(damaged[at_byte] ^ 0x10);
    write_text(file, damaged);
    expect_error(batch, ErrorCode::system, {file, "damaged"});
    CaseStore store(options());
    expect_error([&] { pad_case(store.prepared(d.cases[0], plan), plan.patch); }, ErrorCode::system, {file});
  }
  for (const size_t size : {size_t{0}, size_t{5}, size_t{100}, whole.size() - 1}) {
    write_text(file, whole.substr(0, size));
    expect_error(batch, ErrorCode::system, {file, "damaged"});
  }
  // Once it is removed the next run is right.
  remove_file(file);
  EXPECT_NO_THROW(batch());
  EXPECT_EQ(read_text(only_file()), whole);
}

TEST_F(Store, AFileThatBecomesShorterUnderARunIsAnErrorThatNamesIt) {
  const Dataset d = dataset();
  const Plan plan = plan_of(d);
  CaseStore store(options());
  const std::vector<PreparedCase> cases{store.prepared(d.cases[0], plan)};
  EXPECT_NO_THROW(training_batch(cases, plan, {}, 1, 0));
  for (const off_t size : {static_cast<off_t>(file_status(only_file())->bytes) - 1, off_t{500}}) {
    ASSERT_EQ(::truncate(only_file().c_str(), size), 0);
    expect_error([&] { training_batch(cases, plan, {}, 1, 1); }, ErrorCode::system, {only_file()});
    expect_error([&] { pad_case(cases[0], plan.patch); }, ErrorCode::system, {only_file()});
  }
}

TEST_F(Store, AFailureAnywhereLeavesTheStoreRight) {
  const Dataset d = dataset();
  const Plan plan = plan_of(d);
  CaseStore memory;
  const std::string want = memory.prepared(d.cases[0], plan).digest;
  for (const char* call : {"open", "write", "fsync", "rename", "map", "read"})
    for (const bool stored : {false, true})
      for (int nth = 1;; ++nth) {
        ASSERT_LT(nth, 200);
        fs::remove_all(at("cache"));
        if (stored) CaseStore(options()).prepared(d.cases[0], plan);
        int count = 0;
        bool failed = false;
        set_file_fault([&](std::string_view c, const std::string& path) {
          return c == call && path.find("cache") != std::string::npos && ++count == nth ? EIO : 0;
        });
        try {
          CaseStore store(options());
          const std::vector<PreparedCase> cases{store.prepared(d.cases[0], plan)};
          training_batch(cases, plan, {}, 1, 0);
        } catch (const Error& e) {
          failed = true;
          EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(ErrorCode::system)) << e.what();
          EXPECT_NE(std::string(e.what()).find(at("cache")), std::string::npos) << e.what();
        }
        set_file_fault({});
        EXPECT_EQ(failed, count >= nth) << call << " " << nth;
        for (const std::string& name : list_folder(at("cache")))
          EXPECT_TRUE(name.ends_with(".safetensors")) << name;
        CaseStore store(options());
        const PreparedCase c = store.prepared(d.cases[0], plan);
        c.verify();
        EXPECT_EQ(c.digest, want);
        if (count < nth) break;
      }
}

TEST_F(Store, AFileThatChangesWhileItIsReadIsRefused) {
  const Dataset d = dataset();
  const Plan plan = plan_of(d);
  int opened = 0;
  set_file_fault([&](std::string_view call, const std::string& path) {
    // Once to hash it, then to read it: by then it is another image.
    if (call == "open" && path == d.cases[0].images[0] && ++opened == 2)
      fs::copy_file(d.cases[1].images[0], path, fs::copy_options::overwrite_existing);
    return 0;
  });
  CaseStore store(options());
  expect_error([&] { store.prepared(d.cases[0], plan); }, ErrorCode::data,
               {d.cases[0].images[0], "changed while it was read"});
  set_file_fault({});
  EXPECT_EQ(only_file(), "");
}

TEST_F(Store, AnnotationsAreCheckedAsTheLabelIs) {
  const Dataset d = dataset();
  testing::write_image(d.cases[0].annotations[1].file, Tensor::full({16, 16, 16}, 9));
  CaseStore store(options());
  expect_error([&] { store.prepared(d.cases[0], plan_of(d)); }, ErrorCode::data,
               {d.cases[0].annotations[1].file});
}

}  // namespace
}  // namespace voxgrad
