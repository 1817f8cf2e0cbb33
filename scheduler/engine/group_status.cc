#include "scheduler/engine/group_status.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace muster {
namespace {

constexpr Duration kTellAgain = absl::Seconds(5);

PodGroupStatusPatch PatchFor(const GroupId& id, const PodGroup& object) {
  PodGroupStatusPatch patch;
  patch.kind = id.kind();
  patch.ns = object.ns;
  patch.name = object.name;
  patch.uid = object.uid;
  patch.api_version = object.api_version;
  patch.observed_generation = object.generation;
  return patch;
}

std::string TextOf(const PodGroupStatusPatch& patch) {
  return absl::StrCat(patch.condition.status, "\n", patch.condition.reason, "\n", patch.condition.message, "\n",
                      patch.phase, "\n", patch.scheduled, "/", patch.running);
}

}  // namespace

void GroupStatus::Failed(const GroupId& id, const PodGroup& object, const std::string& profile,
                         const std::string& reason, const std::string& message) {
  recorder_.GroupFailed(object, profile, message);
  // A coscheduling group's phases have no word for it.
  if (id.kind() != Kind::kPodGroup || object.scheduled.status == "True") return;
  PodGroupStatusPatch patch = PatchFor(id, object);
  patch.condition = {true, "False", reason, message};
  if (object.scheduled == patch.condition) return;
  if (object.scheduled.status != "False") patch.transition = loop_.Now();
  Tell(std::move(patch));
}

void GroupStatus::Update(const GroupId& id, const GroupState& state, const std::string& profile, size_t pending) {
  const PodGroup& object = *state.object;
  PodGroupStatusPatch patch = PatchFor(id, object);
  if (id.kind() == Kind::kPodGroup) {
    if (object.scheduled.status == "True" || state.bound < state.min) return;
    patch.condition = {true, "True", "Scheduled", ""};
    patch.transition = loop_.Now();
  } else {
    patch.phase = NextPhase(object.phase, state, pending);
    patch.scheduled = static_cast<int32_t>(state.bound);
    patch.running = static_cast<int32_t>(state.running);
    patch.succeeded = object.members_succeeded;
    patch.failed = object.members_failed;
    // Counts go along with a phase: each pod alone is no news.
    if (patch.phase == object.phase) return;
  }
  const auto told = told_.find(object.uid);
  const bool news = told == told_.end() || told->second.text != TextOf(patch);
  if (news && state.bound >= state.min && patch.phase != "Running")
    recorder_.GroupScheduled(object, profile, state.bound);
  Tell(std::move(patch));
}

void GroupStatus::Tell(PodGroupStatusPatch patch) {
  std::string text = TextOf(patch);
  Told& told = told_[patch.uid];
  if (told.text == text) return;
  told.text = std::move(text);
  told.patch = std::move(patch);
  if (!told.under_way) Send(told);
}

// Until the server has it, or there is something newer to tell. Of two that are under way at once the older might win.
void GroupStatus::Send(Told& told) {
  told.under_way = true;
  api_.PatchPodGroupStatus(told.patch, [this, uid = told.patch.uid, text = told.text](const ApiStatus& status) {
    const auto at = told_.find(uid);
    if (at == told_.end()) return;
    Told& now = at->second;
    now.under_way = false;
    const bool newer = now.text != text;
    if (status.ok() && !newer) return;
    if (!active_ || (!newer && !status.Retriable() && status.code != ApiCode::kConflict)) {
      told_.erase(at);
    } else if (newer) {
      Send(now);
    } else {
      loop_.After(kTellAgain, [this, uid, text] { SendAgain(uid, text); });
    }
  });
}

void GroupStatus::SendAgain(const std::string& uid, const std::string& text) {
  const auto at = told_.find(uid);
  if (at == told_.end() || at->second.text != text || at->second.under_way) return;
  if (active_) return Send(at->second);
  told_.erase(at);
}

}  // namespace muster
