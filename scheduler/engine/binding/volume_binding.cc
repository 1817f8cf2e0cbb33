#include "scheduler/engine/binding/volume_binding.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/model/volume_objects.h"

namespace muster {
namespace {

std::string KeyOf(Kind kind, const std::string& ns, const std::string& name) {
  return absl::StrCat(static_cast<int>(kind), "/", ns, "/", name);
}

std::string Gone(const char* doing, const char* resource, const std::string& key) {
  return absl::StrCat("failed to check ", doing, ": ", resource, " \"", key, "\" not found");
}

const PersistentVolume& VolumeIn(const Intent& intent) { return static_cast<const PersistentVolume&>(*intent.volume); }
const PersistentVolumeClaim& ClaimIn(const Intent& intent) {
  return static_cast<const PersistentVolumeClaim&>(*intent.claim);
}

// What the intent changes.
Kind KindIn(const Intent& intent) {
  return intent.kind == Intent::Kind::kBindVolume ? Kind::kPersistentVolume : Kind::kPersistentVolumeClaim;
}
const ObjectPtr& ObjectIn(const Intent& intent) {
  return intent.kind == Intent::Kind::kBindVolume ? intent.volume : intent.claim;
}

}  // namespace

VolumeBinder::Running* VolumeBinder::Find(const std::string& uid, uint64_t id) {
  const auto it = tasks_.find(uid);
  return it == tasks_.end() || it->second.id != id ? nullptr : &it->second;
}

void VolumeBinder::Start(BindingCycle::Task task, std::vector<Intent> intents) {
  const std::string uid = task.pod->uid;
  Running& running = tasks_[uid];
  running = {};
  running.task = std::move(task), running.intents = std::move(intents), running.id = next_id_++;
  WriteNext(running);
}

void VolumeBinder::WriteNext(Running& running) {
  const Pod& pod = *running.task.pod;
  if (running.written.size() < running.intents.size()) {
    const Intent& intent = running.intents[running.written.size()];
    auto done = [this, uid = pod.uid, id = running.id](const ApiStatus& status, uint64_t version) {
      OnWritten(uid, id, status, version);
    };
    const PersistentVolumeClaim& claim = ClaimIn(intent);
    if (intent.kind == Intent::Kind::kBindVolume) {
      const PersistentVolume& volume = VolumeIn(intent);
      api_.BindVolume({volume.name, volume.resource_version, claim.ns, claim.name, claim.uid, claim.resource_version,
                       volume.bound_by_controller},
                      std::move(done));
    } else {
      api_.SelectNode({claim.ns, claim.name, claim.resource_version, running.task.node}, std::move(done));
    }
    return;
  }
  running.waiting = true;
  for (const Intent& intent : running.intents) {
    if (intent.volume != nullptr) AwaitObject(running, Kind::kPersistentVolume, "", intent.volume->name);
    AwaitObject(running, Kind::kPersistentVolumeClaim, intent.claim->ns, intent.claim->name);
  }
  running.timer = loop_.After(running.intents[0].timeout, [this, uid = pod.uid, id = running.id] {
    if (Find(uid, id) != nullptr) End(uid, "binding volumes: context deadline exceeded");
  });
  Check(running);
}

void VolumeBinder::OnWritten(const std::string& uid, uint64_t id, const ApiStatus& status, uint64_t version) {
  Running* running = Find(uid, id);
  if (running == nullptr) return;
  if (!status.ok()) return End(uid, status.message);
  running->written.push_back(version);
  WriteNext(*running);
}

void VolumeBinder::AwaitObject(Running& running, Kind kind, const std::string& ns, const std::string& name) {
  std::string key = KeyOf(kind, ns, name);
  std::vector<std::string>& uids = waiting_on_[key];
  const std::string& uid = running.task.pod->uid;
  if (std::find(uids.begin(), uids.end(), uid) != uids.end()) return;
  uids.push_back(uid);
  running.awaits.push_back(std::move(key));
}

void VolumeBinder::OnObject(Kind kind, const ObjectPtr& object, bool gone) {
  if (kind != Kind::kPersistentVolume && kind != Kind::kPersistentVolumeClaim && kind != Kind::kCSINode) return;
  if (gone) {
    latest_.Remove(kind, object->ns, object->name);
  } else {
    latest_.Set(kind, object);
  }
  if (waiting_on_.empty()) return;
  const auto it = waiting_on_.find(KeyOf(kind, object->ns, object->name));
  if (it == waiting_on_.end()) return;
  const std::vector<std::string> uids = it->second;  // a check may end a task, and so change the list
  for (const std::string& uid : uids) {
    if (const auto task = tasks_.find(uid); task != tasks_.end()) Check(task->second);
  }
}

void VolumeBinder::Check(Running& running) {
  const std::string uid = running.task.pod->uid;
  std::string error;
  const bool bound = AllBound(running, &error);
  if (!error.empty()) return End(uid, absl::StrCat("binding volumes: ", error));
  if (bound) End(uid, "");
}

bool VolumeBinder::AllBound(Running& running, std::string* error) {
  const NodePtr node = cache_.FindNode(running.task.node);
  if (node == nullptr) {
    *error = absl::StrCat("failed to get node \"", running.task.node, "\": node \"", running.task.node, "\" not found");
    return false;
  }
  for (size_t i = 0; i < running.intents.size(); ++i) {
    const Intent& intent = running.intents[i];
    const bool bound = intent.kind == Intent::Kind::kBindVolume
                           ? VolumeIsBound(running, intent, running.written[i], *node, error)
                           : ClaimIsBound(running, intent, running.written[i], *node, error);
    if (!bound) return false;
  }
  return true;
}

bool VolumeBinder::VolumeIsBound(Running& running, const Intent& intent, uint64_t written, const Node& node,
                                 std::string* error) {
  const std::string& name = intent.volume->name;
  const auto* volume = latest_.Get<PersistentVolume>(Kind::kPersistentVolume, "", name);
  if (volume == nullptr) return *error = Gone("binding", "persistentvolumes", name), false;
  const PersistentVolumeClaim& wanted = ClaimIn(intent);
  const auto* claim = latest_.Get<PersistentVolumeClaim>(Kind::kPersistentVolumeClaim, wanted.ns, wanted.name);
  if (claim == nullptr) return *error = Gone("binding", "persistentvolumeclaims", wanted.Key()), false;
  if (written > volume->resource_version) return false;  // our own write is still to be told
  if (!intent.reaches(*volume, node, latest_)) {
    *error = absl::StrCat("pv \"", name, "\" node affinity doesn't match node \"", running.task.node,
                          "\": no matching NodeSelectorTerms");
    return false;
  }
  if (!volume->claim_ref || volume->claim_ref->uid.empty()) {
    *error = absl::StrCat("ClaimRef got reset for pv \"", name, "\"");
    return false;
  }
  return claim->FullyBound();
}

bool VolumeBinder::ClaimIsBound(Running& running, const Intent& intent, uint64_t written, const Node& node,
                                std::string* error) {
  const PersistentVolumeClaim& wanted = ClaimIn(intent);
  const auto* claim = latest_.Get<PersistentVolumeClaim>(Kind::kPersistentVolumeClaim, wanted.ns, wanted.name);
  if (claim == nullptr) return *error = Gone("provisioning pvc", "persistentvolumeclaims", wanted.Key()), false;
  if (written > claim->resource_version) return false;
  // A provisioner that fails takes the node away again.
  if (claim->selected_node != running.task.node) {
    *error = absl::StrCat("provisioning failed for PVC \"", claim->name, "\"");
    return false;
  }
  if (!claim->volume_name.empty()) {
    const auto* volume = latest_.Get<PersistentVolume>(Kind::kPersistentVolume, "", claim->volume_name);
    if (volume == nullptr) {
      AwaitObject(running, Kind::kPersistentVolume, "", claim->volume_name);  // the claim was told first
      return false;
    }
    if (!intent.reaches(*volume, node, latest_)) {
      *error = absl::StrCat("pv \"", volume->name, "\" node affinity doesn't match node \"", running.task.node,
                            "\": no matching NodeSelectorTerms");
      return false;
    }
  }
  return claim->FullyBound();
}

// What is still as it was assumed, but for what is written: that is about to be told.
void VolumeBinder::Revert(const Running& running) {
  for (size_t i = 0; i < running.intents.size(); ++i) {
    const Kind kind = KindIn(running.intents[i]);
    const ObjectPtr& assumed = ObjectIn(running.intents[i]);
    if (i < running.written.size() && running.written[i] > assumed->resource_version) continue;
    if (cache_.objects().Find(kind, assumed->ns, assumed->name) != assumed) continue;
    if (ObjectPtr real = latest_.Find(kind, assumed->ns, assumed->name); real != nullptr) {
      cache_.SetObject(kind, std::move(real));
    } else {
      cache_.RemoveObject(kind, assumed->ns, assumed->name);
    }
  }
}

VolumeBinder::Running VolumeBinder::Take(const std::string& uid) {
  const auto it = tasks_.find(uid);
  Running running = std::move(it->second);
  tasks_.erase(it);
  if (running.waiting) loop_.Cancel(running.timer);
  for (const std::string& key : running.awaits) {
    const auto uids = waiting_on_.find(key);
    std::erase(uids->second, uid);
    if (uids->second.empty()) waiting_on_.erase(uids);
  }
  return running;
}

void VolumeBinder::End(const std::string& uid, const std::string& error) {
  const Running running = Take(uid);
  if (!error.empty()) Revert(running);
  ended_(running.task, error);
}

void VolumeBinder::Cancel(const std::string& uid) {
  if (tasks_.contains(uid)) Revert(Take(uid));
}

}  // namespace muster
