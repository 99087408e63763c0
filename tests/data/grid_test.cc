// Odd geometries, and when two images are on one grid.
#include "data/grid.h"

#include <gtest/gtest.h>

#include <cmath>

namespace voxgrad {
namespace {

NiftiHeader header(double spacing = 1, double origin = 0) {
  return make_nifti_header({10, 12, 8}, {spacing, spacing, spacing}, {origin, origin, origin});
}

/// "error units: ...; warning shear: ...".
std::string problems_of(const NiftiHeader& h) {
  std::string text;
  for (const GeometryProblem& p : geometry_problems(h))
    text += cat(p.error ? "error " : "warning ", p.kind, ": ", p.text, "; ");
  return text;
}

TEST(Geometry, ASoundHeaderHasNoProblem) {
  EXPECT_EQ(problems_of(header()), "");
  NiftiHeader unknown = header();
  unknown.xyzt_units = 0;
  EXPECT_EQ(problems_of(unknown), "");
  NiftiHeader turned = header();  // by 90 degrees about z, in the qform alone
  turned.sform_code = 0;
  turned.qform_code = 1;
  turned.quatern = {0, 0, std::sqrt(0.5)};
  EXPECT_EQ(problems_of(turned), "");
}

TEST(Geometry, EachOddityIsNamed) {
  const auto has = [](NiftiHeader h, auto&& change, const std::string& text) {
    change(h);
    EXPECT_EQ(problems_of(h).rfind(text, 0), 0u) << problems_of(h);
  };
  has(
      header(), [](auto& h) { h.xyzt_units = 1; }, "error units: xyzt_units: expected mm, got m");
  has(
      header(), [](auto& h) { h.xyzt_units = 3; }, "error units: xyzt_units: expected mm, got um");
  has(
      header(), [](auto& h) { h.pixdim[1] = 0, h.sform_code = 0; },
      "error spacing-missing: pixdim[2]: expected a spacing in mm");
  has(
      header(), [](auto& h) { h.srow[1][1] = 0; }, "error affine: srow: expected an axis y with a length");
  has(
      header(), [](auto& h) { h.pixdim[2] = 2; }, "warning spacing: pixdim says 2 mm along z, the affine 1");
  has(
      header(), [](auto& h) { h.pixdim[0] = -1; }, "warning pixdim: pixdim[1] is -1: its absolute value");
  has(
      header(), [](auto& h) { h.srow[0][1] = 0.03; },
      "warning shear: srow: the axes x and y are not at right");
  has(
      header(),
      [](auto& h) {
        h.qform_code = 1, h.sform_code = 0, h.quatern = {1, 1, 0};
      },
      "warning quaternion: quatern: expected b, c, d of length 1 or less, got 1.41");
  has(
      header(), [](auto& h) { h.qform_dropped = true; }, "warning qform: quatern, qoffset: not finite");
  NiftiHeader metres = header();
  metres.xyzt_units = 1;
  EXPECT_THROW(refuse_geometry(metres, "x.nii"), Error);
  EXPECT_NO_THROW(refuse_geometry(header(), "x.nii"));
}

TEST(Grid, TolerancesShrinkWithTheVoxels) {
  for (const double spacing : {0.001, 0.05, 1.0, 5.0}) {
    EXPECT_EQ(grid_difference(header(spacing, 3 * spacing), header(spacing, 3.0005 * spacing)), "")
        << spacing;
    EXPECT_NE(grid_difference(header(spacing, 3 * spacing), header(spacing, 3.01 * spacing)), "") << spacing;
    EXPECT_EQ(grid_difference(header(spacing), header(spacing * 1.00005)), "") << spacing;
    EXPECT_NE(grid_difference(header(spacing), header(spacing * 1.01)), "") << spacing;
  }
  // A qform far from the origin is known in single precision only.
  EXPECT_EQ(grid_difference(header(1, 1000), header(1, 1000.0015)), "");
  NiftiHeader turned = header();
  turned.srow = {
      {{std::cos(1e-6), -std::sin(1e-6), 0, 0}, {std::sin(1e-6), std::cos(1e-6), 0, 0}, {0, 0, 1, 0}}};
  EXPECT_EQ(grid_difference(header(), turned), "");
  turned.srow = {
      {{std::cos(1e-2), -std::sin(1e-2), 0, 0}, {std::sin(1e-2), std::cos(1e-2), 0, 0}, {0, 0, 1, 0}}};
  EXPECT_NE(grid_difference(header(), turned), "");
}

}  // namespace
}  // namespace voxgrad
