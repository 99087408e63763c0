// Any text either sets a configuration, whose TOML reads back as itself, or is ErrorCode::usage.
#include <limits>

#include "io/config.h"
#include "memory_file.h"
#include "tensor/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace voxgrad;
  const std::vector<ConfigKey> table = {{.key = "flag", .default_value = false},
                                        {.key = "a.count", .default_value = int64_t{1}},
                                        {.key = "a.rate", .default_value = 0.5, .min = 0, .max = 1},
                                        {.key = "a.b.kind", .default_value = std::string("x")},
                                        {.key = "list", .default_value = std::vector<double>{1, 2}}};
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const bool assignment : {false, true}) {
    try {
      Config config(table);
      assignment ? config.set(text) : config.read_toml(text, "fuzz.toml");
      const std::string toml = config.to_toml();
      Config again(table);
      again.read_toml(toml, "printed.toml");
      fuzz::check(again.to_toml() == toml);
    } catch (const Error& e) {
      fuzz::check(e.code() == ErrorCode::usage);
    }
  }
  return 0;
}
