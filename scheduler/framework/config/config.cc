#include "scheduler/framework/config/config.h"

#include <algorithm>
#include <cassert>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "scheduler/framework/config/profile.h"
#include "scheduler/framework/config/yaml_value.h"
#include "scheduler/model/label_syntax.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/yaml.h"

namespace muster {
namespace {

constexpr char kSchedulerApi[] = "kubescheduler.config.k8s.io/v1";
constexpr char kSchedulerKind[] = "KubeSchedulerConfiguration";
constexpr size_t kMostDeviceGroups = 8;
constexpr char kMusterApi[] = "muster.dev/v1alpha1";
constexpr char kMusterKind[] = "MusterConfiguration";
constexpr char kDefaultSchedulerName[] = "muster";
constexpr char kProtobuf[] = "application/vnd.kubernetes.protobuf";

// Reads a duration that must be positive; zero is as good as left out where upstream takes it so.
void ReadPositive(YamlObject& object, std::string_view field, bool zero_is_default, Duration* out) {
  Duration value;
  if (!object.Read(field, &value)) return;
  if (value > absl::ZeroDuration()) {
    *out = value;
  } else if (value < absl::ZeroDuration() || !zero_is_default) {
    object.Error(field, "must be greater than zero");
  }
}

void ReadNonEmpty(YamlObject& object, std::string_view field, std::string* out) {
  std::string value;
  if (object.Read(field, &value) && !value.empty()) *out = std::move(value);
}

void ReadLeaderElection(const YamlValue& value, LeaderElectionConfig* config) {
  YamlObject object(value);
  std::string lock = "leases";
  object.Read("leaderElect", &config->leader_elect);
  ReadPositive(object, "leaseDuration", true, &config->lease_duration);
  ReadPositive(object, "renewDeadline", true, &config->renew_deadline);
  ReadPositive(object, "retryPeriod", true, &config->retry_period);
  ReadNonEmpty(object, "resourceLock", &lock);
  ReadNonEmpty(object, "resourceName", &config->resource_name);
  ReadNonEmpty(object, "resourceNamespace", &config->resource_namespace);
  if (!config->leader_elect) return;
  if (lock != "leases") object.Error("resourceLock", "must be leases: Kubernetes has no other lock any more");
  if (config->lease_duration <= config->renew_deadline)
    object.Error("leaseDuration", absl::StrCat("must be greater than renewDeadline, which is ",
                                               absl::FormatDuration(config->renew_deadline)));
  // A renewal is tried again after up to 1.2 retry periods: one retry must fit.
  if (config->renew_deadline <= 1.2 * config->retry_period)
    object.Error("renewDeadline", absl::StrCat("must be greater than 1.2 times retryPeriod, which is ",
                                               absl::FormatDuration(config->retry_period)));
}

void ReadClientConnection(const YamlValue& value, ClientConnectionConfig* config) {
  YamlObject object(value);
  object.Read("kubeconfig", &config->kubeconfig);
  std::string type;
  if (object.Read("contentType", &type) && !type.empty() && type != kProtobuf)
    object.Error("contentType", absl::StrCat("Muster speaks ", kProtobuf, " only"));
  if (object.Read("acceptContentTypes", &type) && !type.empty() && !absl::StrContains(type, kProtobuf))
    object.Error("acceptContentTypes", absl::StrCat("must include ", kProtobuf, ", which Muster speaks"));
  double qps = 0;
  if (object.Read("qps", &qps) && qps != 0) config->qps = qps;
  int32_t burst = 0;
  if (object.Read("burst", &burst)) {
    if (burst < 0) object.Error("burst", absl::StrCat(burst, " is negative"));
    if (burst > 0) config->burst = burst;
  }
}

void ReadBackoff(YamlObject& object, Configuration* config) {
  // More would overflow a Go duration, which upstream makes of it.
  constexpr int64_t kMost = INT64_MAX / 1'000'000'000;
  int64_t initial = 1, most = 10;
  object.Read("podInitialBackoffSeconds", &initial);
  object.Read("podMaxBackoffSeconds", &most);
  if (initial < 1 || initial > kMost) {
    object.Error("podInitialBackoffSeconds", absl::StrCat(initial, " is not in the range 1 to ", kMost));
  } else if (most < initial || most > kMost) {
    object.Error("podMaxBackoffSeconds",
                 absl::StrCat(most, " is not in the range ", initial, " (podInitialBackoffSeconds) to ", kMost));
  }
  config->initial_backoff = absl::Seconds(initial);
  config->max_backoff = absl::Seconds(most);
}

void ReadProfiles(std::optional<YamlValue> list, const YamlValue& document, const Registry& registry,
                  Configuration* config) {
  std::vector<YamlValue> values;
  if (list) values = list->Elements();
  std::vector<ProfileSource> sources;
  for (const YamlValue& value : values) sources.push_back(ReadProfile(value, registry, &config->notices));
  if (sources.empty()) {
    sources.emplace_back();
    values.push_back(list.value_or(document));
  }
  if (sources.size() == 1 && sources[0].scheduler_name.empty()) sources[0].scheduler_name = kDefaultSchedulerName;
  for (size_t i = 0; i < sources.size(); ++i) {
    const std::string& name = sources[i].scheduler_name;
    if (name.empty()) values[i].Error("must have a schedulerName, as there are several profiles");
    for (size_t j = 0; j < i; ++j) {
      if (name.empty() || sources[j].scheduler_name != name) continue;
      values[i].Error(absl::StrCat("has the schedulerName \"", name, "\" of ", values[j].path()));
      break;
    }
    config->profiles.push_back(BuildProfile(sources[i], registry, values[i]));
    // All profiles share one queue.
    const auto& sort = config->profiles[i].At(Point::kQueueSort);
    const auto& first = config->profiles[0].At(Point::kQueueSort);
    if (sort.size() == 1 && first.size() == 1 && sort[0].name != first[0].name)
      values[i].Error(absl::StrCat("has the queueSort plugin ", sort[0].name, ", but ", values[0].path(), " has ",
                                   first[0].name, ": it must be the same in all profiles"));
  }
}

void ReadProfiling(YamlObject& object, Configuration* config) {
  for (const char* field : {"enableProfiling", "enableContentionProfiling"}) {
    bool enabled = false;
    if (object.Read(field, &enabled) && enabled)
      config->notices.push_back(absl::StrCat(field, " has no effect: Muster serves no profiles."));
  }
}

void ReadScheduler(YamlObject& object, const YamlValue& document, const Registry& registry, Configuration* config) {
  if (object.Read("parallelism", &config->parallelism) && config->parallelism < 1)
    object.Error("parallelism", absl::StrCat(config->parallelism, " is not greater than zero"));
  if (const auto value = object.Take("leaderElection")) ReadLeaderElection(*value, &config->leader_election);
  if (const auto value = object.Take("clientConnection")) ReadClientConnection(*value, &config->client);
  ReadProfiling(object, config);
  ReadPercentageOfNodesToScore(object, &config->notices);
  ReadBackoff(object, config);
  object.Read("delayCacheUntilActive", &config->delay_cache_until_active);
  if (const auto extenders = object.Take("extenders"); extenders && !extenders->Elements().empty())
    extenders->Error("Muster calls no extenders: a decision waits for no other server");
  ReadProfiles(object.Take("profiles"), document, registry, config);
}

void ReadMuster(YamlObject& object, MusterOptions* options) {
  if (object.Read("bindsInFlight", &options->binds_in_flight) &&
      (options->binds_in_flight < 1 || options->binds_in_flight > 10'000))
    object.Error("bindsInFlight", absl::StrCat(options->binds_in_flight, " is not in the range 1 to 10000"));
  int32_t threads = 0;
  if (object.Read("threads", &threads)) {
    options->threads = threads;
    if (threads < 1 || threads > 1024) object.Error("threads", absl::StrCat(threads, " is not in the range 1 to 1024"));
  }
  object.Read("seed", &options->seed);
  ReadPositive(object, "podMaxInUnschedulablePodsDuration", false, &options->pod_max_in_unschedulable_pods);
  ReadPositive(object, "assumeExpiry", false, &options->assume_expiry);
  if (object.Read("defaultQueue", &options->default_queue) && !options->default_queue.empty() &&
      !IsDnsSubdomain(options->default_queue))
    object.Error("defaultQueue", absl::StrCat("\"", options->default_queue, "\" is no Queue's name"));
  std::string choice = "Scored";
  if (object.Read("deviceChoice", &choice) && choice != "Scored" && choice != "FirstFit")
    object.Error("deviceChoice", "must be Scored or FirstFit");
  options->devices_first_fit = choice == "FirstFit";
  if (const auto list = object.Take("deviceGroups")) {
    options->device_groups.clear();
    for (const YamlValue& element : list->Elements()) {
      std::string name;
      if (!element.Read(&name)) continue;
      const size_t slash = name.find('/');
      if (slash == 0 || slash == std::string::npos || slash + 1 == name.size() || slash != name.rfind('/')) {
        element.Error(absl::StrCat("\"", name, "\" is no fully qualified attribute (DOMAIN/NAME)"));
      } else if (std::find(options->device_groups.begin(), options->device_groups.end(), name) !=
                 options->device_groups.end()) {
        element.Error(absl::StrCat("\"", name, "\" is given twice"));
      }
      options->device_groups.push_back(std::move(name));
    }
    if (options->device_groups.size() > kMostDeviceGroups)
      object.Error("deviceGroups", absl::StrCat("must be at most ", kMostDeviceGroups));
  }
}

// What plugins read of the second document.
void FillIn(const MusterOptions& options, std::vector<ProfileConfig>& profiles) {
  for (ProfileConfig& profile : profiles) {
    for (auto& [name, args] : profile.args) {
      auto* of = std::get_if<DynamicResourcesArgs>(&args);
      if (of == nullptr) continue;
      of->first_fit = options.devices_first_fit;
      of->groups = options.device_groups;
    }
  }
}

// Takes apiVersion and kind and compares them.
bool IsKind(YamlObject& object, const char* api, const char* kind) {
  std::string found_api, found_kind;
  const bool read = object.Read("apiVersion", &found_api) & object.Read("kind", &found_kind);
  if (read && found_api == api && found_kind == kind) return true;
  const bool wrong_api = found_api != api;
  object.Error(wrong_api ? "apiVersion" : "kind",
               absl::StrCat("must be ", wrong_api ? api : kind, " in this document (", api, " ", kind, ")"));
  object.TakeRest();
  return false;
}

// yaml-cpp takes whatever follows a document's end for another document, which for some texts (",")
// makes endlessly many: only "---" begins one.
class DocumentStarts final : public YAML::EventHandler {
 public:
  explicit DocumentStarts(const std::string& text) : text_(text) {}
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0 && text_.compare(static_cast<size_t>(mark.pos), 3, "---") != 0)
      throw YAML::ParserException(mark, "text after the end of a document");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  const std::string& text_;
  int documents_ = 0;
};

std::vector<YAML::Node> LoadDocuments(const std::string& text) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  DocumentStarts starts(text);
  while (parser.HandleNextDocument(starts)) {
  }
  return YAML::LoadAll(text);
}

void ReadDocuments(const std::vector<YAML::Node>& documents, const Registry& registry, YamlErrors* errors,
                   Configuration* config) {
  size_t count = 0;
  for (const YAML::Node& node : documents) {
    if (node.IsNull()) continue;  // an empty document, as a "---" at the end makes one
    const YamlValue document(node, "", errors);
    if (++count > 2) {
      document.Error(absl::StrCat("there may only be two documents, a ", kSchedulerKind, " and a ", kMusterKind));
      return;
    }
    YamlObject object(document);
    if (!node.IsMap()) continue;
    const bool first = count == 1;
    if (!IsKind(object, first ? kSchedulerApi : kMusterApi, first ? kSchedulerKind : kMusterKind)) continue;
    if (first) {
      ReadScheduler(object, document, registry, config);
    } else {
      ReadMuster(object, &config->muster);
    }
  }
  if (count == 0) errors->Add(1, "", absl::StrCat("the file is empty; it must hold a ", kSchedulerKind));
}

}  // namespace

absl::StatusOr<Configuration> ParseConfiguration(const std::string& text, const std::string& file_name,
                                                 const Registry& registry) {
  YamlErrors errors(file_name);
  Configuration config;
  try {
    const bool marked = absl::StartsWith(text, "\xEF\xBB\xBF");  // a byte order mark
    ReadDocuments(LoadDocuments(marked ? text.substr(3) : text), registry, &errors, &config);
  } catch (const YAML::Exception& e) {
    errors.Add(std::max(e.mark.line, 0) + 1, "", absl::StrCat("not YAML: ", e.msg));
  }
  if (!errors.empty()) return errors.ToStatus();
  FillIn(config.muster, config.profiles);
  return config;
}

absl::StatusOr<Configuration> LoadConfiguration(const std::string& path, const Registry& registry) {
  std::ifstream file(path);
  std::ostringstream text;
  // A folder opens but does not read.
  if (!file || !(text << file.rdbuf())) return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read"));
  return ParseConfiguration(std::move(text).str(), path, registry);
}

Configuration DefaultConfiguration(const Registry& registry) {
  YamlErrors errors("");
  Configuration config;
  ReadProfiles(std::nullopt, YamlValue(YAML::Node(), "", &errors), registry, &config);
  assert(errors.empty());
  return config;
}

}  // namespace muster
