#include "scheduler/runtime/leader_election.h"

#include <utility>

namespace muster {

LeaderElection::LeaderElection(EventLoop& loop, ApiServer& api, Random& random, Options options, Callbacks callbacks)
    : loop_(loop), api_(api), random_(random), options_(std::move(options)), callbacks_(std::move(callbacks)) {}

LeaderElection::~LeaderElection() {
  Stop();
  *alive_ = false;
}

void LeaderElection::Start() { Attempt(); }

void LeaderElection::Stop() {
  stopped_ = true;
  loop_.Cancel(retry_);
  loop_.Cancel(deadline_);
}

void LeaderElection::Attempt() {
  in_flight_ = true;
  // A leader writes without reading first: a conflict tells where it is wrong.
  if (leading_ && ObservedIsValid()) {
    Write(Ours());
  } else {
    Read();
  }
}

void LeaderElection::Read() {
  api_.GetLease(options_.ns, options_.name, [this, alive = alive_](const ApiStatus& status, const Lease& lease) {
    if (!*alive) return;
    if (status.code == ApiCode::kNotFound) {
      observed_ = {};
      Write(Ours());
      return;
    }
    if (!status.ok()) {
      Failed(status);
      return;
    }
    Observe(lease);
    if (!lease.holder.empty() && lease.holder != options_.identity && ObservedIsValid()) {
      if (leading_) {
        Lose();
      } else {
        Next();
      }
      return;
    }
    Write(Ours());
  });
}

Lease LeaderElection::Ours() const {
  Lease lease = observed_;
  const Time now = loop_.Now();
  if (lease.holder != options_.identity) {
    lease.acquired = now;
    if (!lease.name.empty()) ++lease.transitions;
  }
  lease.ns = options_.ns;
  lease.name = options_.name;
  lease.holder = options_.identity;
  lease.duration_seconds = static_cast<int32_t>(absl::ToInt64Seconds(options_.lease_duration));
  lease.renewed = now;
  return lease;
}

void LeaderElection::Write(Lease lease) {
  auto answer = [this, alive = alive_](const ApiStatus& status, Lease written) {
    if (*alive) OnWritten(status, std::move(written));
  };
  if (observed_.name.empty()) {
    api_.CreateLease(lease, std::move(answer));
  } else {
    api_.UpdateLease(lease, std::move(answer));
  }
}

void LeaderElection::OnWritten(const ApiStatus& status, Lease lease) {
  if (leading_ && !stopped_ && (status.code == ApiCode::kConflict || status.code == ApiCode::kNotFound)) {
    Read();  // somebody wrote or removed it since: see who
    return;
  }
  if (!status.ok()) {
    Failed(status);
    return;
  }
  Observe(lease);
  if (!leading_ && !stopped_) {
    leading_ = true;
    if (callbacks_.on_started) callbacks_.on_started();
  }
  if (leading_ && !stopped_) {
    loop_.Cancel(deadline_);
    deadline_ = loop_.After(options_.renew_deadline, [this] { Lose(); });
  }
  Next();
}

void LeaderElection::Observe(const Lease& lease) {
  const bool changed = observed_.name.empty() || lease.holder != observed_.holder ||
                       lease.renewed != observed_.renewed || lease.acquired != observed_.acquired ||
                       lease.transitions != observed_.transitions ||
                       lease.duration_seconds != observed_.duration_seconds;
  const bool new_holder = lease.holder != observed_.holder;
  observed_ = lease;
  observed_.ns = options_.ns;
  observed_.name = options_.name;
  if (changed) observed_at_ = loop_.Now();
  if (new_holder && !lease.holder.empty() && callbacks_.on_new_leader) callbacks_.on_new_leader(lease.holder);
}

bool LeaderElection::ObservedIsValid() const {
  return loop_.Now() < observed_at_ + absl::Seconds(observed_.duration_seconds);
}

void LeaderElection::Lose() {
  Stop();
  leading_ = false;
  in_flight_ = false;
  if (on_idle_) std::exchange(on_idle_, nullptr)();
  if (callbacks_.on_lost) callbacks_.on_lost();
}

void LeaderElection::Failed(const ApiStatus& status) {
  if (callbacks_.on_error) callbacks_.on_error(status);
  Next();
}

void LeaderElection::Next() {
  in_flight_ = false;
  if (on_idle_) std::exchange(on_idle_, nullptr)();
  if (stopped_) return;
  // A leader renews evenly; those who wait spread out, or they would all come at once.
  const double spread = leading_ ? 0 : 1.2 * random_.Unit();
  retry_ = loop_.After(options_.retry_period * (1 + spread), [this] { Attempt(); });
}

void LeaderElection::Release(std::function<void()> done) {
  Stop();
  auto release = [this, done = std::move(done)] {
    if (!leading_) {
      done();
      return;
    }
    leading_ = false;
    Lease lease = observed_;
    lease.holder.clear();
    lease.duration_seconds = 1;
    lease.acquired = lease.renewed = loop_.Now();
    api_.UpdateLease(lease, [done](const ApiStatus&, const Lease&) { done(); });
  };
  if (in_flight_) {
    on_idle_ = std::move(release);
  } else {
    release();
  }
}

}  // namespace muster
