#include "topology/cel/library/regex.h"

#include <re2/re2.h>

#include "topology/cel/library/function.h"

namespace muster::cel {
namespace {

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

// Go has (?<name>) beside (?P<name>), and no \C.
bool Translate(std::string_view pattern, std::string& result) {
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      if (pattern[i + 1] == 'C') return false;
      result += pattern[i++];
    } else if (pattern.substr(i, 3) == "(?<" && i + 3 < pattern.size() && pattern[i + 3] != '=' &&
               pattern[i + 3] != '!') {
      result += "(?P<";
      i += 2;
      continue;
    }
    result += pattern[i];
  }
  return true;
}

Value Illegal(const Call& call, const std::string& error) { return call.Error("Illegal regex: " + error); }

Value Matches(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kString || args[1].kind != Kind::kString) return NoSuchOverload();
  std::string error;
  const re2::RE2* regex = call.regexes.Get(args[1].view(), error);
  if (regex == nullptr) return call.Error("error parsing regexp: " + error);
  return MakeBool(re2::RE2::PartialMatch(Piece(args[0].view()), *regex));
}

Value FindFirst(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kString || args[1].kind != Kind::kString) return NoSuchOverload();
  std::string error;
  const re2::RE2* regex = call.regexes.Get(args[1].view(), error);
  if (regex == nullptr) return Illegal(call, error);
  const re2::StringPiece text = Piece(args[0].view());
  re2::StringPiece match;
  if (!regex->Match(text, 0, text.size(), re2::RE2::UNANCHORED, &match, 1)) return MakeString("");
  return MakeString({match.data(), match.size()});
}

Value FindAll(const Call& call, const Value* args, int count) {
  if (args[0].kind != Kind::kString || args[1].kind != Kind::kString) return NoSuchOverload();
  int64_t most = -1;
  if (count == 3) {
    if (args[2].kind != Kind::kInt) return NoSuchOverload();
    most = args[2].integer;
  }
  std::string error;
  const re2::RE2* regex = call.regexes.Get(args[1].view(), error);
  if (regex == nullptr) return Illegal(call, error);
  const std::string_view view = args[0].view();
  const re2::StringPiece text = Piece(view);
  List* found = NewList(call.arena, 0);
  size_t at = 0;
  const char* last_end = nullptr;
  while (at <= text.size() && (most < 0 || found->size < most) && !call.arena.exhausted()) {
    re2::StringPiece match;
    if (!regex->Match(text, at, text.size(), re2::RE2::UNANCHORED, &match, 1)) break;
    // Go leaves out an empty match that touches the one before.
    const size_t start = static_cast<size_t>(match.data() - text.data());
    if (!match.empty() || match.data() != last_end)
      Append(call.arena, *found, MakeString({match.data(), match.size()}));
    last_end = match.data() + match.size();
    at = start + match.size();
    if (match.empty()) {
      if (at >= text.size()) break;
      NextRune(view, at);
    }
  }
  return MakeList(found);
}

constexpr NamedImplementation kFunctions[] = {{"matches", Matches}, {"find", FindFirst}, {"findAll", FindAll}};

}  // namespace

absl::StatusOr<std::unique_ptr<re2::RE2>> CompileRegex(std::string_view pattern) {
  std::string translated;
  if (!Translate(pattern, translated)) return absl::InvalidArgumentError("invalid escape sequence: `\\C`");
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(64 << 20);
  auto regex = std::make_unique<re2::RE2>(translated, options);
  if (!regex->ok()) return absl::InvalidArgumentError(regex->error());
  return regex;
}

RegexCache::RegexCache() = default;
RegexCache::~RegexCache() = default;

const re2::RE2* RegexCache::Find(std::string_view pattern) const {
  const auto found = compiled_.find(pattern);
  return found == compiled_.end() ? nullptr : found->second.get();
}

const re2::RE2* RegexCache::Get(std::string_view pattern, std::string& error) {
  if (constants_ != nullptr) {
    if (const re2::RE2* constant = constants_->Find(pattern); constant != nullptr) return constant;
  }
  if (const re2::RE2* known = Find(pattern); known != nullptr) return known;
  if (instructions_ > kMostInstructions) {
    error = "too many regular expressions";
    return nullptr;
  }
  absl::StatusOr<std::unique_ptr<re2::RE2>> regex = CompileRegex(pattern);
  instructions_ += 100;
  if (!regex.ok()) {
    error = std::string(regex.status().message());
    return nullptr;
  }
  instructions_ += (*regex)->ProgramSize() + static_cast<int>(pattern.size());
  return (compiled_[std::string(pattern)] = *std::move(regex)).get();
}

void RegexCache::Reset() {
  constants_ = nullptr;
  instructions_ = 0;
  if (!compiled_.empty()) compiled_.clear();
}

Family RegexFunctions() { return {kFunctions, std::size(kFunctions)}; }

}  // namespace muster::cel
