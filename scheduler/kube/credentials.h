// Where the API server is and how to speak to it: from a kubeconfig, or from the pod we run in.
#ifndef MUSTER_SCHEDULER_KUBE_CREDENTIALS_H_
#define MUSTER_SCHEDULER_KUBE_CREDENTIALS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace muster {

// What identifies us in one request. Empty parts are not used.
struct ClientIdentity {
  std::string token;                    // Authorization: Bearer
  std::string client_cert, client_key;  // PEM
  friend bool operator==(const ClientIdentity&, const ClientIdentity&) = default;
};
using IdentityPtr = std::shared_ptr<const ClientIdentity>;

// Gives the identity as it stands now: the same object as long as nothing changed. One thread at
// a time; a call may read a file or run a command.
class IdentitySource {
 public:
  virtual ~IdentitySource() = default;
  virtual absl::StatusOr<IdentityPtr> Get(absl::Time now) = 0;
  // The server refused the last one (401): read it anew at the next Get().
  virtual void Refused() {}
};

struct ServerAccess {
  std::string server;           // "https://host:port[/path]", no slash at the end
  std::string ca;               // PEM; empty: the system's authorities
  std::string tls_server_name;  // the name to verify; empty: the host of `server`
  std::string proxy;            // URL; empty: as HTTPS_PROXY and NO_PROXY say
  bool insecure_skip_verify = false;
  std::string origin;  // the file, or "in-cluster", for messages
  std::shared_ptr<IdentitySource> identity;
};

// Reads the kubeconfig files as kubectl does: of several, the first to name a thing wins. An empty
// `context` means current-context. Errors name file, line and field.
absl::StatusOr<ServerAccess> LoadKubeconfig(const std::vector<std::string>& files, const std::string& context);

// The ServiceAccount of the pod that we run in. The folder holds token and ca.crt; host and port
// are KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT.
absl::StatusOr<ServerAccess> LoadInCluster(const std::string& folder, const std::string& host, const std::string& port);

// The file given, else $KUBECONFIG, else in-cluster, else ~/.kube/config.
absl::StatusOr<ServerAccess> FindAccess(const std::string& kubeconfig, const std::string& context);

// A token from a file that somebody else renews; read again once a minute.
std::shared_ptr<IdentitySource> TokenFile(std::string path);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_KUBE_CREDENTIALS_H_
