#include "scheduler/engine/binding/group_commit.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster {
namespace {

constexpr Duration kFirstRetry = absl::Seconds(1);
constexpr Duration kMaxRetry = absl::Seconds(10);

}  // namespace

GroupCommits::Commit* GroupCommits::Find(const std::string& uid, Place** place, uint64_t* id) {
  const auto of = of_pod_.find(uid);
  if (of == of_pod_.end()) return nullptr;
  Commit& commit = commits_.find(of->second)->second;
  for (Place& p : commit.places) {
    if (p.member.pod->uid == uid) *place = &p;
  }
  if (id != nullptr) *id = of->second;
  return &commit;
}

void GroupCommits::Start(const std::string& key, Time popped_at, Duration timeout, std::vector<Member> members) {
  const uint64_t id = next_id_++;
  Commit& commit = commits_[id];
  commit.key = key;
  commit.decided_at = loop_.Now();
  commit.popped_at = popped_at;
  commit.timeout = timeout;
  for (Member& member : members) {
    of_pod_[member.pod->uid] = id;
    Place& place = commit.places.emplace_back();
    place.member = std::move(member);
    if (place.member.first.empty()) {
      place.stage = Place::Stage::kReady;
    } else {
      ++commit.preparing;
    }
  }
  ++preparing_[key];
  if (commit.preparing == 0) return SendBinds(id);
  for (Place& place : commit.places) {
    if (place.stage == Place::Stage::kPreparing)
      preparation_.Start(TaskOf(commit, place), std::move(place.member.first));
  }
}

void GroupCommits::OnPreparationEnded(const BindingCycle::Task& task, const std::string& error) {
  Place* place = nullptr;
  uint64_t id = 0;
  Commit* commit = Find(task.pod->uid, &place, &id);
  if (commit == nullptr) return;
  if (!error.empty()) return Abort(id, task.pod, error);
  place->stage = Place::Stage::kReady;
  if (--commit->preparing == 0) SendBinds(id);
}

void GroupCommits::SendBinds(uint64_t id) {
  Commit& commit = commits_.find(id)->second;
  commit.binding = true;
  if (--preparing_[commit.key] == 0) preparing_.erase(commit.key);
  commit.timer = loop_.After(commit.timeout, [this, id] { Expire(id); });
  const std::string key = commit.key;
  for (Place& place : commit.places) {
    place.stage = Place::Stage::kBinding;
    callbacks_.bind(TaskOf(commit, place));
  }
  callbacks_.prepared(key);
}

// Nothing of the batch is bound: nothing of it will be.
void GroupCommits::Abort(uint64_t id, const PodPtr& culprit, const std::string& error) {
  Undone undone{commits_.find(id)->second.key, {}, culprit, error};
  if (--preparing_[undone.key] == 0) preparing_.erase(undone.key);
  const std::vector<Place> places = std::move(commits_.find(id)->second.places);
  commits_.erase(id);
  for (const Place& place : places) of_pod_.erase(place.member.pod->uid);
  for (const Place& place : places) {
    preparation_.GiveUp(place.member.pod->uid);
    undone.pods.push_back(place.member.pod);
  }
  callbacks_.undone(undone);
}

void GroupCommits::OnBindEnded(const BindingCycle::Task& task, const ApiStatus& status) {
  Place* place = nullptr;
  uint64_t id = 0;
  Commit* commit = Find(task.pod->uid, &place, &id);
  if (commit == nullptr) return;
  if (status.ok()) return Drop(id, task.pod->uid);
  place->stage = Place::Stage::kFailed;
  place->error = status.message;
  if (commit->expired) {
    return Release(
        id, [](const Place& p) { return p.stage == Place::Stage::kFailed; }, "running Bind plugin \"DefaultBinder\": ");
  }
  // Where the pod is gone, or somebody else's, the watch is about to say so.
  const Duration wait = std::min(kMaxRetry, kFirstRetry * (1 << std::min<uint32_t>(place->tries++, 4)));
  loop_.After(wait, [this, id, uid = task.pod->uid] { Retry(id, uid); });
}

void GroupCommits::Retry(uint64_t id, const std::string& uid) {
  Place* place = nullptr;
  uint64_t now_in = 0;
  Commit* commit = Find(uid, &place, &now_in);
  if (commit == nullptr || now_in != id || place->stage != Place::Stage::kFailed) return;
  place->stage = Place::Stage::kBinding;
  callbacks_.bind(TaskOf(*commit, *place));
}

void GroupCommits::OnBound(const std::string& uid) {
  if (const auto of = of_pod_.find(uid); of != of_pod_.end()) Drop(of->second, uid);
}

