#include "scheduler/kube/credentials.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

class CredentialsTest : public testing::Test {
 protected:
  CredentialsTest() {
    char path[] = "/tmp/muster-credentials-XXXXXX";
    folder_ = mkdtemp(path);
  }
  ~CredentialsTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = absl::StrCat(folder_, "/", name);
    std::ofstream(path) << text;
    return path;
  }
  // A kubeconfig whose cluster and user have these fields, a line each.
  std::string Kubeconfig(const std::string& cluster, const std::string& user) {
    return Write("config", absl::StrCat("apiVersion: v1\nkind: Config\ncurrent-context: main\ncontexts:\n"
                                        "- name: main\n  context: {cluster: c, user: u}\n"
                                        "clusters:\n- name: c\n  cluster: ",
                                        cluster, "\nusers:\n- name: u\n  user: ", user, "\n"));
  }
  std::string Token(const ServerAccess& access, absl::Time now = kNow) {
    const auto identity = access.identity->Get(now);
    return identity.ok() ? (*identity)->token : std::string(identity.status().message());
  }

  std::string folder_;
};

TEST_F(CredentialsTest, ReadsWhatAKubeconfigSays) {
  Write("ca.crt", "the authority");
  Write("client.crt", "the certificate");
  const auto access = LoadKubeconfig(
      {Kubeconfig(
          "{server: 'https://a:1/', certificate-authority: ca.crt, tls-server-name: b, proxy-url: 'http://p:3'}",
          absl::StrCat("{client-certificate: client.crt, client-key-data: ", absl::Base64Escape("the key"), "}"))},
      "");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->server, "https://a:1");
  EXPECT_EQ(access->ca, "the authority");
  EXPECT_EQ(access->tls_server_name, "b");
  EXPECT_EQ(access->proxy, "http://p:3");
  EXPECT_FALSE(access->insecure_skip_verify);
  const auto identity = access->identity->Get(kNow);
  ASSERT_TRUE(identity.ok());
  EXPECT_EQ(**identity, (ClientIdentity{"", "the certificate", "the key"}));
}

TEST_F(CredentialsTest, SaysWhatIsWrongAndWhere) {
  const std::string good = "{server: 'https://a:1'}";
  const struct {
    std::string cluster, user, want;
  } kRows[] = {
      {"{}", "{}", "config:9: clusters[0].cluster: server: missing"},
      {"{server: 'http://a'}", "{}", "config:9: clusters[0].cluster.server: want https://"},
      {"{server: [a]}", "{}", "config:9: clusters[0].cluster.server: want a text"},
      {"{server: 'https://a', certificate-authority-data: '!'}", "{}",
       "cluster.certificate-authority-data: not base64"},
      {"{server: 'https://a', certificate-authority: none.crt}", "{}", "none.crt: No such file or directory"},
      {"{server: 'https://a', insecure-skip-tls-verify: maybe}", "{}", "want true or false"},
      {"{server: 'https://a', insecure-skip-tls-verify: true, certificate-authority-data: YQ==}", "{}", "not together"},
      {good, "{client-certificate-data: YQ==}",
       "config:12: users[0].user: client-certificate and client-key go together"},
      {good, "{username: me}", "config:12: users[0].user.username: not supported"},
      {good, "{auth-provider: {name: gcp}}", "users[0].user.auth-provider: not supported"},
      {good, "{exec: {command: x}}", "users[0].user.exec: apiVersion: missing"},
      {good, "{exec: {command: x, apiVersion: v9}}", "exec.apiVersion: want client.authentication.k8s.io/v1"},
      {good, "{exec: {apiVersion: client.authentication.k8s.io/v1}}", "exec: command: missing"},
      {good, "{token: t, exec: {command: x, apiVersion: client.authentication.k8s.io/v1}}", "exec: not together"},
      {good, "{exec: {command: x, apiVersion: client.authentication.k8s.io/v1, env: [{value: a}]}}",
       "env[0]: name: missing"},
      {good, "{exec: {command: x, apiVersion: client.authentication.k8s.io/v1, args: a}}", "exec.args: want a list"},
      {"{server: 'https://a'", "{}", "config:10: "},  // not YAML
  };
  for (const auto& row : kRows) {
    const auto access = LoadKubeconfig({Kubeconfig(row.cluster, row.user)}, "");
    EXPECT_THAT(access.status().message(), HasSubstr(row.want)) << row.cluster << row.user;
  }
}

