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
  const bool news = told == told_.end() || told->second != TextOf(patch);
  if (news && state.bound >= state.min && patch.phase != "Running")
    recorder_.GroupScheduled(object, profile, state.bound);
  Tell(std::move(patch));
}

void GroupStatus::Tell(PodGroupStatusPatch patch) {
  std::string text = TextOf(patch);
  std::string& told = told_[patch.uid];
  if (told == text) return;
  told = text;
  Send(patch, text);
}

// Until the server has it, or there is something newer to tell.
void GroupStatus::Send(const PodGroupStatusPatch& patch, const std::string& text) {
  api_.PatchPodGroupStatus(patch, [this, patch, text](const ApiStatus& status) {
    if (status.ok()) return;
    const auto told = told_.find(patch.uid);
    if (told == told_.end() || told->second != text) return;
    if (!active_ || (!status.Retriable() && status.code != ApiCode::kConflict)) {
      told_.erase(told);
      return;
    }
    loop_.After(kTellAgain, [this, patch, text] {
      const auto still = told_.find(patch.uid);
      if (still == told_.end() || still->second != text) return;
      if (active_) return Send(patch, text);
      told_.erase(still);
    });
  });
}

}  // namespace muster
