// Log lines in the form that Kubernetes components write: "I1121 07:30:00.123456   pid file.cc:12] text".
#ifndef MUSTER_SCHEDULER_RUNTIME_LOG_H_
#define MUSTER_SCHEDULER_RUNTIME_LOG_H_

#include <source_location>
#include <string_view>

namespace muster {

// One line on standard error, written whole. Callable from any thread.
void LogInfo(std::string_view text, std::source_location at = std::source_location::current());
void LogWarning(std::string_view text, std::source_location at = std::source_location::current());
void LogError(std::string_view text, std::source_location at = std::source_location::current());

// What -v sets; 0 unless told otherwise. Set before other threads start.
void SetLogVerbosity(int level);
// Whether lines of that level are wanted: ask before composing one.
bool LogWanted(int level);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_RUNTIME_LOG_H_
