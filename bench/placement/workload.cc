#include "bench/placement/workload.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "yaml-cpp/yaml.h"

namespace muster {
namespace {

// "node-$(i%3)" for 7 is "node-1".
std::string Fill(const std::string& text, size_t i, size_t nodes) {
  std::string out;
  size_t at = 0;
  for (size_t open = text.find("$(i"); open != std::string::npos; open = text.find("$(i", at)) {
    const size_t close = text.find(')', open);
    const std::string by = text.substr(open + 3, close - open - 3);  // "", "%3", "%nodes"
    size_t value = i;
    if (size_t divisor = 0; by == "%nodes") {
      value = i % nodes;
    } else if (by.size() > 1 && absl::SimpleAtoi(by.substr(1), &divisor) && divisor > 0) {
      value = i % divisor;
    }
    absl::StrAppend(&out, text.substr(at, open - at), value);
    at = close + 1;
  }
  return out + text.substr(at);
}

}  // namespace

absl::StatusOr<Manifests> Workload::Make(const Document& document, size_t begin, size_t end) const {
  std::string text = document.text.find("kind: PriorityClass") == std::string::npos ? prelude : "";
  for (size_t i = begin; i < end; ++i) absl::StrAppend(&text, "\n---\n", Fill(document.text, i, nodes));
  const ManifestSource source{"workload", std::move(text)};
  return ParseManifests(std::span(&source, 1), ManifestOptions());
}

absl::StatusOr<Workload> ReadWorkload(const std::string& path, double scale) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  std::stringstream all;
  all << file.rdbuf();
  const std::vector<std::string> parts = absl::StrSplit(all.str(), "\n---\n");
  Workload workload;
  try {
    const YAML::Node head = YAML::Load(parts[0])["documents"];
    if (!head || head.size() + 1 != parts.size())
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": documents: must have an entry for each document after it"));
    for (size_t d = 0; d < head.size(); ++d) {
      Workload::Document& document = workload.documents.emplace_back();
      document.text = parts[d + 1];
      document.count = head[d]["count"].as<size_t>(0);
      if (document.count > 1)
        document.count = std::max<size_t>(2, static_cast<size_t>(static_cast<double>(document.count) * scale));
      document.measured = head[d]["measured"].as<bool>(false);
      document.recreate = head[d]["recreate"].as<bool>(false);
      const auto every = head[d]["every"].as<std::string>("");
      if (!every.empty() && !absl::ParseDuration(every, &document.every))
        return absl::InvalidArgumentError(absl::StrCat(path, ": documents[", d, "].every: not a duration: ", every));
      const auto kind = YAML::Load(document.text)["kind"].as<std::string>("");
      if (kind == "PriorityClass") absl::StrAppend(&workload.prelude, "\n---\n", document.text);
      if (kind == "Node" && document.every == absl::ZeroDuration()) workload.nodes += document.count;
    }
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", e.what()));
  }
  return workload;
}

}  // namespace muster
