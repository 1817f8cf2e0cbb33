#include "plugins/node/image_locality.h"

#include <algorithm>

namespace muster {
namespace {

constexpr int64_t kMiB = 1024 * 1024;
constexpr int64_t kLeast = 23 * kMiB;           // sums up to this score 0
constexpr int64_t kMostPerImage = 1000 * kMiB;  // sums from this times the images on score 100

int64_t ScoreOf(int64_t sum, int64_t images) {
  const int64_t most = kMostPerImage * images;
  if (sum < kLeast) {
    sum = kLeast;
  } else if (sum > most) {
    sum = most;
  }
  return kMaxNodeScore * (sum - kLeast) / (most - kLeast);
}

}  // namespace

std::string NormalizedImageName(std::string_view name) {
  const auto position = [&](char c) { return static_cast<ptrdiff_t>(name.rfind(c)); };  // -1 if absent
  std::string normalized(name);
  if (position(':') <= position('/')) normalized += ":latest";
  return normalized;
}

absl::Status ImageLocality::Score(const PodInfo& pod, const Snapshot& snap, const CycleState&, const NodeSet& feasible,
                                  WordRange range, int64_t* out) const {
  const size_t begin = range.begin * kWordBits, end = range.end * kWordBits;
  const int64_t images = pod.spec->image_count;
  std::fill(out + begin, out + end, 0);
  bool any = false;
  for (const std::string& name : pod.spec->images) {
    const Snapshot::Image* image = snap.FindImage(NormalizedImageName(name));
    if (image == nullptr) continue;
    any = true;
    // An image that few nodes have counts less, lest they draw all its pods.
    const double spread = static_cast<double>(image->node_count) / static_cast<double>(snap.size());
    const auto scaled = static_cast<int64_t>(static_cast<double>(image->size_bytes) * spread);
    for (size_t w = range.begin; w < range.end; ++w) {
      NodeSet::ForEachBit(image->nodes.word(w) & feasible.word(w), w, [&](NodeIndex n) { out[n] += scaled; });
    }
  }
  if (any) {
    std::transform(out + begin, out + end, out + begin, [&](int64_t sum) { return ScoreOf(sum, images); });
  }
  return absl::OkStatus();
}

}  // namespace muster
