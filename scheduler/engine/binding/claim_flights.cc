#include "scheduler/engine/binding/claim_flights.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/runtime/log.h"

namespace muster {
namespace {

constexpr Duration kFirstLook = absl::Seconds(1);
constexpr Duration kMostWait = absl::Seconds(10);

const ResourceClaim& ClaimIn(const Intent& intent) { return static_cast<const ResourceClaim&>(*intent.claim); }

bool Has(const ResourceClaim& claim, const std::string& consumer_uid) {
  return std::any_of(claim.reserved_for.begin(), claim.reserved_for.end(),
                     [&](const auto& consumer) { return consumer.uid == consumer_uid; });
}

}  // namespace

void ClaimFlights::Expect(const std::string& uid, const std::vector<Intent>& intents) {
  for (const Intent& intent : intents) {
    const ResourceClaim& claim = ClaimIn(intent);
    Flight& flight = flights_[claim.Key()];
    if (flight.claim_uid != claim.uid) flight = {claim.uid, claim.allocation, {}};
    if (!flight.allocation) flight.allocation = claim.allocation;
    flight.wishes.push_back({uid, intent.consumer});
  }
}

void ClaimFlights::Abandon(const std::string& uid, const std::vector<Intent>& intents) {
  for (const Intent& intent : intents) DropWish(ClaimIn(intent).Key(), uid);
}

void ClaimFlights::Start(BindingCycle::Task task, std::vector<Intent> intents) {
  const std::string uid = task.pod->uid;
  const uint64_t id = next_id_++;
  tasks_[uid] = {std::move(task), std::move(intents), 0, id};
  loop_.Post([this, uid, id, alive = alive_] {
    if (!*alive) return;
    const auto it = tasks_.find(uid);
    if (it != tasks_.end() && it->second.id == id) WriteNext(it->second);
  });
}

void ClaimFlights::WriteNext(Running& running) {
  const std::string uid = running.task.pod->uid;
  if (running.next == running.intents.size()) return End(uid, Conflict(running));
  const Intent& intent = running.intents[running.next];
  const std::string key = ClaimIn(intent).Key();
  const auto known = latest_.find(key);
  if (known == latest_.end() || known->second->uid != ClaimIn(intent).uid) {
    DropWish(key, uid);
    return End(uid, absl::StrCat("claim ", key, " got deleted in the meantime"));
  }
  ClaimReservation reservation{known->second, std::nullopt, intent.consumer};
  if (!known->second->allocation) reservation.allocation = ClaimIn(intent).allocation;
  writes_.Reserve(std::move(reservation),
                  [this, uid, id = running.id, intent, alive = alive_](const ApiStatus& status, const ClaimPtr& claim) {
                    if (*alive) OnWritten(uid, id, intent, status, claim);
                  });
}

void ClaimFlights::OnWritten(const std::string& uid, uint64_t id, const Intent& intent, const ApiStatus& status,
                             const ClaimPtr& claim) {
  const auto it = tasks_.find(uid);
  const bool wanted = it != tasks_.end() && it->second.id == id;
  const std::string key = ClaimIn(intent).Key();
  if (status.ok()) {
    Learn(claim);
    const Reservation made{claim->ns, claim->name, claim->uid, intent.consumer.uid};
    const bool own = made.consumer_uid == uid;  // a group's is not its pods' to give back
    DropWish(key, uid);
    if (own && wanted) reserved_[uid].push_back(made);
    if (own && !wanted) Unreserve(made);
    if (!wanted) return;
    ++it->second.next;
    return WriteNext(it->second);
  }
  if (status.Retriable()) {
    Settle(uid, intent, kFirstLook);
  } else {
    DropWish(key, uid);
  }
  if (wanted) End(uid, status.message);
}

// Meanwhile the devices stay the claim's.
void ClaimFlights::Settle(const std::string& uid, const Intent& intent, Duration wait) {
  ++settling_;
  loop_.After(wait, [this, uid, intent, wait, alive = alive_] {
    if (!*alive) return;
    const ResourceClaim& claim = ClaimIn(intent);
    api_.GetClaim(claim.ns, claim.name, [this, uid, intent, wait, alive](const ApiStatus& status, const ClaimPtr& now) {
      if (!*alive) return;
      --settling_;
      if (status.Retriable()) return Settle(uid, intent, std::min(kMostWait, 2 * wait));
      if (status.ok()) Learn(now);
      const ResourceClaim& asked = ClaimIn(intent);
      const bool again = tasks_.contains(uid);  // the pod was decided about anew, and has a wish of its own
      DropWish(asked.Key(), uid);
      if (!again && status.ok() && now->uid == asked.uid && intent.consumer.uid == uid && Has(*now, uid))
        Unreserve({asked.ns, asked.name, asked.uid, uid});
    });
  });
}

// Whether another scheduler has put a device of the pod's claims into another claim, "" where none did.
std::string ClaimFlights::Conflict(const Running& running) const {
  const AllocatedDevices& uses = cache_.devices().allocated();
  for (const Intent& intent : running.intents) {
    const auto claim = latest_.find(ClaimIn(intent).Key());
    if (claim == latest_.end() || !claim->second->allocation) continue;
    for (const AllocatedDevice& device : claim->second->allocation->devices) {
      const auto use = uses.find(device.id);
      if (device.admin_access.value_or(false) || use == uses.end() || use->second.exclusive < 2) continue;
      return absl::StrCat("claim ", claim->first, ": device ", device.id.Text(), " is allocated to another claim too");
    }
  }
  return "";
}

void ClaimFlights::End(const std::string& uid, const std::string& error) {
  const auto it = tasks_.find(uid);
  Running running = std::move(it->second);
  tasks_.erase(it);
  if (!error.empty()) {
    for (size_t i = running.next + 1; i < running.intents.size(); ++i) DropWish(ClaimIn(running.intents[i]).Key(), uid);
    if (running.next == running.intents.size()) Withdraw(running);
    GiveBack(uid);
  }
  callbacks_.ended(running.task, error);
}

// All is written, but some device is another's: ours yields, unless others use the claim by now.
void ClaimFlights::Withdraw(const Running& running) {
  for (const Intent& intent : running.intents) {
    const auto claim = latest_.find(ClaimIn(intent).Key());
    if (claim == latest_.end() || claim->second->reserved_for.size() > 1 || flights_.contains(claim->first)) continue;
    std::erase_if(reserved_[running.task.pod->uid],
                  [&](const Reservation& reservation) { return reservation.claim_uid == claim->second->uid; });
    Deallocate(ClaimIn(intent));
  }
}

void ClaimFlights::GiveBack(const std::string& uid) {
  if (const auto it = tasks_.find(uid); it != tasks_.end()) {
    const Running running = std::move(it->second);
    tasks_.erase(it);
    // That under way is given back when its end is known.
    for (size_t i = running.next + 1; i < running.intents.size(); ++i) DropWish(ClaimIn(running.intents[i]).Key(), uid);
  }
  const auto reserved = reserved_.find(uid);
  if (reserved == reserved_.end()) return;
  const std::vector<Reservation> all = std::move(reserved->second);
  reserved_.erase(reserved);
  for (const Reservation& reservation : all) Unreserve(reservation);
}

// The controller does it too, later; so a failure is of no consequence.
void ClaimFlights::Unreserve(const Reservation& r) {
  api_.UnreserveClaim(r.ns, r.name, r.claim_uid, r.consumer_uid,
                      [this, alive = alive_](const ApiStatus& status, const ClaimPtr& claim) {
                        if (!*alive || !status.ok()) return;
                        Learn(claim);
                        Apply(claim->Key());
                      });
}

void ClaimFlights::Deallocate(const ResourceClaim& claim) {
  const auto known = latest_.find(claim.Key());
  if (known == latest_.end() || known->second->uid != claim.uid || flights_.contains(known->first)) return;
  api_.DeallocateClaim(known->second, [this, alive = alive_](const ApiStatus& status, const ClaimPtr& now) {
    if (!*alive) return;
    if (!status.ok()) return LogWarning(absl::StrCat("deallocating a ResourceClaim: ", status.message));
    Learn(now);
    Apply(now->Key());
  });
}

// By an answer: of a claim that is gone meanwhile it says nothing.
void ClaimFlights::Learn(const ClaimPtr& claim) {
  const auto known = latest_.find(claim->Key());
  if (known == latest_.end() || known->second->uid != claim->uid) return;
  if (known->second->resource_version <= claim->resource_version) known->second = claim;
}

ClaimPtr ClaimFlights::OnClaim(const ClaimPtr& claim, bool gone) {
  const std::string key = claim->Key();
  if (gone) {
    const auto known = latest_.find(key);
    if (known != latest_.end() && known->second->uid == claim->uid) latest_.erase(known);
  } else {
    ClaimPtr& known = latest_[key];
    if (known == nullptr || known->resource_version <= claim->resource_version) known = claim;
  }
  return Compose(key);
}

void ClaimFlights::DropWish(const std::string& key, const std::string& uid) {
  if (const auto it = flights_.find(key); it != flights_.end()) {
    std::vector<Wish>& wishes = it->second.wishes;
    const auto wish = std::find_if(wishes.begin(), wishes.end(), [&](const Wish& w) { return w.uid == uid; });
    if (wish != wishes.end()) wishes.erase(wish);
    if (wishes.empty()) flights_.erase(it);
  }
  Apply(key);
}

ClaimPtr ClaimFlights::Compose(const std::string& key) const {
  const auto known = latest_.find(key);
  if (known == latest_.end()) return nullptr;
  const ClaimPtr& server = known->second;
  const auto flight = flights_.find(key);
  if (flight == flights_.end() || flight->second.claim_uid != server->uid || server->deleting) return server;
  auto claim = std::make_shared<ResourceClaim>(*server);
  claim->assumed = true;
  if (!claim->allocation) claim->allocation = flight->second.allocation;
  for (const Wish& wish : flight->second.wishes) {
    if (!Has(*claim, wish.consumer.uid)) claim->reserved_for.push_back(wish.consumer);
  }
  return claim;
}

void ClaimFlights::Apply(const std::string& key) {
  const ClaimPtr after = Compose(key);
  if (after == nullptr) return;  // the watch said so
  const auto before = std::static_pointer_cast<const ResourceClaim>(
      cache_.objects().Find(Kind::kResourceClaim, after->ns, after->name));
  if (before == after) return;
  cache_.SetObject(Kind::kResourceClaim, after);
  if (before != nullptr && before->allocation && !after->allocation) callbacks_.changed(before, after);
}

}  // namespace muster
