// `voxgrad phantom`: writes the built-in data set.
#include "data/phantom.h"

#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/numbers.h"
#include "apps/progress.h"
#include "io/text.h"

namespace voxgrad::apps {

void add_phantom(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "phantom", "Write the built-in data set: ambiguous labels with their exact probabilities");
  auto folder = std::make_shared<std::string>();
  auto options = std::make_shared<PhantomOptions>();
  command->add_option("OUT", *folder, "New or empty folder for the data set (nnU-Net layout)")->required();
  const auto within = [](const PhantomRange& range) {
    return whole_number(static_cast<uint64_t>(range.low), static_cast<uint64_t>(range.high));
  };
  command->add_option("--cases", options->cases, "Number of cases")
      ->check(within(kPhantomCases))
      ->capture_default_str();
  command->add_option("--size", options->size, "Voxels along x and y")
      ->check(within(kPhantomSize))
      ->capture_default_str();
  command
      ->add_option("--depth", options->depth,
                   "Voxels along z; default: --size for mri and mpmri, a quarter of it for ct")
      ->check(within(kPhantomDepth));
  command->add_option("--seed", options->seed, "Seed; each case depends only on the seed and its number")
      ->check(whole_number())
      ->capture_default_str();
  command
      ->add_option("--modality", options->modality,
                   "mri (isotropic), ct (thick slices) or mpmri (T1, T1c, T2 and FLAIR, isotropic)")
      ->check(CLI::IsMember(phantom_modalities()))
      ->capture_default_str();
  command
      ->add_option("--raters", options->raters,
                   "Raters in ratersTr/; labelsTr/ has one of them for each case")
      ->check(within(kPhantomRaters))
      ->capture_default_str();
  command->callback([folder, options] {
    ProgressLine line;
    line.show(cat("writing ", counted(options->cases, "case")), false);
    write_phantom(*folder, *options);
    line.clear();
    std::cout << *folder << ": " << counted(options->cases, "case") << ", "
              << counted(options->raters, "rater") << "\n";
  });
}

}  // namespace voxgrad::apps
