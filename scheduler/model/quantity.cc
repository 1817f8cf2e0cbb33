#include "scheduler/model/quantity.h"

#include <cctype>
#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"

namespace muster {
namespace {

// The factor of a suffix, as numerator over denominator in units: "Ki" = 1024/1, "m" = 1/1000.
struct Scale {
  absl::int128 times = 1;
  absl::int128 over = 1;
};

constexpr absl::int128 Pow(int base, int exponent) {
  absl::int128 result = 1;
  for (int i = 0; i < exponent; ++i) result *= base;
  return result;
}

std::optional<Scale> ScaleOf(std::string_view suffix) {
  constexpr std::string_view kDecimal[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
  constexpr std::string_view kBinary[] = {"Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  for (int i = 0; i < 10; ++i) {
    if (suffix != kDecimal[i]) continue;
    return i < 3 ? Scale{1, Pow(10, 9 - 3 * i)} : Scale{Pow(10, 3 * (i - 3)), 1};
  }
  for (int i = 0; i < 6; ++i) {
    if (suffix == kBinary[i]) return Scale{Pow(1024, i + 1), 1};
  }
  int exponent = 0;
  if (suffix.size() < 2 || (suffix[0] != 'e' && suffix[0] != 'E')) return std::nullopt;
  if (!absl::SimpleAtoi(AsAbsl(suffix.substr(1)), &exponent)) return std::nullopt;
  if (exponent > 18 || exponent < -18) return exponent > 0 ? Scale{Pow(10, 19), 1} : Scale{1, Pow(10, 18)};
  return exponent >= 0 ? Scale{Pow(10, exponent), 1} : Scale{1, Pow(10, -exponent)};
}

absl::Status Malformed(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("quantity \"", AsAbsl(text), "\" is not a number with an optional suffix"));
}

}  // namespace

absl::StatusOr<Quantity> Quantity::Parse(std::string_view text) {
  return ParseUpTo(text, absl::int128(std::numeric_limits<int64_t>::max()) * kNano);
}

absl::StatusOr<Quantity> Quantity::ParseWide(std::string_view text) {
  return ParseUpTo(text, absl::int128(std::numeric_limits<int64_t>::max()) * 1000 * kNano);
}

absl::StatusOr<Quantity> Quantity::ParseUpTo(std::string_view text, absl::int128 limit) {
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  // Digits beyond 10^27 cannot be below the limit of 2^63 units unless they are leading zeros or a
  // long fraction, so the mantissa keeps at most 28 significant digits and remembers the rest.
  absl::int128 mantissa = 0;
  int fraction_digits = 0, digits = 0, dropped_integer_digits = 0;
  bool inexact = false, in_fraction = false;
  size_t i = 0;
  for (; i < rest.size(); ++i) {
    const char c = rest[i];
    if (c == '.' && !in_fraction) {
      in_fraction = true;
      continue;
    }
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) break;
    ++digits;
    if (mantissa >= Pow(10, 27)) {
      inexact |= c != '0';
      if (!in_fraction) ++dropped_integer_digits;
      continue;
    }
    mantissa = mantissa * 10 + (c - '0');
    if (in_fraction) ++fraction_digits;
  }
  const auto scale = ScaleOf(rest.substr(i));
  if (digits == 0 || !scale) return Malformed(text);

  const auto overflow = [&] {
    return absl::OutOfRangeError(absl::StrCat("quantity \"", AsAbsl(text), "\" overflows 64 bits"));
  };
  if (mantissa == 0 && !inexact) return Quantity();
  if (dropped_integer_digits > 0) return overflow();

  // value = mantissa * times / (over * 10^fraction_digits), wanted in nano-units.
  absl::int128 times = scale->times, over = scale->over;
  // Cancel common powers of ten first, so that nothing below overflows 127 bits.
  absl::int128 nano = kNano;
  while (over % 10 == 0 && nano % 10 == 0) over /= 10, nano /= 10;
  while (fraction_digits > 0 && nano % 10 == 0) --fraction_digits, nano /= 10;
  while (fraction_digits > 0 && times % 10 == 0) --fraction_digits, times /= 10;
  // Binary suffixes: divide the long fraction away before multiplying where it is too long to hold.
  while (fraction_digits > 18) {
    inexact |= mantissa % 10 != 0;
    mantissa /= 10, --fraction_digits;
  }
  over *= Pow(10, fraction_digits);
  const absl::int128 factor = times * nano;  // <= 10^19 * 10^9 < 2^94
  const absl::int128 whole = mantissa / over, part = mantissa % over;
  if (whole > limit / factor) return overflow();
  // part < over <= 10^36; split once more where part * factor would not fit.
  absl::int128 result = whole * factor;
  absl::int128 scaled_part = 0;
  if (part > 0) {
    const absl::int128 kMax = std::numeric_limits<absl::int128>::max();
    if (part <= kMax / factor) {
      scaled_part = part * factor / over;
      inexact |= part * factor % over != 0;
    } else {
      absl::int128 p = part, o = over;
      while (p > kMax / factor) {
        inexact |= p % 10 != 0;
        p /= 10, o /= 10;
      }
      scaled_part = p * factor / o;
      inexact |= p * factor % o != 0;
    }
  }
  result += scaled_part + (inexact ? 1 : 0);
  if (result > limit) return overflow();
  return Quantity(negative ? -result : result);
}

QuantityFormat FormatOf(std::string_view text) {
  while (!text.empty() && (std::isdigit(static_cast<unsigned char>(text[0])) != 0 || text[0] == '.' || text[0] == '+' ||
                           text[0] == '-')) {
    text.remove_prefix(1);
  }
  if (text.size() == 2 && text[1] == 'i') return QuantityFormat::kBinarySI;
  const bool exponent = text.size() > 1 && (text[0] == 'e' || text[0] == 'E');
  return exponent ? QuantityFormat::kDecimalExponent : QuantityFormat::kDecimalSI;
}

std::string Quantity::Text(QuantityFormat format) const {
  if (nano_ == 0) return "0";
  const auto number = [](absl::int128 value) {
    std::string digits;
    for (absl::int128 v = value < 0 ? -value : value; v > 0; v /= 10) {
      digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(v % 10)));
    }
    return value < 0 ? "-" + digits : digits;
  };
  const absl::int128 size = nano_ < 0 ? -nano_ : nano_;
  if (format == QuantityFormat::kBinarySI && size >= absl::int128(1024) * kNano && nano_ % kNano == 0) {
    constexpr std::string_view kSuffix[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    absl::int128 value = nano_ / kNano;
    int suffix = 0;
    for (; value % 1024 == 0 && suffix < 6; ++suffix) value /= 1024;
    return absl::StrCat(number(value), AsAbsl(kSuffix[suffix]));
  }
  constexpr std::string_view kSuffix[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
  absl::int128 value = nano_;
  int suffix = 0;
  for (; value % 1000 == 0 && suffix < 9; ++suffix) value /= 1000;
  if (format == QuantityFormat::kDecimalExponent && suffix != 3) {
    return absl::StrCat(number(value), "e", 3 * (suffix - 3));
  }
  return absl::StrCat(number(value), AsAbsl(kSuffix[suffix]));
}

int64_t Quantity::CeilDiv(int64_t by) const {
  absl::int128 q = nano_ / by;
  if (nano_ % by > 0) ++q;
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  if (q > kMax) return kMax;
  if (q < -absl::int128(kMax)) return -kMax;
  return static_cast<int64_t>(q);
}

}  // namespace muster
