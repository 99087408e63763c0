// Any text either sets a configuration, whose TOML reads back as itself, or is ErrorCode::usage.
#include <limits>

#include "io/config.h"
#include "memory_file.h"
#include "tensor/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace voxgrad;
  struct Settings {
    bool flag = false;
    int64_t count = 1;
    double rate = 0.5;
    std::string kind = "x";
    std::vector<double> list{1, 2};
    OptionList declared() {
      OptionList o;
      o.table("").flag("flag", flag, "").numbers("list", list, -1e300, 1e300, "");
      o.table("a").integer("count", count, -1e300, 1e300, "").number("rate", rate, 0, 1, "");
      o.table("a.b").word("kind", kind, {}, "");
      return o;
    }
  };
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const bool assignment : {false, true}) {
    try {
      Settings settings, others;
      Config config(settings.declared());
      assignment ? config.set(text) : config.read_toml(text, "fuzz.toml");
      const std::string toml = config.to_toml();
      Config again(others.declared());
      again.read_toml(toml, "printed.toml");
      fuzz::check(again.to_toml() == toml);
    } catch (const Error& e) {
      fuzz::check(e.code() == ErrorCode::usage);
    }
  }
  return 0;
}
