// Credentials from a command (client.authentication.k8s.io ExecCredential, v1 and v1beta1).
#ifndef MUSTER_SCHEDULER_KUBE_EXEC_CREDENTIAL_H_
#define MUSTER_SCHEDULER_KUBE_EXEC_CREDENTIAL_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "scheduler/kube/credentials.h"

namespace muster {

struct ExecPlugin {
  std::string command;  // looked up on PATH unless it has a slash
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;  // added to ours
  std::string api_version;                               // client.authentication.k8s.io/v1 or /v1beta1
  std::string install_hint;                              // told when the command is not there
  std::string cluster_json;                              // spec.cluster of KUBERNETES_EXEC_INFO; empty: not given
  absl::Duration timeout = absl::Seconds(60);
};

// Runs the command when there is no answer yet, when the last one has expired, and after Refused().
std::shared_ptr<IdentitySource> ExecIdentity(ExecPlugin plugin);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_KUBE_EXEC_CREDENTIAL_H_
