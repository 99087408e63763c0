// The report's page in a browser: widths, keyboard, mouse, dark mode, print.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>

#include "eval/report.h"
#include "eval/run_report.h"
#include "io/file.h"
#include "io/png.h"
#include "tests/eval/browser.h"
#include "tests/eval/demo_run.h"

namespace voxgrad {
namespace {

using nlohmann::json;
using testing::Browser;
using testing::TemporaryFolder;

/// One browser and one page for all tests. Each opens the page anew.
class Page : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    testing_data::write_demo_run(*folder_ / "run", 3);
    write_text(page(), report_html(read_run(*folder_ / "run")));
    write_text(*folder_ / "picture.html", report_html(picture()));
    if (!Browser::find().empty()) browser_ = std::make_unique<Browser>();
  }
  static void TearDownTestSuite() {
    browser_.reset();
    folder_.reset();
  }
  void SetUp() override {
    if (!browser_) GTEST_SKIP() << "no Chromium on this machine: the page's script was not run";
  }
  void TearDown() override {
    if (!browser_) return;
    EXPECT_EQ(browser_->errors, std::vector<std::string>{});
    EXPECT_EQ(browser_->requests, std::vector<std::string>{}) << "the page loads nothing";
  }

  static std::string page() { return *folder_ / "report.html"; }
  /// A microscope's picture, whose file says nothing of a patient.
  static Report picture() {
    Report r;
    r.title = "picture";
    r.class_names = {"background", "cell"};
    ReportCase c;
    c.name = "cells";
    c.header = make_nifti_header({64, 48, 1}, {1, 1, 1});
    c.channels = {{"fluorescence", "", Tensor::zeros({1, 48, 64})}};
    c.truth = Tensor::zeros({1, 48, 64}, DType::i32);
    for (int64_t i = 20; i < 40; ++i) c.truth.mutable_data<int32_t>()[64 * 20 + i] = 1;
    r.cases = {view_of(c, r.class_names)};
    return r;
  }
  static void open(int width = 1400, const std::string& path = page()) {
    browser_->open(path, width);
    browser_->wait_for("document.documentElement.dataset.viewers === '1'");
    browser_->evaluate(R"(
      window.one = (s) => document.querySelector('.case ' + s);
      window.role = (r) => one(`[data-role="${r}"]`);
      window.canvas = one('canvas');
      window.pixels = () => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      window.sum = () => pixels().reduce((s, v, i) => (s * 31 + v) % 1000003, 7);
      window.count = (f) => { const d = pixels(); let n = 0; for (let i = 0; i < d.length; i += 4) n += f(d[i], d[i + 1], d[i + 2]); return n; };
      window.choose = (r, v) => { role(r).value = v; role(r).dispatchEvent(new Event('input')); };
      window.settle = async () => { while (one('.viewer').ariaBusy === 'true') await new Promise((f) => setTimeout(f, 10)); };
      null)");
  }
  static json js(const std::string& expression) { return browser_->evaluate(expression); }
  static double pixels_where(const std::string& condition) {
    return js("count((r, g, b) => " + condition + ")");
  }
  /// Tabs until the focus is on what an expression of the element `e` says.
  static bool tab_to(const std::string& condition) {
    for (int i = 0; i < 120; ++i) {
      if (js("((e) => Boolean(" + condition + "))(document.activeElement)")) return true;
      browser_->press("Tab");
    }
    return false;
  }

  static std::unique_ptr<TemporaryFolder> folder_;
  static std::unique_ptr<Browser> browser_;
};
std::unique_ptr<TemporaryFolder> Page::folder_;
std::unique_ptr<Browser> Page::browser_;

/// Pixels of the uncertainty's hue.
constexpr const char* kMagenta = "r > g + 60 && b > g + 60";

TEST_F(Page, FitsWideAndNarrowWindows) {
  for (const int width : {1400, 800}) {
    open(width);
    EXPECT_LE(js("document.documentElement.scrollWidth"), width);
    EXPECT_EQ(
        js("[...document.querySelectorAll('main *')].filter((e) => !e.closest('.scroll, svg, .viewer') && "
           "e.getBoundingClientRect().right > innerWidth).map((e) => e.outerHTML.slice(0, 80))"),
        json::array());
    // A table that is wider than its box has a sign before the box; one that is not has none.
    EXPECT_GT(js("document.querySelectorAll('.scroll').length"), 3);
    EXPECT_EQ(js("[...document.querySelectorAll('.scroll')].filter((b) => b.clientWidth && (b.scrollWidth > "
                 "b.clientWidth + 1) !== (b.previousElementSibling.offsetHeight > 0)).length"),
              0);
    if (width == 800) {
      EXPECT_GT(js("[...document.querySelectorAll('.sign')].filter((s) => s.offsetHeight).length"), 0);
      EXPECT_TRUE(js(
          "(() => { const b = document.querySelector('.scroll.more'); b.scrollLeft = 1e5; return b.tabIndex "
          "=== 0 && b.scrollLeft > 0; })()"));
    }
    const std::string png = *folder_ / ("page-" + std::to_string(width) + ".png");
    browser_->screenshot(png);
    const Tensor picture = read_png(png);
    EXPECT_EQ(picture.dim(1), width);
    std::map<int, int> tones;
    for (int64_t i = 0; i < picture.numel(); i += 3) ++tones[picture.data<uint8_t>()[i]];
    EXPECT_GT(tones.size(), 20u) << "not blank";
  }
}

