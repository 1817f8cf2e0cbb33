#include "scheduler/kube/credentials.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "nlohmann/json.hpp"
#include "scheduler/kube/exec_credential.h"
#include "yaml-cpp/yaml.h"

namespace muster {
namespace {

constexpr char kServiceAccountFolder[] = "/var/run/secrets/kubernetes.io/serviceaccount";

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in) return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno == 0 ? EIO : errno)));
  return std::move(text).str();
}

class FixedIdentity final : public IdentitySource {
 public:
  explicit FixedIdentity(ClientIdentity identity)
      : identity_(std::make_shared<const ClientIdentity>(std::move(identity))) {}
  absl::StatusOr<IdentityPtr> Get(absl::Time) override { return identity_; }

 private:
  const IdentityPtr identity_;
};

class TokenFileIdentity final : public IdentitySource {
 public:
  TokenFileIdentity(std::string path, ClientIdentity rest) : path_(std::move(path)), rest_(std::move(rest)) {}

  absl::StatusOr<IdentityPtr> Get(absl::Time now) override {
    if (now < read_again_) return identity_;
    absl::StatusOr<std::string> text = ReadFile(path_);
    const absl::string_view token = text.ok() ? absl::StripAsciiWhitespace(*text) : "";
    if (token.empty()) {
      // A rotation may leave the file away for a moment: the last token may still do.
      if (identity_ != nullptr) return identity_;
      return text.ok() ? absl::InvalidArgumentError(absl::StrCat(path_, ": the token file is empty")) : text.status();
    }
    if (identity_ == nullptr || identity_->token != token) {
      rest_.token = std::string(token);
      identity_ = std::make_shared<const ClientIdentity>(rest_);
    }
    read_again_ = now + absl::Minutes(1);
    return identity_;
  }
  void Refused() override { read_again_ = absl::InfinitePast(); }

 private:
  const std::string path_;
  ClientIdentity rest_;
  IdentityPtr identity_;
  absl::Time read_again_ = absl::InfinitePast();
};

// A mapping of a kubeconfig and where it stands, so that errors can say it.
class Field {
 public:
  Field(std::string file, std::string path, YAML::Node node)
      : file_(std::move(file)), path_(std::move(path)), node_(node) {}

  const YAML::Node& node() const { return node_; }
  const std::string& file() const { return file_; }
  bool present() const { return node_.IsDefined() && !node_.IsNull(); }
  Field operator[](const std::string& name) const {
    const YAML::Node& map = node_;  // const: a missing key adds nothing
    return {file_, path_.empty() ? name : absl::StrCat(path_, ".", name),
            map.IsDefined() && map.IsMap() ? map[name] : YAML::Node(YAML::NodeType::Undefined)};
  }
  Field At(size_t index) const {
    const YAML::Node& list = node_;
    return {file_, absl::StrCat(path_, "[", index, "]"), list[index]};
  }
  size_t size() const { return present() && node_.IsSequence() ? node_.size() : 0; }

  absl::Status Wrong(absl::string_view what) const {
    const int line = node_.IsDefined() ? node_.Mark().line + 1 : 0;
    return absl::InvalidArgumentError(
        absl::StrCat(file_, ":", line > 0 ? absl::StrCat(line, ":") : "", " ", path_, path_.empty() ? "" : ": ", what));
  }
  // The field's text, "" where it is absent.
  absl::Status Read(std::string& out) const {
    if (!present()) return absl::OkStatus();
    if (!node_.IsScalar()) return Wrong("want a text");
    out = node_.Scalar();
    return absl::OkStatus();
  }
  absl::Status Read(bool& out) const {
    if (!present()) return absl::OkStatus();
    if (!node_.IsScalar() || !YAML::convert<bool>::decode(node_, out)) return Wrong("want true or false");
    return absl::OkStatus();
  }
  // `name`: a file, relative to the kubeconfig's folder; `name`-data: the same in base64, and wins.
  absl::Status ReadPem(const std::string& name, std::string& out) const {
    const Field data = (*this)[absl::StrCat(name, "-data")];
    std::string text;
    if (absl::Status s = data.Read(text); !s.ok()) return s;
    if (!text.empty()) {
      return absl::Base64Unescape(text, &out) ? absl::OkStatus() : data.Wrong("not base64");
    }
    const Field file = (*this)[name];
    if (absl::Status s = file.Read(text); !s.ok() || text.empty()) return s;
    absl::StatusOr<std::string> pem = ReadFile(file.Relative(text));
    if (!pem.ok()) return file.Wrong(pem.status().message());
    out = *std::move(pem);
    return absl::OkStatus();
  }
  std::string Relative(const std::string& path) const {
    if (path.starts_with('/')) return path;
    const size_t slash = file_.rfind('/');
    return slash == std::string::npos ? path : absl::StrCat(file_.substr(0, slash + 1), path);
  }