TEST_F(CredentialsTest, NamesTheContextAndTheFileThatLacksIt) {
  const std::string file = Kubeconfig("{server: 'https://a:1'}", "{token: t}");
  EXPECT_EQ(LoadKubeconfig({file}, "other").status().message(), absl::StrCat(file, ": no context \"other\""));
  const struct {
    std::string text, want;
  } kRows[] = {
      {"current-context: gone\n", ":1: current-context: no context \"gone\""},
      {"kind: Config\n", ": no current-context, and none was asked for"},
      {"current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n",
       ":2: contexts[0].context.cluster: no cluster \"c\" (context \"a\")"},
      {"current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: "
       "{server: 'https://a'}}]\n",
       "contexts[0].context.user: no user \"u\" (context \"a\")"},
      {"kind: Pod\n", ":1: kind: want Config, not Pod"},
      {"apiVersion: v2\n", ":1: apiVersion: want v1, not v2"},
      {"contexts: {}\n", ":1: contexts: want a list"},
      {"contexts: [{context: {}}]\n", "contexts[0]: name: missing"},
      {"- a\n", "a kubeconfig is a mapping"},
  };
  for (const auto& row : kRows) {
    const std::string path = Write("config", row.text);
    EXPECT_THAT(LoadKubeconfig({path}, "").status().message(), testing::AllOf(HasSubstr(path), HasSubstr(row.want)));
  }
  EXPECT_THAT(LoadKubeconfig({folder_ + "/none"}, "").status().message(), HasSubstr("none: No such file"));
}

TEST_F(CredentialsTest, OfSeveralFilesTheFirstToNameAThingWins) {
  const std::string one = Write("one",
                                "contexts: [{name: a, context: {cluster: c, user: u}}]\n"
                                "users: [{name: u, user: {token: first}}]\n");
  const std::string two = Write("two",
                                "current-context: a\nusers: [{name: u, user: {token: second}}]\n"
                                "clusters: [{name: c, cluster: {server: 'https://x'}}]\n");
  const auto access = LoadKubeconfig({one, two}, "");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->server, "https://x");
  EXPECT_EQ(Token(*access), "first");
}

TEST_F(CredentialsTest, ATokenFileIsReadAgain) {
  const std::string path = Write("token", "one\n");
  const auto access = LoadKubeconfig({Kubeconfig("{server: 'https://a:1'}", "{tokenFile: token}")}, "");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(Token(*access), "one");
  const IdentityPtr first = *access->identity->Get(kNow);
  Write("token", "two\n");
  EXPECT_EQ(*access->identity->Get(kNow + absl::Seconds(50)), first);
  EXPECT_EQ(Token(*access, kNow + absl::Seconds(61)), "two");
  Write("token", "three\n");
  access->identity->Refused();
  EXPECT_EQ(Token(*access, kNow + absl::Seconds(62)), "three");
  std::filesystem::remove(path);
  EXPECT_EQ(Token(*access, kNow + absl::Seconds(200)), "three");
}

TEST_F(CredentialsTest, InClusterNeedsItsFiles) {
  EXPECT_THAT(LoadInCluster(folder_, "", "443").status().message(), HasSubstr("KUBERNETES_SERVICE_HOST"));
  EXPECT_THAT(LoadInCluster(folder_, "10.0.0.1", "443").status().message(), HasSubstr("ca.crt"));
  Write("ca.crt", "the authority");
  Write("token", "the token");
  const auto access = LoadInCluster(folder_, "fd00::1", "443");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->server, "https://[fd00::1]:443");
  EXPECT_EQ(Token(*access), "the token");
}

