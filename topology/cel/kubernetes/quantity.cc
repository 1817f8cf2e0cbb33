#include "topology/cel/kubernetes/quantity.h"

#include <cmath>

#include "topology/cel/kubernetes/semver.h"
#include "topology/cel/library/function.h"

namespace muster::cel {
namespace {

constexpr __int128 kHuge = static_cast<__int128>(1) << 126;

constexpr std::string_view kWrongFormat =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
constexpr std::string_view kWrongSuffix = "unable to parse quantity's suffix";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

struct Suffix {
  bool binary = false;
  int32_t exponent = 0;  // of 2 or 10
};

bool ReadSuffix(std::string_view text, Suffix& suffix) {
  struct Row {
    std::string_view name;
    Suffix suffix;
  };
  static constexpr Row kRows[] = {
      {"", {false, 0}},   {"n", {false, -9}}, {"u", {false, -6}}, {"m", {false, -3}},
      {"k", {false, 3}},  {"M", {false, 6}},  {"G", {false, 9}},  {"T", {false, 12}},
      {"P", {false, 15}}, {"E", {false, 18}}, {"Ki", {true, 10}}, {"Mi", {true, 20}},
      {"Gi", {true, 30}}, {"Ti", {true, 40}}, {"Pi", {true, 50}}, {"Ei", {true, 60}},
  };
  for (const Row& row : kRows) {
    if (row.name == text) return suffix = row.suffix, true;
  }
  if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E')) return false;
  const bool negative = text[1] == '-';
  const std::string_view digits = text.substr(text[1] == '-' || text[1] == '+' ? 2 : 1);
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return false;
  int32_t exponent = 0;
  for (const char c : digits) exponent = exponent > 100'000'000 ? exponent : exponent * 10 + (c - '0');
  suffix = {false, negative ? -exponent : exponent};
  return true;
}

__int128 Saturated(__int128 left, __int128 right) {
  __int128 product;
  if (__builtin_mul_overflow(left, right, &product) || product > kHuge || product < -kHuge) {
    return (left < 0) != (right < 0) ? -kHuge : kHuge;
  }
  return product;
}

__int128 Scaled(__int128 value, int32_t by) {
  for (; by > 0 && value != 0 && value < kHuge && value > -kHuge; --by) value = Saturated(value, 10);
  return value;
}

// Rounded away from zero to nano-units: {value, -9}.
CelQuantity Rounded(__int128 value, int32_t scale) {
  if (scale >= -9) return {Scaled(value, scale + 9), -9, true};
  bool rest = false;
  for (; scale < -9 && value != 0; ++scale) {
    rest |= value % 10 != 0;
    value /= 10;
  }
  return {value + (rest ? 1 : 0), -9, true};
}

struct Parts {
  bool negative = false;
  std::string_view whole, fraction, suffix;
};

bool Cut(std::string_view text, Parts& parts) {
  size_t at = 0;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) parts.negative = text[at++] == '-';
  while (at < text.size() && text[at] == '0') ++at;
  const auto digits = [&] {
    const size_t start = at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    return text.substr(start, at - start);
  };
  parts.whole = digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    parts.fraction = digits();
  }
  if (parts.whole.empty()) parts.whole = "0";
  const size_t start = at;
  while (at < text.size() && std::string_view("eEinumkKMGTP").find(text[at]) != std::string_view::npos) ++at;
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  digits();
  parts.suffix = text.substr(start, at - start);
  return at == text.size();
}

const CelQuantity* NewQuantity(const Call& call, const CelQuantity& quantity) {
  CelQuantity* copy = call.arena.New<CelQuantity>();
  *copy = quantity;
  return copy;
}

Value QuantityOf(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kString) return Value();
  CelQuantity quantity;
  const std::string_view error = ParseQuantity(args[0].view(), quantity);
  if (!error.empty()) return MakeError(error);
  Value value = Make(Kind::kQuantity);
  value.quantity = NewQuantity(call, quantity);
  return value;
}

Value IsQuantity(const Call&, const Value* args, int) {
  if (args[0].kind != Kind::kString) return Value();
  CelQuantity quantity;
  return MakeBool(ParseQuantity(args[0].view(), quantity).empty());
}

Value AsInteger(const Call&, const Value* args, int) {
  if (args[0].kind != Kind::kQuantity) return Value();
  int64_t number;
  return QuantityAsInt(*args[0].quantity, number) ? MakeInt(number) : MakeError("cannot convert value to integer");
}
Value IsInteger(const Call&, const Value* args, int) {
  if (args[0].kind != Kind::kQuantity) return Value();
  int64_t number;
  return MakeBool(QuantityAsInt(*args[0].quantity, number));
}

Value AsApproximateFloat(const Call&, const Value* args, int) {
  if (args[0].kind != Kind::kQuantity) return Value();
  const double base = static_cast<double>(args[0].quantity->value);
  const int32_t scale = args[0].quantity->scale;
  // Powers of ten as Go rounds them: to the nearest.
  return MakeDouble(scale == 0 ? base : base * std::strtod(("1e" + std::to_string(scale)).c_str(), nullptr));
}