 private:
  std::string file_, path_;
  YAML::Node node_;
};

// The named entries of clusters, contexts and users, first come first served.
struct Merged {
  std::map<std::string, Field> clusters, contexts, users;
  std::string current_context;
  std::string current_context_place;
};

absl::Status MergeList(const Field& list, const char* inner, std::map<std::string, Field>& out) {
  if (!list.present()) return absl::OkStatus();
  if (!list.node().IsSequence()) return list.Wrong("want a list");
  for (size_t i = 0; i < list.size(); ++i) {
    const Field entry = list.At(i);
    std::string name;
    if (!entry.node().IsMap()) return entry.Wrong("want a mapping");
    if (absl::Status s = entry["name"].Read(name); !s.ok()) return s;
    if (name.empty()) return entry.Wrong("name: missing");
    out.emplace(name, entry[inner]);
  }
  return absl::OkStatus();
}

absl::Status MergeFile(const std::string& file, Merged& merged) {
  absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return text.status();
  YAML::Node root;
  try {
    root = YAML::Load(*text);
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(file, ":", e.mark.line + 1, ": ", e.msg));
  }
  const Field config(file, "", root);
  if (!config.present()) return absl::OkStatus();
  if (!root.IsMap()) return config.Wrong("a kubeconfig is a mapping");
  std::string kind = "Config", version = "v1", current;
  for (const auto& [name, out] : {std::pair{"kind", &kind}, {"apiVersion", &version}, {"current-context", &current}}) {
    if (absl::Status s = config[name].Read(*out); !s.ok()) return s;
  }
  if (kind != "Config") return config["kind"].Wrong(absl::StrCat("want Config, not ", kind));
  if (version != "v1") return config["apiVersion"].Wrong(absl::StrCat("want v1, not ", version));
  if (merged.current_context.empty() && !current.empty()) {
    merged.current_context = current;
    merged.current_context_place = std::string(config["current-context"].Wrong("").message());
  }
  if (absl::Status s = MergeList(config["clusters"], "cluster", merged.clusters); !s.ok()) return s;
  if (absl::Status s = MergeList(config["contexts"], "context", merged.contexts); !s.ok()) return s;
  return MergeList(config["users"], "user", merged.users);
}

