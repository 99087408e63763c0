// The audit finds each planted fault, all of them in one run, and nothing in a good data set.
#include "data/audit.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/phantom.h"
#include "data/plan.h"
#include "tests/data/fixture.h"

namespace voxgrad {
namespace {

using testing::TemporaryFolder;
using testing::volume;
using testing::write_image;
using testing::write_small_dataset;

bool found(const AuditReport& r, bool error, const std::string& kind, const std::string& case_name) {
  return std::any_of(r.problems.begin(), r.problems.end(), [&](const Problem& p) {
    return p.error == error && p.kind == kind && p.case_name == case_name && !p.text.empty();
  });
}

TEST(Audit, AGoodDatasetHasNoProblems) {
  const TemporaryFolder t;
  PhantomOptions o;
  o.cases = 3;
  o.size = 20;
  write_phantom(t / "p", o);
  const AuditReport r = audit_dataset(t / "p");
  EXPECT_TRUE(r.problems.empty()) << audit_to_text(r);
  ASSERT_EQ(r.cases.size(), 3u);
  EXPECT_EQ(r.cases[0].shape, (std::array<int64_t, 3>{20, 20, 20}));
  EXPECT_EQ(r.cases[0].class_voxels[0] + r.cases[0].class_voxels[1] + r.cases[0].class_voxels[2], 8000);
  EXPECT_NE(audit_to_text(r).find("usable: 0 errors, 0 warnings"), std::string::npos);
}

TEST(Audit, FindsEachPlantedFaultInOneRun) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"broken", "constant", "copy", "far", "fraction", "good", "huge", "lonely",
                                 "nan", "orphan", "plain", "shape", "short", "strange", "twice"});
  const auto image = [&](const char* name) { return t / "imagesTr/" + name + "_0000.nii.gz"; };
  const auto label = [&](const char* name) { return t / "labelsTr/" + name + ".nii.gz"; };
  write_text(image("broken"), read_text(image("good")).substr(0, 90));
  write_image(image("constant"), volume({4, 5, 6}, [](int64_t) { return 7; }));
  write_text(image("copy"), read_text(image("good")));
  write_image(label("far"), volume({4, 5, 6}, [](int64_t i) { return i % 3; }), {1, 1, 1}, {5, 0, 0});
  write_image(label("fraction"), volume({4, 5, 6}, [](int64_t i) { return i == 9 ? 1.5 : 0; }));
  write_image(label("huge"), volume({4, 5, 6}, [](int64_t i) { return i == 9 ? 3 : 0; }));
  remove_file(label("lonely"));
  write_image(image("nan"), volume({4, 5, 6}, [](int64_t i) { return i == 9 ? NAN : i; }));
  remove_file(image("orphan"));
  write_image(label("plain"), volume({4, 5, 6}, [](int64_t) { return 0; }));
  write_image(label("shape"), volume({4, 6, 6}, [](int64_t i) { return i % 3; }));
  write_image(label("short"), volume({4, 5, 6}, [](int64_t i) { return i % 2; }));
  write_text(t / "imagesTr/strange_name.nii.gz", "x");
  write_text(t / "imagesTr/twice_0000.nii", "x");
  const AuditReport r = audit_dataset(t.path());
  EXPECT_TRUE(found(r, true, "unreadable", "broken"));
  EXPECT_TRUE(found(r, false, "constant", "constant"));
  EXPECT_TRUE(found(r, false, "air-not-zero", "constant"));
  EXPECT_TRUE(found(r, false, "same-image", "good"));
  EXPECT_TRUE(found(r, true, "grid-mismatch", "far"));
  EXPECT_TRUE(found(r, true, "label-fractional", "fraction"));
  EXPECT_TRUE(found(r, true, "label-range", "huge"));
  EXPECT_TRUE(found(r, true, "missing-file", "lonely"));
  EXPECT_TRUE(found(r, true, "non-finite", "nan"));
  EXPECT_TRUE(found(r, true, "orphan-file", "orphan"));
  EXPECT_TRUE(found(r, false, "no-foreground", "plain"));
  EXPECT_FALSE(found(r, false, "missing-class", "plain")) << "it has no foreground at all: said once";
  EXPECT_TRUE(found(r, true, "grid-mismatch", "shape"));
  EXPECT_TRUE(found(r, false, "missing-class", "short"));
  EXPECT_TRUE(found(r, true, "foreign-file", "strange_name"));
  EXPECT_TRUE(found(r, true, "duplicate", "twice"));
  EXPECT_TRUE(found(r, false, "case-count", ""));
  for (const char* innocent : {"strange", "copy"})
    for (const Problem& p : r.problems) EXPECT_NE(p.case_name, innocent) << p.text;
  EXPECT_EQ(r.errors(), 10);
  const auto j = nlohmann::json::parse(audit_to_json(r));
  EXPECT_EQ(j["errors"], 10);
  EXPECT_EQ(j["problems"].size(), r.problems.size());
  const std::string text = audit_to_text(r);
  EXPECT_NE(text.find("error    label-range: huge"), std::string::npos) << text;
  EXPECT_NE(text.find("not usable: 10 errors"), std::string::npos) << text;
}

