// The command as a user runs it: exit codes, messages, image and info.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "io/nifti.h"
#include "io/sha256.h"
#include "tests/apps/command.h"

namespace voxgrad {
namespace {

using testing::Command;

TEST_F(Command, HelpAndVersionAreNoErrors) {
  EXPECT_EQ(run("--help"), 0);
  EXPECT_NE(out_.find("image"), std::string::npos);
  EXPECT_EQ(run("image --help"), 0);
  EXPECT_NE(out_.find("--json"), std::string::npos);
  EXPECT_EQ(run("--version"), 0);
  EXPECT_EQ(out_.rfind("voxgrad ", 0), 0u);
  EXPECT_EQ(err_, "");
}

TEST_F(Command, DevicesThatCannotBeUsedExitWith7) {
  setenv("VOXGRAD_CUDA_MODULE", "/nowhere/voxgrad_cuda.so", 1);
  const std::vector<std::string> commands{"info", "train data -o " + path("run"),
                                          "predict run image.nii -o out"};
  for (const std::string& command : commands) {
    EXPECT_EQ(run(command + " --device cuda"), 7) << command;
    EXPECT_NE(err_.find("/nowhere/voxgrad_cuda.so"), std::string::npos) << err_;
    EXPECT_EQ(run(command + " --device gpu"), 2) << command;
  }
  EXPECT_EQ(run("train data -o " + path("run") + " --precision fp16"), 2);
  EXPECT_EQ(run("train data -o " + path("run") + " --precision tf32"), 2) << "tf32 is a mode of CUDA devices";
  EXPECT_FALSE(std::filesystem::exists(path("run")));
  EXPECT_EQ(run("info --device cpu"), 0);
  unsetenv("VOXGRAD_CUDA_MODULE");
}

TEST_F(Command, WrongUseExitsWith2) {
  EXPECT_EQ(run("imgae"), 2);
  EXPECT_EQ(err_.rfind("voxgrad: ", 0), 0u);
  EXPECT_NE(err_.find("unknown subcommand imgae"), std::string::npos);
  EXPECT_EQ(run("image"), 2);
  EXPECT_EQ(run("image a b"), 2);
  EXPECT_EQ(run("image a --jsn"), 2);
  EXPECT_NE(err_.find("--jsn"), std::string::npos);
  EXPECT_EQ(run("--threads 0 info"), 2);
  EXPECT_EQ(run("info --log-level loud"), 2);
  EXPECT_EQ(out_, "");
}

TEST_F(Command, AFileThatIsNoNiftiExitsWith3AndIsNamed) {
  EXPECT_EQ(run("image " + path("missing.nii")), 3);
  EXPECT_NE(err_.find(path("missing.nii")), std::string::npos);
  EXPECT_EQ(run("image " + folder_), 3);
  std::ofstream(path("text.nii")) << "some text";
  EXPECT_EQ(run("image " + path("text.nii") + " --json"), 3);
  EXPECT_NE(err_.find(path("text.nii")), std::string::npos);
  EXPECT_EQ(out_, "");
}

TEST_F(Command, ImagePrintsJson) {
  ASSERT_EQ(run("image --json " + make_image()), 0);
  const auto j = nlohmann::json::parse(out_);
  EXPECT_EQ(j["dims"], (std::vector<int>{4, 3, 2}));
  EXPECT_EQ(j["zooms"], (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(j["datatype"], "float32");
  EXPECT_EQ(j["endianness"], "little");
  EXPECT_EQ(j["affine"][0], (std::vector<double>{1, 0, 0, -5}));
  EXPECT_EQ(j["affine"][3], (std::vector<double>{0, 0, 0, 1}));
  EXPECT_EQ(j["sum"], 12.0);
  EXPECT_EQ(j["min"], 0.5);
  EXPECT_EQ(j["max"], 0.5);
  EXPECT_EQ(j["nonfinite"], 0);
  const std::vector<double> values(24, 0.5);
  EXPECT_EQ(j["sha256_f64_le"], sha256_hex(std::as_bytes(std::span(values))));
  const std::vector<float> stored(24, 0.5f);
  EXPECT_EQ(j["sha256_stored_le"], sha256_hex(std::as_bytes(std::span(stored))));
  ASSERT_EQ(run("image " + make_image()), 0);
  EXPECT_NE(out_.find("4 x 3 x 2"), std::string::npos);
}

TEST_F(Command, StatisticsAreOfTheFiniteVoxels) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  const NiftiHeader like = make_nifti_header({4, 1, 1}, {1, 1, 1});
  write_volume(path("a.nii"), like, Tensor::from<float>({1, 1, 4}, {nan, 2, -3, inf}));
  ASSERT_EQ(run("image --json " + path("a.nii")), 0);
  auto j = nlohmann::json::parse(out_);
  EXPECT_EQ(j["min"], -3);
  EXPECT_EQ(j["max"], 2);
  EXPECT_EQ(j["sum"], -1);
  EXPECT_EQ(j["nonfinite"], 2);
  write_volume(path("b.nii"), like, Tensor::full({1, 1, 4}, std::nan("")));
  ASSERT_EQ(run("image --json " + path("b.nii")), 0);
  j = nlohmann::json::parse(out_);
  EXPECT_TRUE(j["min"].is_null());
  EXPECT_EQ(run("image " + path("b.nii")), 0);
}

TEST_F(Command, InfoTellsBuildAndMachine) {
  ::unsetenv("VOXGRAD_WINOGRAD");
  ASSERT_EQ(run("info --json --threads 3"), 0);
  const auto j = nlohmann::json::parse(out_);
  EXPECT_EQ(j["threads"], 3);
  EXPECT_TRUE(j["libraries"].contains("zlib"));
  EXPECT_TRUE(j["winograd"].get<bool>());
  const auto amx = j["amx"].get<std::string>();
  EXPECT_TRUE(amx == "yes" || amx == "not on this CPU" || amx.starts_with("refused by the system: ")) << amx;
  ASSERT_EQ(run("info"), 0);
  EXPECT_NE(out_.find("compiler"), std::string::npos);
  EXPECT_NE(out_.find("\nAMX               " + amx + "\n"), std::string::npos) << out_;
}

TEST_F(Command, WinogradIsTurnedOffByTheEnvironment) {
  const auto with = [&](const char* value) {
    ::setenv("VOXGRAD_WINOGRAD", value, 1);
    const int code = run("info --json");
    ::unsetenv("VOXGRAD_WINOGRAD");
    return code;
  };
  ASSERT_EQ(with("0"), 0);
  EXPECT_FALSE(nlohmann::json::parse(out_)["winograd"].get<bool>());
  EXPECT_EQ(with("no"), 2);
  EXPECT_NE(err_.find("VOXGRAD_WINOGRAD"), std::string::npos);
}

TEST_F(Command, OutputThatCannotBeWrittenIsNoSuccess) {
  EXPECT_EQ(run("info", "/dev/full"), 4);
  EXPECT_NE(err_.find("cannot write the output"), std::string::npos);
  // A reader who has seen enough is none of our business.
  EXPECT_EQ(std::system(("bash -c 'set -o pipefail; " VOXGRAD_COMMAND " info | true'")), 0);
  EXPECT_EQ(
      std::system(("bash -c 'set -o pipefail; " VOXGRAD_COMMAND " train --print-config-table | head -1'")),
      0);
}

TEST_F(Command, TooLittleMemoryExitsWith5) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer needs more address space than this test leaves";
#endif
  // 2 GiB of voxels in a sparse file, 512 MiB of address space.
  NiftiImage image{make_nifti_header({1, 1, 1}, {1, 1, 1}), std::vector<std::byte>(4)};
  write_nifti(path("a.nii"), image);
  std::fstream file(path("a.nii"), std::ios::in | std::ios::out | std::ios::binary);
  const int16_t dims[] = {1024, 1024, 512};
  file.seekp(42);
  file.write(reinterpret_cast<const char*>(dims), sizeof dims);
  file.close();
  std::filesystem::resize_file(path("a.nii"), 352 + (uint64_t{2} << 30));
  const std::string command = std::string("bash -c 'ulimit -v 524288; ") + VOXGRAD_COMMAND + " image " +
                              path("a.nii") + "' 2>" + path("err");
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 5) << read_text(path("err"));
  EXPECT_NE(read_text(path("err")).find("the system has no 2048 MiB more"), std::string::npos)
      << read_text(path("err"));
}

// Waits until a process has a file open; false if it takes more than half a minute.
bool opens(pid_t process, const std::string& file) {
  const std::filesystem::path folder = "/proc/" + std::to_string(process) + "/fd";
  for (int i = 0; i < 30000; ++i) {
    std::error_code gone;  // descriptors come and go
    for (std::filesystem::directory_iterator it(folder, gone), end; !gone && it != end; it.increment(gone)) {
      std::error_code closed;
      if (std::filesystem::read_symlink(it->path(), closed) == file && !closed) return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST_F(Command, ASignalEndsItWith130Or143) {
  // The values of a sparse 256 MiB file are 2 GiB to hash; the signal comes while it does.
  NiftiImage image{make_nifti_header({1, 1, 1}, {1, 1, 1}), std::vector<std::byte>(1)};
  image.header.datatype = NiftiType::uint8;
  write_nifti(path("a.nii"), image);
  std::fstream file(path("a.nii"), std::ios::in | std::ios::out | std::ios::binary);
  const int16_t dims[] = {1024, 1024, 256};
  file.seekp(42);
  file.write(reinterpret_cast<const char*>(dims), sizeof dims);
  file.close();
  std::filesystem::resize_file(path("a.nii"), 352 + (uint64_t{1} << 28));
  for (const int number : {SIGINT, SIGTERM}) {
    const pid_t child = fork();
    if (child == 0) {
      (void)!std::freopen(path("out").c_str(), "w", stdout);
      execl(VOXGRAD_COMMAND, VOXGRAD_COMMAND, "image", path("a.nii").c_str(), static_cast<char*>(nullptr));
      _exit(127);
    }
    ASSERT_TRUE(opens(child, path("a.nii")));
    ASSERT_EQ(kill(child, number), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 128 + number);
  }
}

TEST_F(Command, PhantomRefusesOptionsOutOfRange) {
  for (const char* bad : {"--size 15", "--size 257", "--depth 5", "--depth 257", "--raters 0", "--cases 1000",
                          "--modality pet"}) {
    EXPECT_EQ(run("phantom " + path("x") + " " + bad), 2) << bad;
    EXPECT_NE(err_.find(std::string(bad).substr(0, std::string(bad).find(' '))), std::string::npos) << err_;
  }
  EXPECT_FALSE(std::filesystem::exists(path("x")));
}

TEST_F(Command, DemoRefusesAnotherSeedAndAnUnfinishedPhantom) {
  ASSERT_EQ(run("phantom " + path("demo/phantom") + " --cases 2 --size 16 --seed 3"), 0) << err_;
  EXPECT_EQ(run("demo -o " + path("demo") + " --seed 4"), 2);
  EXPECT_NE(err_.find("holds a demo with --seed 3"), std::string::npos) << err_;
  std::filesystem::remove(path("demo/phantom/dataset.json"));
  EXPECT_EQ(run("demo -o " + path("demo") + " --seed 3"), 2);
  EXPECT_NE(err_.find("was left unfinished"), std::string::npos) << err_;
  write_text(path("demo/phantom/dataset.json"), "{}");
  EXPECT_EQ(run("demo -o " + path("demo") + " --seed 3"), 3);
  EXPECT_NE(err_.find("phantom.seed"), std::string::npos) << err_;
}

TEST_F(Command, BenchReportsEveryFigureAndRefusesWhatItCannotDo) {
  ASSERT_EQ(run("bench --base 4 --size 8 --batch 1 --repeat 1 --threads 1 --json"), 0) << err_;
  const nlohmann::json j = nlohmann::json::parse(out_);
  for (const char* key :
       {"forward_s", "step_s", "peak_bytes", "parameters", "fma_peak_gflops", "fraction_of_peak"})
    EXPECT_GT(j.at(key).get<double>(), 0) << key;
  EXPECT_EQ(j.at("threads"), 1);
  EXPECT_EQ(j.at("device"), "cpu");
  EXPECT_EQ(run("bench --size 12"), 2);
  EXPECT_NE(err_.find("multiple of 8"), std::string::npos) << err_;
  EXPECT_EQ(run("bench --device tpu"), 2);
  EXPECT_NE(err_.find("got tpu"), std::string::npos) << err_;
  setenv("VOXGRAD_CUDA_MODULE", "/nowhere/voxgrad_cuda.so", 1);
  EXPECT_EQ(run("bench --device cuda:0"), 7);
  EXPECT_NE(err_.find("/nowhere/voxgrad_cuda.so"), std::string::npos) << err_;
  unsetenv("VOXGRAD_CUDA_MODULE");
  for (const std::string option : {"--device-memory 1G", "--nondeterministic"}) {
    EXPECT_EQ(run("bench --size 8 " + option), 2);
    EXPECT_NE(err_.find("expected with --device cuda"), std::string::npos) << err_;
  }
}

TEST_F(Command, BenchAllMeasuresTheCpuAndEveryPrecision) {
  const std::string small = "bench --all --base 4 --size 8 --batch 1 --repeat 1 --threads 2";
  ASSERT_EQ(run(small + " --json"), 0) << err_;
  const nlohmann::json j = nlohmann::json::parse(out_);
  EXPECT_EQ(j.at("threads"), 2);
  for (const char* rate : {"fma_f32", "copy"})
    for (const char* key : {"one_thread", "all_threads"})
      EXPECT_GT(j.at("rates").at(rate).at(key), 0) << rate;
  const bool pairs = j.at("isa") == "avx512bf16" || j.at("isa") == "amx";
  EXPECT_EQ(j.at("rates").at("dot_bf16").at("one_thread") > 0, pairs);
  EXPECT_EQ(j.at("rates").at("tiles_bf16").at("all_threads") > 0, j.at("isa") == "amx");
  EXPECT_EQ(j.at("bf16_computed_in_fp32"), !pairs);
  for (const char* precision : {"fp32", "bf16"}) {
    const nlohmann::json& p = j.at("precisions").at(precision);
    for (const char* pass : {"step", "forward"}) {
      const double seconds = p.at(cat(pass, "_s")), base = j.at("precisions").at("fp32").at(cat(pass, "_s"));
      EXPECT_GT(seconds, 0);
      EXPECT_DOUBLE_EQ(p.at(cat(pass, "_speedup")).get<double>(), base / seconds);
    }
  }
  ASSERT_EQ(run("info --json"), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_).at("recommended"), j.at("recommended"));
  ASSERT_EQ(run("info"), 0) << err_;
  EXPECT_NE(out_.find("recommended: " + j.at("recommended").at("precision").get<std::string>()),
            std::string::npos)
      << out_;

  setenv("VOXGRAD_CPU_ISA", "portable", 1);
  ASSERT_EQ(run(small), 0) << err_;
  unsetenv("VOXGRAD_CPU_ISA");
  for (const char* part : {"kernels portable", "1 thread", "2 threads", "fp32 multiply-adds", "none", "GB/s",
                           "fp32 / bf16", "training step, s", "These kernels compute bf16 in fp32.",
                           "recommended by the instruction set: fp32 (the kernels in use, portable,"})
    EXPECT_NE(out_.find(part), std::string::npos) << part << "\n" << out_;
  EXPECT_EQ(run("bench --all --precision bf16"), 2);
  EXPECT_EQ(run("bench --all --device cuda"), 2);
  EXPECT_NE(err_.find("--all measures the CPU"), std::string::npos) << err_;
}

TEST_F(Command, NumbersThatAreNoneAreUsageErrors) {
  const std::string run_folder = " -o " + path("r");
  const std::vector<std::pair<std::string, bool>> options{
      // and whether it is a whole number
      {"--threads", true},
      {"train d --seed", true},
      {"train d --max-minutes", false},
      {"train d --memory", false},
      {"train d --cache-size", false},
      {"train d --max-steps", true},
      {"train d --fold", true},
      {"train d --checkpoint-every", true},
      {"predict r i --seed", true},
      {"demo --seed", true},
      {"phantom p --seed", true},
      {"phantom p --cases", true},
      {"phantom p --size", true},
      {"phantom p --depth", true},
      {"phantom p --raters", true},
      {"cache --clean --older-than", false},
      {"evaluate --truth t --prediction p --classes", true},
      {"evaluate --truth t --prediction p --nsd-tolerance", false},
      {"evaluate --truth t --prediction p --foreground-radius", false},
      {"bench --base", true},
      {"bench --size", true},
      {"bench --batch", true},
      {"bench --repeat", true}};
  for (const auto& [option, whole] : options) {
    const bool needs_output = option.starts_with("train") || option.starts_with("predict");
    for (std::string value :
         {"nan", "-nan", "inf", "-inf", "-1", "1e400", "99999999999999999999", "0x", "1.5"}) {
      if (value == "1.5" && !whole) continue;
      const bool usage = run(option + " '" + value + "'" + (needs_output ? run_folder : "") +
                             (option[0] == '-' ? " info" : "")) == 2;
      EXPECT_TRUE(usage) << option << " " << value << ": " << err_;
    }
  }
  EXPECT_FALSE(std::filesystem::exists(path("r")));
  EXPECT_EQ(run("phantom " + path("p") + " --cases 010 --size 16"), 2) << "not eight";
}

// Names come from others: what a terminal would obey is shown.
TEST_F(Command, ControlCharactersAreShownEscaped) {
  const std::string name =
                        "a\x1b[31mR\x1b]0;x\a\xc2\x9b"
                        "2J\xe2\x80\xae\xc3\xa9.nii.gz",
                    shown = "a\\x1b[31mR\\x1b]0;x\\x07\\x9b2J\\u202e\xc3\xa9.nii.gz";
  std::filesystem::copy_file(make_image(), path(name));
  const std::string quoted = "'" + path(name) + "'";
  ASSERT_EQ(run("image " + quoted), 0) << err_;
  EXPECT_NE(out_.find(shown), std::string::npos) << out_;
  write_text(path(name), "no image");
  EXPECT_EQ(run("image " + quoted), 3);
  EXPECT_NE(err_.find(shown), std::string::npos) << err_;
  EXPECT_EQ(run("train d -o r --device " + quoted), 2) << "an error of usage";
  EXPECT_NE(err_.find(shown), std::string::npos) << err_;
  EXPECT_EQ(err_.find('\x1b'), std::string::npos);
  EXPECT_EQ(run("train d --fold 1 --set '" + name + "=1' -o " + path("r")), 2);
  EXPECT_EQ(err_.find('\x1b'), std::string::npos) << err_;
}

}  // namespace
}  // namespace voxgrad