// --- Commands that give credentials -----------------------------------------------------------

class ExecTest : public CredentialsTest {
 protected:
  // The command is a script of this text.
  absl::StatusOr<ServerAccess> Load(const std::string& script, const std::string& more = "") {
    const std::string path = Write("plugin", "#!/bin/sh\n" + script);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return LoadKubeconfig(
        {Kubeconfig(
            "{server: 'https://a:1', certificate-authority-data: Y2E=}",
            absl::StrCat("{exec: {command: ./plugin, apiVersion: client.authentication.k8s.io/v1", more, "}}"))},
        "");
  }
  static std::string Answer(const std::string& status) {
    return absl::StrCat(
        "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":", status,
        "}'\n");
  }
};

TEST_F(ExecTest, IsKeptUntilItExpiresOrIsRefused) {
  const std::string runs = folder_ + "/runs";
  const auto access =
      Load(absl::StrCat("echo x >> ", runs, "; RUNS=$(wc -l < ", runs, ")\n",
                        Answer("{\"token\":\"t'$RUNS'\",\"expirationTimestamp\":\"1970-01-12T13:47:00Z\"}")));
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(Token(*access), "t1");  // 1970-01-12T13:46:40Z
  EXPECT_EQ(Token(*access, kNow + absl::Seconds(19)), "t1");
  access->identity->Refused();
  EXPECT_EQ(Token(*access), "t2");
  EXPECT_EQ(Token(*access, kNow + absl::Seconds(20)), "t3");
}

TEST_F(ExecTest, GetsItsArgumentsAndEnvironment) {
  const auto access = Load(Answer("{\"token\":\"'$1-$EXTRA-$(echo $KUBERNETES_EXEC_INFO | tr -cd a-z)'\"}"),
                           ", args: [arg], env: [{name: EXTRA, value: more}], provideClusterInfo: true");
  ASSERT_TRUE(access.ok()) << access.status();
  const std::string token = Token(*access);
  EXPECT_THAT(token, testing::StartsWith("arg-more-"));
  EXPECT_THAT(token, HasSubstr("clustercertificateauthoritydata"));
  EXPECT_THAT(token, HasSubstr("interactivefalse"));
}

TEST_F(ExecTest, GivesCertificates) {
  const auto access = Load(Answer("{\"clientCertificateData\":\"c\",\"clientKeyData\":\"k\"}"));
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(**access->identity->Get(kNow), (ClientIdentity{"", "c", "k"}));
}

TEST_F(ExecTest, SaysWhatIsWrong) {
  const struct {
    std::string script, more, want;
  } kRows[] = {
      {"exit 3", "", "plugin: exit code 3"},
      {"kill -9 $$", "", "plugin: signal 9"},
      {"echo hello", "", "its output is not a JSON object"},
      {"echo '{\"kind\":\"X\"}'", "", "kind: want ExecCredential"},
      {"echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"v2\"}'", "",
       "apiVersion: want client.authentication.k8s.io/v1,"},
      {Answer("null"), "", "status: missing"},
      {Answer("{}"), "", "neither token nor clientCertificateData"},
      {Answer("{\"clientCertificateData\":\"c\"}"), "", "go together"},
      {Answer("{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}"), "", "status.expirationTimestamp: "},
  };
  for (const auto& row : kRows) {
    const auto access = Load(row.script, row.more);
    ASSERT_TRUE(access.ok()) << access.status();
    EXPECT_THAT(Token(*access), HasSubstr(row.want)) << row.script;
  }
  const auto missing = Load("", ", installHint: get it there");
  ASSERT_TRUE(missing.ok());
  std::filesystem::remove(folder_ + "/plugin");
  EXPECT_THAT(Token(*missing), testing::AllOf(HasSubstr("No such file"), HasSubstr("get it there")));
  EXPECT_THAT(Load("", ", interactiveMode: Always").status().message(), HasSubstr("interactiveMode"));
}

}  // namespace
}  // namespace muster
