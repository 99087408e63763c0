// Reading a NIfTI file. peers_worker_zlib links this file with a gzip layer that is built without libdeflate.
#include "bench/peers/worker.h"
#include "io/nifti.h"

namespace voxgrad::bench {
namespace {

class ReadTask : public Task {
 public:
  explicit ReadTask(const Json& command) : path_(command.at("path")) {}
  void run(const std::string& part) override {
    if (part == "stored")
      image_ = read_nifti(path_);
    else if (part == "float")
      volume_ = read_volume(path_);
    else
      fail(ErrorCode::usage, "[read] no part ", part);
  }
  std::map<std::string, Tensor> results() override {
    run("float");
    return {{"volume", volume_}};
  }

 private:
  std::string path_;
  NiftiImage image_;
  Tensor volume_;
};

}  // namespace

std::unique_ptr<Task> make_read_task(const Json& command) { return std::make_unique<ReadTask>(command); }

}  // namespace voxgrad::bench
