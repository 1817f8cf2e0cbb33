// What the rules of queues say of a simulated cluster, worked out the slow and obvious way from the server's own
// objects: which queues there are, who is charged with what, and what each may use.
#ifndef MUSTER_TEST_ENGINE_QUOTA_QUOTA_MODEL_H_
#define MUSTER_TEST_ENGINE_QUOTA_QUOTA_MODEL_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/model/queue.h"
#include "scheduler/sim/sim_api_server.h"

namespace muster {

class QuotaModel {
 public:
  using Cell = std::pair<std::string, std::string>;  // resource, flavor
  using Amounts = std::map<Cell, int64_t>;
  static constexpr int64_t kEndless = int64_t{1} << 60;

  // As of now, with the pods charged that `counts` lets through (null: all that take room), and those that wait for
  // room on a node, if it does.
  explicit QuotaModel(const SimApiServer& server, const std::function<bool(const Pod&)>& counts = nullptr)
      : server_(server) {
    for (const auto& [key, object] : server.objects().All(Kind::kQueue))
      all_[key.second] = static_cast<const Queue*>(object.get());
    for (const auto& [name, queue] : all_) {
      if (IsSound(*queue)) parents_[name] = "";
    }
    for (auto& [name, parent] : parents_) {
      if (parents_.contains(all_[name]->parent)) parent = all_[name]->parent;
    }
    for (const PodPtr& pod : server.Pods()) {
      if (counts == nullptr ? !TakesRoom(*pod) : pod->ended || !counts(*pod)) continue;
      const NodePtr node = server.FindNode(pod->node.empty() ? pod->nominated_node : pod->node);
      if (node == nullptr) continue;
      const std::string queue = OwnerOf(*pod);
      if (queue.empty()) continue;
      for (const auto& [cell, amount] : ChargesOn(*pod, queue, *node)) own_[queue][cell] += amount;
    }
  }

  const std::map<std::string, std::string>& queues() const { return parents_; }  // sound ones, and their parents
  const Queue& queue(const std::string& name) const { return *all_.at(name); }
  const std::string& parent(const std::string& q) const { return parents_.at(q); }
  std::vector<std::string> Path(std::string q) const {  // upwards, itself first
    std::vector<std::string> path;
    for (; !q.empty(); q = parents_.at(q)) path.push_back(q);
    return path;
  }
  std::set<Cell> Cells() const {
    std::set<Cell> cells;
    for (const auto& [name, _] : parents_) {
      for (const QueueResource& r : all_.at(name)->resources) cells.emplace(r.name, r.flavor);
    }
    return cells;
  }
  bool TakesRoom(const Pod& pod) const {
    return !pod.node.empty() && !pod.ended && server_.FindNode(pod.node) != nullptr;
  }

  // --- Who is charged ------------------------------------------------------------------------------

