// Kubernetes resource quantities, exact: an integer count of nano-units.
#ifndef MUSTER_SCHEDULER_MODEL_QUANTITY_H_
#define MUSTER_SCHEDULER_MODEL_QUANTITY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"

namespace muster {

// How a quantity is written: 1500m, 1536Mi, 15e2.
enum class QuantityFormat : uint8_t { kDecimalSI, kBinarySI, kDecimalExponent };

class Quantity {
 public:
  constexpr Quantity() = default;
  static Quantity FromUnits(int64_t units) { return Quantity(absl::int128(units) * kNano); }
  static Quantity FromMilli(int64_t milli) { return Quantity(absl::int128(milli) * 1'000'000); }

  // Reads "250m", "1.5Gi", "2e3", ...; fractions finer than a nano-unit round away from zero, as
  // upstream's do. Errors: not a quantity; beyond int64 units ("overflows").
  static absl::StatusOr<Quantity> Parse(std::string_view text);
  // The same, but beyond int64 too, to 1,000 times that: what devices offer and are asked for is not held to 64 bits.
  static absl::StatusOr<Quantity> ParseWide(std::string_view text);

  // As the API server writes it (upstream's canonical form): the shortest in the format; decimal where binary suffixes
  // cannot say it.
  std::string Text(QuantityFormat format) const;

  // Whole units or thousandths, rounded up (upstream's Value and MilliValue). Saturates.
  int64_t Value() const { return CeilDiv(kNano); }
  int64_t MilliValue() const { return CeilDiv(1'000'000); }

  // Up to the next thousandth, as the API server rounds resource lists.
  Quantity RoundUpToMilli() const {
    const absl::int128 rest = nano_ % 1'000'000;
    return rest == 0 ? *this : Quantity(nano_ - rest + (rest > 0 ? 1'000'000 : 0));
  }

  bool IsZero() const { return nano_ == 0; }
  bool IsNegative() const { return nano_ < 0; }
  Quantity& operator+=(Quantity other) {
    nano_ += other.nano_;
    return *this;
  }
  Quantity& operator-=(Quantity other) {
    nano_ -= other.nano_;
    return *this;
  }
  friend Quantity operator-(Quantity a, Quantity b) { return a -= b; }
  friend Quantity operator+(Quantity a, Quantity b) { return a += b; }
  friend bool operator==(Quantity a, Quantity b) { return a.nano_ == b.nano_; }
  friend bool operator<(Quantity a, Quantity b) { return a.nano_ < b.nano_; }

 private:
  static constexpr int64_t kNano = 1'000'000'000;
  explicit constexpr Quantity(absl::int128 nano) : nano_(nano) {}
  static absl::StatusOr<Quantity> ParseUpTo(std::string_view text, absl::int128 limit);
  int64_t CeilDiv(int64_t by) const;

  absl::int128 nano_ =
      0;  // |value| < 2^63 units = 2^93 nano (1,000 times that if wide): sums of a million cannot overflow
};

// The format of a text that Parse reads.
QuantityFormat FormatOf(std::string_view text);

// Resource name -> quantity, ordered by name (a ResourceList).
using ResourceList = absl::btree_map<std::string, Quantity>;

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_QUANTITY_H_
