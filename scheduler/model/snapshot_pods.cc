// The Snapshot's pods: who runs on which row, and the columns that count them for questions and
// terms (pod_terms.h).
#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/model/snapshot.h"

namespace muster {
namespace {

size_t Padded(size_t rows) { return (rows + kWordBits - 1) / kWordBits * kWordBits; }

bool IsOwner(const ControllerRef& owner, Kind kind, std::string_view api_version) {
  return owner.kind == KindName(kind) && owner.api_version == api_version;
}

}  // namespace

// --- Pods on rows --------------------------------------------------------------------------------

void Snapshot::CountClaims(const PodInfo& pod, int sign) {
  for (const PodVolume& volume : pod.spec->volumes) {
    if (volume.kind != PodVolume::Kind::kClaim) continue;
    const auto it = claim_users_.try_emplace(absl::StrCat(pod.spec->ns, "/", volume.source), 0).first;
    if ((it->second += sign) == 0) claim_users_.erase(it);
  }
}

void Snapshot::AddPod(const PodOnNode& pod, NodeIndex n) {
  pods_[n].push_back(pod);
  pods_version_[n] = ++pods_changes_;
  if (pod.pod->group.present()) group_members_.Add({pod.pod, pod.info, n});
  if (!pod.info->spec->volumes.empty()) CountClaims(*pod.info, +1);
  Apply(*pod.info, n, +1);
  if (observer_ != nullptr) observer_->OnPlaced(pod, n);
}

void Snapshot::RemovePod(const Pod& pod, NodeIndex n) {
  std::vector<PodOnNode>& pods = pods_[n];
  // From the back: what came last is what undo takes away.
  const auto it = std::find_if(pods.rbegin(), pods.rend(), [&](const PodOnNode& p) { return p.pod == &pod; });
  if (it == pods.rend()) return;
  pods_version_[n] = ++pods_changes_;
  const PodOnNode gone = *it;
  const PodInfo& info = *gone.info;
  *it = pods.back();
  pods.pop_back();
  if (pod.group.present()) group_members_.Remove(pod);
  if (!info.spec->volumes.empty()) CountClaims(info, -1);
  Apply(info, n, -1);
  if (observer_ != nullptr) observer_->OnRemoved(gone, n);
}

void Snapshot::RenewPod(const Pod& before, const PodOnNode& after, NodeIndex n) {
  for (auto it = pods_[n].rbegin(); it != pods_[n].rend(); ++it) {
    if (it->pod != &before) continue;
    const bool tell = observer_ != nullptr && before.going() != after.pod->going();
    if (tell) observer_->OnRemoved(*it, n);
    *it = after;
    if (tell) observer_->OnPlaced(after, n);
    pods_version_[n] = ++pods_changes_;
    if (before.group.present()) group_members_.Renew(before, *after.pod);
    if (!before.group.present() && after.pod->group.present()) group_members_.Add({after.pod, after.info, n});
    if (before.started != after.pod->started) LogRow(n);  // which preemption reads
    return;
  }
}

// --- Questions and terms -------------------------------------------------------------------------

template <typename F>
void Snapshot::ForEachInfo(F&& f) {
  std::erase_if(infos_, [&](const std::weak_ptr<PodInfo>& weak) {
    const std::shared_ptr<PodInfo> info = weak.lock();
    if (info != nullptr) f(*info);
    return info == nullptr;
  });
}

ColumnId Snapshot::NewColumn() {
  if (!free_cells_.empty()) {
    const ColumnId column = free_cells_.back();
    free_cells_.pop_back();
    std::fill(cells_[column].begin(), cells_[column].end(), 0);
    return column;
  }
  cells_.emplace_back(Padded(size()), 0);
  return static_cast<ColumnId>(cells_.size() - 1);
}

// Nobody else can have a term that was not known before, so its column begins empty.
void Snapshot::AddOwnTerms(PodInfo& info) {
  const auto add = [&](const PodAffinityTerm& term, PodTerm::Role role, int64_t weight) {
    bool fresh = false;
    const uint32_t id = terms_.Find(term, role, &fresh);
    if (fresh) {
      terms_.terms()[id].column = NewColumn();
      ForEachInfo([&](PodInfo& other) {
        if (!terms_.Selects(term, *other.spec, /*unknown_namespaces=*/true)) return;
        other.terms_of_others.insert(std::upper_bound(other.terms_of_others.begin(), other.terms_of_others.end(), id),
                                     id);
        ++other.questions_version;
      });
    }
    info.own_terms.push_back(id);
    info.cells.push_back({terms_.terms()[id].column, weight});
  };
  const PodAffinity& affinity = info.spec->pod_affinity;
  for (const PodAffinityTerm& t : affinity.required) add(t, PodTerm::Role::kAffinity, 1);
  for (const PodAffinityTerm& t : affinity.required_anti) add(t, PodTerm::Role::kAntiAffinity, 1);
  for (const WeightedPodAffinityTerm& t : affinity.preferred) add(t.term, PodTerm::Role::kPreferred, t.weight);
  for (const WeightedPodAffinityTerm& t : affinity.preferred_anti) add(t.term, PodTerm::Role::kPreferredAnti, t.weight);
}

void Snapshot::CountMatches(PodInfo& info) {
  for (const PodTerms::Question& q : terms_.questions()) {
    if (q.column != kNoColumn && terms_.Selects(q.question, *info.spec)) info.cells.push_back({q.column, 1});
  }
  for (uint32_t id = 0; id < terms_.terms().size(); ++id) {
    const PodTerm& term = terms_.terms()[id];
    if (term.column != kNoColumn && terms_.Selects(term.term, *info.spec, /*unknown_namespaces=*/true))
      info.terms_of_others.push_back(id);
  }
}

ColumnId Snapshot::Ask(PodInfo& info, PodQuestion question) {
  bool fresh = false;
  const uint32_t id = terms_.Find(question, &fresh);
  info.questions.push_back(id);
  PodTerms::Question& entry = terms_.questions()[id];
  if (!fresh) return entry.column;
  entry.column = NewColumn();
  absl::flat_hash_map<const PodInfo*, bool> selected;
  ForEachInfo([&](PodInfo& other) {
    if (!terms_.Selects(question, *other.spec)) return;
    other.cells.push_back({entry.column, 1});
    selected[&other] = true;
  });
  if (selected.empty()) return entry.column;
  for (NodeIndex n = 0; n < size(); ++n) {
    for (const PodOnNode& pod : pods_[n]) cells_[entry.column][n] += selected.contains(pod.info);
  }
  return entry.column;
}

void Snapshot::Prepare(const PodInfo& pod) {
  auto& info = const_cast<PodInfo&>(pod);  // ours: made by Resolve
  const PodSpec& spec = *info.spec;
  if (!info.asks) {
    info.asks = true;
    ++info.questions_version;
    for (const SpreadConstraint& c : spec.spread) {
      info.spread.push_back(Ask(info, {{PodAffinityTerm{"", c.selector, {spec.ns}, {}}}, /*skip_deleting=*/true}));
    }
    const PodAffinity& affinity = spec.pod_affinity;
    if (!affinity.required.empty()) info.affinity = Ask(info, {affinity.required});
    for (const PodAffinityTerm& t : affinity.required_anti) info.anti_affinity.push_back(Ask(info, {{t}}));
    for (const WeightedPodAffinityTerm& t : affinity.preferred) info.preferred.push_back(Ask(info, {{t.term}}));
    for (const WeightedPodAffinityTerm& t : affinity.preferred_anti)
      info.preferred_anti.push_back(Ask(info, {{t.term}}));
  }
  if (spec.spread.empty() && info.selectors_version != selectors_version_) {
    info.selectors_version = selectors_version_;
    if (UpdateDefaultSpread(info)) ++info.questions_version;
  }
}

// Where both count alike for every question, each selects itself where the other does.
bool Snapshot::Alike(const PodInfo& a, const PodInfo& b) const {
  if (&a == &b) return true;
  const auto asked = [](const PodInfo& info) {
    return std::tie(info.default_spread, info.default_spread_selects_itself, info.spread, info.affinity,
                    info.anti_affinity, info.preferred, info.preferred_anti, info.terms_of_others);
  };
  return a.kin == b.kin && EqualButLabels(*a.spec, *b.spec) && asked(a) == asked(b) &&
         a.cells.size() == b.cells.size() && std::is_permutation(a.cells.begin(), a.cells.end(), b.cells.begin());
}

// What upstream's DefaultSelector gives: the labels by which all Services select that select the
// pod, and the selector of its controller.
bool Snapshot::UpdateDefaultSpread(PodInfo& info) {
  const PodSpec& spec = *info.spec;
  Labels merged;
  const auto merge = [&](const LabelSelector& selector) {
    for (const Requirement& r : selector.requirements) merged[r.key] = r.values[0];
  };
  const ClusterObjects::Map& services = objects_->All(Kind::kService);
  for (auto it = services.lower_bound({spec.ns, ""}); it != services.end() && it->first.first == spec.ns; ++it) {
    const auto& service = static_cast<const WorkloadSelector&>(*it->second);
    if (service.selector.Matches(spec.labels)) merge(service.selector);
  }
  const WorkloadSelector* controller = nullptr;
  if (IsOwner(spec.controller, Kind::kReplicationController, "v1")) {
    controller = objects_->Get<WorkloadSelector>(Kind::kReplicationController, spec.ns, spec.controller.name);
    if (controller != nullptr) merge(controller->selector);
    controller = nullptr;
  } else if (IsOwner(spec.controller, Kind::kReplicaSet, "apps/v1")) {
    controller = objects_->Get<WorkloadSelector>(Kind::kReplicaSet, spec.ns, spec.controller.name);
  } else if (IsOwner(spec.controller, Kind::kStatefulSet, "apps/v1")) {
    controller = objects_->Get<WorkloadSelector>(Kind::kStatefulSet, spec.ns, spec.controller.name);
  }
  LabelSelector selector{true, {}};
  for (const auto& [key, value] : merged) selector.requirements.push_back({key, Operator::kIn, {value}, {}});
  if (controller != nullptr && controller->selector.present) {
    const std::vector<Requirement>& more = controller->selector.requirements;
    selector.requirements.insert(selector.requirements.end(), more.begin(), more.end());
  }
  const ColumnId before = info.default_spread;
  info.default_spread_selects_itself = selector.Matches(spec.labels);
  info.default_spread =
      selector.requirements.empty()
          ? kNoColumn
          : Ask(info, {{PodAffinityTerm{"", std::move(selector), {spec.ns}, {}}}, /*skip_deleting=*/true});
  return info.default_spread != before;
}

void Snapshot::UpdateVolumes(Kind kind, const Object* before, const Object* after) {
  if (kind == Kind::kCSINode && (before != nullptr || after != nullptr)) {
    volumes_.SetCSINode(Find((before != nullptr ? before : after)->name), static_cast<const CSINode*>(after));
  } else if (kind == Kind::kVolumeAttachment) {
    const auto* gone = static_cast<const VolumeAttachment*>(before);
    const auto* added = static_cast<const VolumeAttachment*>(after);
    if (gone != nullptr) volumes_.Detach(Find(gone->node), *gone);
    if (added != nullptr) volumes_.Attach(Find(added->node), *added);
  }
}

// Marks the rows whose devices are not what they were.
void Snapshot::UpdateDevices(Kind kind, const ObjectPtr& before, const ObjectPtr& after) {
  if (kind < Kind::kResourceClaim || (before == nullptr && after == nullptr)) return;
  devices_.Update(kind, before, after, [this](const std::string& name) { return Find(name); });
  for (const NodeIndex n : devices_.touched()) LogRow(n);
  devices_.touched().clear();
}

void Snapshot::SetObject(Kind kind, ObjectPtr object) {
  const bool recount = kind == Kind::kNamespace && terms_.uses_namespaces();
  const bool selects = kind == Kind::kService || kind == Kind::kReplicationController || kind == Kind::kReplicaSet ||
                       kind == Kind::kStatefulSet;
  const ObjectPtr before = objects_->Find(kind, object->ns, object->name);
  UpdateVolumes(kind, before.get(), object.get());
  UpdateDevices(kind, before, object);
  objects_->Set(kind, std::move(object));
  if (selects) ++selectors_version_;
  if (recount) CountAnew();
}

void Snapshot::RemoveObject(Kind kind, const std::string& ns, const std::string& name) {
  const ObjectPtr before = objects_->Find(kind, ns, name);
  UpdateVolumes(kind, before.get(), nullptr);
  UpdateDevices(kind, before, nullptr);
  objects_->Remove(kind, ns, name);
  if (kind == Kind::kNamespace && terms_.uses_namespaces()) CountAnew();
  if (kind == Kind::kService || kind == Kind::kReplicationController || kind == Kind::kReplicaSet ||
      kind == Kind::kStatefulSet)
    ++selectors_version_;
}

// A namespace's labels changed, which is rare: every count that may depend on them is made again.
void Snapshot::CountAnew() {
  std::vector<bool> counts(cells_.size(), false);
  for (const PodTerms::Question& q : terms_.questions()) {
    if (q.column != kNoColumn) counts[q.column] = true;
  }
  ForEachInfo([&](PodInfo& info) {
    std::erase_if(info.cells, [&](const PodInfo::CellDelta& d) { return counts[d.column]; });
    info.terms_of_others.clear();
    CountMatches(info);
    ++info.questions_version;
  });
  for (ColumnId c = 0; c < counts.size(); ++c) {
    if (counts[c]) std::fill(cells_[c].begin(), cells_[c].end(), 0);
  }
  for (NodeIndex n = 0; n < size(); ++n) {
    for (const PodOnNode& pod : pods_[n]) {
      for (const PodInfo::CellDelta& d : pod.info->cells) {
        if (counts[d.column]) cells_[d.column][n] += d.delta;
      }
    }
  }
}

void Snapshot::SweepTerms() {
  std::vector<bool> question_used(terms_.questions().size(), false), term_used(terms_.terms().size(), false);
  ForEachInfo([&](PodInfo& info) {
    for (const uint32_t id : info.questions) question_used[id] = true;
    for (const uint32_t id : info.own_terms) term_used[id] = true;
  });
  std::vector<bool> freed(cells_.size(), false);
  bool any = false;
  const auto free_column = [&](ColumnId column) {
    freed[column] = any = true;
    free_cells_.push_back(column);
  };
  for (uint32_t id = 0; id < question_used.size(); ++id) {
    if (question_used[id] || terms_.questions()[id].column == kNoColumn) continue;
    free_column(terms_.questions()[id].column);
    terms_.FreeQuestion(id);
  }
  for (uint32_t id = 0; id < term_used.size(); ++id) {
    if (term_used[id] || terms_.terms()[id].column == kNoColumn) continue;
    free_column(terms_.terms()[id].column);
    terms_.FreeTerm(id);
  }
  if (!any) return;
  ForEachInfo([&](PodInfo& info) {
    std::erase_if(info.cells, [&](const PodInfo::CellDelta& d) { return freed[d.column]; });
    if (std::erase_if(info.terms_of_others, [&](uint32_t id) { return !term_used[id]; }) > 0) ++info.questions_version;
  });
}

}  // namespace muster
