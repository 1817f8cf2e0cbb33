#include "scheduler/sim/faults.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace muster {

struct FaultyApiServer::Watcher {
  WatchHandler handler;
  std::unique_ptr<WatchStream> inner;
  bool open = true;
  Time free_at = absl::InfinitePast();  // when all that is held back is out
};

class FaultyApiServer::Stream final : public WatchStream {
 public:
  explicit Stream(std::shared_ptr<Watcher> watcher) : watcher_(std::move(watcher)) {}
  ~Stream() override {
    watcher_->open = false;
    watcher_->inner.reset();
  }

 private:
  std::shared_ptr<Watcher> watcher_;
};

bool FaultyApiServer::Happens(double rate) {
  // A rate of zero draws nothing: switching one kind of fault off leaves the others' course alone.
  if (rate <= 0 || random_.Unit() >= rate) return false;
  ++faults_;
  return true;
}

Duration FaultyApiServer::Delay() { return rates_.max_delay * random_.Unit(); }

void FaultyApiServer::Hold(Duration delay, std::function<void()> fn) {
  ++held_;
  loop_.After(delay, [this, fn = std::move(fn)] {
    --held_;
    fn();
  });
}

void FaultyApiServer::Write(const std::function<void(Done)>& send, Done done) {
  if (Happens(rates_.refused)) {
    static const ApiStatus kRefusals[] = {
        {ApiCode::kConflict, "the object has been modified; please apply your changes to the latest version", {}},
        {ApiCode::kTooManyRequests, "too many requests, please try again later", absl::Seconds(1)},
        {ApiCode::kServerError, "Internal error occurred: etcdserver: request timed out", {}},
        {ApiCode::kUnreachable, "connection refused", {}},
    };
    Hold(absl::Milliseconds(1),
         [done = std::move(done), why = kRefusals[random_.Below(std::size(kRefusals))]] { done(why); });
    return;
  }
  const bool lost = Happens(rates_.lost_answer);
  const Duration delay = Happens(rates_.slow) ? Delay() : absl::ZeroDuration();
  send([this, lost, delay, done = std::move(done)](ApiStatus status) {
    if (lost) status = {ApiCode::kUnreachable, "connection lost before the answer", {}};
    if (delay == absl::ZeroDuration()) return done(std::move(status));
    Hold(delay, [done, status = std::move(status)] { done(status); });
  });
}

void FaultyApiServer::Bind(const BindRequest& request, Done done) {
  Write([&](Done answer) { inner_.Bind(request, std::move(answer)); }, std::move(done));
}
void FaultyApiServer::PatchPodStatus(const PodStatusPatch& patch, Done done) {
  Write([&](Done answer) { inner_.PatchPodStatus(patch, std::move(answer)); }, std::move(done));
}
void FaultyApiServer::DeletePod(const std::string& ns, const std::string& name, const std::string& uid, Done done) {
  Write([&](Done answer) { inner_.DeletePod(ns, name, uid, std::move(answer)); }, std::move(done));
}
void FaultyApiServer::CreateEvent(const ApiEvent& event, Done done) {
  Write([&](Done answer) { inner_.CreateEvent(event, std::move(answer)); }, std::move(done));
}
void FaultyApiServer::PatchEventSeries(const ApiEvent& event, Done done) {
  Write([&](Done answer) { inner_.PatchEventSeries(event, std::move(answer)); }, std::move(done));
}
void FaultyApiServer::PatchPodGroupStatus(const PodGroupStatusPatch& patch, Done done) {
  Write([&](Done answer) { inner_.PatchPodGroupStatus(patch, std::move(answer)); }, std::move(done));
}
void FaultyApiServer::PatchQueueStatus(const std::string& name, const std::string& uid, const QueueStatus& status,
                                       Done done) {
  Write([&](Done answer) { inner_.PatchQueueStatus(name, uid, status, std::move(answer)); }, std::move(done));
}
template <typename T>
void FaultyApiServer::WriteFor(const std::function<void(std::function<void(ApiStatus, T)>)>& send,
                               std::function<void(ApiStatus, T)> done) {
  const auto given = std::make_shared<T>();
  Write(
      [&](Done answer) {
        send([given, answer = std::move(answer)](ApiStatus status, T value) {
          if (status.ok()) *given = std::move(value);
          answer(std::move(status));
        });
      },
      [given, done = std::move(done)](ApiStatus status) { done(status, status.ok() ? std::move(*given) : T()); });
}

