// The rules of CONTRIBUTING.md that a compiler does not check: who may include whom, which library
// appears where, and that nothing which decides reads a clock or a random device.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Room {
  std::string_view path;  // a folder or file; the longest that fits a path is its room
  std::vector<std::string_view> may_include;
};

const std::vector<Room>& Rooms() {
  static const std::vector<Room> rooms = {
      {"scheduler/model", {}},
      {"scheduler/framework", {"scheduler/model"}},
      {"scheduler/framework/config", {"scheduler/framework", "scheduler/model"}},
      {"scheduler/runtime", {"scheduler/model"}},
      {"queue", {"scheduler/model"}},
      {"topology", {"scheduler/model", "topology/cel"}},
      {"topology/cel", {"scheduler/model"}},
      {"plugins", {"scheduler/framework", "queue", "topology", "scheduler/model"}},
      {"scheduler/engine", {"scheduler/framework", "scheduler/runtime", "queue", "scheduler/model"}},
      {"scheduler/wire", {"scheduler/model"}},
      {"scheduler/kube", {"scheduler/runtime", "scheduler/model", "scheduler/wire"}},
      {"scheduler/sim", {"scheduler/runtime", "scheduler/model", "scheduler/wire"}},
      {"scheduler/command", {"*"}},
      {"scheduler/main.cc", {"*"}},
      {"bench", {"*"}},
      {"test", {"*"}},
  };
  return rooms;
}

struct Library {
  const char* header;  // a pattern over what an #include names
  std::vector<std::string_view> allowed;
};

const std::vector<Library>& Libraries() {
  static const std::vector<Library> libraries = {
      {"absl/.*", {""}},
      {"(gtest|gmock)/.*", {"test"}},
      {"benchmark/.*", {"bench"}},
      {"yaml-cpp/.*",
       {"scheduler/sim", "scheduler/framework/config", "scheduler/kube/credentials", "bench/placement/workload",
        "test"}},
      {"google/protobuf/.*|.*\\.pb\\.h", {"scheduler/wire", "scheduler/kube", "scheduler/sim", "test", "bench"}},
      {"prometheus/.*", {"scheduler/runtime/metrics"}},
      {"nlohmann/.*",
       {"scheduler/runtime", "scheduler/framework/config", "scheduler/wire/json", "scheduler/kube", "scheduler/sim",
        "scheduler/command", "test", "bench"}},
      {"re2/.*", {"topology/cel"}},
      {"(curl|openssl)/.*|civetweb\\.h|CivetServer\\.h", {"scheduler/kube", "test"}},
  };
  return libraries;
}

// Folders whose work is I/O or measuring; a decision must be the same whenever it is taken.
constexpr std::string_view kMayReadClocks[] = {"scheduler/runtime", "scheduler/kube", "test", "bench"};
constexpr char kClocks[] =
    R"(\b(system_clock|steady_clock|high_resolution_clock|random_device|this_thread|srand|gettimeofday|clock_gettime)\b)"
    R"(|\bstd::rand\b|\btime\((nullptr|NULL|0)\)|\babsl::(Now|GetCurrentTimeNanos)\b)";

constexpr int kMostPairs = 10;  // .cc files in a folder: "about eight", else it has an inside worth naming

bool Within(std::string_view path, std::string_view folder) {
  if (folder.empty() || path == folder) return true;
  if (path.substr(0, folder.size()) != folder) return false;
  const char next = path[folder.size()];
  return next == '/' || next == '.';  // "scheduler/runtime/metrics" stands for metrics.h and metrics.cc
}

const Room* RoomOf(std::string_view path) {
  const Room* best = nullptr;
  for (const Room& room : Rooms()) {
    if (Within(path, room.path) && (best == nullptr || room.path.size() > best->path.size())) best = &room;
  }
  return best;
}

bool MayInclude(const Room& room, const Room& other) {
  return &room == &other ||
         std::any_of(room.may_include.begin(), room.may_include.end(),
                     [&](std::string_view allowed) { return allowed == "*" || allowed == other.path; });
}

// What is wrong with one #include, or "".
std::string IncludeError(const std::string& path, const Room& room, const std::string& header, bool quoted) {
  for (const Library& library : Libraries()) {
    if (!std::regex_match(header, std::regex(library.header))) continue;
    const bool allowed = std::any_of(library.allowed.begin(), library.allowed.end(),
                                     [&](std::string_view folder) { return Within(path, folder); });
    return allowed ? "" : "does not belong here";
  }
  if (!quoted) return "";
  const Room* other = RoomOf(header);
  if (other == nullptr) return "is neither a room's nor a known library's";
  return MayInclude(room, *other) ? "" : "is of a room that this one may not include";
}

