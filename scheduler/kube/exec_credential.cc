#include "scheduler/kube/exec_credential.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"

extern char** environ;

namespace muster {
namespace {

// Reads until the end or the deadline; false: the deadline passed.
bool ReadAll(int fd, absl::Time deadline, std::string& out) {
  char buffer[4096];
  while (true) {
    pollfd ready{fd, POLLIN, 0};
    const auto left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0 || poll(&ready, 1, static_cast<int>(left)) == 0) return false;
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return true;
    out.append(buffer, static_cast<size_t>(n));
  }
}

// Waits for the end of the process, kills it at the deadline; its wait status.
int Reap(pid_t pid, absl::Time deadline) {
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (absl::Now() >= deadline) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return status;
}

// Standard output of a successful run. Standard error stays ours, so that the user reads it.
absl::StatusOr<std::string> Run(const ExecPlugin& plugin) {
  std::vector<std::string> env_text;
  for (char** e = environ; *e != nullptr; ++e) env_text.emplace_back(*e);
  for (const auto& [name, value] : plugin.env) {
    std::erase_if(env_text, [&](const std::string& e) { return e.starts_with(absl::StrCat(name, "=")); });
    env_text.push_back(absl::StrCat(name, "=", value));
  }
  nlohmann::json info = {
      {"apiVersion", plugin.api_version}, {"kind", "ExecCredential"}, {"spec", {{"interactive", false}}}};
  if (!plugin.cluster_json.empty()) info["spec"]["cluster"] = nlohmann::json::parse(plugin.cluster_json);
  env_text.push_back(absl::StrCat("KUBERNETES_EXEC_INFO=", info.dump()));

  std::vector<char*> argv{const_cast<char*>(plugin.command.c_str())};
  for (const std::string& arg : plugin.args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (std::string& e : env_text) envp.push_back(e.data());
  envp.push_back(nullptr);

  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return absl::InternalError(absl::StrCat("pipe: ", std::strerror(errno)));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
  // The daemon blocks its signals; the command shall not.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int failed = posix_spawnp(&pid, plugin.command.c_str(), &actions, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(pipe_fds[1]);
  if (failed != 0) {
    close(pipe_fds[0]);
    return absl::NotFoundError(absl::StrCat("exec: ", plugin.command, ": ", std::strerror(failed),
                                            plugin.install_hint.empty() ? "" : "\n", plugin.install_hint));
  }
  const absl::Time deadline = absl::Now() + plugin.timeout;
  std::string output;
  const bool ended = ReadAll(pipe_fds[0], deadline, output);
  close(pipe_fds[0]);
  const int status = Reap(pid, ended ? deadline : absl::InfinitePast());
  if (!ended) {
    return absl::DeadlineExceededError(
        absl::StrCat("exec: ", plugin.command, ": no answer within ", absl::FormatDuration(plugin.timeout)));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return absl::UnavailableError(absl::StrCat("exec: ", plugin.command, ": ",
                                               WIFEXITED(status) ? absl::StrCat("exit code ", WEXITSTATUS(status))
                                                                 : absl::StrCat("signal ", WTERMSIG(status))));
  }
  return output;
}

struct Answer {
  IdentityPtr identity;
  absl::Time expires = absl::InfiniteFuture();
};

absl::StatusOr<Answer> Parse(const ExecPlugin& plugin, const std::string& output) {
  const auto wrong = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("exec: ", plugin.command, ": ", what));
  };
  const nlohmann::json json = nlohmann::json::parse(output, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return wrong("its output is not a JSON object");
  const auto text = [](const nlohmann::json& object, const char* field) {
    const auto it = object.find(field);
    return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  if (text(json, "kind") != "ExecCredential") return wrong("kind: want ExecCredential");
  if (text(json, "apiVersion") != plugin.api_version) {
    return wrong(absl::StrCat("apiVersion: want ", plugin.api_version, ", as the kubeconfig says"));
  }
  const auto status = json.find("status");
  if (status == json.end() || !status->is_object()) return wrong("status: missing");
  ClientIdentity identity{text(*status, "token"), text(*status, "clientCertificateData"),
                          text(*status, "clientKeyData")};
  if (identity.token.empty() && identity.client_cert.empty()) {
    return wrong("status: neither token nor clientCertificateData");
  }
  if (identity.client_cert.empty() != identity.client_key.empty()) {
    return wrong("status: clientCertificateData and clientKeyData go together");
  }
  Answer answer{std::make_shared<const ClientIdentity>(std::move(identity))};
  if (const std::string when = text(*status, "expirationTimestamp"); !when.empty()) {
    std::string error;
    if (!absl::ParseTime(absl::RFC3339_full, when, &answer.expires, &error)) {
      return wrong(absl::StrCat("status.expirationTimestamp: ", error));
    }
  }
  return answer;
}

class ExecSource final : public IdentitySource {
 public:
  explicit ExecSource(ExecPlugin plugin) : plugin_(std::move(plugin)) {}

  absl::StatusOr<IdentityPtr> Get(absl::Time now) override {
    if (answer_.has_value() && now < answer_->expires) return answer_->identity;
    absl::StatusOr<std::string> output = Run(plugin_);
    if (!output.ok()) return output.status();
    absl::StatusOr<Answer> answer = Parse(plugin_, *output);
    if (!answer.ok()) return answer.status();
    answer_ = *std::move(answer);
    return answer_->identity;
  }
  void Refused() override { answer_.reset(); }

 private:
  const ExecPlugin plugin_;
  std::optional<Answer> answer_;
};

}  // namespace

std::shared_ptr<IdentitySource> ExecIdentity(ExecPlugin plugin) {
  return std::make_shared<ExecSource>(std::move(plugin));
}

}  // namespace muster