absl::Status ReadCluster(const Field& cluster, ServerAccess& access, std::string& exec_cluster) {
  if (absl::Status s = cluster["server"].Read(access.server); !s.ok()) return s;
  if (absl::Status s = cluster["tls-server-name"].Read(access.tls_server_name); !s.ok()) return s;
  if (absl::Status s = cluster["insecure-skip-tls-verify"].Read(access.insecure_skip_verify); !s.ok()) return s;
  if (absl::Status s = cluster.ReadPem("certificate-authority", access.ca); !s.ok()) return s;
  if (absl::Status s = cluster["proxy-url"].Read(access.proxy); !s.ok()) return s;
  while (access.server.ends_with('/')) access.server.pop_back();
  if (access.server.empty()) return cluster.Wrong("server: missing");
  if (!access.server.starts_with("https://")) return cluster["server"].Wrong("want https://");
  if (access.insecure_skip_verify && !access.ca.empty()) {
    return cluster["insecure-skip-tls-verify"].Wrong("not together with a certificate authority");
  }
  nlohmann::json json = {{"server", access.server}};
  if (!access.tls_server_name.empty()) json["tls-server-name"] = access.tls_server_name;
  if (access.insecure_skip_verify) json["insecure-skip-tls-verify"] = true;
  if (!access.ca.empty()) json["certificate-authority-data"] = absl::Base64Escape(access.ca);
  exec_cluster = json.dump();
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<IdentitySource>> ReadExec(const Field& exec, const std::string& exec_cluster) {
  ExecPlugin plugin;
  if (absl::Status s = exec["command"].Read(plugin.command); !s.ok()) return s;
  if (absl::Status s = exec["apiVersion"].Read(plugin.api_version); !s.ok()) return s;
  if (absl::Status s = exec["installHint"].Read(plugin.install_hint); !s.ok()) return s;
  bool cluster_info = false;
  if (absl::Status s = exec["provideClusterInfo"].Read(cluster_info); !s.ok()) return s;
  std::string interactive;
  if (absl::Status s = exec["interactiveMode"].Read(interactive); !s.ok()) return s;
  if (interactive == "Always") return exec["interactiveMode"].Wrong("a daemon has nobody to ask");
  if (plugin.command.empty()) return exec.Wrong("command: missing");
  if (plugin.api_version != "client.authentication.k8s.io/v1" &&
      plugin.api_version != "client.authentication.k8s.io/v1beta1") {
    return exec["apiVersion"].present() ? exec["apiVersion"].Wrong("want client.authentication.k8s.io/v1 or /v1beta1")
                                        : exec.Wrong("apiVersion: missing");
  }
  // A bare name is looked up on PATH; one with a slash is relative to the kubeconfig.
  if (plugin.command.find('/') != std::string::npos) plugin.command = exec.Relative(plugin.command);
  const Field args = exec["args"];
  if (args.present() && !args.node().IsSequence()) return args.Wrong("want a list");
  for (size_t i = 0; i < args.size(); ++i) {
    if (absl::Status s = args.At(i).Read(plugin.args.emplace_back()); !s.ok()) return s;
  }
  const Field env = exec["env"];
  if (env.present() && !env.node().IsSequence()) return env.Wrong("want a list");
  for (size_t i = 0; i < env.size(); ++i) {
    auto& [name, value] = plugin.env.emplace_back();
    if (absl::Status s = env.At(i)["name"].Read(name); !s.ok()) return s;
    if (absl::Status s = env.At(i)["value"].Read(value); !s.ok()) return s;
    if (name.empty()) return env.At(i).Wrong("name: missing");
  }
  if (cluster_info) plugin.cluster_json = exec_cluster;
  return ExecIdentity(std::move(plugin));
}

absl::StatusOr<std::shared_ptr<IdentitySource>> ReadUser(const Field& user, const std::string& exec_cluster) {
  for (const char* name : {"auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra"}) {
    if (user[name].present()) return user[name].Wrong("not supported");
  }
  ClientIdentity fixed;
  std::string token_file;
  if (absl::Status s = user.ReadPem("client-certificate", fixed.client_cert); !s.ok()) return s;
  if (absl::Status s = user.ReadPem("client-key", fixed.client_key); !s.ok()) return s;
  if (absl::Status s = user["token"].Read(fixed.token); !s.ok()) return s;
  if (absl::Status s = user["tokenFile"].Read(token_file); !s.ok()) return s;
  if (fixed.client_cert.empty() != fixed.client_key.empty()) {
    return user.Wrong("client-certificate and client-key go together");
  }
  const Field exec = user["exec"];
  if (exec.present()) {
    if (!exec.node().IsMap()) return exec.Wrong("want a mapping");
    if (!fixed.client_cert.empty() || !fixed.token.empty() || !token_file.empty()) {
      return exec.Wrong("not together with a token or certificate");
    }
    return ReadExec(exec, exec_cluster);
  }
  if (!token_file.empty()) {
    return std::make_shared<TokenFileIdentity>(user["tokenFile"].Relative(token_file), std::move(fixed));
  }
  return std::make_shared<FixedIdentity>(std::move(fixed));
}

std::string Joined(const std::vector<std::string>& files) {
  std::string out;
  for (const std::string& file : files) absl::StrAppend(&out, out.empty() ? "" : ", ", file);
  return out;
}

}  // namespace

