#include "scheduler/command/queue_command.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "plugins/all.h"
#include "scheduler/command/arguments.h"
#include "scheduler/command/inputs.h"
#include "scheduler/command/queue_view.h"
#include "scheduler/command/simulation.h"
#include "scheduler/kube/credentials.h"
#include "scheduler/kube/http_client.h"
#include "scheduler/kube/list_watch.h"
#include "scheduler/kube/resources.h"
#include "scheduler/runtime/real_event_loop.h"
#include "scheduler/wire/json/json_message.h"
#include "scheduler/wire/queue_objects.h"

namespace muster {
namespace {

struct Flags {
  std::vector<std::string> files;
  std::string config, kubeconfig, context;
  std::optional<uint64_t> seed;
  std::optional<Duration> until;
};

absl::StatusOr<std::vector<QueueView>> ReadQueues(const HttpResponse& response, const std::string& request) {
  if (response.status == 404)
    return absl::NotFoundError("the cluster has no Queues: queues.muster.dev is not installed");
  if (const ApiStatus status = ToApiStatus(response, request); !status.ok())
    return absl::UnavailableError(status.message);
  const nlohmann::json list = nlohmann::json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (!list.is_object() || !list.contains("items") || !list["items"].is_array())
    return absl::DataLossError(absl::StrCat(request, ": the answer is no list"));
  std::vector<QueueView> queues;
  for (const nlohmann::json& item : list["items"]) {
    custom::Queue wire;
    const std::string wrong = ReadJson(item, &wire);
    auto queue = ReadQueue(wire);
    if (!wrong.empty()) queue->invalid = wrong;
    queues.push_back({std::move(queue), ReadQueueStatus(wire.status())});
  }
  return queues;
}

// With a list alone: whoever may read queues may run this.
absl::StatusOr<std::vector<QueueView>> OfCluster(ServerAccess access) {
  RealEventLoop loop;
  HttpClient http(loop, std::move(access), {}, nullptr);
  HttpRequest request;
  request.path = ResourcesOf(Kind::kQueue)[0].Path();
  request.accept = "application/json";
  const std::string name = absl::StrCat("GET ", request.path);
  HttpResponse answer;
  http.Send(std::move(request), [&](HttpResponse response) {
    answer = std::move(response);
    loop.Stop();
  });
  loop.Run();
  return ReadQueues(answer, name);
}

int Show(const std::vector<QueueView>& queues, const std::vector<std::string>& names, const std::string& output,
         std::ostream& out, std::ostream& err) {
  std::span<const QueueView> shown = queues;
  if (!names.empty()) {
    const auto at =
        std::find_if(queues.begin(), queues.end(), [&](const QueueView& view) { return view.queue->name == names[0]; });
    if (at == queues.end()) {
      err << "muster: there is no queue \"" << names[0] << "\"\n";
      return kExitFailed;
    }
    shown = {at, 1};
  }
  if (output == "json") {
    PrintQueueJson(shown, out);
  } else if (!names.empty()) {
    PrintQueue(shown[0], out);
  } else {
    PrintQueueTable(shown, out);
  }
  return kExitOk;
}

}  // namespace

int QueueCommand(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  Flags flags;
  std::vector<std::string> names;
  std::string output = "table";
  Arguments arguments(
      "queue [NAME] [flags]",
      "Shows the queues, or one of them with its quota and those that wait in it: of the cluster that the\n"
      "kubeconfig names, or as they are at the end of a simulation of manifests.");
  arguments.Many("-f, --filename", "FILE|DIR", "manifests to simulate; may be repeated", &flags.files);
  arguments.Text("--config", "FILE", "with -f: KubeSchedulerConfiguration (default: as of muster simulate)",
                 &flags.config);
  arguments.Number("--seed", "N", "with -f: decides ties (default: the configuration's, else 1)", 0, UINT64_MAX,
                   &flags.seed);
  arguments.Length("--until", "DURATION", "with -f: look after so much simulated time, such as 90s or 2h",
                   &flags.until);
  arguments.Text("--kubeconfig", "FILE",
                 "how to reach the cluster (default: $KUBECONFIG, else in-cluster, else ~/.kube/config)",
                 &flags.kubeconfig);
  arguments.Text("--context", "NAME", "of the kubeconfig (default: its current one)", &flags.context);
  arguments.Choice("-o, --output", {"table", "json"}, "form of the answer (default table)", &output);
  arguments.Rest(&names);
  if (const auto exit = arguments.Parse(args, out, err)) return *exit;
  if (names.size() > 1) return arguments.Refuse(absl::StrCat("unexpected argument \"", names[1], "\""), err);
  const bool of_cluster = flags.files.empty();
  if (of_cluster && (!flags.config.empty() || flags.seed || flags.until))
    return arguments.Refuse("--config, --seed and --until need -f", err);
  if (!of_cluster && !(flags.kubeconfig.empty() && flags.context.empty()))
    return arguments.Refuse("-f needs no --kubeconfig or --context", err);

  if (of_cluster) {
    absl::StatusOr<ServerAccess> access = FindAccess(flags.kubeconfig, flags.context);
    if (!access.ok()) {
      err << access.status().message() << "\n";
      return kExitBadInput;
    }
    const auto queues = OfCluster(*std::move(access));
    if (queues.ok()) return Show(*queues, names, output, out, err);
    err << "muster: " << queues.status().message() << "\n";
    return kExitFailed;
  }
  const Registry registry = AllPlugins();
  const auto inputs = ReadInputs(flags.files, flags.config, registry, err);
  if (!inputs.ok()) {
    err << inputs.status().message() << "\n";
    return kExitBadInput;
  }
  SimulationOptions options;
  options.seed = flags.seed.value_or(inputs->config.muster.seed);
  options.until = flags.until;
  if (!names.empty()) options.most_pending = std::numeric_limits<size_t>::max();
  const auto result = Simulate(inputs->manifests, inputs->config, registry, options);
  if (!result.ok()) {
    err << "muster: " << result.status().message() << "\n";
    return kExitBadInput;
  }
  return Show(result->queues, names, output, out, err);
}

}  // namespace muster