TEST_F(Page, CasesStandFromWorstToBestAndAreUnpackedWhenOpened) {
  open();
  EXPECT_EQ(js("document.querySelectorAll('details.case').length"), 3);
  EXPECT_EQ(js("[...document.querySelectorAll('details.case')].map((d) => d.dataset.state || '')"),
            json({"drawn", "", ""}));
  EXPECT_EQ(js("document.querySelectorAll('canvas').length"), 3) << "of the first case alone";
  const json dice = js(
      "[...document.querySelectorAll('.rank')].map((r) => Number(r.textContent.match(/Dice ([0-9.]+)/)[1]))");
  EXPECT_LE(dice[0], dice[1]);
  EXPECT_LE(dice[1], dice[2]);
  // By keyboard.
  ASSERT_TRUE(tab_to("e.matches('#case-1 > summary')"));
  browser_->press("Enter");
  browser_->wait_for("document.documentElement.dataset.viewers === '2'");
  EXPECT_EQ(js("document.querySelector('#case-1').dataset.state"), "drawn");
}

TEST_F(Page, KeysChangeSlicesAndLayers) {
  open();
  ASSERT_TRUE(tab_to("e === canvas"));
  const std::string shown = js("one('.plane output').textContent");
  const double before = js("sum()");
  browser_->press("ArrowUp");
  EXPECT_NE(js("one('.plane output').textContent"), shown);
  EXPECT_NE(js("sum()"), before);
  browser_->press("ArrowDown");
  EXPECT_EQ(js("one('.plane output').textContent"), shown);
  EXPECT_EQ(js("sum()"), before);
  browser_->press("Home");
  browser_->press("ArrowUp");
  EXPECT_EQ(js("one('.plane output').textContent"), "2 / 36 (z 1)");
  browser_->press("End");
  EXPECT_EQ(js("one('.plane output').textContent"), "36 / 36 (z 35)");

  open();
  ASSERT_TRUE(tab_to("e === canvas"));
  const auto texts = [&](const char* key, const char* role, int times) {
    std::vector<std::string> seen;
    for (int i = 0; i < times; ++i) {
      browser_->press(key);
      seen.push_back(js("role('" + std::string(role) + "').selectedOptions[0].textContent"));
    }
    return seen;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(texts("s", "solid", 6),
            (Texts{"sample 1", "sample 2", "sample 3", "sample 4", "off", "prediction"}));
  EXPECT_EQ(texts("r", "dashed", 4), (Texts{"rater first", "rater2", "off", "truth"}));
  EXPECT_EQ(texts("u", "map", 6), (Texts{"entropy", "mutual information", "error", "probability of posterior",
                                         "probability of anterior", "off"}))
      << "of the larger class first";
  EXPECT_EQ(texts("p", "solid", 2), (Texts{"off", "prediction"}));
  EXPECT_TRUE(js("role('cross').checked")) << "the cross-hair is on at first";
  browser_->press("c");
  EXPECT_FALSE(js("role('cross').checked"));
}

TEST_F(Page, LayersAreDrawn) {
  open();
  js("role('cross').click()");
  js("role('level').value = 1e6; role('level').dispatchEvent(new Event('change'))");  // a black image
  const char* const orange = "r === 0xe6 && g === 0x9f && b === 0";
  const char* const white = "r === 255 && g === 255 && b === 255";
  EXPECT_GT(pixels_where(orange), 30) << "the prediction's first class";
  EXPECT_GT(pixels_where(white), 30) << "the truth, dashed";
  js("choose('solid', '-1'); settle()");
  EXPECT_EQ(pixels_where(orange), 0);
  js("choose('dashed', '-1'); settle()");
  EXPECT_EQ(pixels_where(white), 0);
  // Sample 2 has another outline than the prediction.
  js("choose('solid', '0'); settle()");
  const double prediction = js("sum()");
  js("choose('solid', '2'); settle()");
  browser_->wait_for("sum() !== " + std::to_string(prediction));
}

TEST_F(Page, UncertaintyIsOffThenThresholdedInAHueOfItsOwn) {
  open();
  EXPECT_EQ(js("role('map').value"), "-1");
  EXPECT_EQ(pixels_where(kMagenta), 0);
  js("choose('map', '0'); settle()");
  const double some = pixels_where(kMagenta);
  EXPECT_GT(some, 20);
  js("role('threshold').value = 90; role('threshold').dispatchEvent(new Event('input'))");
  const double few = pixels_where(kMagenta);
  EXPECT_LT(few, some);
  js("role('threshold').value = 1; role('threshold').dispatchEvent(new Event('input'))");
  EXPECT_GT(pixels_where(kMagenta), some);
  // Errors: where prediction and truth differ, and nowhere else.
  js("choose('map', '2'); settle()");
  EXPECT_GT(pixels_where("b > g + 50"), 0);
  EXPECT_NE(js("one('.bar').textContent").get<std::string>().find("missed"), std::string::npos);
  js("choose('dashed', '-1'); settle()");
  js("choose('solid', '-1'); settle()");
  EXPECT_EQ(pixels_where("b > g + 50"), 0);
  // A class's probability.
  js("choose('map', '3'); settle()");
  EXPECT_GT(pixels_where(kMagenta), 100);
}

TEST_F(Page, TheLegendTogglesClasses) {
  open();
  const char* const orange = "r === 0xe6 && g === 0x9f && b === 0";
  EXPECT_EQ(js("[...document.querySelectorAll('#case-0 .legend li')].map((l) => l.textContent)"),
            json({"anterior", "posterior"}));
  EXPECT_GT(pixels_where(orange), 30);
  ASSERT_TRUE(tab_to("e.matches('.legend input')"));
  browser_->press(" ");
  EXPECT_EQ(pixels_where(orange), 0);
  browser_->press(" ");
  EXPECT_GT(pixels_where(orange), 30);
}

TEST_F(Page, WindowZoomAndChannel) {
  open();
  const json box = js(
      "(() => { canvas.scrollIntoView({ block: 'center' }); const b = canvas.getBoundingClientRect(); return "
      "[b.left + b.width / 2, b.top + b.height / 2]; })()");
  const double x = box[0], y = box[1];
  // The right button drags window and level.
  const double width = std::stod(js("role('width').value").get<std::string>());
  browser_->drag(x, y, x + 60, y, "right");
  EXPECT_GT(std::stod(js("role('width').value").get<std::string>()), 1.2 * width);
  // Typed values.
  const double before = js("sum()");
  js("role('width').value = 50; role('level').value = 400; role('level').dispatchEvent(new Event('change'))");
  EXPECT_NE(js("sum()"), before);
  js("role('reset').click()");
  EXPECT_NEAR(std::stod(js("role('width').value").get<std::string>()), width, 1);
  // Zoom, then pan: the picture moves, the cross-hair's voxel stays.
  const std::string slice = js("one('.plane output').textContent");
  const double whole = js("sum()");
  ASSERT_TRUE(tab_to("e === canvas"));
  browser_->press("+");
  const double zoomed = js("sum()");
  EXPECT_NE(zoomed, whole);
  js("choose('drag', 'pan')");
  browser_->drag(x, y, x + 25, y + 10);
  EXPECT_NE(js("sum()"), zoomed);
  EXPECT_EQ(js("one('.plane output').textContent"), slice);
  browser_->press("0");
  EXPECT_EQ(js("sum()"), whole);
  // The cross-hair follows the mouse in all planes.
  js("choose('drag', 'cross')");
  const std::string sagittal = js("document.querySelectorAll('.plane output')[2].textContent");
  browser_->drag(x, y, x - 60, y);
  EXPECT_NE(js("document.querySelectorAll('.plane output')[2].textContent"), sagittal);
  // PET is shown in inverse grey: air is white.
  EXPECT_FALSE(js("role('inverse').checked"));
  const char* const white = "r > 250 && g > 250 && b > 250";
  const double dark = pixels_where(white);
  js("choose('channel', '1'); settle()");
  EXPECT_TRUE(js("role('inverse').checked"));
  EXPECT_GT(pixels_where(white), 5 * dark + 1000);
}

TEST_F(Page, TheReadoutIsOfTheFile) {
  open();
  js("for (const [k, v] of [[0, 17], [1, 20], [2, 12]]) { const s = document.querySelectorAll('.plane "
     "input')[k]; s.value = v; "
     "s.dispatchEvent(new Event('input')); }");
  // Display z 17, y 20 (of 48, from anterior), x 12 (of 40, from the right): voxel (27, 27, 17) of a RAS
  // file.
  const std::string text = js("one('.readout').textContent");
  EXPECT_EQ(text.find("voxel x 27, y 27, z 17  \u00b7  R A S (7.0, 3.0, 2.4) mm"), 0u) << text;
  const auto demo = testing_data::demo_case(static_cast<uint64_t>(
      (std::stoi(js("one('summary').textContent.match(/hippocampus_([0-9]+)/)[1]").get<std::string>()) -
       101) /
      7));
  const int64_t voxel = (17 * 48 + 27) * 40 + 27;
  const auto number = [&](const std::string& before) {
    const size_t at = text.find(before);
    return at == std::string::npos ? -1 : std::stod(text.substr(at + before.size()));
  };
  EXPECT_NEAR(number("T1 "), static_cast<double>(demo.image.data<float>()[voxel]), 1);
  EXPECT_NEAR(number("entropy "), static_cast<double>(demo.entropy.data<float>()[voxel]), 0.01);
  const char* const names[] = {"background", "anterior", "posterior"};
  EXPECT_NE(text.find(std::string("truth: ") + names[demo.truth.data<int32_t>()[voxel]]), std::string::npos)
      << text;
}

TEST_F(Page, DarkModeAndPrint) {
  open();
  const std::string light = js("getComputedStyle(document.body).backgroundColor");
  EXPECT_EQ(light, "rgb(255, 255, 255)");
  browser_->emulate("screen", "dark");
  EXPECT_NE(js("getComputedStyle(document.body).backgroundColor"), light);
  EXPECT_NE(js("getComputedStyle(document.querySelector('svg text')).fill"), "rgb(28, 39, 51)")
      << "the figures are read on dark, too";
  browser_->emulate("print", "dark");
  EXPECT_EQ(js("getComputedStyle(document.body).backgroundColor"), light) << "paper is white";
  EXPECT_EQ(js("one('.controls').offsetHeight"), 0);
  EXPECT_GT(js("one('.legend .swatch').offsetHeight"), 0);
  EXPECT_GT(js("one('.legend li').offsetHeight"), 0);
  EXPECT_GT(js("one('.shown').offsetHeight"), 0);
  const std::string shown = js("one('.shown').textContent");
  EXPECT_EQ(shown.find("T1, window "), 0u) << shown;
  EXPECT_NE(shown.find("solid line: prediction"), std::string::npos) << shown;
  EXPECT_NE(shown.find("dashed line: truth"), std::string::npos) << shown;
}

TEST_F(Page, APictureHasNoSides) {
  const std::string html = read_text(*folder_ / "picture.html");
  EXPECT_EQ(html.find("Radiological convention"), std::string::npos);
  open(1400, *folder_ / "picture.html");
  EXPECT_EQ(js("document.querySelectorAll('canvas').length"), 1) << "one plane";
  EXPECT_EQ(js("one('figcaption span').textContent"), "xy plane");
  EXPECT_EQ(js("one('.readout').textContent").get<std::string>().find("R A S"), std::string::npos);
  EXPECT_NE(html.find("64 \u00d7 48 \u00d7 1 voxels. The file states neither orientation nor size"),
            std::string::npos);
  // Letters would be drawn above the image in the middle, and beside it.
  EXPECT_EQ(js("(() => { const w = canvas.width, d = canvas.getContext('2d').getImageData(w / 2 - 20, 0, 40, "
               "20).data; return "
               "d.every((v, i) => i % 4 === 3 || v === 0); })()"),
            true);
  open();
  EXPECT_EQ(js("(() => { const w = canvas.width, d = canvas.getContext('2d').getImageData(w / 2 - 20, 0, 40, "
               "20).data; return "
               "d.every((v, i) => i % 4 === 3 || v === 0); })()"),
            false)
      << "a scan has them";
}

TEST_F(Page, TablesSort) {
  open();
  js("window.table = document.querySelector('table.sortable')");
  const auto dice = [&] {
    return js("[...table.tBodies[0].rows].map((r) => Number(r.cells[1].textContent))")
        .get<std::vector<double>>();
  };
  js("table.tHead.rows[0].cells[1].querySelector('button').click()");
  std::vector<double> values = dice();
  EXPECT_TRUE(std::is_sorted(values.begin(), values.end()));
  js("table.tHead.rows[0].cells[1].querySelector('button').click()");
  values = dice();
  EXPECT_TRUE(std::is_sorted(values.rbegin(), values.rend()));
}

}  // namespace
}  // namespace voxgrad
