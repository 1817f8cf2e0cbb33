// One leader among several schedulers, by a Lease: client-go's rules. A lease is valid for its
// duration since *we* saw it change last; no other machine's clock is trusted.
#ifndef MUSTER_SCHEDULER_RUNTIME_LEADER_ELECTION_H_
#define MUSTER_SCHEDULER_RUNTIME_LEADER_ELECTION_H_

#include <functional>
#include <memory>
#include <string>

#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"
#include "scheduler/runtime/random.h"

namespace muster {

class LeaderElection {
 public:
  // lease_duration > renew_deadline > 1.2 * retry_period > 0 (the configuration checks it).
  struct Options {
    std::string ns = "kube-system", name = "muster";
    std::string identity;  // unique to the process
    Duration lease_duration = absl::Seconds(15);
    Duration renew_deadline = absl::Seconds(10);
    Duration retry_period = absl::Seconds(2);
  };
  struct Callbacks {
    std::function<void()> on_started;  // we lead
    // We no longer do: renewed by nobody for renew_deadline, or another holds it. The election is
    // over; the caller must act no more.
    std::function<void()> on_lost;
    std::function<void(const std::string& holder)> on_new_leader;
    std::function<void(const ApiStatus&)> on_error;  // an attempt failed; the next one follows
  };

  // All of them outlive the election. Decision thread only.
  LeaderElection(EventLoop& loop, ApiServer& api, Random& random, Options options, Callbacks callbacks);
  ~LeaderElection();
  LeaderElection(const LeaderElection&) = delete;
  LeaderElection& operator=(const LeaderElection&) = delete;

  void Start();
  bool leading() const { return leading_; }
  // Ends the election; a lease that we hold is given up, so that a standby need not wait for it to
  // run out. `done` follows in any case.
  void Release(std::function<void()> done);

 private:
  void Attempt();
  void Read();
  void Write(Lease lease);
  void OnWritten(const ApiStatus& status, Lease lease);
  void Observe(const Lease& lease);
  bool ObservedIsValid() const;
  Lease Ours() const;
  void Failed(const ApiStatus& status);
  void Next();
  void Lose();
  void Stop();

  EventLoop& loop_;
  ApiServer& api_;
  Random& random_;
  const Options options_;
  const Callbacks callbacks_;
  // Answers may come after the election is destroyed or over: they hold this and look.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  Lease observed_;    // as last seen on the server; without a name: none
  Time observed_at_;  // when it last changed, by our clock
  bool leading_ = false;
  bool stopped_ = false;
  bool in_flight_ = false;
  std::function<void()> on_idle_;  // Release() waits for the answer under way
  EventLoop::TimerId retry_ = 0;
  EventLoop::TimerId deadline_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_RUNTIME_LEADER_ELECTION_H_