Value Sign(const Call&, const Value* args, int) {
  if (args[0].kind != Kind::kQuantity) return Value();
  const __int128 value = args[0].quantity->value;
  return MakeInt(value < 0 ? -1 : value > 0 ? 1 : 0);
}

// Exact within int64, else with as many digits as there are: then it is no integer any more.
CelQuantity Total(const CelQuantity& left, const CelQuantity& right) {
  const int32_t scale = left.scale < right.scale ? left.scale : right.scale;
  if (!left.decimal && !right.decimal) {
    if (right.value == 0) return left;
    if (left.value == 0) return right;
    const __int128 a = Scaled(left.value, left.scale - scale), b = Scaled(right.value, right.scale - scale);
    const auto fits = [](__int128 value) { return value <= INT64_MAX && value >= INT64_MIN; };
    if (fits(a) && fits(b) && fits(a + b)) return {a + b, scale, false};
  }
  const __int128 sum = Scaled(left.value, left.scale - scale) + Scaled(right.value, right.scale - scale);
  return {sum > kHuge ? kHuge : sum < -kHuge ? -kHuge : sum, scale, true};
}

Value Plus(const Call& call, const Value* args, int sign) {
  if (args[0].kind != Kind::kQuantity) return Value();
  CelQuantity other;
  if (args[1].kind == Kind::kInt) {
    other = {args[1].integer, 0, false};
  } else if (args[1].kind == Kind::kQuantity) {
    other = *args[1].quantity;
  } else {
    return Value();
  }
  other.value *= sign;
  Value value = Make(Kind::kQuantity);
  value.flag = true;
  value.quantity = NewQuantity(call, Total(*args[0].quantity, other));
  return value;
}
Value Add(const Call& call, const Value* args, int) { return Plus(call, args, 1); }
Value Sub(const Call& call, const Value* args, int) { return Plus(call, args, -1); }

// Quantities and versions have these.
bool Comparison(const Value* args, int& order) {
  if (args[0].kind != args[1].kind) return false;
  if (args[0].kind == Kind::kQuantity) {
    order = CompareQuantity(*args[0].quantity, *args[1].quantity);
  } else if (args[0].kind == Kind::kSemver) {
    order = CompareSemver(*args[0].semver, *args[1].semver);
  } else {
    return false;
  }
  return true;
}
Value CompareTo(const Call&, const Value* args, int) {
  int order;
  return Comparison(args, order) ? MakeInt(order) : Value();
}
Value IsGreaterThan(const Call&, const Value* args, int) {
  int order;
  return Comparison(args, order) ? MakeBool(order > 0) : Value();
}
Value IsLessThan(const Call&, const Value* args, int) {
  int order;
  return Comparison(args, order) ? MakeBool(order < 0) : Value();
}

constexpr NamedImplementation kFunctions[] = {
    {"quantity", QuantityOf},
    {"isQuantity", IsQuantity},
    {"asInteger", AsInteger},
    {"isInteger", IsInteger},
    {"asApproximateFloat", AsApproximateFloat},
    {"sign", Sign},
    {"add", Add},
    {"sub", Sub},
    {"compareTo", CompareTo},
    {"isGreaterThan", IsGreaterThan},
    {"isLessThan", IsLessThan},
};

}  // namespace

std::string_view ParseQuantity(std::string_view text, CelQuantity& quantity) {
  quantity = {0, 0, false};
  if (text.empty()) return kWrongFormat;
  if (text == "0") return "";
  Parts parts;
  if (!Cut(text, parts)) return kWrongFormat;
  Suffix suffix;
  if (!ReadSuffix(parts.suffix, suffix)) return kWrongSuffix;
  __int128 digits = 0;
  for (const std::string_view part : {parts.whole, parts.fraction}) {
    for (const char c : part) digits = Saturated(digits, 10) + (c - '0');
  }
  const int32_t fraction = static_cast<int32_t>(parts.fraction.size());
  const int32_t written = static_cast<int32_t>(parts.whole.size()) + fraction;
  // What upstream keeps as an integer and a power of ten: few enough digits, and whole where the suffix is binary.
  const bool small = suffix.binary ? fraction == 0 && 15 - written - suffix.exponent * 3 / 10 - 1 >= 0 : written <= 18;
  const int32_t scale = (suffix.binary ? 0 : suffix.exponent) - fraction;
  const __int128 whole = suffix.binary ? Saturated(digits, static_cast<__int128>(1) << suffix.exponent) : digits;
  if (small && scale >= -9) {
    quantity = {whole, scale, false};
  } else {
    quantity = whole == 0 ? CelQuantity{0, scale, true} : Rounded(whole, scale);
    const CelQuantity most = {INT64_MAX, 0, true};
    if (suffix.binary && CompareQuantity(quantity, most) > 0) quantity = most;
  }
  if (parts.negative) quantity.value = -quantity.value;
  return "";
}

bool QuantityAsInt(const CelQuantity& quantity, int64_t& number) {
  if (quantity.decimal || quantity.scale < 0) return false;
  const __int128 value = Scaled(quantity.value, quantity.scale);
  if (value > INT64_MAX || value < INT64_MIN) return false;
  number = static_cast<int64_t>(value);
  return true;
}

Family QuantityFunctions() { return {kFunctions, std::size(kFunctions)}; }

}  // namespace muster::cel
