#include "plugins/node/label_syntax.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"

namespace muster {
namespace {

constexpr size_t kMaxNameLength = 63;
constexpr size_t kMaxPrefixLength = 253;

bool Alphanumeric(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }
bool LowerAlphanumeric(char c) { return Alphanumeric(c) && !absl::ascii_isupper(static_cast<unsigned char>(c)); }

bool IsName(std::string_view name) {
  return !name.empty() && Alphanumeric(name.front()) && Alphanumeric(name.back()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return Alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

// Dot-separated parts of lower case letters, digits and inner dashes.
bool IsSubdomain(std::string_view text) {
  for (;;) {
    const size_t dot = text.find('.');
    const std::string_view part = text.substr(0, dot);
    if (part.empty() || part.front() == '-' || part.back() == '-') return false;
    if (!std::all_of(part.begin(), part.end(), [](char c) { return LowerAlphanumeric(c) || c == '-'; })) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

std::string TooLong(size_t limit) { return absl::StrCat("must be no more than ", limit, " bytes"); }

constexpr char kNameSyntax[] =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr char kPrefixSyntax[] =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr char kValueSyntax[] =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

}  // namespace

std::vector<std::string> LabelKeyErrors(std::string_view key) {
  std::vector<std::string> errors;
  std::string_view name = key;
  if (const size_t slash = key.find('/'); slash != std::string_view::npos) {
    const std::string_view prefix = key.substr(0, slash);
    name = key.substr(slash + 1);
    if (name.find('/') != std::string_view::npos) {
      return {absl::StrCat("a valid label key ", kNameSyntax,
                           " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")};
    }
    if (prefix.empty()) {
      errors.push_back("prefix part must be non-empty");
    } else {
      if (prefix.size() > kMaxPrefixLength) errors.push_back(absl::StrCat("prefix part ", TooLong(kMaxPrefixLength)));
      if (!IsSubdomain(prefix)) errors.push_back(absl::StrCat("prefix part ", kPrefixSyntax));
    }
  }
  if (name.empty()) errors.push_back("name part must be non-empty");
  if (name.size() > kMaxNameLength) errors.push_back(absl::StrCat("name part ", TooLong(kMaxNameLength)));
  if (!IsName(name)) errors.push_back(absl::StrCat("name part ", kNameSyntax));
  return errors;
}

std::vector<std::string> LabelValueErrors(std::string_view value) {
  std::vector<std::string> errors;
  if (value.size() > kMaxNameLength) errors.push_back(TooLong(kMaxNameLength));
  if (!value.empty() && !IsName(value)) errors.push_back(kValueSyntax);
  return errors;
}

}  // namespace muster
