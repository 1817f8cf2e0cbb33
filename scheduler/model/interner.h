// Strings to dense ids, first come first numbered. Ids are never compared for order: a decision
// may not depend on which string was seen first.
#ifndef MUSTER_SCHEDULER_MODEL_INTERNER_H_
#define MUSTER_SCHEDULER_MODEL_INTERNER_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"

namespace muster {

class Interner {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  uint32_t Intern(std::string_view text) {
    if (auto it = ids_.find(text); it != ids_.end()) return it->second;
    texts_.emplace_back(text);
    const auto id = static_cast<uint32_t>(texts_.size() - 1);
    ids_.emplace(texts_.back(), id);
    return id;
  }
  // kNone where the text was never interned.
  uint32_t Find(std::string_view text) const {
    auto it = ids_.find(text);
    return it == ids_.end() ? kNone : it->second;
  }
  const std::string& Text(uint32_t id) const { return texts_[id]; }
  uint32_t size() const { return static_cast<uint32_t>(texts_.size()); }

 private:
  std::deque<std::string> texts_;  // a deque: the map's views stay valid
  absl::flat_hash_map<std::string_view, uint32_t> ids_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_INTERNER_H_
