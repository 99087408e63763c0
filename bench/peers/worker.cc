#include "bench/peers/worker.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>

#include "io/safetensors.h"
#include "io/system_info.h"
#include "tensor/conv/conv.h"
#include "tensor/core/cpu/isa.h"
#include "tensor/core/parallel.h"
#include "tensor/gemm/peak.h"

namespace voxgrad::bench {
namespace {

std::unique_ptr<Task> make_task(const Json& command) {
  const std::string name = command.at("task");
  if (name == "conv") return make_conv_task(command);
  if (name == "norm") return make_norm_task(command);
  if (name == "unet") return make_unet_task(command);
  if (name == "pgrd") return make_pgrd_task(command);
  if (name == "read") return make_read_task(command);
  fail(ErrorCode::usage, "[worker] expected a task conv, norm, unet, pgrd or read, got ", name);
}

// The mean of `runs` calls in a row, because a device works behind the host.
double seconds_of(Task& task, const std::string& part, int runs) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < runs; ++i) task.run(part);
  task.wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / runs;
}

// Not getrusage, because its maximum starts with that of the process that started this one.
int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  fail(ErrorCode::system, "[worker] expected VmHWM in /proc/self/status");
}

Json answer(const Json& command, std::unique_ptr<Task>& task) {
  const std::string what = command.at("do");
  if (what == "info")
    return {{"threads", thread_count()},
            {"isa", std::string(name_of(cpu_isa()))},
            {"version", build_info().version}};
  if (what == "machine") return {{"fma_peak", fma_peak()}, {"copy_bandwidth", copy_bandwidth(128 << 20)}};
  if (what == "prepare") {
    task.reset();
    task = make_task(command);
    return task->reply;
  }
  require(task != nullptr, "[worker] expected `prepare` first");
  if (what == "time") {
    double best = 1e9;
    const int repeats = command.value("repeats", 1);
    for (int i = 0; i < repeats; ++i)
      best = std::min(best, seconds_of(*task, command.at("part"), command.value("runs", 1)));
    return {{"seconds", best}};
  }
  if (what == "describe")
    return {{"text", describe_device(task->device)}, {"plans", convolution_report(task->device)}};
  if (what == "memory" && task->device.is_cuda()) {
    task->wait();
    reset_peak_memory(task->device);
    for (int i = 0; i < command.value("repeats", 1); ++i) task->run(command.at("part"));
    task->wait();
    return {{"bytes", device_memory(task->device).peak}};
  }
  if (what == "memory") {
    const int64_t before = peak_memory();
    for (int i = 0; i < command.value("repeats", 1); ++i) task->run(command.at("part"));
    return {{"bytes", peak_memory() - before}};
  }
  if (what == "results") {
    write_safetensors(command.at("file"), {task->results(), {}});
    return Json::object();
  }
  fail(ErrorCode::usage, "[worker] expected a command, got ", what);
}

int serve() {
  std::unique_ptr<Task> task;
  for (std::string line; std::getline(std::cin, line);) {
    Json reply;
    try {
      reply = answer(Json::parse(line), task);
    } catch (const std::exception& e) {
      reply = {{"error", e.what()}};
    }
    std::cout << reply.dump() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace voxgrad::bench

int main(int argc, char** argv) {
  if (argc > 1) voxgrad::set_thread_count(std::stoi(argv[1]));
  return voxgrad::bench::serve();
}
