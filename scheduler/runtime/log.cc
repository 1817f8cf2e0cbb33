#include "scheduler/runtime/log.h"

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace muster {
namespace {

int verbosity = 0;

void Write(char severity, std::string_view text, const std::source_location& at) {
  std::string_view file = at.file_name();
  file.remove_prefix(file.rfind('/') + 1);  // npos + 1 is 0
  std::string line = absl::StrFormat("%c%s %7d %s:%d] %s\n", severity,
                                     absl::FormatTime("%m%d %H:%M:%E6S", absl::Now(), absl::UTCTimeZone()), getpid(),
                                     file, at.line(), text);
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t written = write(STDERR_FILENO, rest.data(), rest.size());
    if (written <= 0) return;  // nowhere left to complain
    rest.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

void LogInfo(std::string_view text, std::source_location at) { Write('I', text, at); }
void LogWarning(std::string_view text, std::source_location at) { Write('W', text, at); }
void LogError(std::string_view text, std::source_location at) { Write('E', text, at); }

void SetLogVerbosity(int level) { verbosity = level; }
bool LogWanted(int level) { return level <= verbosity; }

}  // namespace muster
