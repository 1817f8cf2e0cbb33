#include "scheduler/runtime/reflector.h"

#include <algorithm>

namespace muster {
namespace {

constexpr Duration kFirstDelay = absl::Milliseconds(200);
constexpr Duration kLongestDelay = absl::Seconds(10);
// A stream that ends so soon without a word counts as a failure, or a broken proxy would be asked
// in a tight circle.
constexpr Duration kShortStream = absl::Seconds(1);

uint64_t VersionOf(const AnyObject& object) {
  if (const auto* pod = std::get_if<PodPtr>(&object)) return (*pod)->resource_version;
  if (const auto* node = std::get_if<NodePtr>(&object)) return (*node)->resource_version;
  return std::get<ObjectPtr>(object)->resource_version;
}

const std::string& UidOf(const AnyObject& object) {
  if (const auto* pod = std::get_if<PodPtr>(&object)) return (*pod)->uid;
  if (const auto* node = std::get_if<NodePtr>(&object)) return (*node)->uid;
  return std::get<ObjectPtr>(object)->uid;
}

}  // namespace

Reflector::Reflector(EventLoop& loop, ApiServer& api, Kind kind, Random& random, Callbacks callbacks)
    : loop_(loop), api_(api), kind_(kind), random_(random), callbacks_(std::move(callbacks)) {}

Reflector::~Reflector() {
  if (retry_ != 0) loop_.Cancel(retry_);
}

Reflector::Key Reflector::KeyOf(const AnyObject& object) {
  if (const auto* pod = std::get_if<PodPtr>(&object)) return {(*pod)->ns(), (*pod)->name};
  if (const auto* node = std::get_if<NodePtr>(&object)) return {{}, (*node)->name};
  const ObjectPtr& other = std::get<ObjectPtr>(object);
  return {other->ns, other->name};
}

void Reflector::Start() { Connect(); }

void Reflector::Connect() {
  retry_ = 0;
  heard_ = false;
  opened_ = loop_.Now();
  if (resource_version_ == 0) {
    starting_ = true;
    ++round_;
  }
  stream_.reset();
  stream_ = api_.Watch(kind_, resource_version_,
                       {.on_events = [this](std::vector<WatchEvent> events) { OnEvents(std::move(events)); },
                        .on_end = [this](ApiStatus status) { OnEnd(status); }});
}

void Reflector::OnEvents(std::vector<WatchEvent> events) {
  heard_ = heard_ || !events.empty();
  for (const WatchEvent& event : events) {
    switch (event.type) {
      case WatchEvent::Type::kAdded:
      case WatchEvent::Type::kModified: Apply(event); break;
      case WatchEvent::Type::kDeleted: Remove(event); break;
      case WatchEvent::Type::kBookmark: break;
      case WatchEvent::Type::kSynced:
        if (!starting_) break;
        starting_ = false;
        ForgetUnseen();
        synced_ = true;
        if (callbacks_.on_synced) callbacks_.on_synced();
        break;
    }
    // Before kSynced the versions are those of single objects: no place to resume from.
    if (!starting_ && event.resource_version != 0) resource_version_ = event.resource_version;
  }
  if (starting_) return;
  if (heard_) failures_ = 0;
  SetConnected({});
}

void Reflector::Apply(const WatchEvent& event) {
  WatchEvent told = event;
  const auto it = known_.find(KeyOf(event.object));
  if (it == known_.end()) {
    told.type = WatchEvent::Type::kAdded;
  } else if (UidOf(it->object) != UidOf(event.object)) {
    const WatchEvent gone{WatchEvent::Type::kDeleted, event.resource_version, it->object};
    known_.erase(it);
    callbacks_.on_event(gone);
    told.type = WatchEvent::Type::kAdded;
  } else if (VersionOf(it->object) == VersionOf(event.object)) {
    it->round = round_;
    return;
  } else {
    known_.erase(it);
    told.type = WatchEvent::Type::kModified;
  }
  known_.insert(Known{event.object, round_});
  callbacks_.on_event(told);
}

void Reflector::Remove(const WatchEvent& event) {
  const auto it = known_.find(KeyOf(event.object));
  if (it == known_.end() || UidOf(it->object) != UidOf(event.object)) return;
  known_.erase(it);
  callbacks_.on_event(event);
}

void Reflector::ForgetUnseen() {
  std::vector<AnyObject> gone;
  for (auto it = known_.begin(); it != known_.end();) {
    const auto here = it++;
    if (here->round == round_) continue;
    gone.push_back(here->object);
    known_.erase(here);
  }
  // The set has no order that another run would repeat.
  std::sort(gone.begin(), gone.end(), [](const AnyObject& a, const AnyObject& b) { return KeyOf(a) < KeyOf(b); });
  for (AnyObject& object : gone) callbacks_.on_event({WatchEvent::Type::kDeleted, 0, std::move(object)});
}

void Reflector::SetConnected(const ApiStatus& status) {
  if (status.ok() && connected_) return;
  connected_ = status.ok();
  if (callbacks_.on_status) callbacks_.on_status(status);
}

void Reflector::OnEnd(const ApiStatus& status) {
  Duration delay = absl::ZeroDuration();
  if (status.code == ApiCode::kGone) {
    resource_version_ = 0;
  } else if (!status.ok()) {
    SetConnected(status);
  }
  const bool orderly = status.ok() && (heard_ || loop_.Now() - opened_ >= kShortStream);
  if (!orderly && !(status.code == ApiCode::kGone && failures_ == 0)) {
    const Duration step = kFirstDelay * (int64_t{1} << std::min(failures_, 6));
    delay = std::min(step, kLongestDelay) * (0.5 + random_.Unit());  // together at first, apart later
  }
  failures_ = orderly ? 0 : failures_ + 1;
  delay = std::max(delay, status.retry_after);
  // Later, not now: the stream may not be destroyed within its own call.
  retry_ = loop_.After(delay, [this] { Connect(); });
}

}  // namespace muster
