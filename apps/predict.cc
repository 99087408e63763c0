// voxgrad predict RUN IMAGE... -o OUT
#include <spdlog/spdlog.h>

#include "apps/commands.h"
#include "apps/numbers.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "apps/train_options.h"
#include "methods/model.h"
#include "methods/prediction.h"

namespace voxgrad::apps {
namespace {

struct Arguments {
  std::string run, memory;
  ConfigArguments config;
  DeviceChoice device;
  PredictOptions options;
};

void run(Arguments& a) {
  watch_signals();
  a.device.open();
  LoadedModel model = open_model(RunFolder{a.run}, [](const std::string& text) { spdlog::warn("{}", text); });
  if (!model.file.complete)
    spdlog::warn("{}: training was stopped before its end; masks are those of an unfinished model", a.run);
  Method& method = *model.method;
  Config config = method.config([&](const std::string& key) { say_no_effect(key, method.name()); });
  config.fix_training();
  a.config.apply(config);
  const Runtime runtime = a.device.start(method.common.runtime);
  Work& work = a.options.work;
  work.memory = memory_limit(a.memory);
  work.device_memory = a.device.memory_limit(runtime);
  build(model, runtime);
  for (const std::string& text : method.warnings()) spdlog::warn("{}", text);
  ProgressLine line;
  work.poll = [] {
    if (interrupted()) fail(ErrorCode::internal, "interrupted");
  };
  a.options.progress = [&](const std::string& name, size_t done, size_t total) {
    line.show(cat("predicting ", name, " (", done + 1, "/", total, ")"), false);
  };
  a.options.warn = [&](const std::string& text) {
    line.clear();
    spdlog::warn("{}", text);
  };
  a.options.model_digest = model.file.digest;
  a.options.domain = TrainingDomain(model.file);
  const auto names = predict_files(method, a.options);
  line.clear();
  spdlog::info("{} case{} written to {}", names.size(), names.size() == 1 ? "" : "s", a.options.output);
}

}  // namespace

void add_predict(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  CLI::App* c = app.add_subcommand("predict", "Segment images with a trained run");
  c->add_option("RUN", a->run, "Run folder of `voxgrad train`")->required();
  c->add_option("IMAGE", a->options.images, "Images, or folders in nnU-Net layout (CASE_0000.nii.gz)")
      ->required();
  c->add_option("-o,--output", a->options.output, "Folder for masks, entropy and mutual information")
      ->required();
  a->config.add_prediction_options(*c);
  c->add_option("--estimate", a->options.estimates,
                "Write this estimate of the mean probability too (OUT/estimates/NAME, 4-D); may be given "
                "several times. A wrong name lists those of the model")
      ->type_name("NAME")
      ->allow_extra_args(false);
  c->add_option("--seed", a->options.work.seed, "Seed of the samples")->check(whole_number())->default_val(1);
  a->device.add_to(*c);
  c->add_option("--memory", a->memory, "Memory to stay under: 8G, 500M (default: half of the RAM)");
  c->add_flag("--save-samples", a->options.save_samples, "Write every sample's mask (OUT/samples/CASE)");
  c->add_flag("--save-probabilities", a->options.save_probabilities,
              "Write mean probabilities (OUT/probabilities, 4-D)");
  CLI::Option* const skip =
      c->add_flag("--skip-existing", a->options.skip_existing,
                  "Leave out cases whose mask is there, made with this model and these settings");
  c->add_flag("--overwrite", a->options.overwrite, "Replace masks that no prediction wrote")->excludes(skip);
  c->callback([a] { run(*a); });
}

}  // namespace voxgrad::apps
