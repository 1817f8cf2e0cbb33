#include "scheduler/runtime/decision_log.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace muster {

void Decision::Clear() {
  cycle = 0;
  at = Time();
  profile = code = message = group = {};
  result = Result::kBound;
  pods.clear();
  rejections.clear();
  may_help.clear();
  work = {};
}

std::string_view ResultName(Decision::Result result) {
  switch (result) {
    case Decision::Result::kBound: return "bound";
    case Decision::Result::kUnschedulable: return "unschedulable";
    case Decision::Result::kError: return "error";
    case Decision::Result::kGated: return "gated";
  }
  return "";
}

std::string ToJsonLine(const Decision& decision) {
  nlohmann::ordered_json line;
  line["cycle"] = decision.cycle;
  line["time"] = absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", decision.at, absl::UTCTimeZone());
  line["profile"] = decision.profile;
  line["result"] = ResultName(decision.result);
  if (!decision.code.empty()) line["code"] = decision.code;
  if (!decision.message.empty()) line["message"] = decision.message;
  if (!decision.group.empty()) line["group"] = decision.group;
  auto& pods = line["pods"] = nlohmann::ordered_json::array();
  for (const auto& pod : decision.pods) {
    nlohmann::ordered_json entry = {{"namespace", pod.ns}, {"name", pod.name}};
    if (!pod.node.empty()) {
      entry["node"] = pod.node;
      entry["score"] = pod.score;
    }
    pods.push_back(std::move(entry));
  }
  for (const auto& why : decision.rejections)
    line["reasons"].push_back({{"plugin", why.plugin}, {"message", why.reason}, {"nodes", why.nodes}});
  if (!decision.may_help.empty()) line["mayHelp"] = decision.may_help;
  line["work"] = {{"nodesFiltered", decision.work.nodes_filtered},
                  {"nodesScored", decision.work.nodes_scored},
                  {"fromCache", decision.work.from_cache}};
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void DecisionLog::Add(const Decision& decision) {
  ++entries_;
  StableHasher& h = hasher_;
  h.Add(decision.cycle);
  h.Add(static_cast<uint64_t>(absl::ToUnixNanos(decision.at)));
  h.Add(decision.profile);
  h.Add(static_cast<uint64_t>(decision.result));
  h.Add(decision.code);
  h.Add(decision.message);
  if (!decision.group.empty()) h.Add(decision.group);
  h.Add(decision.pods.size());
  for (const auto& pod : decision.pods) {
    h.Add(pod.ns);
    h.Add(pod.name);
    h.Add(pod.node);
    h.Add(static_cast<uint64_t>(pod.score));
  }
  h.Add(decision.rejections.size());
  for (const auto& why : decision.rejections) {
    h.Add(why.plugin);
    h.Add(why.reason);
    h.Add(uint64_t{why.nodes});
  }
  h.Add(decision.may_help.size());
  for (std::string_view event : decision.may_help) h.Add(event);
  for (const Observer& observer : observers_) observer(decision);
}

absl::StatusOr<DecisionLog::Observer> WriteDecisionsTo(const std::string& path) {
  std::shared_ptr<std::FILE> file(std::fopen(path.c_str(), "w"), [](std::FILE* f) {
    if (f != nullptr) std::fclose(f);
  });
  if (file == nullptr)
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be written: ", std::strerror(errno)));
  return [file, path, failed = false](const Decision& decision) mutable {
    if (failed) return;
    const std::string line = ToJsonLine(decision) + '\n';
    if (std::fwrite(line.data(), 1, line.size(), file.get()) == line.size()) return;
    failed = true;
    std::fprintf(stderr, "%s: decisions are no longer written: %s\n", path.c_str(), std::strerror(errno));
  };
}

}  // namespace muster
