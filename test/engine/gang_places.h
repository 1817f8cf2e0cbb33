// Where the groups of a simulated cluster are, and whether they may be there: told at every write. Says the slow and
// obvious way what the topology plugin and the group's search work out.
#ifndef MUSTER_TEST_ENGINE_GANG_PLACES_H_
#define MUSTER_TEST_ENGINE_GANG_PLACES_H_

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "scheduler/model/pod.h"
#include "scheduler/sim/sim_api_server.h"

namespace muster {

class GangPlaces final : public SimApiServer::Observer {
 public:
  struct Group {
    std::string name;
    GroupRef::Source source = GroupRef::Source::kNative;
    int min = 1, pods = 0;
    int32_t priority = 0;
    int64_t cpu = 1000;
    TopologyRequest topology;
    bool annotated = false;  // the pods ask for it, not the group's object
    bool ranked = false;     // by number, else in order of names
    bool volumes = false;
    bool excused = false;  // it may be split
  };

  explicit GangPlaces(const SimApiServer& server) : server_(server) {}

  std::vector<std::string> levels;  // of the cluster's Topology
  std::vector<Group> groups;
  int joined = 0;  // pods that came to others of a group which must be somewhere

  Group* Find(std::string_view name) {
    const auto it = std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.name == name; });
    return it == groups.end() ? nullptr : &*it;
  }
  void ExcuseAllOn(const std::string& node) {
    for (const PodPtr& pod : server_.Pods()) {
      Group* group = pod->node == node ? Find(pod->group.name) : nullptr;
      if (group != nullptr) group->excused = true;
    }
  }

  void OnNode(const NodePtr&, const NodePtr&) override {}
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    const Pod& pod = after != nullptr ? *after : *before;
    const Group* group = Find(pod.group.name);
    if (group == nullptr) return;
    on_[pod.group.name].erase(pod.name);
    if (after == nullptr || after->node.empty() || after->ended || after->deleting) return;
    auto& here = on_[pod.group.name];
    here[pod.name] = after;
    if (before == nullptr || !before->node.empty()) return;
    joined += here.size() > 1 && (group->topology.mode == Mode::kRequired || !group->topology.slice_level.empty());
    CheckUnsplit(*group);
  }

  // What must be in one domain is: the group, and each of its slices.
  void CheckUnsplit(const Group& group) {
    if (group.excused || !group.topology.present()) return;
    const TopologyRequest& asked = group.topology;
    std::set<std::string> outer;
    std::map<std::string, int> in;
    std::map<int, std::set<std::string>> of_slice;
    for (const PodPtr& pod : PodsOf(group)) {
      const Node& node = *server_.FindNode(pod->node);
      if (asked.mode == Mode::kRequired) outer.insert(Domain(node, asked, asked.level));
      if (asked.slice_level.empty()) continue;
      const std::string domain = Domain(node, asked, asked.slice_level);
      EXPECT_NE(domain, "") << pod->Key() << "'s slice is outside";
      ++in[domain];
      if (group.ranked) of_slice[pod->rank / asked.slice_size].insert(domain);
    }
    EXPECT_LE(outer.size(), 1u) << "group " << group.name << " is split";
    if (outer.size() == 1) {
      EXPECT_NE(*outer.begin(), "") << "group " << group.name << " is outside";
    }
    for (const auto& [slice, domains] : of_slice)
      EXPECT_EQ(domains.size(), 1u) << "slice " << slice << " of group " << group.name << " is split";
    if (asked.slice_level.empty() || group.ranked) return;
    // Who is in whose slice nobody knows, but there are no more slices than whole ones make.
    int slices = 0;
    for (const auto& [domain, count] : in) slices += Slices(count, asked);
    EXPECT_LE(slices, Slices(group.pods, asked)) << "group " << group.name << " has a slice that is split";
  }

  // How many of its pending pods there is room for, whole slices only; `slots` says by node how many it takes. Another
  // way of dividing them may hold more.
  int Fit(const Group& group, const std::map<std::string, int>& slots) const {
    const TopologyRequest& asked = group.topology;
    const std::vector<PodPtr> here = PodsOf(group);
    if (asked.mode == Mode::kPreferred) {
      // A level that no node has is a mistake, which the group is told of.
      const auto inside = [&](const auto& node) { return !Domain(*node.second, asked, asked.level).empty(); };
      if (std::none_of(server_.nodes().begin(), server_.nodes().end(), inside)) return 0;
    }
    if (asked.mode != Mode::kRequired) return FitInside(group, here, slots);
    std::map<std::string, std::map<std::string, int>> inside;
    for (const auto& [name, count] : slots) inside[Domain(*server_.FindNode(name), asked, asked.level)][name] = count;
    if (!here.empty())
      return FitInside(group, here, inside[Domain(*server_.FindNode(here[0]->node), asked, asked.level)]);
    int most = 0;
    for (const auto& [domain, of_node] : inside) {
      if (!domain.empty()) most = std::max(most, FitInside(group, here, of_node));
    }
    return most;
  }

 private:
  using Mode = TopologyRequest::Mode;

  static int Slices(int pods, const TopologyRequest& asked) { return (pods + asked.slice_size - 1) / asked.slice_size; }
  // The group's pods on nodes that are there.
  std::vector<PodPtr> PodsOf(const Group& group) const {
    std::vector<PodPtr> pods;
    const auto it = on_.find(group.name);
    if (it == on_.end()) return pods;
    for (const auto& [name, pod] : it->second) {
      if (server_.FindNode(pod->node) != nullptr) pods.push_back(pod);
    }
    return pods;
  }
  // The values of the level's label and of those above; "" where the node is in none.
  std::string Domain(const Node& node, const TopologyRequest& asked, const std::string& level) const {
    const auto known = [&](const std::string& key) {
      return key.empty() || std::find(levels.begin(), levels.end(), key) != levels.end();
    };
    const bool in_tree = known(asked.level) && known(asked.slice_level);
    std::string domain;
    bool below = false;
    for (const std::string& key : in_tree ? levels : std::vector<std::string>{level}) {
      const auto label = node.labels.find(key);
      if (label == node.labels.end()) return "";
      if (!below) domain += "/" + label->second;
      below |= key == level;
    }
    return domain;
  }

  int FitInside(const Group& group, const std::vector<PodPtr>& here, const std::map<std::string, int>& slots) const {
    const TopologyRequest& asked = group.topology;
    std::vector<PodPtr> pending;
    for (const PodPtr& pod : server_.Pods()) {
      if (pod->group.name == group.name && pod->node.empty() && !pod->ended) pending.push_back(pod);
    }
    int room = 0;
    std::map<std::string, int> by_domain;
    for (const auto& [name, count] : slots) {
      room += count;
      if (asked.slice_level.empty()) continue;
      const std::string domain = Domain(*server_.FindNode(name), asked, asked.slice_level);
      if (!domain.empty()) by_domain[domain] += count;
    }
    if (asked.slice_level.empty()) return std::min(room, static_cast<int>(pending.size()));
    int fit = 0;
    for (const auto& [count, home] : PendingSlices(group, here, pending)) {
      auto best = by_domain.end();
      for (auto it = by_domain.begin(); it != by_domain.end(); ++it) {
        if ((!home.empty() && it->first != home) || it->second < count) continue;
        if (best == by_domain.end() || it->second < best->second) best = it;
      }
      if (best == by_domain.end()) continue;
      best->second -= count;
      fit += count;
    }
    return fit;
  }

  // How many pods each has, and where others of it are; in the order in which to place them.
  std::vector<std::pair<int, std::string>> PendingSlices(const Group& group, const std::vector<PodPtr>& here,
                                                         const std::vector<PodPtr>& pending) const {
    const TopologyRequest& asked = group.topology;
    std::map<int, std::pair<int, std::string>> by_rank;
    std::map<std::string, int> in;
    std::vector<std::pair<int, std::string>> slices;
    if (group.ranked) {
      for (const PodPtr& pod : pending) ++by_rank[pod->rank / asked.slice_size].first;
    }
    for (const PodPtr& pod : here) {
      const std::string domain = Domain(*server_.FindNode(pod->node), asked, asked.slice_level);
      ++in[domain];
      by_rank[pod->rank / asked.slice_size].second = domain;
    }
    if (group.ranked) {
      for (const auto& [number, slice] : by_rank) slices.push_back(slice);
    } else {
      int left = static_cast<int>(pending.size());
      const auto add = [&](int count, const std::string& home) {
        count = std::min(count, left);
        if (count > 0) slices.emplace_back(count, home);
        left -= count;
      };
      for (const auto& [domain, count] : in)
        add((asked.slice_size - count % asked.slice_size) % asked.slice_size, domain);
      while (left > 0) add(asked.slice_size, "");
    }
    std::stable_sort(slices.begin(), slices.end(), [](const auto& a, const auto& b) {
      return a.second.empty() != b.second.empty() ? b.second.empty() : a.first > b.first;
    });
    std::erase_if(slices, [](const auto& s) { return s.first == 0; });
    return slices;
  }

  const SimApiServer& server_;
  std::map<std::string, std::map<std::string, PodPtr>> on_;  // bound pods, by group and name
};

}  // namespace muster

#endif  // MUSTER_TEST_ENGINE_GANG_PLACES_H_
