// The command as a user runs it: exit codes, messages, image and info.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "io/file.h"
#include "io/nifti.h"
#include "io/sha256.h"
#include "tests/temporary_folder.h"

namespace voxgrad {
namespace {

class Command : public ::testing::Test {
 protected:
  /// Runs the command in a shell; returns its exit code and fills out_ and err_.
  /// `with`: what stands before the command, as in "timeout 1".
  int run(const std::string& arguments, const std::string& redirect = "", const std::string& with = "") {
    const std::string out = folder_ + "/out", err = folder_ + "/err";
    const std::string line = "VOXGRAD_CACHE=" + folder_ + "/cache " + with + " " + VOXGRAD_COMMAND + " " +
                             arguments + " >" + (redirect.empty() ? out : redirect) + " 2>" + err;
    const int status = std::system(line.c_str());
    out_ = redirect.empty() ? read_text(out) : "";
    err_ = read_text(err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string make_image() const {
    write_volume(path("a.nii.gz"), make_nifti_header({4, 3, 2}, {1, 2, 3}, {-5, 0, 5}),
                 Tensor::full({2, 3, 4}, 0.5));
    return path("a.nii.gz");
  }

  const testing::TemporaryFolder temporary_;
  const std::string folder_ = temporary_.path();
  std::string out_, err_;
};

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
  EXPECT_EQ(run(""), 2);
  EXPECT_EQ(err_.rfind("voxgrad: ", 0), 0u);
  EXPECT_EQ(run("imgae"), 2);
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
  ASSERT_EQ(run("info"), 0);
  EXPECT_NE(out_.find("compiler"), std::string::npos);
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

// The options of a method: its own keys, those of others, and what a prediction may change.
TEST_F(Command, OptionsBelongToMethods) {
  ASSERT_EQ(run("train --method unet --print-config"), 0) << err_;
  EXPECT_NE(out_.find("[prior]"), std::string::npos);
  EXPECT_EQ(out_.find("[sampling]"), std::string::npos);
  ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --seed 3"), 0) << err_;
  const std::string few = " --set plan.base_features=4 --max-steps 2 ", unet = "train " + path("data") + few;
  ASSERT_EQ(
      run(unet + "--method unet -o " + path("unet") + " --set denoiser.lambda=1 --set sampling.steps=3"), 0)
      << err_;
  EXPECT_NE(err_.find("denoiser.lambda has no effect for unet"), std::string::npos) << err_;
  EXPECT_NE(err_.find("sampling.steps has no effect for unet"), std::string::npos) << err_;
  const std::string stored = read_text(path("unet/config.toml"));
  EXPECT_EQ(stored.find("denoiser"), std::string::npos) << stored;
  EXPECT_EQ(run("train " + path("data") + " --method unet -o " + path("x") + " --set denoiser.lamda=1"), 2);
  EXPECT_NE(err_.find("denoiser.lamda: expected a known key"), std::string::npos) << err_;

  const std::string predict =
      "predict " + path("unet") + " " + path("data/imagesTr") + " -o " + path("masks");
  EXPECT_EQ(run(predict + " --samples 2 --steps 3"), 0) << err_;
  EXPECT_NE(err_.find("sampling.samples has no effect for unet"), std::string::npos) << err_;
  EXPECT_EQ(run(predict + " --set prior.steps=3"), 2);
  EXPECT_NE(err_.find("prior.steps: is fixed by training"), std::string::npos) << err_;
  EXPECT_EQ(run(predict + " --estimate posterior"), 2);
  EXPECT_NE(err_.find("--estimate: expected one of unet, got posterior"), std::string::npos) << err_;

  ASSERT_EQ(run("train " + path("data") + few + "--method pgrd --from " + path("unet") + ":prior -o " +
                path("pgrd") + " --set sampling.samples=2"),
            0)
      << err_;
  EXPECT_NE(err_.find("prior: taken from " + path("unet")), std::string::npos) << err_;
  ASSERT_EQ(run("predict " + path("pgrd") + " " + path("data/imagesTr") + " -o " + path("out2") +
                " --set sampling.samples=1 --set runtime.winograd=off --estimate prior --estimate pgrd"),
            0)
      << err_;
  for (const char* file :
       {"out2/estimates/prior/phantom_001.nii.gz", "out2/estimates/pgrd/phantom_001.nii.gz"})
    EXPECT_TRUE(std::filesystem::exists(path(file))) << file;
  EXPECT_EQ(run("train " + path("data") + few + "--method pgrd --from " + path("unet") + ":denoiser -o " +
                path("y")),
            2);
  EXPECT_NE(err_.find("model.safetensors (prior)"), std::string::npos) << err_;
  EXPECT_FALSE(std::filesystem::exists(path("y")));
}

TEST_F(Command, PhantomRefusesOptionsOutOfRange) {
  for (const char* bad : {"--size 15", "--size 257", "--depth 5", "--depth 257", "--raters 0", "--cases 1000",
                          "--modality pet"}) {
    EXPECT_EQ(run("phantom " + path("x") + " " + bad), 2) << bad;
    EXPECT_NE(err_.find(std::string(bad).substr(0, std::string(bad).find(' '))), std::string::npos) << err_;
  }
  EXPECT_FALSE(std::filesystem::exists(path("x")));
}

// How something is computed is no part of what a run is.
TEST_F(Command, ARunGoesOnWithAnotherRuntime) {
  ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --seed 3"), 0) << err_;
  const std::string train = "train " + path("data") + " --method unet -o " + path("run");
  ASSERT_EQ(run(train + " --set plan.base_features=4 --max-steps 3"), 0) << err_;
  std::filesystem::remove(path("run/metrics.json"));  // as if it had been stopped while it was scored
  EXPECT_EQ(run(train + " --resume --max-steps 4"), 2);
  EXPECT_NE(err_.find("differs from the one the run was started with"), std::string::npos) << err_;
  ASSERT_EQ(run(train + " --resume --precision bf16 --set runtime.winograd=off"), 0) << err_;
  EXPECT_NE(err_.find("goes on with"), std::string::npos) << err_;
  const auto manifest = nlohmann::json::parse(read_text(path("run/manifest.json")));
  EXPECT_EQ(manifest["status"], "finished");
  EXPECT_EQ(manifest["runtime"]["precision"], "bf16");
  EXPECT_EQ(manifest["runtime"]["winograd"], false);
  EXPECT_NE(read_text(path("run/config.toml")).find("precision = \"auto\""), std::string::npos);
}

// What it goes on with is the demo that was asked for.
// A run is what it was started as, even where it was stopped before it had read anything.
TEST_F(Command, ARunStoppedWhileItReadsItsDataKeepsItsSettings) {
  ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --seed 3"), 0) << err_;
  const std::string train = "train " + path("data") + " -o " + path("run");
  ASSERT_EQ(
      run(train + " --method unet --seed 7 --max-steps 3 --set plan.base_features=4 --max-minutes 1e-9"), 0);
  EXPECT_NE(err_.find("stopped at reading the data; --resume goes on"), std::string::npos) << err_;
  ASSERT_EQ(run(train + " --method unet --resume --print-config"), 0) << err_;
  EXPECT_NE(out_.find("max_steps = 3\n"), std::string::npos) << out_;
  EXPECT_EQ(run("train " + path("data") + " -o " + path("run") + " --method unet --resume"), 2);
  EXPECT_NE(err_.find("was started with --seed 7, not 1"), std::string::npos) << err_;
  ASSERT_EQ(run(train + " --method unet --seed 7 --resume"), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(read_text(path("run/manifest.json")))["status"], "finished");
}

TEST_F(Command, VerifyTellsWhatIsNotWhatTheRunLeft) {
  ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --seed 3"), 0) << err_;
  ASSERT_EQ(run("train " + path("data") + " -o " + path("run") +
                " --max-steps 2 --set plan.base_features=4 --set sampling.samples=2"),
            0)
      << err_;
  ASSERT_EQ(run("verify " + path("run")), 0) << out_ << err_;
  EXPECT_NE(out_.find(", all right"), std::string::npos) << out_;
  for (const char* file : {"model.safetensors", "config.toml", "checkpoint.safetensors", "log.jsonl",
                           "metrics.json", "metrics-pgrd.csv"})
    EXPECT_NE(out_.find("ok           " + path("run/") + file), std::string::npos) << file << "\n" << out_;
  ASSERT_EQ(run("verify " + path("run/model.safetensors")), 0) << out_ << err_;
  EXPECT_EQ(run("verify " + path("nothing")), 3);
  EXPECT_EQ(run("verify " + path("data")), 3) << out_;

  // The exit code where a file is changed; then the file is put back.
  const auto with = [&](const std::string& file, const std::function<void(std::string&)>& change,
                        const std::string& what = "run") {
    const std::string whole = read_text(path(file));
    std::string changed = whole;
    change(changed);
    EXPECT_NE(changed, whole) << file;
    write_text(path(file), changed);
    const int code = run("verify " + path(what));
    write_text(path(file), whole);
    return code;
  };
  const auto last_bit = [](std::string& bytes) { bytes.back() = static_cast<char>(bytes.back() ^ 1); };
  const auto replace = [](const std::string& from, const std::string& to) {
    return [from, to](std::string& text) {
      const size_t at = text.find(from);
      ASSERT_NE(at, std::string::npos) << from;
      text.replace(at, from.size(), to);
    };
  };
  EXPECT_EQ(with("run/model.safetensors", last_bit), 8);
  EXPECT_NE(out_.find("WRONG        " + path("run/model.safetensors: digest of weights")), std::string::npos)
      << out_;
  EXPECT_EQ(with("run/model.safetensors", last_bit, "run/model.safetensors"), 8);
  EXPECT_EQ(with("run/model.safetensors", replace("samples = 2", "samples = 3")), 8) << "beside the digest";
  EXPECT_EQ(with("run/model.safetensors", replace("samples = 2", "samples = 0"), "run/model.safetensors"), 3)
      << "out of range";
  EXPECT_EQ(with("run/model.safetensors", [](std::string& bytes) { bytes.resize(bytes.size() / 2); }), 3);
  EXPECT_NE(out_.find("UNREADABLE"), std::string::npos) << out_;
  EXPECT_EQ(with("run/checkpoint.safetensors", last_bit), 8);
  EXPECT_EQ(with("run/config.toml", replace("max_steps = 2", "max_steps = 3")), 8);
  EXPECT_EQ(with("run/metrics.json", replace("\"nll\": 0.", "\"nll\": 1.")), 8);
  EXPECT_EQ(with("run/metrics-pgrd.csv", replace("phantom_", "fandom__")), 8);
  EXPECT_EQ(with("run/manifest.json", replace("\"seed\": 1", "\"seed\": 2")), 8);
  EXPECT_EQ(with("run/manifest.json", replace("\"seed\": 1", "\"seed\": -1")), 3);
  EXPECT_EQ(
      with("run/log.jsonl", replace("\"stage\":\"prior\",\"step\":2", "\"stage\":\"prior\",\"step\":9")), 8);
  EXPECT_EQ(with("run/log.jsonl", replace("\"step\":2", "\"step\":-2")), 3);
  std::filesystem::remove(path("run/checkpoint.safetensors"));
  EXPECT_EQ(run("verify " + path("run")), 8);
  EXPECT_NE(out_.find("expected in a finished run, found no such file"), std::string::npos) << out_;
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

/// Prepared data: `voxgrad train` with a store on disk.
class Cache : public Command {
 protected:
  void SetUp() override {
    ASSERT_EQ(run("phantom " + path("data") + " --cases 5 --size 16 --raters 1"), 0) << err_;
  }
  std::string train(const std::string& to) const {
    return "train " + path("data") + " --method unet -o " + path(to) +
           " --set plan.base_features=4 --max-steps 2";
  }
  std::string model(const std::string& of) const { return sha256_of_file(path(of) + "/model.safetensors"); }
  /// A prepared case in the folder.
  std::string stored_case() const {
    for (const std::string& name : list_folder(path("cache")))
      if (name.ends_with(".case.safetensors")) return path("cache") + "/" + name;
    return "";
  }
};

TEST_F(Cache, IsFilledUsedListedAndCleaned) {
  ASSERT_EQ(run(train("first") + " --threads 1"), 0) << err_;
  EXPECT_NE(err_.find("prepared data lie in " + path("cache")), std::string::npos) << err_;
  EXPECT_NE(err_.find("0 were there and 4 were made"), std::string::npos) << err_;
  ASSERT_EQ(run(train("second") + " --threads 2"), 0) << err_;
  EXPECT_NE(err_.find("4 were there and 0 were made"), std::string::npos) << err_;
  ASSERT_EQ(run(train("third") + " --cache off"), 0) << err_;
  EXPECT_EQ(err_.find("prepared data"), std::string::npos) << err_;
  EXPECT_EQ(model("first"), model("second"));
  EXPECT_EQ(model("first"), model("third"));
  EXPECT_NE(read_text(path("first/manifest.json")).find("\"prepared_data\": \"" + path("cache")),
            std::string::npos);
  EXPECT_EQ(read_text(path("third/manifest.json")).find("prepared_data"), std::string::npos);
  // A run goes on with another store, or with none: it is no part of what a run is.
  std::filesystem::remove(path("first/metrics.json"));
  ASSERT_EQ(run(train("first") + " --resume --cache off"), 0) << err_;

  ASSERT_EQ(run("cache"), 0) << err_;
  EXPECT_NE(out_.find("phantom_002"), std::string::npos) << out_;
  EXPECT_NE(out_.find(path("cache") + ": 8 files"), std::string::npos)
      << out_;  // 4 cases; 3 fingerprints and the scored one's
  EXPECT_EQ(run("cache --older-than 1"), 2);
  ASSERT_EQ(run("cache --clean --older-than 1"), 0) << err_;
  EXPECT_NE(out_.find("removed 0 files"), std::string::npos) << out_;
  ASSERT_EQ(run("cache --clean"), 0) << err_;
  EXPECT_NE(out_.find("removed 8 files"), std::string::npos) << out_;
  ASSERT_EQ(run("cache --cache off"), 0) << err_;
  EXPECT_NE(out_.find("off"), std::string::npos) << out_;
  for (const char* bad : {"--cache-size 7", "--cache-size nan", "--cache ''"}) {
    EXPECT_EQ(run("train " + path("data") + " -o " + path("x") + " " + bad), 2) << bad;
    EXPECT_NE(err_.find("--cache"), std::string::npos) << err_;
  }
  EXPECT_EQ(run("train " + path("data") + " -o " + path("x") + " --cache " + path("data/dataset.json")), 4);
  EXPECT_NE(err_.find("expected a folder, got a file"), std::string::npos) << err_;
  EXPECT_EQ(run("cache --cache " + path("none")), 2);
  EXPECT_EQ(run("cache --clean --older-than nan"), 2);
}

TEST_F(Cache, DamageExitsWith4AndNamesTheFile) {
  ASSERT_EQ(run("plan " + path("data")), 0) << err_;
  EXPECT_NE(err_.find("prepared data lie in"), std::string::npos) << err_;
  ASSERT_EQ(run(train("first")), 0) << err_;
  const std::string file = stored_case();
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  EXPECT_EQ(run(train("second")), 4);
  EXPECT_NE(err_.find(file), std::string::npos) << err_;
  ASSERT_EQ(run("cache --clean"), 0) << err_;
  ASSERT_EQ(run(train("second")), 0) << err_;
  EXPECT_EQ(model("first"), model("second"));
}

TEST_F(Cache, AKilledRunAndTwoAtOnceLeaveItRight) {
  ASSERT_EQ(run(train("want") + " --cache off"), 0) << err_;
  for (const char* seconds : {"0.01", "0.02", "0.03", "0.05", "0.08"})
    run(train(cat("killed", seconds)), "", cat("timeout -s KILL ", seconds));
  ASSERT_EQ(run(train("after")), 0) << err_;
  EXPECT_EQ(model("after"), model("want"));
  ASSERT_EQ(run("cache --clean"), 0) << err_;
  const std::string cache = "VOXGRAD_CACHE=" + path("cache") + " ", command = VOXGRAD_COMMAND;
  const auto background = [&](const std::string& to) {
    return cache + command + " " + train(to) + " >" + path(to + ".out") + " 2>&1 & ";
  };
  const std::string line = background("one") + "a=$!; " + background("two") + "wait $a && wait $!";
  ASSERT_EQ(std::system(line.c_str()), 0) << read_text(path("one.out")) << read_text(path("two.out"));
  EXPECT_EQ(model("one"), model("want"));
  EXPECT_EQ(model("two"), model("want"));
  for (const std::string& name : list_folder(path("cache")))
    EXPECT_TRUE(name.ends_with(".safetensors") || name.ends_with(".part")) << name;
}

// What would be found out after hours is said before the first step.
TEST_F(Cache, AScoredCaseThatCannotBeReadStopsBeforeTraining) {
  // Fold 0 of five cases scores the first.
  for (const char* file : {"data/labelsTr/phantom_001.nii.gz", "data/ratersTr/rater1/phantom_001.nii.gz",
                           "data/posteriorTr/phantom_001.nii.gz"}) {
    const std::string whole = read_text(path(file));
    write_text(path(file), whole.substr(0, whole.size() / 2));
    EXPECT_EQ(run(train("broken")), 3) << file;
    EXPECT_NE(err_.find(path(file)), std::string::npos) << err_;
    EXPECT_EQ(err_.find("prior 1/2"), std::string::npos) << err_;
    write_text(path(file), whole);
  }
}

TEST_F(Cache, AClassThatNoTrainingCaseHasIsSaid) {
  std::string json = read_text(path("data/dataset.json"));
  const std::string labels = "\"lesion\": 2";
  ASSERT_NE(json.find(labels), std::string::npos) << json;
  json.replace(json.find(labels), labels.size(), labels + ", \"cyst\": 3");
  write_text(path("data/dataset.json"), json);
  std::filesystem::remove_all(path("data/posteriorTr"));  // it has a volume a class
  ASSERT_EQ(run(train("run")), 0) << err_;
  EXPECT_NE(err_.find("no training case has a voxel of class \"cyst\""), std::string::npos) << err_;
}

TEST_F(Cache, AHomeThatCannotBeWrittenIsNoObstacle) {
  const std::string nowhere = "env -u VOXGRAD_CACHE -u XDG_CACHE_HOME HOME=/proc/nowhere";
  ASSERT_EQ(run(train("a"), "", nowhere), 0) << err_;
  EXPECT_NE(err_.find("/proc/nowhere"), std::string::npos) << err_;
  EXPECT_NE(err_.find("stay in memory"), std::string::npos) << err_;
  EXPECT_EQ(run(train("b") + " --cache /proc/nowhere"), 4);
  EXPECT_NE(err_.find("/proc/nowhere"), std::string::npos) << err_;
  ASSERT_EQ(run(train("c"), "", "env -u VOXGRAD_CACHE XDG_CACHE_HOME=" + path("caches")), 0) << err_;
  EXPECT_TRUE(std::filesystem::exists(path("caches/voxgrad")));
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

/// Where predictions go, and what they may replace.
class Outputs : public Command {
 protected:
  void SetUp() override {
    ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --raters 1"), 0) << err_;
    ASSERT_EQ(run("train " + path("data") + " --method unet -o " + path("run") + few_), 0) << err_;
  }
  std::string predict(const std::string& images, const std::string& to) const {
    return "predict " + path("run") + " " + path("data/imagesTr") + images + " -o " + path(to);
  }
  /// Whether a file was written by hand.
  bool is_mine(const std::string& file) const { return read_text(path(file)) == "mine"; }
  std::string few_ = " --set plan.base_features=4 --max-steps 2";
};

TEST_F(Outputs, WhatNoPredictionWroteIsNotReplaced) {
  std::filesystem::create_directory(path("mine"));
  write_text(path("mine/phantom_002.nii.gz"), "mine");
  EXPECT_EQ(run(predict("", "mine")), 2);
  EXPECT_NE(err_.find(path("mine/phantom_002.nii.gz")), std::string::npos) << err_;
  EXPECT_NE(err_.find("--overwrite"), std::string::npos) << err_;
  EXPECT_TRUE(is_mine("mine/phantom_002.nii.gz"));
  EXPECT_EQ(list_folder(path("mine")).size(), 1u);
  // A case of another name is nobody's concern.
  ASSERT_EQ(run(predict("/phantom_001_0000.nii.gz", "mine")), 0) << err_;
  EXPECT_TRUE(is_mine("mine/phantom_002.nii.gz"));
  std::filesystem::remove(path("mine/prediction.json"));
  ASSERT_EQ(run(predict("", "mine") + " --overwrite"), 0) << err_;
  EXPECT_FALSE(is_mine("mine/phantom_002.nii.gz"));
}

TEST_F(Outputs, AFolderHoldsThePredictionsOfOneModelAndItsSettings) {
  ASSERT_EQ(run(predict("/phantom_001_0000.nii.gz", "masks")), 0) << err_;
  ASSERT_EQ(run(predict("/phantom_002_0000.nii.gz", "masks")), 0) << err_;
  const auto record = nlohmann::json::parse(read_text(path("masks/prediction.json")));
  EXPECT_EQ(record["method"], "unet");
  EXPECT_EQ(record["model_digest"].get<std::string>().size(), 64u);
  ASSERT_EQ(run("train " + path("data") + " --method unet --seed 2 -o " + path("other") + few_), 0) << err_;
  const std::string other = "predict " + path("other") + " " + path("data/imagesTr");
  EXPECT_EQ(run(other + "/phantom_001_0000.nii.gz -o " + path("masks")), 2);
  EXPECT_NE(err_.find("phantom_002.nii.gz"), std::string::npos) << err_;
  ASSERT_EQ(run(other + " -o " + path("masks")), 0) << err_;  // all of them are replaced

  std::filesystem::remove(path("masks/phantom_003.nii.gz"));
  const auto before = std::filesystem::last_write_time(path("masks/phantom_001.nii.gz"));
  EXPECT_EQ(run(predict("", "masks") + " --skip-existing"), 2);
  EXPECT_NE(err_.find("prediction.json"), std::string::npos) << err_;
  ASSERT_EQ(run(other + " -o " + path("masks") + " --skip-existing"), 0) << err_;
  EXPECT_TRUE(std::filesystem::exists(path("masks/phantom_003.nii.gz")));
  EXPECT_EQ(std::filesystem::last_write_time(path("masks/phantom_001.nii.gz")), before);
  const FolderLock lock(path("masks"));
  EXPECT_EQ(run(other + " -o " + path("masks")), 2);
  EXPECT_NE(err_.find("no other voxgrad process"), std::string::npos) << err_;
}

TEST_F(Outputs, APredictionThatBreaksOffLeavesNoMaskOfAnEarlierOne) {
  ASSERT_EQ(run(predict("/phantom_001_0000.nii.gz", "masks") + " --save-probabilities"), 0) << err_;
  // The probabilities are larger than the limit, the other files are not.
  EXPECT_EQ(run(predict("/phantom_001_0000.nii.gz", "masks") + " --save-probabilities --seed 2", "",
                "sh -c 'ulimit -f 24; exec \"$@\"' sh"),
            4);
  EXPECT_FALSE(std::filesystem::exists(path("masks/phantom_001.nii.gz")));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path("masks")))
    EXPECT_NE(entry.path().extension(), ".part") << entry.path();
}

TEST_F(Outputs, ALongNameOfACaseIsNoObstacle) {
  const std::string name(240, 'y');
  std::filesystem::create_directory(path("in"));
  std::filesystem::copy(path("data/imagesTr/phantom_001_0000.nii.gz"), path("in/" + name + "_0000.nii.gz"));
  ASSERT_EQ(run("predict " + path("run") + " " + path("in") + " -o " + path("masks")), 0) << err_;
  EXPECT_TRUE(std::filesystem::exists(path("masks/" + name + ".nii.gz")));
}

TEST_F(Outputs, AResumedRunClearsTemporariesBesideItsMaps) {
  std::filesystem::remove(path("run/metrics.json"));
  std::string map;
  for (const std::string& name : list_folder(path("run/validation"))) map = path("run/validation/" + name);
  write_text(map + "/mask.nii.gz.123-10.part", "left");
  ASSERT_EQ(run("train " + path("data") + " --method unet --resume -o " + path("run")), 0) << err_;
  EXPECT_FALSE(std::filesystem::exists(map + "/mask.nii.gz.123-10.part"));
}

TEST_F(Outputs, TheFolderOfScoresIsMade) {
  ASSERT_EQ(run(predict("", "masks")), 0) << err_;
  ASSERT_EQ(run("evaluate --truth " + path("data/labelsTr") + " --prediction " + path("masks") + " -o " +
                path("new/place/metrics.json")),
            0)
      << err_;
  EXPECT_TRUE(std::filesystem::exists(path("new/place/metrics.csv")));
}

}  // namespace
}  // namespace voxgrad
