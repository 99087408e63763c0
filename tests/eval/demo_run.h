// A run folder with made-up but plausible content, for the tests of the report.
#pragma once
#include <cmath>
#include <string>

#include "eval/calibrate.h"
#include "eval/scores.h"
#include "eval/uncertainty.h"
#include "io/file.h"
#include "io/nifti.h"
#include "run/folder.h"
#include "run/log.h"
#include "run/manifest.h"
#include "tensor/core/random.h"
#include "tests/eval/mean_softmax.h"

namespace voxgrad::testing_data {

constexpr int64_t kD = 36, kH = 48, kW = 40;

struct DemoCase {
  NiftiHeader header;
  Tensor image, truth, mask, probabilities, entropy, mutual_information;
  std::vector<Tensor> samples;  ///< label maps
};

/// A head with two structures in it. File axes: x to the right, y to anterior, z to superior (RAS).
inline DemoCase demo_case(uint64_t seed) {
  const Philox random{seed, Stream::test, 40};
  DemoCase c;
  c.header = make_nifti_header({kW, kH, kD}, {1, 1, 1.2}, {-20, -24, -18});
  c.image = Tensor::empty({kD, kH, kW});
  c.truth = Tensor::zeros({kD, kH, kW}, DType::i32);
  std::vector<Tensor> samples(4, Tensor());
  for (Tensor& s : samples) s = Tensor::empty({kD, kH, kW, 3});
  const double shift = random.uniform(1, -2, 2), grow = random.uniform(2, 0.9, 1.15);
  int64_t i = 0;
  for (int64_t z = 0; z < kD; ++z)
    for (int64_t y = 0; y < kH; ++y)
      for (int64_t x = 0; x < kW; ++x, ++i) {
        const auto ball = [&](double cz, double cy, double cx, double rz, double ry, double rx) {
          const double a = (static_cast<double>(z) - cz) / rz, b = (static_cast<double>(y) - cy) / ry,
                       d = (static_cast<double>(x) - cx) / rx;
          return 1 - std::sqrt(a * a + b * b + d * d);
        };
        const double head = ball(18, 24, 20, 17, 22, 18),
                     front = ball(18, 31 + shift, 14, 6 * grow, 7 * grow, 5),
                     back = ball(17, 19 + shift, 15, 6, 8 * grow, 5);
        int32_t& label = c.truth.mutable_data<int32_t>()[i];
        if (back > 0) label = 2;
        if (front > 0) label = 1;
        double value = head > 0 ? 340 + 160 * std::sin(0.45 * static_cast<double>(x)) *
                                            std::sin(0.3 * static_cast<double>(y))
                                : 20;
        if (label == 1) value = 700;
        if (label == 2) value = 590;
        c.image.mutable_data<float>()[i] = static_cast<float>(
            std::max(0.0, value + 45 * static_cast<double>(random.normal(static_cast<uint64_t>(i) + 1000))));
        for (size_t m = 0; m < samples.size(); ++m) {
          const double wobble = 0.12 * std::sin(0.6 * static_cast<double>(y) + 2.1 * static_cast<double>(m) +
                                                static_cast<double>(seed)) +
                                0.05 * std::sin(0.9 * static_cast<double>(z));
          float* p = samples[m].mutable_data<float>() + 3 * i;
          p[0] = 0;
          p[1] = static_cast<float>(14 * (front + wobble));
          p[2] = static_cast<float>(14 * (back - wobble));
        }
      }
  std::vector<Tensor> probabilities;
  for (const Tensor& s : samples) {
    probabilities.push_back(mean_softmax({s}, 1));
    c.samples.push_back(most_probable_class(probabilities.back()));
  }
  c.probabilities = mean_softmax(samples, 1);
  c.mask = most_probable_class(c.probabilities);
  c.entropy = entropy_map(c.probabilities);
  c.mutual_information = mutual_information_map(probabilities);
  return c;
}

/// [D, H, W, K] -> [K, D, H, W].
inline Tensor classes_first(const Tensor& p) {
  const int64_t voxels = p.numel() / p.dim(3);
  Tensor out = Tensor::empty({p.dim(3), p.dim(0), p.dim(1), p.dim(2)});
  for (int64_t i = 0; i < voxels; ++i)
    for (int64_t k = 0; k < p.dim(3); ++k)
      out.mutable_data<float>()[k * voxels + i] = p.data<float>()[i * p.dim(3) + k];
  return out;
}

/// An image of two channels: itself, and what is bright in it.
inline Tensor two_channels(const Tensor& image) {
  Tensor out = Tensor::empty({2, image.dim(0), image.dim(1), image.dim(2)});
  for (int64_t i = 0; i < image.numel(); ++i) {
    const float v = image.data<float>()[i];
    out.mutable_data<float>()[i] = v;
    out.mutable_data<float>()[image.numel() + i] = std::max(0.0F, v - 300) / 100;
  }
  return out;
}

/// A made-up SHA-256.
inline std::string demo_digest(char digit) { return std::string(64, digit); }

/// Writes a run: log, manifest, metrics of three rows on ten cases, maps of `pictures` cases.
inline void write_demo_run(const std::string& folder, int pictures) {
  make_folders(folder);
  const RunFolder files{folder};
  RunScores run;
  run.rows = {{"prior", "prior", RowRole::baseline, {}},
              {"prior-tempered", "prior + temperature", RowRole::baseline, {}},
              {"pgrd", "PGRD (M = 16, S = 5)", RowRole::method, {}}};
  const std::vector<double> temperatures = {0.4, 0.8, 1};
  for (ScoreRow& row : run.rows) {
    row.table.class_names = {"background", "anterior", "posterior"};
    row.table.options.classes = 3;
  }
  for (int k = 0; k < 10; ++k) {
    const DemoCase c = demo_case(static_cast<uint64_t>(k));
    CaseInput in;
    in.name = "hippocampus_" + std::to_string(101 + 7 * k);
    in.truth = c.truth;
    in.spacing = {1.2, 1, 1};
    for (size_t r = 0; r < run.rows.size(); ++r) {
      in.probabilities =
          temperatures[r] == 1 ? c.probabilities : apply_temperature(c.probabilities, temperatures[r]);
      in.prediction = most_probable_class(in.probabilities);
      add(run.rows[r].table, score_case(in, run.rows[r].table.options));
    }
    if (k >= pictures) continue;
    make_folders(files.validation_case(in.name));
    const auto map = [&](const std::string& name) { return files.validation_map(in.name, name); };
    write_volume(map("image"), c.header, two_channels(c.image));
    for (size_t m = 0; m < c.samples.size(); ++m)
      write_volume(map(RunFolder::sample_map(m + 1)), c.header, c.samples[m], 1002);
    write_volume(map(RunFolder::rater_map("first")), c.header, c.truth, 1002);
    write_volume(map(RunFolder::rater_map("rater2")), c.header, c.samples[1], 1002);
    write_volume(map("probabilities"), c.header, classes_first(c.probabilities));
    write_volume(map("truth"), c.header, c.truth, 1002);
    write_volume(map("mask"), c.header, c.mask, 1002);
    write_volume(map("entropy"), c.header, c.entropy);
    write_volume(map("mutual_information"), c.header, c.mutual_information);
  }
  for (ScoreRow& row : run.rows) pool(row.table);
  run.split =
      "Fold 0: 40 training cases; of 20 validation cases every second by name (10) fitted temperatures and "
      "tau_out, the other 10 were scored.";
  run.notes = {"Made-up data: this page tests the report <and nothing else>."};
  write_text(files.metrics(), to_json(run));
  Manifest manifest;
  manifest.status = "finished";
  manifest.method = "pgrd";
  manifest.dataset = "demonstration";
  manifest.modality = "mri";
  manifest.channels = {"T1", "FDG PET"};
  manifest.starts = {{"2026-11-28T15:54:16Z", {"voxgrad", "train", "my data", "-o", "run"}}};
  manifest.dataset_folder = "/data/demonstration";
  manifest.seed = 7;
  manifest.seconds = 8123.4;
  manifest.parameters = 1234567;
  manifest.constants = {{"prior_temperature", 1.412}, {"tau_out", 0.231}};
  manifest.stages = {{"prior", demo_digest('a'), demo_digest('a'), true, 0},
                     {"denoiser", demo_digest('b'), "", false, 600}};
  manifest.data_sha256 = demo_digest('d');
  manifest.model_sha256 = demo_digest('e');
  manifest.model_digest = demo_digest('f');
  manifest.runtime = {"avx512", true, "auto", "fp32", "cpu"};
  manifest.threads = 2;
  manifest.machine = machine_record();
  write_manifest(files.manifest(), manifest);
  RunLog log(files.log());
  log.write(StartLine{"prior", 0, "0.1.0", manifest.runtime});
  const Philox random{1, Stream::test, 41};
  for (const std::string stage : {"prior", "denoiser"})
    for (int step = 1; step <= 600; ++step) {
      const double noise = 1 + 0.25 * static_cast<double>(random.normal(static_cast<uint64_t>(step) +
                                                                        (stage == "prior" ? 0 : 5000)));
      StepLine line;
      line.stage = stage;
      line.step = step;
      line.learning_rate = 1e-3;
      line.seconds = 0.4 * step;
      line.loss = std::max(0.01, (0.06 + 1.2 * std::exp(-step / 90.0)) * noise);
      if (stage == "denoiser")
        line.terms = {{"full resolution", 0.6 * line.loss},
                      {"half resolution", 0.25 * line.loss},
                      {"quarter resolution", 0.1 * line.loss * noise * noise}};
      log.write(line);
      if (stage == "denoiser" && step % 100 == 0)
        log.write(ValidationLine{stage, step, {{"dsc", 0.86 - 0.3 * std::exp(-step / 150.0)}}});
    }
  log.write(ValidationLine{"prior", {}, {{"nll_training", 0.0214}, {"nll_calibration", 0.0254}}});
}

}  // namespace voxgrad::testing_data
