#include "queue/usage_history.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace muster {
namespace {

using Wide = absl::int128;

constexpr int kFraction = 48;  // bits of passed / half_life behind the point
constexpr int kAverageFraction = 56;
constexpr int64_t kSecond = 1'000'000'000;

// 2^(-2^-i) for i = 1, 2, ... in 2^-64ths.
constexpr uint64_t kRoots[kFraction] = {
    0xb504f333f9de6484, 0xd744fccad69d6af4, 0xeac0c6e7dd24392f, 0xf5257d152486cc2c, 0xfa83b2db722a033a,
    0xfd3e0c0cf486c175, 0xfe9e115c7b8f884c, 0xff4ecb59511ec8a5, 0xffa756521c8daed2, 0xffd3a751c0f7e10c,
    0xffe9d2b2f7db2756, 0xfff4e91bff1b8c3e, 0xfffa747ea0040664, 0xfffd3a3b7814eb54, 0xfffe9d1cc60ddab1,
    0xffff4e8e25879bfa, 0xffffa7470363f451, 0xffffd3a37dda0313, 0xffffe9d1bdf703af, 0xfffff4e8debe025e,
    0xfffffa746f4fa150, 0xfffffd3a37a3f8b0, 0xfffffe9d1bd1065a, 0xffffff4e8de845ae, 0xffffffa746f41377,
    0xffffffd3a37a05e4, 0xffffffe9d1bd01fc, 0xfffffff4e8de80c0, 0xfffffffa746f4051, 0xfffffffd3a37a025,
    0xfffffffe9d1bd011, 0xffffffff4e8de808, 0xffffffffa746f404, 0xffffffffd3a37a02, 0xffffffffe9d1bd01,
    0xfffffffff4e8de81, 0xfffffffffa746f40, 0xfffffffffd3a37a0, 0xfffffffffe9d1bd0, 0xffffffffff4e8de8,
    0xffffffffffa746f4, 0xffffffffffd3a37a, 0xffffffffffe9d1bd, 0xfffffffffff4e8df, 0xfffffffffffa746f,
    0xfffffffffffd3a38, 0xfffffffffffe9d1c, 0xffffffffffff4e8e,
};

int64_t Narrow(Wide v) { return static_cast<int64_t>(std::clamp(v, Wide(-kUnlimited), Wide(kUnlimited))); }

int64_t FloorDiv(int64_t a, int64_t by) { return a / by - (a % by < 0 ? 1 : 0); }

// Sums of several queues may be beyond.
Wide Counted(Wide used) { return std::clamp(used, Wide(0), Wide(kUnlimited)); }

}  // namespace

Wide Fade(Wide value, int64_t passed, int64_t half_life) {
  const auto ratio = (absl::uint128(static_cast<uint64_t>(passed)) << kFraction) / static_cast<uint64_t>(half_life);
  const uint64_t whole = static_cast<uint64_t>(ratio >> kFraction);
  if (whole > 126) return 0;
  absl::uint128 factor = absl::uint128(1) << 64;
  for (int i = 1; i <= kFraction; ++i) {
    if (((ratio >> (kFraction - i)) & 1) != 0) factor = (factor * kRoots[i - 1]) >> 64;
  }
  const absl::uint128 from(value < 0 ? -value : value);
  const absl::uint128 half = absl::uint128(1) << 63;
  absl::uint128 to = (from >> 64) * factor + (((from & UINT64_MAX) * factor + half) >> 64);
  if (whole > 0) to = (to + (absl::uint128(1) << (whole - 1))) >> static_cast<int>(whole);
  return value < 0 ? -Wide(to) : Wide(to);
}

Wide UsageHistory::Total::AreaAt(Nanos now) const { return area + Counted(used) * std::max<Nanos>(0, now - at); }

Wide UsageHistory::Fading::At(Nanos now, Nanos half_life) const {
  const Wide towards = Wide(used) << kAverageFraction;
  return towards + Fade(average - towards, std::max<Nanos>(0, now - at), half_life);
}

void UsageHistory::Fading::Set(int64_t amount, Nanos now, Nanos half_life) {
  if (amount == used) return;
  average = now <= began ? Wide(amount) << kAverageFraction : At(now, half_life);
  at = now;
  used = amount;
}

void UsageHistory::Window::Advance(const Total& total, Nanos now) {
  if (width == 0) return;
  const Nanos bucket = Bucket(), last = FloorDiv(now, bucket);
  Nanos k = std::max(FloorDiv(total.at, bucket) + 1, last - kBuckets);
  for (; k <= last; ++k) Sample(k) = total.AreaAt(k * bucket);
}

