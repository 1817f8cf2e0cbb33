#include "scheduler/framework/explain.h"

#include <algorithm>

#include "absl/container/btree_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace muster {
namespace {

void AddRejector(const Plugin* plugin, Explanation& out) {
  if (plugin == nullptr || std::find(out.rejectors.begin(), out.rejectors.end(), plugin) != out.rejectors.end()) return;
  out.rejectors.push_back(plugin);
  out.wake_on |= plugin->RequeueOn();
}

Explanation Broken(const absl::Status& status) {
  Explanation out;
  out.is_error = true;
  out.message = std::string(status.message());
  return out;
}

}  // namespace

std::string NoNodeMessage(size_t all, const absl::btree_map<std::string, int32_t>& reasons) {
  std::vector<std::string> parts;
  for (const auto& [text, nodes] : reasons) parts.push_back(absl::StrCat(nodes, " ", text));
  std::sort(parts.begin(), parts.end());  // as text: "10 ..." before "2 ..."
  return absl::StrCat("0/", all, " nodes are available: ", absl::StrJoin(parts, ", "), ".");
}

Explanation Explain(const Framework& framework, const PodInfo& pod, const Snapshot& snap, Evaluation& answer,
                    Verdicts& verdicts, const Nominated* nominated) {
  if (!answer.error().ok()) return Broken(answer.error());
  Explanation out;
  if (snap.size() == 0) {
    out.message = "no nodes available to schedule pods";
    out.wake_on = kNodeAdded;
    return out;
  }
  for (const std::string& name : answer.narrowed_by()) AddRejector(framework.Find(name), out);
  if (!answer.pre_filter().ok()) {
    const Outcome& rejected = answer.pre_filter();
    const std::string reasons = absl::StrJoin(rejected.reasons, ", ");
    out.message = absl::StrCat("0/", snap.size(), " nodes are available: ", reasons, ".");
    const auto plugin = answer.pre_filter_plugin();
    out.causes.push_back({std::string(plugin), reasons, static_cast<int32_t>(snap.size())});
    AddRejector(framework.Find(plugin), out);
    out.preemption_may_help = rejected.code == Code::kUnschedulable;
    return out;
  }

  if (absl::Status status = verdicts.Update(framework, pod, snap, answer, nominated); !status.ok())
    return Broken(status);
  // (filter step, reason) -> nodes; nodes that PreFilter left out come first, under its plugins' names.
  absl::btree_map<std::pair<int, uint32_t>, int32_t> counts;
  verdicts.ForEachKind([&](const RejectionKinds::Kind& kind, int32_t nodes) {
    const int step = kind.plugin == Rejections::kNobody ? -1 : kind.plugin;
    for (const uint32_t reason : kind.reasons) counts[{step, reason}] += nodes;
    out.preemption_may_help |= kind.code == Code::kUnschedulable;
  });
  absl::btree_map<std::string, int32_t> by_text;
  for (const auto& [key, nodes] : counts) {
    const auto& [step, reason] = key;
    const Plugin* plugin = step < 0 ? nullptr : framework.filters()[static_cast<size_t>(step)].filter;
    AddRejector(plugin, out);
    const std::string name = plugin != nullptr ? std::string(plugin->Name()) : absl::StrJoin(answer.narrowed_by(), ",");
    out.causes.push_back({name, verdicts.Text(reason), nodes});
    by_text[verdicts.Text(reason)] += nodes;
  }
  out.message = NoNodeMessage(snap.size(), by_text);
  return out;
}

}  // namespace muster