TEST(Audit, MillimetresAreChecked) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"metres", "twisted", "good", "sform", "nothing", "flat", "mirrored"});
  const auto rewrite = [&](const char* name, auto&& change) {
    const std::string file = t / "imagesTr/" + name + "_0000.nii.gz";
    NiftiHeader header;
    const Tensor voxels = read_volume(file, &header);
    change(header);
    write_volume(file, header, voxels.reshape({voxels.dim(1), voxels.dim(2), voxels.dim(3)}));
  };
  rewrite("metres", [](NiftiHeader& h) { h.xyzt_units = 1; });
  rewrite("twisted", [](NiftiHeader& h) {
    for (double& x : h.srow[0]) x *= 2;
  });
  // Without pixdim the sform says it; without either nothing is guessed.
  rewrite("sform", [](NiftiHeader& h) { h.pixdim[1] = 0; });
  rewrite("nothing", [](NiftiHeader& h) { h.pixdim[1] = 0, h.sform_code = 0; });
  rewrite("flat", [](NiftiHeader& h) { h.srow = {}; });
  rewrite("mirrored", [](NiftiHeader& h) { h.srow[0][0] *= -1; });
  const AuditReport r = audit_dataset(t.path());
  EXPECT_FALSE(found(r, true, "spacing-missing", "sform"));
  EXPECT_FALSE(found(r, false, "spacing", "sform"));
  EXPECT_TRUE(found(r, true, "spacing-missing", "nothing"));
  EXPECT_TRUE(found(r, true, "affine", "flat"));
  EXPECT_TRUE(found(r, false, "mixed-orientation", ""));
  EXPECT_TRUE(found(r, true, "units", "metres"));
  EXPECT_TRUE(found(r, false, "spacing", "twisted"));
  EXPECT_FALSE(found(r, false, "spacing", "good"));
}

TEST(Audit, ManyProblemsOfOneKindAreOneLine) {
  std::vector<Problem> problems;
  for (int i = 0; i < 152; ++i)
    problems.push_back({false, "missing-class", cat("case_", i / 2), "l.nii.gz", cat("class ", i)});
  problems.push_back({false, "mixed-spacing", "", "folder", "text"});
  for (int i = 0; i < 9; ++i) problems.push_back({true, "unreadable", cat("e", i), "f", "broken"});
  const auto lines = grouped(problems);
  ASSERT_EQ(lines.size(), 8u);
  EXPECT_EQ(lines[0].text, "missing-class: 152 times in 76 cases, the first: case_0: l.nii.gz: class 0");
  EXPECT_EQ(lines[1].text, "mixed-spacing: folder: text");
  EXPECT_EQ(lines[2].text, "unreadable: e0: f: broken");
  EXPECT_TRUE(lines[2].error);
  EXPECT_EQ(lines[7].text, "unreadable: 4 more (--json lists all)");
}

