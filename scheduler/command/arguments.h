// Command-line arguments of the subcommands: one table of flags serves parsing, errors and help.
#ifndef MUSTER_SCHEDULER_COMMAND_ARGUMENTS_H_
#define MUSTER_SCHEDULER_COMMAND_ARGUMENTS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "scheduler/model/ids.h"

namespace muster {

// Exit codes of all subcommands.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;    // it ran, and the answer is an error
inline constexpr int kExitBadInput = 2;  // arguments, configuration or manifests

class Arguments {
 public:
  // `usage` is what follows "muster" in the usage line; `about` one or two sentences.
  Arguments(std::string usage, std::string about) : usage_(std::move(usage)), about_(std::move(about)) {}

  // Flags. `names` is "--config" or "-f, --filename"; a value comes as the next argument or behind
  // "=". `into` keeps its value where the flag is not given and outlives Parse. A flag given twice is an
  // error, except Many's.
  void Text(std::string names, std::string value, std::string help, std::string* into);
  void Many(std::string names, std::string value, std::string help, std::vector<std::string>* into);
  void Switch(std::string names, std::string help, bool* into);
  void Number(std::string names, std::string value, std::string help, uint64_t min, uint64_t max, uint64_t* into);
  void Number(std::string names, std::string value, std::string help, uint64_t min, uint64_t max,
              std::optional<uint64_t>* into);
  void Length(std::string names, std::string value, std::string help, std::optional<Duration>* into);  // "90s", "1h30m"
  void Choice(std::string names, std::vector<std::string> values, std::string help, std::string* into);
  // Where arguments that are no flags go; without this they are errors.
  void Rest(std::vector<std::string>* into) { rest_ = into; }

  // nullopt: all is read. Otherwise the exit code to end with: 0 after --help (on `out`),
  // kExitBadInput after an error (on `err`, with the usage line).
  std::optional<int> Parse(std::span<const std::string> args, std::ostream& out, std::ostream& err);
  // Says what is wrong beyond a single flag; returns kExitBadInput.
  int Refuse(const std::string& what, std::ostream& err) const;

 private:
  struct Flag {
    std::string names, value, help;  // value "": a switch
    bool many = false;
    bool given = false;
    // Takes the value; returns what is wrong with it, or "".
    std::function<std::string(const std::string&)> set;
  };
  void Add(std::string names, std::string value, std::string help, std::function<std::string(const std::string&)> set);
  Flag* Find(const std::string& name);
  void Help(std::ostream& out) const;

  std::string usage_, about_;
  std::vector<Flag> flags_;
  std::vector<std::string>* rest_ = nullptr;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_COMMAND_ARGUMENTS_H_
