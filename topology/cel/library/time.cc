#include "topology/cel/library/time.h"

#include <cmath>
#include <cstdio>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "scheduler/model/ids.h"
#include "topology/cel/library/function.h"

namespace muster::cel {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

struct Unit {
  std::string_view name;
  int64_t nanoseconds;
};
constexpr Unit kUnits[] = {{"ns", 1},         {"us", 1000},   {"\xc2\xb5s", 1000}, {"\xce\xbcs", 1000},
                           {"ms", 1'000'000}, {"s", kSecond}, {"m", 60 * kSecond}, {"h", 3600 * kSecond}};

const Unit* FindUnit(std::string_view name) {
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

// Reads `least` to `most` digits.
bool ReadNumber(std::string_view& rest, size_t least, size_t most, int& number) {
  size_t digits = 0;
  number = 0;
  while (digits < most && digits < rest.size() && IsDigit(rest[digits])) number = number * 10 + (rest[digits++] - '0');
  rest.remove_prefix(digits);
  return digits >= least;
}

bool ReadChar(std::string_view& rest, char c) {
  if (rest.empty() || rest[0] != c) return false;
  rest.remove_prefix(1);
  return true;
}

bool ReadDate(std::string_view& rest, int& year, int& month, int& day) {
  if (!ReadNumber(rest, 4, 4, year) || !ReadChar(rest, '-') || !ReadNumber(rest, 2, 2, month) || !ReadChar(rest, '-') ||
      !ReadNumber(rest, 2, 2, day)) {
    return false;
  }
  const absl::CivilDay civil(year, month, day);
  return month >= 1 && month <= 12 && day >= 1 && civil.month() == month && civil.day() == day;
}

// The fraction of a second after '.' or ',', cut to nanoseconds; nothing is 0.
bool ReadFraction(std::string_view& rest, uint32_t& nanoseconds) {
  nanoseconds = 0;
  if (rest.empty() || (rest[0] != '.' && rest[0] != ',')) return true;
  rest.remove_prefix(1);
  if (rest.empty() || !IsDigit(rest[0])) return false;
  uint32_t unit = kSecond / 10;
  for (; !rest.empty() && IsDigit(rest[0]); rest.remove_prefix(1), unit /= 10) {
    nanoseconds += unit * static_cast<uint32_t>(rest[0] - '0');
  }
  return true;
}

bool ReadZone(std::string_view& rest, int& minutes) {
  minutes = 0;
  if (ReadChar(rest, 'Z')) return true;
  const bool west = !rest.empty() && rest[0] == '-';
  if (!ReadChar(rest, '+') && !ReadChar(rest, '-')) return false;
  int hour, minute;
  if (!ReadNumber(rest, 2, 2, hour) || !ReadChar(rest, ':') || !ReadNumber(rest, 2, 2, minute)) return false;
  if (hour > 24 || minute > 60) return false;
  minutes = (hour * 60 + minute) * (west ? -1 : 1);
  return true;
}

absl::CivilSecond Civil(int64_t seconds) {
  return absl::ToCivilSecond(absl::FromUnixSeconds(seconds), absl::UTCTimeZone());
}

bool ReadInt(std::string_view text, int& number) {
  if (text.size() > 1 && (text[0] == '+' || text[0] == '-')) {
    if (!ReadInt(text.substr(1), number) || text[1] == '+' || text[1] == '-') return false;
    if (text[0] == '-') number = -number;
    return true;
  }
  return !text.empty() && ReadNumber(text, 1, 8, number) && text.empty();
}

// Seconds east of UTC at that instant; false with `error` for an unknown zone.
bool ZoneOffset(std::string_view zone, int64_t seconds, int64_t& offset, std::string& error) {
  const size_t colon = zone.find(':');
  if (colon == std::string_view::npos) {
    absl::TimeZone loaded = absl::UTCTimeZone();
    const bool path = zone.find("..") != zone.npos || (!zone.empty() && (zone[0] == '/' || zone[0] == '\\'));
    const bool own = zone.substr(0, 6) == "Fixed/";  // absl's notation
    const bool utc = zone.empty() || zone == "UTC" || zone == "Local";
    if (!utc && (path || own || !absl::LoadTimeZone(AsAbsl(zone), &loaded))) {
      error = "unknown time zone " + std::string(zone);
      return false;
    }
    offset = loaded.At(absl::FromUnixSeconds(seconds)).offset;
    return true;
  }
  int hours, minutes;
  if (!ReadInt(zone.substr(0, colon), hours) || !ReadInt(zone.substr(colon + 1), minutes)) {
    error = "invalid timezone offset: " + std::string(zone);
    return false;
  }
  if (minutes < 0 || minutes > 59) {
    error = "timezone offset minutes out of range [0, 59]: " + std::string(zone);
    return false;
  }
  offset = (zone[0] == '-' ? hours * int64_t{60} - minutes : hours * int64_t{60} + minutes) * 60;
  return true;
}

int64_t PartOfTimestamp(std::string_view part, const absl::CivilSecond& civil, uint32_t nanoseconds) {
  if (part == "getFullYear") return civil.year();
  if (part == "getMonth") return civil.month() - 1;
  if (part == "getDate") return civil.day();
  if (part == "getDayOfMonth") return civil.day() - 1;
  if (part == "getDayOfYear") return absl::GetYearDay(civil) - 1;
  if (part == "getDayOfWeek") return (static_cast<int>(absl::GetWeekday(civil)) + 1) % 7;
  if (part == "getHours") return civil.hour();
  if (part == "getMinutes") return civil.minute();
  if (part == "getSeconds") return civil.second();
  return nanoseconds / 1'000'000;
}

Value PartOf(const Call& call, std::string_view part, const Value* args, int count) {
  if (args[0].kind == Kind::kDuration && count == 1) {
    const int64_t nanoseconds = args[0].integer;
    if (part == "getHours") return MakeInt(nanoseconds / (3600 * kSecond));
    if (part == "getMinutes") return MakeInt(nanoseconds / (60 * kSecond));
    if (part == "getSeconds") return MakeInt(nanoseconds / kSecond);
    if (part == "getMilliseconds") return MakeInt(nanoseconds / 1'000'000);
    return Value();
  }
  if (args[0].kind != Kind::kTimestamp || (count == 2 && args[1].kind != Kind::kString)) return Value();
  int64_t offset = 0;
  std::string error;
  if (count == 2 && !ZoneOffset(args[1].view(), args[0].integer, offset, error)) return call.Error(error);
  return MakeInt(PartOfTimestamp(part, Civil(args[0].integer + offset), args[0].size));
}

template <const char* kPart>
Value Part(const Call& call, const Value* args, int count) {
  return PartOf(call, kPart, args, count);
}

constexpr char kFullYear[] = "getFullYear", kMonth[] = "getMonth", kDate[] = "getDate", kDayOfMonth[] = "getDayOfMonth",
               kDayOfYear[] = "getDayOfYear", kDayOfWeek[] = "getDayOfWeek", kHours[] = "getHours",
               kMinutes[] = "getMinutes", kSeconds[] = "getSeconds", kMilliseconds[] = "getMilliseconds";

constexpr NamedImplementation kFunctions[] = {
    {kFullYear, Part<kFullYear>},   {kMonth, Part<kMonth>},
    {kDate, Part<kDate>},           {kDayOfMonth, Part<kDayOfMonth>},
    {kDayOfYear, Part<kDayOfYear>}, {kDayOfWeek, Part<kDayOfWeek>},
    {kHours, Part<kHours>},         {kMinutes, Part<kMinutes>},
    {kSeconds, Part<kSeconds>},     {kMilliseconds, Part<kMilliseconds>},
};

}  // namespace

bool ParseDuration(std::string_view text, int64_t& nanoseconds) {
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  nanoseconds = 0;
  if (text == "0") return true;
  if (text.empty()) return false;
  constexpr unsigned __int128 kMost = static_cast<unsigned __int128>(1) << 63;
  unsigned __int128 total = 0;
  while (!text.empty()) {
    unsigned __int128 whole = 0;
    const size_t before = text.size();
    for (; !text.empty() && IsDigit(text[0]); text.remove_prefix(1)) {
      whole = whole * 10 + static_cast<unsigned>(text[0] - '0');
      if (whole > kMost) return false;
    }
    bool digits = text.size() != before;
    double fraction = 0, scale = 1;
    if (ReadChar(text, '.')) {
      const size_t start = text.size();
      uint64_t number = 0;
      bool overflow = false;
      for (; !text.empty() && IsDigit(text[0]); text.remove_prefix(1)) {
        if (overflow) continue;
        if (number > (uint64_t{1} << 63) / 10) {
          overflow = true;
          continue;
        }
        number = number * 10 + static_cast<uint64_t>(text[0] - '0');
        scale *= 10;
      }
      digits |= text.size() != start;
      fraction = static_cast<double>(number);
    }
    if (!digits) return false;
    size_t length = 0;
    while (length < text.size() && text[length] != '.' && !IsDigit(text[length])) ++length;
    const Unit* unit = FindUnit(text.substr(0, length));
    if (unit == nullptr) return false;
    text.remove_prefix(length);
    whole *= static_cast<uint64_t>(unit->nanoseconds);
    whole += static_cast<uint64_t>(fraction * (static_cast<double>(unit->nanoseconds) / scale));
    total += whole;
    if (whole > kMost || total > kMost) return false;
  }
  if (!negative && total == kMost) return false;
  nanoseconds = negative ? static_cast<int64_t>(-total) : static_cast<int64_t>(total);
  return true;
}

Value ParseTimestamp(std::string_view text) {
  int year, month, day, hour, minute, second, zone;
  uint32_t nanoseconds;
  if (!ReadDate(text, year, month, day) || !ReadChar(text, 'T') || !ReadNumber(text, 1, 2, hour) ||
      !ReadChar(text, ':') || !ReadNumber(text, 2, 2, minute) || !ReadChar(text, ':') ||
      !ReadNumber(text, 2, 2, second) || !ReadFraction(text, nanoseconds) || !ReadZone(text, zone) || !text.empty()) {
    return Value();
  }
  if (hour > 23 || minute > 59 || second > 59) return Value();
  const absl::CivilSecond civil(year, month, day, hour, minute, second);
  return MakeTimestamp((civil - absl::CivilSecond(1970)) - zone * int64_t{60}, nanoseconds, static_cast<int16_t>(zone));
}

bool IsDate(std::string_view text) {
  int year, month, day;
  return ReadDate(text, year, month, day) && text.empty();
}

std::string FormatDuration(int64_t nanoseconds) {
  const double seconds = static_cast<double>(nanoseconds / kSecond) + static_cast<double>(nanoseconds % kSecond) / 1e9;
  return FormatDoublePlain(seconds) + "s";
}

std::string FormatTimestamp(const Value& timestamp) {
  const absl::CivilSecond civil = Civil(timestamp.integer + timestamp.minutes * 60);
  char buffer[80];
  std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02dT%02d:%02d:%02d", static_cast<int>(civil.year()), civil.month(),
                civil.day(), civil.hour(), civil.minute(), civil.second());
  std::string text = buffer;
  if (timestamp.size > 0) {
    std::snprintf(buffer, sizeof buffer, ".%09u", timestamp.size);
    text += buffer;
    text.erase(text.find_last_not_of('0') + 1);
  }
  if (timestamp.minutes == 0) return text + "Z";
  const int minutes = std::abs(timestamp.minutes);
  std::snprintf(buffer, sizeof buffer, "%c%02d:%02d", timestamp.minutes < 0 ? '-' : '+', minutes / 60, minutes % 60);
  return text + buffer;
}

Value AddToTimestamp(const Value& timestamp, __int128 nanoseconds) {
  const __int128 total = static_cast<__int128>(timestamp.integer) * kSecond + timestamp.size + nanoseconds;
  __int128 seconds = total / kSecond;
  __int128 rest = total % kSecond;
  if (rest < 0) {
    --seconds;
    rest += kSecond;
  }
  if (seconds < kFirstSecond || seconds > kLastSecond) return MakeError("timestamp overflow");
  return MakeTimestamp(static_cast<int64_t>(seconds), static_cast<uint32_t>(rest), timestamp.minutes);
}

Value TimestampDifference(const Value& left, const Value& right) {
  const __int128 total = static_cast<__int128>(left.integer - right.integer) * kSecond +
                         static_cast<int64_t>(left.size) - static_cast<int64_t>(right.size);
  if (total > INT64_MAX || total < INT64_MIN) return MakeError("integer overflow");
  return MakeDuration(static_cast<int64_t>(total));
}

Family TimeFunctions() { return {kFunctions, std::size(kFunctions)}; }

}  // namespace muster::cel
