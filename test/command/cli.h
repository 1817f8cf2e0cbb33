// Runs a subcommand in this process, on files that live as long as the test.
#ifndef MUSTER_TEST_COMMAND_CLI_H_
#define MUSTER_TEST_COMMAND_CLI_H_

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "scheduler/command/evaluate_command.h"
#include "scheduler/command/queue_command.h"
#include "scheduler/command/simulate_command.h"

namespace muster {

struct Ran {
  int exit = -1;
  std::string out, err;
};

class CliTest : public ::testing::Test {
 protected:
  CliTest() : folder_(std::filesystem::path(testing::TempDir()) / ("muster_cli_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~CliTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  // Returns the file's path.
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
    return Path(name);
  }
  static std::string Read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  static Ran Simulate(const std::vector<std::string>& args) { return Run(SimulateCommand, args); }
  static Ran Queues(const std::vector<std::string>& args) { return Run(QueueCommand, args); }
  static Ran Evaluate(const std::vector<std::string>& args) { return Run(EvaluateCommand, args); }

 private:
  template <typename Command>
  static Ran Run(Command command, const std::vector<std::string>& args) {
    std::ostringstream out, err;
    const int exit = command(args, out, err);
    return {exit, out.str(), err.str()};
  }

  const std::filesystem::path folder_;
};

}  // namespace muster

#endif  // MUSTER_TEST_COMMAND_CLI_H_
