// Regular expressions with Go's syntax, compiled once.
#ifndef MUSTER_TOPOLOGY_CEL_LIBRARY_REGEX_H_
#define MUSTER_TOPOLOGY_CEL_LIBRARY_REGEX_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace re2 {
class RE2;
}

namespace muster::cel {

// Errors: what is wrong with the pattern.
absl::StatusOr<std::unique_ptr<re2::RE2>> CompileRegex(std::string_view pattern);

// The expressions of one program or one evaluation. Not for several threads, unless only Find is called.
class RegexCache {
 public:
  RegexCache();
  ~RegexCache();

  // A program's constants are looked for in `constants` first.
  void set_constants(const RegexCache* constants) { constants_ = constants; }
  bool IsConstant(std::string_view pattern) const {
    return constants_ != nullptr && constants_->Find(pattern) != nullptr;
  }
  const re2::RE2* Find(std::string_view pattern) const;
  // Null with `error` set where the pattern is malformed, or where this evaluation has compiled too much.
  const re2::RE2* Get(std::string_view pattern, std::string& error);
  void Reset();

 private:
  // Compiling costs far more than CEL's cost says: an evaluation may compile this many instructions.
  static constexpr int kMostInstructions = 200'000;

  const RegexCache* constants_ = nullptr;
  std::map<std::string, std::unique_ptr<re2::RE2>, std::less<>> compiled_;
  int instructions_ = 0;
};

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_LIBRARY_REGEX_H_
