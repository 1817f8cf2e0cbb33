#include "topology/cel/kubernetes/semver.h"

#include <charconv>

#include "topology/cel/library/function.h"

namespace muster::cel {
namespace {

constexpr std::string_view kDigits = "0123456789";

bool ReadNumber(std::string_view text, std::string_view what, uint64_t& number, std::string& error) {
  if (text.find_first_not_of(kDigits) != std::string_view::npos) {
    error = "Invalid character(s) found in " + std::string(what) + " number " + Quote(text);
  } else if (text.size() > 1 && text[0] == '0') {
    error = std::string(1, static_cast<char>(what[0] - 32)) + std::string(what.substr(1)) +
            " number must not contain leading zeroes " + Quote(text);
  } else {
    const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
    if (result.ec != std::errc()) {
      error =
          "strconv.ParseUint: parsing " + Quote(text) + (text.empty() ? ": invalid syntax" : ": value out of range");
    }
  }
  return error.empty();
}

// Identifiers with dots between them.
template <typename Check>
bool CheckParts(std::string_view text, Check check) {
  for (;;) {
    const size_t dot = text.find('.');
    if (!check(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool IsIdentifier(std::string_view text) {
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && c != '-' && kDigits.find(c) == std::string_view::npos) return false;
  }
  return true;
}

bool CheckPrerelease(std::string_view part, std::string& error) {
  if (part.empty()) {
    error = "Prerelease is empty";
  } else if (part.find_first_not_of(kDigits) == std::string_view::npos) {
    uint64_t number;
    if (part.size() > 1 && part[0] == '0') {
      error = "Numeric PreRelease version must not contain leading zeroes " + Quote(part);
    } else if (std::from_chars(part.data(), part.data() + part.size(), number).ec != std::errc()) {
      error = "strconv.ParseUint: parsing " + Quote(part) + ": value out of range";
    }
  } else if (!IsIdentifier(part)) {
    error = "Invalid character(s) found in prerelease " + Quote(part);
  }
  return error.empty();
}

bool CheckBuild(std::string_view part, std::string& error) {
  if (part.empty()) {
    error = "Build meta data is empty";
  } else if (!IsIdentifier(part)) {
    error = "Invalid character(s) found in build meta data " + Quote(part);
  }
  return error.empty();
}

// "v1.02" -> "1.2.0".
std::string Normalized(std::string_view text, std::string& error) {
  if (!text.empty() && text[0] == 'v') text.remove_prefix(1);
  std::string parts[3] = {"", "0", "0"};
  size_t count = 0;
  for (; count < 3; ++count) {
    const size_t dot = count < 2 ? text.find('.') : std::string_view::npos;
    std::string_view part = text.substr(0, dot);
    if (part.size() > 1) {
      part.remove_prefix(std::min(part.find_first_not_of('0'), part.size()));
      parts[count] =
          part.empty() || kDigits.find(part[0]) == std::string_view::npos ? "0" + std::string(part) : std::string(part);
    } else {
      parts[count] = part;
    }
    if (dot == std::string_view::npos) break;
    text.remove_prefix(dot + 1);
  }
  if (count < 2 && parts[count].find_first_of("+-") != std::string::npos) {
    error = "short version cannot contain PreRelease/Build meta data";
  }
  return parts[0] + "." + parts[1] + "." + parts[2];
}

Value Parse(const Call& call, const Value* args, int count, std::string& error) {
  if (args[0].kind != Kind::kString || (count == 2 && args[1].kind != Kind::kBool)) return Value();
  if (count == 1 || !args[1].boolean) return ParseSemver(call.arena, args[0].view(), error);
  const std::string normal = Normalized(args[0].view(), error);
  return error.empty() ? ParseSemver(call.arena, call.arena.Copy(normal), error) : MakeNull();
}

Value SemverOf(const Call& call, const Value* args, int count) {
  std::string error;
  const Value value = Parse(call, args, count, error);
  return error.empty() ? value : call.Error(error);
}
Value IsSemver(const Call& call, const Value* args, int count) {
  std::string error;
  const Value value = Parse(call, args, count, error);
  return value.kind == Kind::kUnset ? value : MakeBool(error.empty());
}

Value Number(const Value& value, uint64_t CelSemver::*number) {
  return value.kind == Kind::kSemver ? MakeInt(static_cast<int64_t>(value.semver->*number)) : Value();
}
Value Major(const Call&, const Value* args, int) { return Number(args[0], &CelSemver::major); }
Value Minor(const Call&, const Value* args, int) { return Number(args[0], &CelSemver::minor); }
Value Patch(const Call&, const Value* args, int) { return Number(args[0], &CelSemver::patch); }

constexpr NamedImplementation kFunctions[] = {
    {"semver", SemverOf}, {"isSemver", IsSemver}, {"major", Major}, {"minor", Minor}, {"patch", Patch},
};

}  // namespace

Value ParseSemver(Arena& arena, std::string_view text, std::string& error) {
  const size_t first = text.find('.');
  const size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
  if (second == std::string_view::npos) {
    error = text.empty() ? "Version string empty" : "No Major.Minor.Patch elements found";
    return MakeNull();
  }
  CelSemver version{};
  std::string_view patch = text.substr(second + 1), pre, build;
  const size_t plus = patch.find('+');
  if (plus != std::string_view::npos) {
    build = patch.substr(plus + 1);
    patch = patch.substr(0, plus);
  }
  const size_t dash = patch.find('-');
  if (dash != std::string_view::npos) {
    pre = patch.substr(dash + 1);
    patch = patch.substr(0, dash);
  }
  const bool numbers = ReadNumber(text.substr(0, first), "major", version.major, error) &&
                       ReadNumber(text.substr(first + 1, second - first - 1), "minor", version.minor, error) &&
                       ReadNumber(patch, "patch", version.patch, error);
  if (!numbers) return MakeNull();
  if (dash != std::string_view::npos) CheckParts(pre, [&](auto part) { return CheckPrerelease(part, error); });
  if (error.empty() && plus != std::string_view::npos)
    CheckParts(build, [&](auto part) { return CheckBuild(part, error); });
  if (!error.empty()) return MakeNull();
  version.pre = pre;
  version.text = text;
  CelSemver* copy = arena.New<CelSemver>();
  *copy = version;
  Value value = Make(Kind::kSemver);
  value.semver = copy;
  return value;
}

Family SemverFunctions() { return {kFunctions, std::size(kFunctions)}; }

}  // namespace muster::cel