Wide UsageHistory::Window::AreaAt(const Total& total, Nanos when) const {
  if (when >= total.at) return total.AreaAt(when);
  const Nanos bucket = Bucket(), k = FloorDiv(when, bucket), from = k * bucket;
  const Wide before = areas[Slot(k)];
  const Nanos to = std::min(from + bucket, total.at);
  const Wide after = to == total.at ? total.area : areas[Slot(k + 1)];
  return before + (after - before) * (when - from) / (to - from);
}

Wide UsageHistory::Window::UsedAt(const Total& total, Nanos when) const {
  return total.AreaAt(when) - AreaAt(total, when - width);
}

void UsageHistory::AddTotal(Entry& entry, uint32_t resource, Wide amount, Nanos now) {
  Total& total = entry.totals[resource];
  if (entry.window.width > 0 && entry.window.resource == resource) entry.window.Advance(total, now);
  total.area = total.AreaAt(now);
  total.at = std::max(total.at, now);
  total.used += amount;
}

void UsageHistory::Renumber(const QueueCatalog& catalog, Nanos now) {
  std::vector<uint32_t> old_cell, old_resource;  // by new number
  std::vector<std::string> names;
  for (QuotaCell c = 0; c < catalog.cells().size(); ++c) {
    const QueueCatalog::Cell& cell = catalog.cells()[c];
    const auto same = [&](const QueueCatalog::Cell& o) {
      return o.resource == cell.resource && o.flavor == cell.flavor;
    };
    old_cell.push_back(static_cast<uint32_t>(std::find_if(cells_.begin(), cells_.end(), same) - cells_.begin()));
    const uint32_t r = catalog.resource_of()[c];
    if (r >= names.size()) names.resize(r + 1);
    names[r] = cell.resource;
  }
  for (const std::string& name : names)
    old_resource.push_back(
        static_cast<uint32_t>(std::find(resources_.begin(), resources_.end(), name) - resources_.begin()));
  for (Entry& entry : entries_) {
    const Entry old = std::move(entry);
    entry = {};
    entry.name = old.name;
    entry.half_life = old.half_life;
    entry.window = old.window;
    if (old.window.width > 0) {
      const auto at = std::find(old_resource.begin(), old_resource.end(), old.window.resource);
      if (at == old_resource.end()) entry.window = {};
      entry.window.resource = static_cast<uint32_t>(at - old_resource.begin());
    }
    for (const uint32_t r : old_resource) entry.totals.push_back(r < old.totals.size() ? old.totals[r] : Total{});
    for (const uint32_t c : old_cell) {
      const bool was = c < old.charged.size();
      entry.charged.push_back(was ? old.charged[c] : 0);
      if (entry.half_life == 0) continue;
      entry.usage.push_back(was ? old.usage[c] : Fading{0, 0, now, now});
      entry.own.push_back(was ? old.own[c] : Fading{0, 0, now, now});
    }
  }
  cells_.assign(catalog.cells().begin(), catalog.cells().end());
  resource_of_.assign(catalog.resource_of().begin(), catalog.resource_of().end());
  resources_ = std::move(names);
}

void UsageHistory::SetPolicy(Entry& entry, const Queue& queue, Nanos now) {
  const Nanos half_life = queue.usage_half_life ? absl::ToInt64Nanoseconds(*queue.usage_half_life) : 0;
  if (half_life != entry.half_life) {
    for (auto* column : {&entry.usage, &entry.own}) {
      if (entry.half_life == 0 || half_life == 0) column->assign(half_life == 0 ? 0 : cells_.size(), {0, 0, now, now});
      for (Fading& fading : *column) {
        if (entry.half_life > 0) fading.average = fading.At(now, entry.half_life);
        fading.at = now;
      }
    }
    entry.half_life = half_life;
  }
  Window window;
  const auto resource =
      queue.budget ? std::find(resources_.begin(), resources_.end(), queue.budget->resource) : resources_.end();
  if (resource != resources_.end()) {
    window.width = std::max<Nanos>(1, absl::ToInt64Nanoseconds(queue.budget->window));
    window.seconds = queue.budget->seconds;
    window.resource = static_cast<uint32_t>(resource - resources_.begin());
  }
  Window& old = entry.window;
  if (window.width == old.width && window.resource == old.resource) {
    old.seconds = window.seconds;
    return;
  }
  if (window.width > 0) {
    const Total& total = entry.totals[window.resource];
    const bool known = old.width > 0 && old.resource == window.resource;
    const Nanos last = FloorDiv(now, window.Bucket());
    for (Nanos k = last - kBuckets; k <= last; ++k) {
      // Of what was before the old window, nothing is known: none was used.
      const Nanos when = std::max(k * window.Bucket(), now - old.width);
      window.Sample(k) = known ? old.AreaAt(total, std::min(when, now)) : total.AreaAt(now);
    }
  }
  old = window;
}

