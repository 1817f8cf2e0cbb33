#include "scheduler/model/device/device_columns.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/stable_hash.h"

namespace muster {
namespace {

// Slices that went, remembered for whoever keeps answers about them: 128 devices each at most.
constexpr size_t kMostForgotten = 256;

bool Matches(const DeviceTaintRule& rule, const ResourceSlice& slice) {
  return rule.has_selector && (!rule.driver || *rule.driver == slice.driver) &&
         (!rule.pool || *rule.pool == slice.pool);
}

bool UsesCounters(const ResourceSlice& slice) {
  return !slice.shared_counters.empty() ||
         std::any_of(slice.devices.begin(), slice.devices.end(),
                     [](const Device& device) { return !device.consumes_counters.empty(); });
}

const std::string& KeyOf(const Object& slice) { return slice.uid.empty() ? slice.name : slice.uid; }

void Add(StableHasher& h, const std::vector<std::string>& texts) {
  h.Add(texts.size());
  for (const std::string& text : texts) h.Add(text);
}

void Add(StableHasher& h, const DeviceRequest& request) {
  h.Add(request.name), h.Add(request.device_class), h.Add(request.allocation_mode);
  h.Add(static_cast<uint64_t>(request.count));
  Add(h, request.selectors);
  h.Add(request.tolerations.size()), h.Add(uint64_t{request.capacity.has_value()});
  if (request.capacity) {
    for (const auto& [name, amount] : *request.capacity) h.Add(name), h.Add(amount.Text());
  }
  h.Add(request.first_available.size());
  for (const DeviceRequest& alternative : request.first_available) Add(h, alternative);
}

// Of what the claim asks for: most of it, so that few that differ have one.
uint64_t HashOf(const ResourceClaim& claim) {
  StableHasher h;
  h.Add(claim.requests.size());
  for (const DeviceRequest& request : claim.requests) Add(h, request);
  for (const DeviceConstraint& constraint : claim.constraints) {
    Add(h, constraint.requests), h.Add(constraint.match_attribute), h.Add(constraint.distinct_attribute);
  }
  h.Add(claim.config.size());
  return h.Digest();
}

bool AskAlike(const ResourceClaim& a, const ResourceClaim& b) {
  return a.requests == b.requests && a.constraints == b.constraints && a.config == b.config && a.invalid == b.invalid;
}

template <typename T>
std::shared_ptr<const T> As(const ObjectPtr& object) {
  return std::static_pointer_cast<const T>(object);
}

}  // namespace

const DeviceColumns::Slices& DeviceColumns::OfPool(const DevicePoolId& pool) const {
  static const Slices none;
  const auto it = pools_.find(pool);
  return it == pools_.end() ? none : it->second;
}

void DeviceColumns::Rebuild(size_t rows, Find find) {
  rows_.assign(rows, nullptr);
  for (const auto& [name, of] : nodes_) {
    of->row = find(name);
    if (of->row != kNoNode) rows_[of->row] = of.get();
  }
}

void DeviceColumns::Update(Kind kind, const ObjectPtr& before, const ObjectPtr& after, Find find) {
  switch (kind) {
    case Kind::kResourceSlice:
      if (before != nullptr && (after == nullptr || KeyOf(*before) != KeyOf(*after)))
        SetSlice(KeyOf(*before), nullptr, find);
      if (after != nullptr) SetSlice(KeyOf(*after), As<ResourceSlice>(after), find);
      return;
    case Kind::kDeviceTaintRule: return SetRule(before, after, find);
    case Kind::kDeviceClass: classes_version_ = ++counter_; return;
    case Kind::kResourceClaim:
      return SetClaim(static_cast<const ResourceClaim*>(before.get()), static_cast<const ResourceClaim*>(after.get()));
    default: return;
  }
}

// --- Slices ---------------------------------------------------------------------------------------

void DeviceColumns::SetSlice(const std::string& key, const DeviceSlicePtr& slice, Find find) {
  SliceRecord& record = slices_[key];
  if (record.used != nullptr) {
    Take(*record.used);
    forgotten_.push_back(record.used);
    ++forgotten_count_;
    if (forgotten_.size() > kMostForgotten) forgotten_.pop_front();
  }
  record.raw = slice;
  record.used = slice == nullptr || !slice->invalid.empty() ? nullptr : Tainted(slice);
  if (record.used != nullptr) Put(*record.used, find);
  if (slice == nullptr) slices_.erase(key);
}

void DeviceColumns::Put(const ResourceSlice& slice, Find find) {
  const std::string& name = slice.nodes.node_name;
  if (name.empty()) {
    shared_.push_back(&slice);
  } else {
    std::unique_ptr<OfNode>& of = nodes_[name];
    if (of == nullptr) {
      of = std::make_unique<OfNode>();
      of->row = find(name);
      if (of->row != kNoNode) rows_[of->row] = of.get();
    }
    of->slices.push_back(&slice);
  }
  pools_[DevicePoolId(slice.driver, slice.pool)].push_back(&slice);
  List(slice);
  TouchSlices(DevicePoolId(slice.driver, slice.pool));
}

void DeviceColumns::Take(const ResourceSlice& slice) {
  const DevicePoolId id(slice.driver, slice.pool);
  TouchSlices(id);
  Unlist(slice);
  const auto pool = pools_.find(id);
  std::erase(pool->second, &slice);
  if (pool->second.empty()) pools_.erase(pool);
  const std::string& name = slice.nodes.node_name;
  if (name.empty()) {
    std::erase(shared_, &slice);
    return;
  }
  const auto of = nodes_.find(name);
  std::erase(of->second->slices, &slice);
  if (!of->second->slices.empty()) return;
  if (of->second->row != kNoNode) rows_[of->second->row] = nullptr;
  nodes_.erase(of);
}

void DeviceColumns::List(const ResourceSlice& slice) {
  for (const Device& device : slice.devices) ++allocated_[{slice.driver, slice.pool, device.name}].listed;
}

void DeviceColumns::Unlist(const ResourceSlice& slice) {
  for (const Device& device : slice.devices) {
    const auto it = allocated_.find({slice.driver, slice.pool, device.name});
    if (--it->second.listed == 0 && it->second.free()) allocated_.erase(it);
  }
}

// With the taints that rules add; itself where none does.
DeviceSlicePtr DeviceColumns::Tainted(const DeviceSlicePtr& slice) const {
  std::shared_ptr<ResourceSlice> tainted;
  for (const auto& [name, object] : rules_) {
    const auto& rule = static_cast<const DeviceTaintRule&>(*object);
    if (!Matches(rule, *slice)) continue;
    for (size_t i = 0; i < slice->devices.size(); ++i) {
      if (rule.device && *rule.device != slice->devices[i].name) continue;
      if (tainted == nullptr) tainted = std::make_shared<ResourceSlice>(*slice);
      tainted->devices[i].taints.push_back(rule.taint);
    }
  }
  if (tainted == nullptr) return slice;
  return tainted;
}

void DeviceColumns::SetRule(const ObjectPtr& before, const ObjectPtr& after, Find find) {
  if (before != nullptr) rules_.erase(before->name);
  if (after != nullptr) rules_[after->name] = after;
  std::vector<std::string> changed;
  for (const auto& [name, record] : slices_) {
    for (const ObjectPtr& rule : {before, after}) {
      if (rule == nullptr || !Matches(static_cast<const DeviceTaintRule&>(*rule), *record.raw)) continue;
      changed.push_back(name);
      break;
    }
  }
  std::sort(changed.begin(), changed.end());
  for (const std::string& name : changed) SetSlice(name, DeviceSlicePtr(slices_[name].raw), find);
}

// A pool is taken from where all of its slices are known: each of its nodes is concerned.
void DeviceColumns::TouchSlices(const DevicePoolId& pool) {
  for (const ResourceSlice* slice : OfPool(pool)) {
    if (slice->nodes.node_name.empty()) {
      shared_version_ = ++counter_;
    } else {
      OfNode& node = *nodes_.find(slice->nodes.node_name)->second;
      Touch(node);
      node.slices_version = node.version;
    }
  }
}

// Counters are the whole pool's, wherever its devices are.
void DeviceColumns::TouchUse(const DeviceId& device) {
  const Slices& pool = OfPool({device.driver, device.pool});
  const bool counters = std::any_of(pool.begin(), pool.end(), [](const auto* slice) { return UsesCounters(*slice); });
  for (const ResourceSlice* slice : pool) {
    if (pool.size() > 1 && !counters &&
        std::none_of(slice->devices.begin(), slice->devices.end(),
                     [&](const Device& listed) { return listed.name == device.device; }))
      continue;
    if (slice->nodes.node_name.empty()) {
      shared_version_ = ++counter_;
    } else {
      Touch(*nodes_.find(slice->nodes.node_name)->second);
    }
  }
}

void DeviceColumns::Touch(OfNode& node) {
  node.version = ++counter_;
  if (node.row != kNoNode) touched_.push_back(node.row);
}

// --- Claims ---------------------------------------------------------------------------------------

void DeviceColumns::SetClaim(const ResourceClaim* before, const ResourceClaim* after) {
  const std::string key = (after != nullptr ? after : before)->Key();
  if (after == nullptr) {
    claims_.erase(key);
  } else {
    ClaimRecord& record = claims_[key];
    record.version = ++counter_;
    if (record.like != nullptr && !AskAlike(*record.like, *after)) record.like = nullptr;
  }
  const auto* taken = before != nullptr && before->allocation ? &*before->allocation : nullptr;
  const auto* takes = after != nullptr && after->allocation ? &*after->allocation : nullptr;
  if (taken != nullptr && takes != nullptr && taken->devices == takes->devices) return;
  if (taken != nullptr) {
    for (const AllocatedDevice& device : taken->devices) Count(device, false);
  }
  if (takes != nullptr) {
    for (const AllocatedDevice& device : takes->devices) Count(device, true);
  }
}

void DeviceColumns::Count(const AllocatedDevice& device, bool taken) {
  if (device.admin_access.value_or(false)) return;
  const uint32_t one = taken ? 1 : UINT32_MAX;  // which takes one away
  DeviceUse& use = allocated_[device.id];
  if (device.share_id.empty()) {
    use.exclusive += one;
  } else {
    use.shared += one;
    if (!device.consumed_capacity.empty()) use.metered += one;
    for (const auto& [name, amount] : device.consumed_capacity) {
      if (taken) {
        use.capacity[name] += amount.value;
      } else {
        use.capacity[name] -= amount.value;
      }
    }
    if (use.metered == 0) use.capacity.clear();
  }
  if (use.free() && use.listed == 0) allocated_.erase(device.id);
  TouchUse(device.id);
}

uint64_t DeviceColumns::VersionFor(const PodSpec& pod) const {
  uint64_t version = Mix(shared_version_, classes_version_);
  for (const AskedClaim& asked : pod.asked.claims) {
    if (asked.like != nullptr) continue;
    const auto it = claims_.find(absl::StrCat(pod.ns, "/", asked.name));
    version = Mix(version, it == claims_.end() ? 0 : it->second.version);
  }
  return version;
}

ClaimPtr DeviceColumns::Like(const ClaimPtr& claim, uint64_t* hash) {
  ClaimRecord& record = claims_[claim->Key()];
  if (record.like == nullptr) {
    record.hash = HashOf(*claim);
    std::vector<ClaimPtr>& same_hash = likes_[record.hash];
    const auto known =
        std::find_if(same_hash.begin(), same_hash.end(), [&](const ClaimPtr& like) { return AskAlike(*like, *claim); });
    if (known != same_hash.end()) {
      record.like = *known;
    } else {
      record.like = claim;
      same_hash.push_back(claim);
      if (++like_count_ >= sweep_at_) SweepLikes();
    }
  }
  *hash = record.hash;
  return record.like;
}

void DeviceColumns::SweepLikes() {
  for (auto it = likes_.begin(); it != likes_.end();) {
    like_count_ -= std::erase_if(it->second, [](const ClaimPtr& like) { return like.use_count() == 1; });
    const auto here = it++;
    if (here->second.empty()) likes_.erase(here);
  }
  sweep_at_ = std::max<size_t>(1024, 2 * like_count_);
}

}  // namespace muster
