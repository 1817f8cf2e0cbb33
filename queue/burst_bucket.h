// The token bucket of one queue's burst lane (QueueBurst): small pods that say that they end soon go before all shares
// while there are tokens for what they ask.
//
// A pod is of the lane if its run time is known and at most the lane's, it asks for something that the lane lists, and
// for no scarce resource that the lane does not list: all but pods, cpu, memory and ephemeral-storage are scarce, and
// these are not limited where not listed. What pods of the lane ask for is taken from the bucket, which refills
// linearly, from empty to full in QueueBurst::refill; that a pod ends gives nothing back. Worked: {cpu: 64}, refill 1m:
// 64 pods of one cpu go at once, then about one a second.
//
// Tokens are exact: integers in units of amount times nanoseconds. Nothing is allocated but by Configure. Time does not
// run backwards. Decision thread only.
#ifndef MUSTER_QUEUE_BURST_BUCKET_H_
#define MUSTER_QUEUE_BURST_BUCKET_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/queue.h"

namespace muster {

class BurstBucket {
 public:
  // Sets the lane, which begins with a full bucket. Where there was one, what is missing from full stays missing, as
  // far as a bucket of the new size can miss it, and refills at the new rate.
  void Configure(const QueueBurst& burst, Time now);

  // Whether the pod is of the lane; `requests` as PodAmounts::requests.
  bool Takes(std::span<const Amount> requests, const std::optional<Duration>& max_runtime) const;
  // Whether there are tokens for as much: of one pod, or summed over several.
  bool Has(std::span<const Amount> requests, Time now) const;
  // When there will be if nothing else is taken, or now; InfiniteFuture where a full bucket has not as much.
  Time WhenHas(std::span<const Amount> requests, Time now) const;
  void Take(std::span<const Amount> requests, Time now);
  // What was taken is not used after all: it was not placed.
  void GiveBack(std::span<const Amount> requests, Time now);

 private:
  using Wide = absl::int128;
  struct Token {
    std::string resource;
    int64_t size = 0;
    Wide missing = 0;  // times refill_
  };
  Wide MissingAt(const Token& token, Time now) const;
  // The lane's, or null where it is not listed.
  const Token* Find(const std::string& resource) const;
  void Move(std::span<const Amount> requests, int64_t sign, Time now);

  Duration max_runtime_;
  int64_t refill_ = 1;  // nanoseconds
  Time at_ = absl::InfinitePast();
  std::vector<Token> tokens_;
};

}  // namespace muster

#endif  // MUSTER_QUEUE_BURST_BUCKET_H_
