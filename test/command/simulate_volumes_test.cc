#include <string>

#include "gmock/gmock.h"
#include "nlohmann/json.hpp"
#include "test/command/cli.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

class SimulateVolumesTest : public CliTest {};

constexpr char kCluster[] = R"(
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {kubernetes.io/hostname: n1}}
status: {allocatable: {cpu: "2", memory: 4Gi, pods: "10"}}
---
apiVersion: v1
kind: Node
metadata: {name: n2, labels: {kubernetes.io/hostname: n2}}
status: {allocatable: {cpu: "2", memory: 4Gi, pods: "10"}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: csi.example.com
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: now}
provisioner: csi.example.com
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 5Gi}
  storageClassName: local
  local: {path: /d}
  nodeAffinity:
    required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [n2]}]}]}
---
)";

std::string PodWithClaim(const std::string& name, const std::string& storage_class) {
  std::string text;
  if (!storage_class.empty()) {
    text = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: " + name +
           "}\nspec: {accessModes: [ReadWriteOnce], storageClassName: " + storage_class +
           ", resources: {requests: {storage: 1Gi}}}\n---\n";
  }
  return text + "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
         "}\nspec: {containers: [{name: c, image: i}], volumes: [{name: v, persistentVolumeClaim: {claimName: " + name +
         "}}]}\n---\n";
}

TEST_F(SimulateVolumesTest, BindsProvisionsAndSaysWhyNot) {
  const std::string file =
      Write("all.yaml", kCluster + PodWithClaim("a", "fast") + PodWithClaim("b", "local") + PodWithClaim("c", "local") +
                            PodWithClaim("d", "now") + PodWithClaim("e", ""));
  const Ran ran = Simulate({"-f", file, "-o", "json"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const nlohmann::json pods = nlohmann::json::parse(ran.out)["pods"];
  ASSERT_EQ(pods.size(), 5u);
  EXPECT_EQ(pods[0]["result"], "bound") << "provisioned";
  const bool first = pods[1]["result"] == "bound";
  EXPECT_EQ(pods[first ? 1 : 2]["node"], "n2") << "where the disk is";
  EXPECT_EQ(pods[first ? 2 : 1]["result"], "pending") << "there is one disk only";
  EXPECT_THAT(pods[first ? 2 : 1]["reasons"][0]["message"].get<std::string>(),
              HasSubstr("node(s) didn't find available persistent volumes to bind"));
  EXPECT_EQ(pods[3]["result"], "bound") << "bound before the pod is placed";
  EXPECT_THAT(pods[4]["reasons"][0]["message"].get<std::string>(), HasSubstr("persistentvolumeclaim \"e\" not found"));
}

}  // namespace
}  // namespace muster
