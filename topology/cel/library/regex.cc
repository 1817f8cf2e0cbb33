#include "topology/cel/library/regex.h"

#include <re2/re2.h>

#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
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

bool Constant(const Call& call, const Value& pattern) {
  return pattern.kind == Kind::kString && call.regexes.IsConstant(pattern.view());
}
bool Receives(const Value& value) {
  return value.kind == Kind::kString || value.kind == Kind::kDuration || value.kind == Kind::kTimestamp;
}
// Upstream's constant patterns take types, too, for the names that they have.
bool Subject(const Call& call, const Value* args) {
  if (args[0].kind == Kind::kType) return Constant(call, args[1]);
  return args[0].kind == Kind::kString && args[1].kind == Kind::kString;
}

// How Go words what RE2 found.
std::string_view Reason(re2::RE2::ErrorCode code) {
  switch (code) {
    case re2::RE2::ErrorBadCharClass: return "invalid character class";
    case re2::RE2::ErrorBadCharRange: return "invalid character class range";
    case re2::RE2::ErrorMissingBracket: return "missing closing ]";
    case re2::RE2::ErrorMissingParen: return "missing closing )";
    case re2::RE2::ErrorUnexpectedParen: return "unexpected )";
    case re2::RE2::ErrorTrailingBackslash: return "trailing backslash at end of expression";
    case re2::RE2::ErrorRepeatArgument: return "missing argument to repetition operator";
    case re2::RE2::ErrorRepeatSize: return "invalid repeat count";
    case re2::RE2::ErrorRepeatOp: return "invalid nested repetition operator";
    case re2::RE2::ErrorBadPerlOp: return "invalid or unsupported Perl syntax";
    case re2::RE2::ErrorBadUTF8: return "invalid UTF-8";
    case re2::RE2::ErrorBadNamedCapture: return "invalid named capture";
    case re2::RE2::ErrorPatternTooLarge: return "expression too large";
    default: return "invalid escape sequence";
  }
}

Value Illegal(const Call& call, const std::string& error) { return call.Error("Illegal regex: " + error); }

Value Matches(const Call& call, const Value* args, int) {
  if (!Subject(call, args)) {
    return Constant(call, args[1]) || Receives(args[0]) ? NoSuchOverload() : MakeError("no such overload: matches");
  }
  std::string error;
  const re2::RE2* regex = call.regexes.Get(args[1].view(), error);
  if (regex == nullptr) return call.Error("error parsing regexp: " + error);
  return MakeBool(re2::RE2::PartialMatch(Piece(args[0].view()), *regex));
}

Value FindFirst(const Call& call, const Value* args, int) {
  if (!Subject(call, args)) return Constant(call, args[1]) ? NoSuchOverload() : Value();
  std::string error;
  const re2::RE2* regex = call.regexes.Get(args[1].view(), error);
  if (regex == nullptr) return Illegal(call, error);
  const re2::StringPiece text = Piece(args[0].view());
  re2::StringPiece match;
  if (!regex->Match(text, 0, text.size(), re2::RE2::UNANCHORED, &match, 1)) return MakeString("");
  return MakeString({match.data(), match.size()});
}

Value FindAll(const Call& call, const Value* args, int count) {
  if (!Subject(call, args)) return Constant(call, args[1]) ? NoSuchOverload() : Value();
  int64_t most = -1;
  if (count == 3) {
    if (args[2].kind != Kind::kInt) return Constant(call, args[1]) ? NoSuchOverload() : Value();
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
  if (!regex->ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(AsAbsl(Reason(regex->error_code())), ": `", regex->error_arg(), "`"));
  }
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
