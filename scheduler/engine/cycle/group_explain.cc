#include "scheduler/engine/cycle/group_explain.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace muster {
namespace {

constexpr size_t kDomains = 3;   // told of
constexpr size_t kReasons = 4;   // told of a domain
constexpr size_t kShapes = 8;    // whose rejections are looked at; of more, every filter may be a rejector
constexpr size_t kLength = 900;  // of a message: events hold 1,024 characters

void AddRejector(const Plugin* plugin, Explanation& out) {
  if (plugin == nullptr || std::find(out.rejectors.begin(), out.rejectors.end(), plugin) != out.rejectors.end()) return;
  out.rejectors.push_back(plugin);
  out.wake_on |= plugin->RequeueOn();
}

std::string Amount(ResourceId resource, int64_t value) {
  if (resource == kCpu) return value % 1000 == 0 ? absl::StrCat(value / 1000) : absl::StrCat(value, "m");
  if (resource == kMemory || resource == kEphemeralStorage) {
    for (const auto& [unit, shift] : {std::pair("Gi", 30), std::pair("Mi", 20), std::pair("Ki", 10)}) {
      if (value != 0 && value % (int64_t{1} << shift) == 0) return absl::StrCat(value >> shift, unit);
    }
  }
  return absl::StrCat(value);
}

std::string AmountsOf(const PodInfo& pod, const Snapshot& snap, const std::vector<ResourceId>* only) {
  std::vector<std::string> parts;
  for (const PodInfo::Want& want : pod.requests) {
    if (want.amount <= 0 || (only != nullptr && std::find(only->begin(), only->end(), want.resource) == only->end()))
      continue;
    parts.push_back(absl::StrCat(Amount(want.resource, want.amount), " ", snap.resources().Text(want.resource)));
  }
  return absl::StrJoin(parts, " and ");
}

std::string In(std::string_view domain) { return domain.empty() ? "" : absl::StrCat(" in ", AsAbsl(domain)); }

// Why members of one shape do not fit in a candidate beside those that are placed.
struct Obstacles {
  absl::Status error;
  std::map<std::pair<std::string, std::string>, int32_t> causes;  // by plugin and message: nodes
  std::map<std::vector<ResourceId>, int32_t> lacking;             // nodes that only lack these
  int32_t with_room = 0;                                          // nodes that pass all filters
};

// `left`: some of its members are not placed, and so removing pods may help.
Obstacles Look(const GroupContext& group, std::span<const NodeIndex> nodes, uint32_t shape, bool left,
               Explanation& out) {
  Obstacles found;
  ShapeCache::Entry& entry = *group.search.shapes()[shape].entry;
  Evaluation& answer = entry.answer;
  group.search.Refresh(shape);
  if (found.error = answer.error(); !found.error.ok()) return found;
  for (const std::string& name : answer.narrowed_by()) AddRejector(group.framework.Find(name), out);
  if (!answer.pre_filter().ok()) {
    AddRejector(group.framework.Find(answer.pre_filter_plugin()), out);
    out.preemption_may_help |= left && answer.pre_filter().code == Code::kUnschedulable;
    found.causes[{std::string(answer.pre_filter_plugin()), absl::StrJoin(answer.pre_filter().reasons, ", ")}] =
        static_cast<int32_t>(nodes.size());
    return found;
  }
  found.error = entry.verdicts.Update(group.framework, *entry.pod, group.snap, answer, group.nominated);
  if (!found.error.ok()) return found;
  const auto plugin_of = [&](const RejectionKinds::Kind& kind) -> const Plugin* {
    return kind.plugin == Rejections::kNobody ? nullptr : group.framework.filters()[kind.plugin].filter;
  };
  entry.verdicts.ForEachKind([&](const RejectionKinds::Kind& kind, int32_t) {
    AddRejector(plugin_of(kind), out);
    out.preemption_may_help |= left && kind.code == Code::kUnschedulable;
  });
  for (const NodeIndex n : nodes) {
    if (answer.feasible().Has(n)) {
      ++found.with_room;
      continue;
    }
    const RejectionKinds::Kind& kind = entry.verdicts.Of(n);
    const Plugin* plugin = plugin_of(kind);
    const std::string name = plugin != nullptr ? std::string(plugin->Name()) : absl::StrJoin(answer.narrowed_by(), ",");
    for (const uint32_t reason : kind.reasons) ++found.causes[{name, entry.verdicts.Text(reason)}];
    if (dynamic_cast<const CapacityPlugin*>(plugin) == nullptr) continue;
    std::vector<ResourceId> lacks;
    for (const PodInfo::Want& want : entry.pod->requests) {
      if (group.search.Limits(want.resource) && group.snap.Free(want.resource)[n] < want.amount)
        lacks.push_back(want.resource);
    }
    ++found.lacking[lacks];
  }
  return found;
}

// "2 Insufficient cpu, 1 node(s) were unschedulable", the most frequent first.
std::string Text(const Obstacles& found) {
  std::vector<std::tuple<int32_t, std::string>> by_count;
  for (const auto& [cause, nodes] : found.causes) by_count.emplace_back(-nodes, cause.second);
  std::sort(by_count.begin(), by_count.end());
  std::vector<std::string> parts;
  for (size_t i = 0; i < by_count.size() && i < kReasons; ++i)
    parts.push_back(absl::StrCat(-std::get<0>(by_count[i]), " ", std::get<1>(by_count[i])));
  if (by_count.size() > kReasons) parts.push_back(absl::StrCat(by_count.size() - kReasons, " other reasons"));
  if (found.with_room > 0)
    parts.push_back(absl::StrCat(found.with_room, " node(s) with room for one, but not for all together"));
  return absl::StrJoin(parts, ", ");
}

// What would make `missing` more pods of the only shape fit.
std::string Change(const GroupContext& group, const Obstacles& found, size_t missing, std::string_view domain) {
  const std::string nodes = absl::StrCat(missing, missing == 1 ? " more node" : " more nodes");
  if (!found.lacking.empty()) {
    const auto most = std::max_element(found.lacking.begin(), found.lacking.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    const std::string amounts = AmountsOf(*group.search.shapes()[0].entry->pod, group.snap, &most->first);
    return absl::StrCat(nodes, " with ", amounts.empty() ? "room for a pod" : absl::StrCat(amounts, " free"),
                        In(domain), " would do");
  }
  if (found.causes.empty() || found.with_room > 0) return "";
  const auto most = std::max_element(found.causes.begin(), found.causes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most->first.first.empty()) return "";
  return absl::StrCat(nodes, " that ", most->first.first, " accepts", In(domain), " would do");
}

// Of several shapes: what has no room.
std::string Missing(const GroupContext& group) {
  std::vector<std::string> parts;
  for (uint32_t s = 0; s < group.search.shapes().size(); ++s) {
    size_t left = 0;
    uint32_t first = 0;
    for (uint32_t m = 0; m < group.request.members.size(); ++m) {
      if (group.search.shape_of()[m] != s || group.search.nodes()[m] != kNoNode) continue;
      if (left++ == 0) first = m;
    }
    if (left == 0) continue;
    if (parts.size() == 2) {
      parts.push_back("others");
      break;
    }
    const Member& member = group.request.members[first];
    const std::string amounts = AmountsOf(*member.info, group.snap, nullptr);
    parts.push_back(absl::StrCat(left, left == 1 ? " pod like " : " pods like ", member.pod->name,
                                 amounts.empty() ? "" : absl::StrCat(" (", amounts, ")")));
  }
  return absl::StrCat("no room for ", absl::StrJoin(parts, " and "));
}

std::string Bounded(std::string text) {
  if (text.size() <= kLength) return text;
  size_t end = kLength - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return text.substr(0, end) + "...";
}

Explanation Broken(const absl::Status& status) {
  Explanation out;
  out.is_error = true;
  out.message = std::string(status.message());
  return out;
}

// Looks at one place with as many members in it as fit.
class Places {
 public:
  Places(const GroupContext& group, Explanation& out) : group_(group), out_(out) {}

  void Add(const PlacementCandidate& candidate, bool place) {
    GroupSearch& search = group_.search;
    if (place) search.PlaceMost(candidate);
    const size_t fit = search.placed();
    std::string text;
    Obstacles first;
    bool any = false;
    // Shapes whose members are left; for the queue's sake all, for more can hold them back elsewhere.
    for (uint32_t s = 0; s < search.shapes().size() && s < kShapes && error_.ok(); ++s) {
      const bool left = LeftOf(s);
      if (!left && told_ > 0) continue;
      Obstacles found = Look(group_, candidate.nodes, s, left, out_);
      error_.Update(found.error);
      if (!left || any) continue;
      any = true;
      text = Text(found);
      first = std::move(found);
    }
    if (search.broken_shape() != nullptr) error_.Update(search.broken_shape()->entry->answer.error());
    ++told_;
    if (best_.empty() || fit > fit_) {
      fit_ = fit;
      domain_ = std::string(candidate.domain);
      causes_ = first.causes;
      const size_t missing = search.need() > fit ? search.need() - fit : 1;
      change_ = search.shapes().size() == 1 ? Change(group_, first, missing, candidate.domain) : Missing(group_);
      if (!best_.empty()) others_.push_back(std::move(best_));
      best_ = Other(candidate, fit, text);
      best_text_ = std::move(text);
    } else {
      others_.push_back(Other(candidate, fit, text));
    }
    search.Undo();
  }
  size_t told() const { return told_; }
  const absl::Status& error() const { return error_; }

  std::string Message(bool proven) const {
    const size_t members = group_.request.members.size();
    std::string text = fit_ == 0 ? absl::StrCat("none of the ", members, " pods of the group fits")
                                 : absl::StrCat(fit_, " of ", members, " pods of the group fit");
    absl::StrAppend(&text, In(domain_));
    if (group_.search.need() < members) absl::StrAppend(&text, ", ", group_.search.need(), " are needed");
    if (!best_text_.empty()) absl::StrAppend(&text, ": ", best_text_);
    for (const std::string& other : others_) absl::StrAppend(&text, "; ", other);
    if (!change_.empty()) absl::StrAppend(&text, "; ", change_);
    if (!proven) absl::StrAppend(&text, "; no placement was found within the search's budget");
    return Bounded(std::move(text)) + ".";
  }
  std::vector<Explanation::Cause> Causes() const {
    std::vector<Explanation::Cause> causes;
    for (const auto& [cause, nodes] : causes_) causes.push_back({cause.first, cause.second, nodes});
    return causes;
  }

 private:
  bool LeftOf(uint32_t shape) const {
    for (uint32_t m = 0; m < group_.request.members.size(); ++m) {
      if (group_.search.shape_of()[m] == shape && group_.search.nodes()[m] == kNoNode) return true;
    }
    return false;
  }
  static std::string Other(const PlacementCandidate& candidate, size_t fit, const std::string& text) {
    return absl::StrCat(fit, " fit", In(candidate.domain), text.empty() ? "" : absl::StrCat(": ", text));
  }

  const GroupContext& group_;
  Explanation& out_;
  absl::Status error_;
  size_t told_ = 0, fit_ = 0;
  std::string domain_, change_;
  std::string best_, best_text_;  // the best place as it is told beside a better one, and its obstacles alone
  std::vector<std::string> others_;
  std::map<std::pair<std::string, std::string>, int32_t> causes_;
};

}  // namespace

Explanation ExplainGroup(const GroupContext& group, const PlacementAnswer& answer, bool proven) {
  GroupSearch& search = group.search;
  if (search.broken_shape() != nullptr) return Broken(search.broken_shape()->entry->answer.error());
  Explanation out;
  const PlacementGeneratePlugin* generator = GroupPlaces::PluginFor(group.framework, group.request);
  AddRejector(generator, out);
  if (!answer.impossible.empty()) {
    out.message = answer.impossible;
    out.causes.push_back({generator != nullptr ? std::string(generator->Name()) : "", answer.impossible,
                          static_cast<int32_t>(group.snap.size())});
    out.wake_on |= kNodeAdded | kNodeLabel;
    return out;
  }
  search.RefreshAll();
  Places places(group, out);
  const auto visit = [&](size_t min) {
    group.places.Visit(group.framework, group.request, min, group.snap, search,
                       [&](const PlacementCandidate& candidate) {
                         places.Add(candidate, /*place=*/true);
                         return places.told() == kDomains;
                       });
  };
  visit(search.need());
  if (places.told() == 0 && answer.most > 0) visit(answer.most);  // what could not hold all of them
  if (places.told() == 0) places.Add(search.WholeCluster(), /*place=*/generator == nullptr);
  if (!places.error().ok()) return Broken(places.error());
  if (search.shapes().size() > kShapes) {
    for (const Framework::FilterStep& step : group.framework.filters()) AddRejector(step.filter, out);
    out.preemption_may_help = true;
  }
  AddRejector(search.refused_by(), out);
  out.message = places.Message(proven);
  out.causes = places.Causes();
  return out;
}

Explanation ExplainLeft(const GroupContext& group, const PlacementCandidate& candidate) {
  const GroupSearch& search = group.search;
  Explanation out;
  AddRejector(GroupPlaces::PluginFor(group.framework, group.request), out);
  const auto left = std::find(search.nodes().begin(), search.nodes().end(), kNoNode) - search.nodes().begin();
  const Obstacles found = Look(group, candidate.nodes, search.shape_of()[static_cast<size_t>(left)], true, out);
  if (!found.error.ok()) return Broken(found.error);
  AddRejector(search.refused_by(), out);
  const std::string text = Text(found);
  out.message = Bounded(absl::StrCat("no room for ", search.nodes().size() - search.placed(), " pods above the minimum",
                                     In(candidate.domain), text.empty() ? "" : ": ", text)) +
                ".";
  for (const auto& [cause, nodes] : found.causes) out.causes.push_back({cause.first, cause.second, nodes});
  return out;
}

}  // namespace muster