bool GroupCommits::OnGone(const std::string& uid) {
  Place* place = nullptr;
  uint64_t id = 0;
  Commit* commit = Find(uid, &place, &id);
  if (commit == nullptr) return false;
  if (!commit->binding) {
    Abort(id, place->member.pod, "");
    return false;
  }
  // What claims the pod had is not its successor's.
  if (commit->expired || !place->member.pod->claims.empty()) {
    Drop(id, uid);
    return false;
  }
  if (std::exchange(place->stage, Place::Stage::kEmpty) != Place::Stage::kEmpty) ++empty_;
  place->error = absl::StrCat("pod ", place->member.pod->Key(), " is gone, and no pod of the group took its place");
  return true;
}

std::optional<GroupCommits::Slot> GroupCommits::TakeSlot(const std::string& key, const PodInfo& info) {
  for (auto& [id, commit] : commits_) {
    if (commit.key != key) continue;
    for (const Place& place : commit.places) {
      if (place.stage != Place::Stage::kEmpty || place.member.info.get() != &info) continue;
      Slot slot{place.member.pod, place.member.node};
      Drop(id, slot.pod->uid);
      return slot;
    }
  }
  return std::nullopt;
}

bool GroupCommits::AllEmpty(std::span<const PlacedMember> placed) const {
  return std::all_of(placed.begin(), placed.end(), [&](const PlacedMember& member) {
    const auto of = of_pod_.find(member.pod->uid);
    if (of == of_pod_.end()) return false;
    const std::vector<Place>& places = commits_.find(of->second)->second.places;
    return std::any_of(places.begin(), places.end(), [&](const Place& place) {
      return place.member.pod->uid == member.pod->uid && place.stage == Place::Stage::kEmpty;
    });
  });
}

void GroupCommits::ReleaseEmpty(const std::string& key) {
  std::vector<uint64_t> ids;
  for (const auto& [id, commit] : commits_) {
    if (commit.key == key && commit.binding) ids.push_back(id);
  }
  for (const uint64_t id : ids)
    Release(
        id, [](const Place& p) { return p.stage == Place::Stage::kEmpty; }, "");
}

void GroupCommits::ReleaseAll() {
  std::vector<uint64_t> ids;
  for (const auto& [id, commit] : commits_) ids.push_back(id);
  for (const uint64_t id : ids) {
    const auto it = commits_.find(id);
    if (it == commits_.end()) continue;
    if (it->second.binding) {
      Expire(id);
    } else {
      Abort(id, nullptr, "");
    }
  }
}

// What is on its way to the server stays until its end is known.
void GroupCommits::Expire(uint64_t id) {
  const auto it = commits_.find(id);
  if (it == commits_.end() || it->second.expired) return;
  it->second.expired = true;
  Release(
      id, [](const Place& p) { return p.stage == Place::Stage::kFailed || p.stage == Place::Stage::kEmpty; },
      absl::StrCat("the group was not complete within ", absl::FormatDuration(it->second.timeout), ": "));
}

void GroupCommits::Release(uint64_t id, const std::function<bool(const Place&)>& choose, const std::string& prefix) {
  Commit& commit = commits_.find(id)->second;
  Undone undone{commit.key, {}, nullptr, ""};
  for (const Place& place : commit.places) {
    if (!choose(place)) continue;
    undone.pods.push_back(place.member.pod);
    if (undone.culprit != nullptr) continue;
    undone.culprit = place.member.pod;
    undone.error = absl::StrCat(prefix, place.error);
  }
  if (undone.pods.empty()) return;
  std::erase_if(commit.places, [&](const Place& place) {
    const bool chosen = choose(place);
    if (chosen && place.stage == Place::Stage::kEmpty) --empty_;
    return chosen;
  });
  for (const PodPtr& pod : undone.pods) of_pod_.erase(pod->uid);
  EndIfOver(id);
  callbacks_.undone(undone);
}

void GroupCommits::Drop(uint64_t id, const std::string& uid) {
  of_pod_.erase(uid);
  std::erase_if(commits_.find(id)->second.places, [&](const Place& p) {
    const bool it = p.member.pod->uid == uid;
    if (it && p.stage == Place::Stage::kEmpty) --empty_;
    return it;
  });
  EndIfOver(id);
}

void GroupCommits::EndIfOver(uint64_t id) {
  const auto it = commits_.find(id);
  if (!it->second.places.empty()) return;
  if (it->second.binding && !it->second.expired) loop_.Cancel(it->second.timer);
  commits_.erase(it);
}

}  // namespace muster
