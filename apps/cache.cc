// `voxgrad cache`: lists and removes prepared data.
#include <ctime>
#include <iomanip>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/numbers.h"
#include "apps/train_options.h"
#include "io/file.h"
#include "io/text.h"

namespace voxgrad::apps {
namespace {

std::string size_text(uint64_t bytes) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(1) << static_cast<double>(bytes) / (1 << 20) << " MiB";
  return out.str();
}

std::string time_text(int64_t seconds) {
  const time_t t = seconds;
  struct tm local {};
  ::localtime_r(&t, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local);
  return text;
}

void list(const std::string& folder) {
  const std::vector<StoredFile> files = stored_files(folder, /*names=*/true);
  uint64_t bytes = 0;
  for (const StoredFile& f : files) {
    std::cout << time_text(f.used) << "  " << std::setw(12) << size_text(f.bytes) << "  " << std::left
              << std::setw(11) << f.what << std::right << "  " << f.file.substr(0, 12) << "  " << f.name
              << "\n";
    bytes += f.bytes;
  }
  std::cout << folder << ": " << counted(files.size(), "file") << ", " << size_text(bytes) << "\n";
}

void clean(const std::string& folder, double days) {
  uint64_t bytes = 0;
  const std::vector<StoredFile> removed = remove_stored_files(folder, static_cast<int64_t>(days * 86400));
  for (const StoredFile& f : removed) bytes += f.bytes;
  std::cout << folder << ": removed " << counted(removed.size(), "file") << ", " << size_text(bytes) << "\n";
}

}  // namespace

void add_cache(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "cache", "List the prepared data that `train` and `plan` keep: last use, size, kind, key, case");
  auto cache = std::make_shared<CacheChoice>();
  auto older = std::make_shared<double>(0);
  auto remove = std::make_shared<bool>(false);
  cache->add_folder(*command);
  CLI::Option* const flag =
      command->add_flag("--clean", *remove, "Remove prepared data; runs that use them are not disturbed");
  command
      ->add_option("--older-than", *older,
                   "With --clean: remove only data that were not used for this number of days")
      ->check(number(0, 36500))
      ->type_name("DAYS")
      ->needs(flag);
  command->callback([cache, older, remove] {
    const std::string folder = cache->folder();
    if (folder.empty()) {
      std::cout << "off: no prepared data are kept\n";
      return;
    }
    if (!is_folder(folder)) {
      if (cache->named()) fail(ErrorCode::usage, "[cache] ", folder, ": expected a folder of prepared data");
      std::cout << folder << ": no prepared data yet\n";
      return;
    }
    if (*remove)
      clean(folder, *older);
    else
      list(folder);
  });
}

}  // namespace voxgrad::apps