std::vector<std::string> Violations(const std::string& path, const std::string& text) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*(["<])([^">]+)[">].*)");
  static const std::regex kClock(kClocks);
  const Room* room = RoomOf(path);
  if (room == nullptr) return {path + " is in no room"};
  const bool clocks = std::any_of(std::begin(kMayReadClocks), std::end(kMayReadClocks),
                                  [&](std::string_view folder) { return Within(path, folder); });
  std::vector<std::string> found;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const auto add = [&](const std::string& what) {
      found.push_back(path + ":" + std::to_string(number) + ": " + what);
    };
    std::smatch match;
    if (std::regex_match(line, match, kInclude)) {
      const std::string error = IncludeError(path, *room, match[2], match[1] == "\"");
      if (!error.empty()) add(match[2].str() + " " + error);
    }
    const std::string code = line.substr(0, line.find("//"));
    if (!clocks && std::regex_search(code, match, kClock)) add(match[0].str() + " decides differently every time");
  }
  return found;
}

std::string Read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// All sources, by path from the repository's root, which is the working directory.
std::map<std::string, std::string> Sources() {
  std::map<std::string, std::string> sources;
  for (const char* root : {"scheduler", "plugins", "queue", "topology", "bench", "test"}) {
    if (!fs::exists(root)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      const std::string extension = entry.path().extension();
      if (extension == ".h" || extension == ".cc") sources[entry.path().generic_string()] = Read(entry.path());
    }
  }
  return sources;
}

TEST(Layout, SourcesKeepTheRules) {
  const auto sources = Sources();
  ASSERT_GT(sources.size(), 50u) << "run this in the repository's root";
  for (const auto& [path, text] : sources) EXPECT_THAT(Violations(path, text), IsEmpty());
}

TEST(Layout, FoldersAreSmall) {
  std::map<std::string, int> pairs;
  for (const auto& [path, text] : Sources()) {
    if (path.ends_with(".cc") && !path.starts_with("test/")) ++pairs[fs::path(path).parent_path()];
  }
  for (const auto& [folder, count] : pairs) EXPECT_LE(count, kMostPairs) << folder;
}

TEST(Layout, FilesAreShort) {
  for (const auto& [path, text] : Sources())
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 660) << path << " is more than one file's worth";
}

TEST(Layout, RulesFindWhatTheyForbid) {
  const struct {
    const char* path;
    const char* line;
    const char* want;  // after "PATH:1: "; empty: allowed
  } kRows[] = {
      {"scheduler/model/pod.h", "#include \"scheduler/model/ids.h\"", ""},
      {"scheduler/model/pod.h", "#include \"scheduler/framework/status.h\"",
       "scheduler/framework/status.h is of a room that this one may not include"},
      {"scheduler/framework/framework.cc", "#include \"scheduler/framework/config/config.h\"",
       "scheduler/framework/config/config.h is of a room that this one may not include"},
      {"queue/heap.h", "#include \"scheduler/framework/plugin.h\"",
       "scheduler/framework/plugin.h is of a room that this one may not include"},
      {"plugins/node/node_name.cc", "#include \"scheduler/engine/scheduler.h\"",
       "scheduler/engine/scheduler.h is of a room that this one may not include"},
      {"scheduler/engine/scheduler.cc", "#include \"plugins/all.h\"",
       "plugins/all.h is of a room that this one may not include"},
      {"scheduler/main.cc", "#include \"plugins/all.h\"", ""},
      {"plugins/node/node_name.cc", "#include \"node_name.h\"",
       "node_name.h is neither a room's nor a known library's"},
      {"scheduler/runtime/metrics.cc", "#include \"prometheus/counter.h\"", ""},
      {"scheduler/runtime/log.cc", "#include \"prometheus/counter.h\"", "prometheus/counter.h does not belong here"},
      {"scheduler/kube/credentials.cc", "#include \"yaml-cpp/yaml.h\"", ""},
      {"scheduler/kube/http_client.cc", "#include \"yaml-cpp/yaml.h\"", "yaml-cpp/yaml.h does not belong here"},
      {"scheduler/engine/a.cc", "#include \"k8s.io/api/core/v1/generated.pb.h\"",
       "k8s.io/api/core/v1/generated.pb.h does not belong here"},
      {"scheduler/command/a.cc", "#include <curl/curl.h>", "curl/curl.h does not belong here"},
      {"plugins/a.cc", "auto t = absl::Now();", "absl::Now decides differently every time"},
      {"queue/a.cc", "  std::this_thread::yield();", "this_thread decides differently every time"},
      {"queue/a.cc", "// not steady_clock", ""},
      {"scheduler/engine/a.cc", "t = time(nullptr);", "time(nullptr) decides differently every time"},
      {"scheduler/engine/a.cc", "t = spread_time(0) + random_devices;", ""},
      {"scheduler/runtime/a.cc", "auto t = absl::Now();", ""},
      {"extras/a.cc", "", "extras/a.cc is in no room"},
  };
  for (const auto& row : kRows) {
    const std::string path = row.path;
    const auto found = Violations(path, row.line);
    if (std::string_view(row.want).empty()) {
      EXPECT_THAT(found, IsEmpty());
    } else {
      const std::string place = RoomOf(path) == nullptr ? "" : path + ":1: ";
      EXPECT_THAT(found, ElementsAre(place + row.want));
    }
  }
}

}  // namespace
}  // namespace muster
