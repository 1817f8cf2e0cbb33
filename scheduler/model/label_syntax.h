// What Kubernetes takes as the names of labels, resources and groups.
#ifndef MUSTER_SCHEDULER_MODEL_LABEL_SYNTAX_H_
#define MUSTER_SCHEDULER_MODEL_LABEL_SYNTAX_H_

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "absl/strings/ascii.h"

namespace muster {

// Letters, digits, '-', '_' and '.', a letter or digit at both ends, at most 63.
inline bool IsLabelName(std::string_view text) {
  if (text.empty() || text.size() > 63) return false;
  const auto inner = [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.'; };
  return std::all_of(text.begin(), text.end(), inner) && absl::ascii_isalnum(text.front()) &&
         absl::ascii_isalnum(text.back());
}

// Parts of lower-case letters, digits and inner dashes, with dots between them, at most 253.
inline bool IsDnsSubdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  char last = '.';  // so that a leading '.' or '-' is refused as one that follows a '.'
  for (char c : text) {
    const bool alnum = absl::ascii_islower(c) || absl::ascii_isdigit(c);
    if (!alnum && c != '-' && c != '.') return false;
    if ((c == '.' && !(absl::ascii_isalnum(last))) || (c == '-' && last == '.')) return false;
    last = c;
  }
  return absl::ascii_isalnum(last);
}

// A name, perhaps behind a DNS name and a slash.
inline bool IsLabelKey(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return IsLabelName(text);
  return IsDnsSubdomain(text.substr(0, slash)) && IsLabelName(text.substr(slash + 1));
}

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_LABEL_SYNTAX_H_
