// `voxgrad info [RUN|MODEL]`: shows this build and this machine, or a run or model.
#include <iomanip>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/precision_advice.h"
#include "apps/run_info.h"
#include "io/system_info.h"
#include "run/runtime_record.h"
#include "tensor/conv/conv.h"
#include "tensor/core/cpu/amx.h"
#include "tensor/core/cpu/isa.h"
#include "tensor/core/device.h"
#include "tensor/core/parallel.h"
#include "tensor/core/runtime.h"

namespace voxgrad::apps {
namespace {

using nlohmann::json;

void print_text(const json& j) {
  const auto line = [](const std::string& name, const std::string& value) {
    std::cout << std::left << std::setw(18) << name << value << '\n';
  };
  const json& system = j["system"];
  std::string features;
  for (const json& feature : system["cpu_features"])
    features += (features.empty() ? "" : " ") + feature.get<std::string>();
  line("voxgrad", j["voxgrad"]);
  line("compiler", j["compiler"]);
  line("build", j["build"]);
  line("operating system", system["operating_system"]);
  line("CPU", system["cpu"]);
  line("CPU features", features);
  line("AMX", j["amx"]);
  line("kernels", j["kernels"]);
  const json& advice = j["recommended"];
  line("precision",
       "fp32 unless --precision says otherwise; recommended: " + advice["precision"].get<std::string>() +
           " (" + advice["reason"].get<std::string>() + ")");
  line("Winograd", !j["winograd"]          ? "off"
                   : j["kernels"] == "ref" ? "not with these kernels"
                                           : "where it pays");
  line("logical CPUs", system["logical_cpus"].dump());
  line("threads", j["threads"].dump());
  line("memory", std::to_string(system["memory_bytes"].get<uint64_t>() >> 20) + " MiB");
  for (const auto& [name, version] : j["libraries"].items()) line(name, version);
  if (j.contains("device")) std::cout << j["device"].get<std::string>();
}

}  // namespace

void add_info(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "info", "Show version, compiler, libraries, CPU and memory, or describe a run or a model");
  auto what = std::make_shared<std::string>();
  command->add_option("RUN", *what, "Run folder, or a file model.safetensors, to describe")
      ->type_name("RUN|MODEL");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "Print JSON");
  auto device = std::make_shared<std::string>("cpu");
  command->add_option("--device", *device, "Open this device and show it: cpu, cuda or cuda:INDEX")
      ->type_name("DEVICE");
  command->callback([what, as_json, device] {
    if (!what->empty()) return show_run(*what, *as_json);
    const Device d = parse_device(*device);
    require_device(d);
    json j = machine_record();
    j["amx"] = cpu::amx_state().text;
    j["kernels"] = name_of(cpu_isa());
    const PrecisionAdvice advice = precision_advice();
    j["recommended"] = {{"precision", advice.precision}, {"reason", advice.reason}};
    j["winograd"] = winograd_allowed();
    j["threads"] = thread_count();
    j["libraries"]["CLI11"] = CLI11_VERSION;
    if (d.is_cuda()) j["device"] = describe_device(d);
    if (*as_json)
      std::cout << j.dump(1, ' ', false, json::error_handler_t::replace) << '\n';
    else
      print_text(j);
  });
}

}  // namespace voxgrad::apps