  // "": no queue takes it.
  std::string OwnerOf(const Pod& pod) const {
    const ObjectPtr object = server_.FindObject(Kind::kNamespace, "", pod.ns());
    const Labels labels = object == nullptr ? Labels() : static_cast<const Namespace&>(*object).labels;
    const auto wanted = pod.spec->labels.find("muster.dev/queue");
    for (const auto& [name, queue] : all_) {
      if (!queue->namespace_selector.Matches(labels)) continue;
      if (wanted == pod.spec->labels.end() || wanted->second == name) return parents_.contains(name) ? name : "";
    }
    return "";
  }
  // The cells in which the queue counts the resource, the first first.
  std::vector<Cell> CellsOf(const std::string& q, const std::string& resource) const {
    std::vector<Cell> cells;
    const auto add = [&](const std::string& name) {
      for (const QueueResource& r : all_.at(name)->resources) {
        const Cell cell(r.name, r.flavor);
        if (r.name == resource && std::find(cells.begin(), cells.end(), cell) == cells.end()) cells.push_back(cell);
      }
    };
    for (const std::string& up : Path(q)) add(up);
    std::vector<std::pair<size_t, std::string>> below;
    for (const auto& [name, _] : parents_) {
      if (name != q && IsBelow(name, q)) below.emplace_back(Path(name).size(), name);
    }
    std::sort(below.begin(), below.end());
    for (const auto& [depth, name] : below) add(name);
    return cells;
  }
  // `out` is true where the pod asks for what its queue has on other nodes only.
  Amounts ChargesOn(const Pod& pod, const std::string& q, const Node& node, bool* out = nullptr) const {
    Amounts charges;
    std::vector<Amount> amounts = pod.spec->amounts.usage;
    amounts.push_back({"pods", 1});
    for (const Amount& amount : amounts) {
      const std::vector<Cell> cells = CellsOf(q, amount.resource);
      const auto cell =
          std::find_if(cells.begin(), cells.end(), [&](const Cell& c) { return HasFlavor(node, c.second); });
      if (cell != cells.end()) {
        charges[*cell] += amount.value;
      } else if (!cells.empty() && out != nullptr) {
        *out = true;
      }
    }
    return charges;
  }
  bool HasFlavor(const Node& node, const std::string& flavor) const {
    if (flavor.empty()) return true;
    const ObjectPtr object = server_.FindObject(Kind::kResourceFlavor, "", flavor);
    if (object == nullptr) return false;
    const Labels& wanted = static_cast<const ResourceFlavor&>(*object).node_labels;
    return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
      const auto it = node.labels.find(label.first);
      return it != node.labels.end() && it->second == label.second;
    });
  }

  // --- Kueue's rules ---------------------------------------------------------------------------------

  int64_t Own(const std::string& q, const Cell& cell) const {
    const auto it = own_.find(q);
    if (it == own_.end()) return 0;
    const auto amount = it->second.find(cell);
    return amount == it->second.end() ? 0 : amount->second;
  }
  int64_t Nominal(const std::string& q, const Cell& cell) const {
    const QueueResource* r = Listed(q, cell);
    return r == nullptr ? 0 : r->nominal_quota;
  }
  int64_t Subtree(const std::string& q, const Cell& cell) const {
    int64_t sum = Nominal(q, cell);
    for (const std::string& child : Children(q)) sum += Subtree(child, cell) - Local(child, cell);
    return sum;
  }
  // What it lends to nobody.
  int64_t Local(const std::string& q, const Cell& cell) const {
    const QueueResource* r = Listed(q, cell);
    if (r == nullptr || !r->lending_limit) return 0;
    return std::max<int64_t>(0, Subtree(q, cell) - *r->lending_limit);
  }
  int64_t Usage(const std::string& q, const Cell& cell) const {
    int64_t sum = Own(q, cell);
    for (const std::string& child : Children(q)) sum += Passed(child, cell);
    return sum;
  }
  int64_t Available(const std::string& q, const Cell& cell) const {
    const int64_t local = Local(q, cell), usage = Usage(q, cell);
    if (parent(q).empty()) return Subtree(q, cell) - usage;
    int64_t above = Available(parent(q), cell);
    if (const auto limit = BorrowingLimit(q, cell))
      above = std::min(above, Subtree(q, cell) - local - Passed(q, cell) + *limit);
    return std::max<int64_t>(0, local - usage) + above;
  }
  int64_t Potential(const std::string& q, const Cell& cell) const {
    if (parent(q).empty()) return Subtree(q, cell);
    const int64_t most = Local(q, cell) + Potential(parent(q), cell);
    const auto limit = BorrowingLimit(q, cell);
    return limit ? std::min(most, Subtree(q, cell) + *limit) : most;
  }

  // The rule that is broken by so much that was charged to the queue last; "" = none. Where it used more before, there
  // may be no more.
  std::string Broken(const std::string& q, const Cell& cell, int64_t amount) const {
    if (const int64_t available = Available(q, cell); available < 0)
      return absl::StrCat("queue ", q, " has ", available, " of ", cell.first, " ", cell.second, " available");
    // The same in pods: what runs in a queue and below it, and what the queues below keep for themselves, is not more
    // than all have, and what the queue may borrow.
    for (std::string up = q; amount > 0; up = parent(up)) {
      const bool root = parent(up).empty();
      const auto limit = root ? std::optional<int64_t>(0) : BorrowingLimit(up, cell);
      int64_t bound = 0, kept = 0, has = 0;
      for (const auto& [name, _] : parents_) {
        if (!IsBelow(name, up)) continue;
        bound += Own(name, cell);
        has += Nominal(name, cell);
        if (name != up) kept += std::max<int64_t>(0, Local(name, cell) - Usage(name, cell));
      }
      if (limit && bound + kept > has + *limit) {
        return absl::StrCat("at queue ", up, " ", bound, " of ", cell.first, " ", cell.second, " are bound, ", kept,
                            " are kept, of ", has, " and ", *limit, " to borrow");
      }
      if (root) break;
      amount = Passed(up, cell) - std::max<int64_t>(0, Usage(up, cell) - amount - Local(up, cell));
    }
    return "";
  }
  // How much more than is theirs the queue's own pods use (first), and it and each queue above it with those below.
  std::vector<int64_t> OverOf(const std::string& q, const Cell& cell) const {
    std::vector<int64_t> over{Own(q, cell) - Nominal(q, cell)};
    for (const std::string& up : Path(q)) over.push_back(Usage(up, cell) - Subtree(up, cell));
    return over;
  }
  bool IsBelow(const std::string& q, const std::string& other) const {
    const std::vector<std::string> path = Path(q);
    return std::find(path.begin(), path.end(), other) != path.end();
  }

 private:
  bool IsSound(const Queue& queue) const {
    if (!queue.invalid.empty() || (!queue.parent.empty() && !all_.contains(queue.parent))) return false;
    if (!queue.parent.empty() && Leads(queue.parent, queue.name)) return false;
    return std::all_of(queue.resources.begin(), queue.resources.end(), [&](const QueueResource& r) {
      if (!r.flavor.empty() && server_.FindObject(Kind::kResourceFlavor, "", r.flavor) == nullptr) return false;
      if (!r.lending_limit || *r.lending_limit <= r.nominal_quota) return true;
      int64_t has = 0;
      for (const auto& [name, other] : all_) {
        if (!Leads(name, queue.name)) continue;
        for (const QueueResource& of : other->resources)
          has += of.name == r.name && of.flavor == r.flavor ? of.nominal_quota : 0;
      }
      return *r.lending_limit <= has;
    });
  }
  // Whether parents, sound or not, lead from one to the other.
  bool Leads(std::string from, const std::string& to) const {
    for (size_t steps = 0; steps <= all_.size(); ++steps) {
      if (from == to) return true;
      const auto it = all_.find(from);
      if (it == all_.end()) return false;
      from = it->second->parent;
    }
    return false;
  }
  std::vector<std::string> Children(const std::string& q) const {
    std::vector<std::string> children;
    for (const auto& [name, above] : parents_) {
      if (above == q) children.push_back(name);
    }
    return children;
  }
  const QueueResource* Listed(const std::string& q, const Cell& cell) const {
    for (const QueueResource& r : all_.at(q)->resources) {
      if (r.name == cell.first && r.flavor == cell.second) return &r;
    }
    return nullptr;
  }
  std::optional<int64_t> BorrowingLimit(const std::string& q, const Cell& cell) const {
    const QueueResource* r = Listed(q, cell);
    return r == nullptr ? std::nullopt : r->borrowing_limit;
  }
  int64_t Passed(const std::string& q, const Cell& cell) const {
    return std::max<int64_t>(0, Usage(q, cell) - Local(q, cell));
  }

  const SimApiServer& server_;
  std::map<std::string, const Queue*> all_;
  std::map<std::string, std::string> parents_;
  std::map<std::string, Amounts> own_;
};

}  // namespace muster

#endif  // MUSTER_TEST_ENGINE_QUOTA_QUOTA_MODEL_H_