std::shared_ptr<IdentitySource> TokenFile(std::string path) {
  return std::make_shared<TokenFileIdentity>(std::move(path), ClientIdentity{});
}

absl::StatusOr<ServerAccess> LoadKubeconfig(const std::vector<std::string>& files, const std::string& context) {
  Merged merged;
  for (const std::string& file : files) {
    if (absl::Status s = MergeFile(file, merged); !s.ok()) return s;
  }
  const std::string name = context.empty() ? merged.current_context : context;
  if (name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(Joined(files), ": no current-context, and none was asked for"));
  }
  const auto found = merged.contexts.find(name);
  if (found == merged.contexts.end()) {
    return absl::InvalidArgumentError(context.empty()
                                          ? absl::StrCat(merged.current_context_place, "no context \"", name, "\"")
                                          : absl::StrCat(Joined(files), ": no context \"", name, "\""));
  }
  const Field& chosen = found->second;
  std::string cluster_name, user_name;
  if (absl::Status s = chosen["cluster"].Read(cluster_name); !s.ok()) return s;
  if (absl::Status s = chosen["user"].Read(user_name); !s.ok()) return s;
  const auto cluster = merged.clusters.find(cluster_name);
  if (cluster == merged.clusters.end()) {
    return (chosen["cluster"].present() ? chosen["cluster"] : chosen)
        .Wrong(absl::StrCat("no cluster \"", cluster_name, "\" (context \"", name, "\")"));
  }
  ServerAccess access;
  access.origin = cluster->second.file();
  std::string exec_cluster;
  if (absl::Status s = ReadCluster(cluster->second, access, exec_cluster); !s.ok()) return s;
  const auto user = merged.users.find(user_name);
  if (user == merged.users.end()) {
    return (chosen["user"].present() ? chosen["user"] : chosen)
        .Wrong(absl::StrCat("no user \"", user_name, "\" (context \"", name, "\")"));
  }
  absl::StatusOr<std::shared_ptr<IdentitySource>> identity = ReadUser(user->second, exec_cluster);
  if (!identity.ok()) return identity.status();
  access.identity = *std::move(identity);
  return access;
}

absl::StatusOr<ServerAccess> LoadInCluster(const std::string& folder, const std::string& host,
                                           const std::string& port) {
  if (host.empty() || port.empty()) {
    return absl::InvalidArgumentError("in-cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
  }
  ServerAccess access;
  const bool ipv6 = host.find(':') != std::string::npos;
  access.server = absl::StrCat("https://", ipv6 ? "[" : "", host, ipv6 ? "]" : "", ":", port);
  absl::StatusOr<std::string> ca = ReadFile(folder + "/ca.crt");
  if (!ca.ok()) return absl::InvalidArgumentError(absl::StrCat("in-cluster: ", ca.status().message()));
  access.ca = *std::move(ca);
  access.origin = "in-cluster";
  access.identity = TokenFile(folder + "/token");
  return access;
}

absl::StatusOr<ServerAccess> FindAccess(const std::string& kubeconfig, const std::string& context) {
  const auto env = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (!kubeconfig.empty()) return LoadKubeconfig({kubeconfig}, context);
  if (const std::string list = env("KUBECONFIG"); !list.empty()) {
    std::vector<std::string> files;
    for (absl::string_view file : absl::StrSplit(list, ':', absl::SkipEmpty())) {
      struct stat info;  // of several, those that are not there do not count
      if (stat(std::string(file).c_str(), &info) == 0) files.emplace_back(file);
    }
    if (files.empty()) return absl::InvalidArgumentError(absl::StrCat("KUBECONFIG: no such file: ", list));
    return LoadKubeconfig(files, context);
  }
  const std::string host = env("KUBERNETES_SERVICE_HOST");
  const std::string home = absl::StrCat(env("HOME"), "/.kube/config");
  if (struct stat info; host.empty() && stat(home.c_str(), &info) == 0) return LoadKubeconfig({home}, context);
  return LoadInCluster(kServiceAccountFolder, host, env("KUBERNETES_SERVICE_PORT"));
}

}  // namespace muster