void FaultyApiServer::BindVolume(const VolumeBindRequest& request, VersionDone done) {
  WriteFor<uint64_t>([&](VersionDone answer) { inner_.BindVolume(request, std::move(answer)); }, std::move(done));
}
void FaultyApiServer::SelectNode(const SelectNodeRequest& request, VersionDone done) {
  WriteFor<uint64_t>([&](VersionDone answer) { inner_.SelectNode(request, std::move(answer)); }, std::move(done));
}
void FaultyApiServer::GetClaim(const std::string& ns, const std::string& name, ClaimDone done) {
  WriteFor<ClaimPtr>([&](ClaimDone answer) { inner_.GetClaim(ns, name, std::move(answer)); }, std::move(done));
}
void FaultyApiServer::SetClaimFinalizer(const ClaimPtr& claim, bool wanted, ClaimDone done) {
  WriteFor<ClaimPtr>([&](ClaimDone answer) { inner_.SetClaimFinalizer(claim, wanted, std::move(answer)); },
                     std::move(done));
}
void FaultyApiServer::ReserveClaim(const ClaimReservation& reservation, ClaimDone done) {
  WriteFor<ClaimPtr>([&](ClaimDone answer) { inner_.ReserveClaim(reservation, std::move(answer)); }, std::move(done));
}
void FaultyApiServer::DeallocateClaim(const ClaimPtr& claim, ClaimDone done) {
  WriteFor<ClaimPtr>([&](ClaimDone answer) { inner_.DeallocateClaim(claim, std::move(answer)); }, std::move(done));
}
void FaultyApiServer::UnreserveClaim(const std::string& ns, const std::string& name, const std::string& uid,
                                     const std::string& consumer_uid, ClaimDone done) {
  WriteFor<ClaimPtr>([&](ClaimDone answer) { inner_.UnreserveClaim(ns, name, uid, consumer_uid, std::move(answer)); },
                     std::move(done));
}
void FaultyApiServer::CreateClaim(const ExtendedClaim& claim, ClaimDone done) {
  WriteFor<ClaimPtr>([&](ClaimDone answer) { inner_.CreateClaim(claim, std::move(answer)); }, std::move(done));
}
void FaultyApiServer::DeleteClaim(const std::string& ns, const std::string& name, const std::string& uid, Done done) {
  Write([&](Done answer) { inner_.DeleteClaim(ns, name, uid, std::move(answer)); }, std::move(done));
}

std::unique_ptr<WatchStream> FaultyApiServer::Watch(Kind kind, uint64_t resource_version, WatchHandler handler) {
  auto watcher = std::make_shared<Watcher>();
  watcher->handler = std::move(handler);
  // Weak: the watcher owns the inner stream, whose handler this is.
  std::weak_ptr<Watcher> weak = watcher;
  watcher->inner = inner_.Watch(kind, resource_version,
                                {[this, weak](std::vector<WatchEvent> events) {
                                   if (const auto w = weak.lock()) OnEvents(w, std::move(events));
                                 },
                                 [this, weak](ApiStatus why) {
                                   if (const auto w = weak.lock()) OnEnd(w, std::move(why));
                                 }});
  return std::make_unique<Stream>(std::move(watcher));
}

void FaultyApiServer::InOrder(const std::shared_ptr<Watcher>& watcher, Duration delay, std::function<void()> fn) {
  const Time when = std::max(loop_.Now() + delay, watcher->free_at);
  if (when <= loop_.Now()) return fn();
  watcher->free_at = when;
  Hold(when - loop_.Now(), std::move(fn));
}

void FaultyApiServer::OnEvents(const std::shared_ptr<Watcher>& watcher, std::vector<WatchEvent> events) {
  const bool gone = Happens(rates_.gone);
  if (gone || Happens(rates_.cut)) {
    watcher->inner.reset();  // nothing may follow the lost batch: the client resumes from before it
    ApiStatus why;
    if (gone) {
      why = {ApiCode::kGone, "too old resource version", {}};
    } else if (random_.Below(2) == 0) {
      why = {ApiCode::kUnreachable, "connection reset by peer", {}};
    }
    OnEnd(watcher, std::move(why));
    return;
  }
  // Never the initial state: no server repeats that.
  const bool initial = events.back().type == WatchEvent::Type::kSynced;
  const int times = !initial && Happens(rates_.duplicated) ? 2 : 1;
  const Duration delay = Happens(rates_.slow) ? Delay() : absl::ZeroDuration();
  for (int i = 0; i < times; ++i) {
    InOrder(watcher, delay, [watcher, events] {
      if (watcher->open) watcher->handler.on_events(events);
    });
  }
}

void FaultyApiServer::OnEnd(const std::shared_ptr<Watcher>& watcher, ApiStatus why) {
  InOrder(watcher, absl::ZeroDuration(), [watcher, why = std::move(why)] {
    if (!watcher->open) return;
    watcher->open = false;
    watcher->handler.on_end(why);
  });
}

}  // namespace muster