void UsageHistory::Build(const QueueCatalog& catalog, const QuotaTree& tree, Time now) {
  if (tree_ == nullptr) start_ = now;
  tree_ = &tree;
  const Nanos at = Since(now);
  Renumber(catalog, at);
  absl::flat_hash_map<std::string, Entry> old;
  for (Entry& entry : entries_) {
    // Nothing is charged to what is not sound; what is sound is charged anew below.
    for (uint32_t r = 0; r < entry.totals.size(); ++r) AddTotal(entry, r, -entry.totals[r].used, at);
    std::fill(entry.charged.begin(), entry.charged.end(), 0);
    old.emplace(entry.name, std::move(entry));
  }
  entries_.clear();
  of_index_.assign(catalog.size(), 0);
  for (const QueueCatalog::Entry& of : catalog.entries()) {
    const auto found = old.find(of.queue->name);
    Entry entry;
    if (found != old.end()) {
      entry = std::move(found->second);
    } else {
      entry.name = of.queue->name;
      entry.charged.assign(cells_.size(), 0);
      entry.totals.assign(resources_.size(), Total{0, 0, at});
    }
    if (of.index != kNoQueue) {
      SetPolicy(entry, *of.queue, at);
      of_index_[of.index] = static_cast<uint32_t>(entries_.size());
    } else {
      for (auto* column : {&entry.usage, &entry.own}) {
        for (Fading& fading : *column) fading.Set(0, at, entry.half_life);
      }
    }
    entries_.push_back(std::move(entry));
  }
  for (QueueIndex q = 0; q < tree.size(); ++q) {
    for (QuotaCell c = 0; c < tree.cells(); ++c) Changed(q, c, now);
  }
}

void UsageHistory::Changed(QueueIndex q, QuotaCell cell, Time now) {
  const Nanos at = Since(now);
  Entry& first = Of(q);
  const int64_t own = tree_->Own(q, cell);
  const Wide more = Wide(own) - first.charged[cell];
  first.charged[cell] = own;
  if (first.half_life > 0) first.own[cell].Set(std::max<int64_t>(0, own), at, first.half_life);
  for (; q != kNoQueue; q = tree_->parent(q)) {
    Entry& entry = Of(q);
    if (more != 0) AddTotal(entry, resource_of_[cell], more, at);
    if (entry.half_life > 0) entry.usage[cell].Set(std::max<int64_t>(0, tree_->Usage(q, cell)), at, entry.half_life);
  }
}

int64_t UsageHistory::ResourceSeconds(QueueIndex q, uint32_t resource, Time now) const {
  return Narrow(Of(q).totals[resource].AreaAt(Since(now)) / kSecond);
}

void UsageHistory::Read(QueueIndex q, Time now, Average& average) const {
  const Entry& entry = Of(q);
  const Nanos at = Since(now);
  const auto round = [&](const Fading& fading) {
    return Narrow((fading.At(at, entry.half_life) + (Wide(1) << (kAverageFraction - 1))) >> kAverageFraction);
  };
  average.usage.resize(entry.usage.size());
  average.own.resize(entry.own.size());
  std::transform(entry.usage.begin(), entry.usage.end(), average.usage.begin(), round);
  std::transform(entry.own.begin(), entry.own.end(), average.own.begin(), round);
}

int64_t UsageHistory::Left(QueueIndex q, Time now) const {
  const Window& window = Of(q).window;
  if (window.width == 0) return kUnlimited;
  const Wide used = window.UsedAt(Of(q).totals[window.resource], Since(now));
  return Narrow(window.seconds - (used + kSecond - 1) / kSecond);
}

Time UsageHistory::LeftAgain(QueueIndex q, Time now) const {
  const Window& window = Of(q).window;
  if (Left(q, now) > 0) return now;
  const Total& total = Of(q).totals[window.resource];
  const Wide enough = Wide(window.seconds - 1) * kSecond;  // leaves a whole one
  const Nanos bucket = window.Bucket();
  // What is used in the window is linear in time between the instants at which its begin meets a sample.
  for (Nanos from = Since(now); from - window.width < total.at;) {
    const Nanos begin = from - window.width;
    const Nanos to = std::min((FloorDiv(begin, bucket) + 1) * bucket, total.at) + window.width;
    if (window.UsedAt(total, to) > enough) {
      from = to;
      continue;
    }
    Nanos low = from, high = to;
    while (high - low > 1) {
      const Nanos middle = low + (high - low) / 2;
      (window.UsedAt(total, middle) > enough ? low : high) = middle;
    }
    return start_ + absl::Nanoseconds(high);
  }
  return absl::InfiniteFuture();
}

}  // namespace muster
