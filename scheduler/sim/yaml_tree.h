// The values of a YAML (or JSON) text, with their lines.
#ifndef MUSTER_SCHEDULER_SIM_YAML_TREE_H_
#define MUSTER_SCHEDULER_SIM_YAML_TREE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace muster {

struct YamlNode {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  bool plain = false;  // a scalar without quotes: it may stand for a number or a boolean
  int line = 1;
  std::string text;                    // of a scalar
  std::vector<const YamlNode*> items;  // of a list; of a map: key, value, key, value, ...

  bool IsMap() const { return kind == Kind::kMap; }
  bool IsList() const { return kind == Kind::kList; }
  bool IsScalar() const { return kind == Kind::kScalar; }
  // The value of a key as written (merge keys are not followed), or nullptr.
  const YamlNode* Find(std::string_view key) const;
  // The value at a path such as "spec.levels[1].nodeLabel" or "metadata.labels[a.b/c]", or the last one on the way that
  // is there: for the line of an error.
  const YamlNode& At(std::string_view path) const;
};

struct YamlFile {
  std::deque<YamlNode> nodes;              // all of them; an alias is one node in several places
  std::vector<const YamlNode*> documents;  // those that are not empty
};

// Any bytes give a file or an error "NAME:LINE: broken YAML: ...". No node contains itself.
absl::StatusOr<YamlFile> ParseYaml(const std::string& name, const std::string& text);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_YAML_TREE_H_
