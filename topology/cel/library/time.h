// Durations and timestamps as Go reads and writes them.
#ifndef MUSTER_TOPOLOGY_CEL_LIBRARY_TIME_H_
#define MUSTER_TOPOLOGY_CEL_LIBRARY_TIME_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "topology/cel/value.h"

namespace muster::cel {

inline constexpr int64_t kFirstSecond = -62135596800;  // 0001-01-01T00:00:00Z
inline constexpr int64_t kLastSecond = 253402300799;   // 9999-12-31T23:59:59Z

// Nanoseconds of "1h30m", "-1.5s", ...; false for anything else.
bool ParseDuration(std::string_view text, int64_t& nanoseconds);
// RFC 3339; kUnset for anything else, whatever its year.
Value ParseTimestamp(std::string_view text);
// "2006-01-02".
bool IsDate(std::string_view text);
std::string FormatDuration(int64_t nanoseconds);
std::string FormatTimestamp(const Value& timestamp);

// timestamp + nanoseconds, or an error.
Value AddToTimestamp(const Value& timestamp, __int128 nanoseconds);
// left - right, or an error.
Value TimestampDifference(const Value& left, const Value& right);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_LIBRARY_TIME_H_