TEST(Audit, AForegroundWhereTheImageIsZeroIsFound) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"cut", "good", "some"});
  const auto image = [&](const char* name, auto&& f) {
    write_image(t / "imagesTr/" + name + "_0000.nii.gz", volume({4, 5, 6}, f));
  };
  // Labels are i % 3: 20 of the first 30 voxels, the first slice, are foreground.
  image("cut", [](int64_t i) { return i < 30 ? 0 : i; });
  image("some", [](int64_t i) { return i > 30 && i < 46 && i % 3 == 1 ? 0 : i + 1; });  // 5 of 80
  image("good", [](int64_t i) { return i == 30 ? 0 : i + 2; });
  AuditReport r = audit_dataset(t.path());
  ASSERT_TRUE(found(r, false, "foreground-in-air", "cut"));
  EXPECT_TRUE(found(r, false, "foreground-in-air", "some"));
  EXPECT_FALSE(found(r, false, "foreground-in-air", "good"));
  EXPECT_NE(
      audit_to_json(r).find("20 of 80 foreground voxels lie where the image is 0; 20 of them are cropped"),
      std::string::npos);
  // A single voxel that is cropped is said.
  write_image(t / "labelsTr/cut.nii.gz", volume({4, 5, 6}, [](int64_t i) { return i == 7 || i >= 30; }));
  EXPECT_NE(
      audit_to_json(audit_dataset(t.path())).find("1 of 91 foreground voxels lie where the image is 0; 1 of"),
      std::string::npos);
  // 0 is water in Hounsfield units.
  std::string json = read_text(t / "dataset.json");
  json.replace(json.find("MRI"), 3, "CT");
  write_text(t / "dataset.json", json);
  EXPECT_FALSE(found(audit_dataset(t.path()), false, "foreground-in-air", "cut"));
}

TEST(Audit, NamesOfChannelsAndTheirValuesAreLookedAt) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"a", "b"});  // values from 1000 and from 2000
  const auto named = [&](const char* channel) {
    std::string json = read_text(t / "dataset.json");
    const size_t at = json.find("{\"0\": \"") + 7;
    json.replace(at, json.find('"', at) - at, channel);
    write_text(t / "dataset.json", json);
    return audit_dataset(t.path());
  };
  EXPECT_TRUE(found(named("CT_venous"), false, "channel-name", ""));
  EXPECT_FALSE(found(named("CT"), false, "channel-name", ""));
  EXPECT_EQ(named("PET").errors(), 0);
  const AuditReport r = named("rgb_to_0_1");
  EXPECT_TRUE(found(r, true, "rgb-range", "a"));
  EXPECT_TRUE(found(r, true, "rgb-range", "b"));
}

TEST(Audit, CtWithoutNegativeValuesIsDoubted) {
  for (const float offset : {0.0f, 1024.0f}) {
    const TemporaryFolder t;
    write_small_dataset(t.path(), {"a", "b"}, "CT");
    for (const char* name : {"a", "b"})
      write_image(t / ("imagesTr/" + std::string(name) + "_0000.nii.gz"),
                  volume({4, 5, 6}, [&](int64_t i) { return static_cast<float>(i) - 1024 + offset; }));
    const AuditReport r = audit_dataset(t.path());
    EXPECT_EQ(found(r, false, "not-hounsfield", ""), offset > 0) << audit_to_text(r);
  }
}

TEST(Audit, SingleSlicesHaveNoSpacingBetweenThem) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"a", "b"});
  const auto write = [&](int64_t depth) {
    for (const auto& [name, mm] : {std::pair{"a", 1.0}, {"b", 5.0}}) {
      const Shape shape{depth, 5, 6};
      write_image(t / "imagesTr/" + name + "_0000.nii.gz",
                  volume(shape, [mm = mm](int64_t i) { return mm * i; }), {1, 1, mm});
      write_image(t / "labelsTr/" + name + ".nii.gz", volume(shape, [](int64_t i) { return i % 3; }),
                  {1, 1, mm});
    }
    return found(audit_dataset(t.path()), false, "mixed-spacing", "");
  };
  EXPECT_TRUE(write(2));
  EXPECT_FALSE(write(1));
}

// What the labels hold is not known where one cannot be read.
TEST(Audit, AnUnreadableLabelMakesNoClassUnused) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"a", "b"});
  for (const char* name : {"a", "b"})
    write_image(t / "labelsTr/" + name + ".nii.gz", volume({4, 5, 6}, [](int64_t i) { return i % 2; }));
  EXPECT_TRUE(found(audit_dataset(t.path()), false, "unused-class", ""));
  write_image(t / "labelsTr/b.nii.gz", volume({4, 5, 6}, [](int64_t i) { return i % 2 * 9; }));
  EXPECT_FALSE(found(audit_dataset(t.path()), false, "unused-class", ""));
}

