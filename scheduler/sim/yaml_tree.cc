#include "scheduler/sim/yaml_tree.h"

#include <algorithm>
#include <exception>
#include <sstream>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/yaml.h"

namespace muster {
namespace {

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& text, YamlFile* file) : text_(text), file_(*file) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    // The parser takes whatever follows a document's end for another document.
    if (documents_++ > 0 && text_.compare(static_cast<size_t>(mark.pos), 3, "---") != 0) {
      throw YAML::ParserException(mark, "text after the end of a document");
    }
    anchors_.clear();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Put(Make(YamlNode::Kind::kNull, mark, anchor));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode* node = Make(YamlNode::Kind::kScalar, mark, anchor);
    node->text = value;
    node->plain = tag == "?" || tag == "tag:yaml.org,2002:int" || tag == "tag:yaml.org,2002:float" ||
                  tag == "tag:yaml.org,2002:bool" || tag == "tag:yaml.org,2002:null";
    Put(node);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end() || std::find(open_.begin(), open_.end(), it->second) != open_.end()) {
      throw YAML::ParserException(mark, "an alias for the value that it stands in");
    }
    Put(it->second);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open_.push_back(Make(YamlNode::Kind::kList, mark, anchor));
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open_.push_back(Make(YamlNode::Kind::kMap, mark, anchor));
  }
  void OnMapEnd() override { Close(); }

 private:
  YamlNode* Make(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    YamlNode* node = &file_.nodes.emplace_back();
    node->kind = kind;
    node->line = std::max(mark.line, 0) + 1;
    if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
    return node;
  }
  void Put(const YamlNode* node) {
    if (!open_.empty()) {
      open_.back()->items.push_back(node);
    } else if (node->kind != YamlNode::Kind::kNull) {
      file_.documents.push_back(node);
    }
  }
  void Close() {
    const YamlNode* node = open_.back();
    open_.pop_back();
    Put(node);
  }

  const std::string& text_;
  YamlFile& file_;
  std::vector<YamlNode*> open_;
  absl::flat_hash_map<YAML::anchor_t, YamlNode*> anchors_;
  size_t documents_ = 0;
};

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  if (!IsMap()) return nullptr;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i]->IsScalar() && items[i]->text == key) return items[i + 1];
  }
  return nullptr;
}

const YamlNode& YamlNode::At(std::string_view path) const {
  const YamlNode* at = this;
  while (!path.empty()) {
    const bool bracket = path[0] == '[';
    if (bracket || path[0] == '.') path.remove_prefix(1);
    const size_t end = std::min(bracket ? path.find(']') : path.find_first_of(".["), path.size());
    const std::string_view key = path.substr(0, end);
    path.remove_prefix(std::min(bracket ? end + 1 : end, path.size()));
    const YamlNode* next = at->Find(key);
    if (uint32_t i = 0; at->IsList() && absl::SimpleAtoi(AsAbsl(key), &i) && i < at->items.size()) next = at->items[i];
    if (next == nullptr) break;
    at = next;
  }
  return *at;
}

absl::StatusOr<YamlFile> ParseYaml(const std::string& name, const std::string& text) {
  YamlFile file;
  const std::string body = text.starts_with("\xEF\xBB\xBF") ? text.substr(3) : text;
  int line = 0;
  std::string why;
  try {
    std::istringstream in(body);
    YAML::Parser parser(in);
    TreeBuilder builder(body, &file);
    while (parser.HandleNextDocument(builder)) {
    }
    return file;
  } catch (const YAML::Exception& e) {
    line = std::max(e.mark.line, 0);
    why = e.msg;
  } catch (const std::exception& e) {
    why = e.what();
  }
  return absl::InvalidArgumentError(absl::StrCat(name, ":", line + 1, ": broken YAML: ", why));
}

}  // namespace muster
