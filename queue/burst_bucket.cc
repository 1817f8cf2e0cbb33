#include "queue/burst_bucket.h"

#include <algorithm>
#include <utility>

namespace muster {
namespace {

using Wide = absl::int128;

bool Scarce(const std::string& resource) {
  return resource != "pods" && resource != "cpu" && resource != "memory" && resource != "ephemeral-storage";
}

}  // namespace

Wide BurstBucket::MissingAt(const Token& token, Time now) const {
  if (now <= at_) return token.missing;
  return std::max(Wide(0), token.missing - Wide(token.size) * absl::ToInt64Nanoseconds(now - at_));
}

const BurstBucket::Token* BurstBucket::Find(const std::string& resource) const {
  const auto at =
      std::find_if(tokens_.begin(), tokens_.end(), [&](const Token& token) { return token.resource == resource; });
  return at == tokens_.end() ? nullptr : &*at;
}

void BurstBucket::Configure(const QueueBurst& burst, Time now) {
  const int64_t refill = std::max<int64_t>(1, absl::ToInt64Nanoseconds(burst.refill));
  std::vector<Token> tokens;
  for (const Amount& amount : burst.resources) {
    const Wide full = Wide(amount.value) * refill;
    const Token* const old = Find(amount.resource);
    const Wide missing = old == nullptr ? Wide(0) : MissingAt(*old, now) / refill_ * refill;
    tokens.push_back({amount.resource, amount.value, std::min(missing, full)});
  }
  tokens_ = std::move(tokens);
  max_runtime_ = burst.max_pod_runtime;
  refill_ = refill;
  at_ = now;
}

bool BurstBucket::Takes(std::span<const Amount> requests, const std::optional<Duration>& max_runtime) const {
  if (!max_runtime || *max_runtime > max_runtime_) return false;
  bool listed = false;
  for (const Amount& amount : requests) {
    if (amount.value <= 0) continue;
    const bool of_lane = Find(amount.resource) != nullptr;
    if (!of_lane && Scarce(amount.resource)) return false;
    listed |= of_lane;
  }
  return listed;
}

Time BurstBucket::WhenHas(std::span<const Amount> requests, Time now) const {
  Time when = now;
  for (const Amount& amount : requests) {
    const Token* const token = Find(amount.resource);
    if (token == nullptr || amount.value <= 0) continue;
    if (amount.value > token->size) return absl::InfiniteFuture();
    const Wide excess = MissingAt(*token, now) - Wide(token->size - amount.value) * refill_;
    if (excess <= 0) continue;
    const Wide nanos = (excess + token->size - 1) / token->size;
    when = std::max(when, now + absl::Nanoseconds(static_cast<int64_t>(nanos)));
  }
  return when;
}

bool BurstBucket::Has(std::span<const Amount> requests, Time now) const { return WhenHas(requests, now) <= now; }

void BurstBucket::Move(std::span<const Amount> requests, int64_t sign, Time now) {
  for (Token& token : tokens_) {
    token.missing = MissingAt(token, now);
    for (const Amount& amount : requests) {
      if (amount.resource == token.resource) token.missing += Wide(amount.value) * sign * refill_;
    }
    token.missing = std::clamp(token.missing, Wide(0), Wide(token.size) * refill_);
  }
  at_ = std::max(at_, now);
}

void BurstBucket::Take(std::span<const Amount> requests, Time now) { Move(requests, 1, now); }

void BurstBucket::GiveBack(std::span<const Amount> requests, Time now) { Move(requests, -1, now); }

}  // namespace muster