TEST(Audit, ASingleCaseCannotBeTrainedOn) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"a"});
  EXPECT_TRUE(found(audit_dataset(t.path()), false, "case-count", ""));
}

// check, plan and train say the same.
TEST(Audit, AClassThatNoTrainingCaseOfAFoldHasIsFound) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"a", "b", "c", "d", "e", "f"});
  for (const char* name : {"b", "c", "d", "e", "f"})  // class 2 is in a alone, which is validated in fold 0
    write_image(t / "labelsTr/" + name + ".nii.gz", volume({4, 5, 6}, [](int64_t i) { return i % 2; }));
  const AuditReport r = audit_dataset(t.path());
  int count = 0;
  for (const Problem& p : r.problems)
    if (p.kind == "untrained-class") {
      ++count;
      EXPECT_EQ(p.text, "fold 0: no training case has a voxel of class \"b\": a network cannot learn it");
    }
  EXPECT_EQ(count, 1);
  const Dataset d = open_dataset(t.path());
  const auto of = [&](const std::vector<int>& cases) { return fingerprints(d, cases, 0); };
  const auto has = [](const std::vector<Problem>& problems, const std::string& kind) {
    return std::any_of(problems.begin(), problems.end(), [&](const Problem& p) { return p.kind == kind; });
  };
  const Split s = split(d, 0);
  EXPECT_TRUE(has(run_warnings(d, of(s.train), of(s.validation)), "untrained-class"));
  EXPECT_FALSE(has(run_warnings(d, of({0, 1}), of({2})), "untrained-class"));
  EXPECT_TRUE(has(run_warnings(d, of({0, 1}), of({2})), "missing-class"));
}

TEST(Audit, DataSetWideProblems) {
  const TemporaryFolder t;
  EXPECT_TRUE(found(audit_dataset(t / "nowhere"), true, "missing-file", ""));
  EXPECT_TRUE(found(audit_dataset(t.path()), true, "missing-file", ""));  // no dataset.json
  write_text(t / "dataset.json", "[]");
  EXPECT_TRUE(found(audit_dataset(t.path()), true, "description", ""));
  write_text(t / "dataset.json", "{\"labels\": ");
  const AuditReport broken = audit_dataset(t.path());
  ASSERT_TRUE(found(broken, true, "description", ""));
  EXPECT_NE(broken.problems[0].text.find("expected JSON, got: parse error at line 1"), std::string::npos)
      << broken.problems[0].text;
  write_small_dataset(t.path(), {"a", "b"});
  write_text(t / "splits_final.json", "[]");
  write_image(t / "imagesTr/b_0000.nii.gz", volume({4, 5, 6}, [](int64_t i) { return i; }), {1, 1, 3});
  write_image(t / "labelsTr/b.nii.gz", volume({4, 5, 6}, [](int64_t i) { return i % 2; }), {1, 1, 3});
  write_image(t / "labelsTr/a.nii.gz", volume({4, 5, 6}, [](int64_t i) { return i % 2; }));
  const AuditReport r = audit_dataset(t.path());
  EXPECT_TRUE(found(r, true, "splits", ""));
  EXPECT_TRUE(found(r, false, "mixed-spacing", ""));
  EXPECT_FALSE(found(r, false, "mixed-orientation", ""));
  EXPECT_TRUE(found(r, false, "unused-class", ""));
}

TEST(RealData, AuditHoldsTheTrapsOfTheReadmes) {
  if (testing::real_data().empty()) GTEST_SKIP() << "VOXGRAD_DATA is not set";
  const AuditReport r = audit_dataset(testing::real_data() + "/msd-hippocampus");
  EXPECT_EQ(r.errors(), 0) << audit_to_text(r);
  EXPECT_EQ(r.cases.size(), 208u);
  const AuditReport aorta = audit_dataset(testing::real_data() + "/bu-bil-aorta-crowd");
  EXPECT_EQ(aorta.errors(), 0) << audit_to_text(aorta);
}

}  // namespace
}  // namespace voxgrad
