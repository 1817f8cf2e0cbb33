// Our trimmed messages against Kubernetes' own generated.proto files, and the table of field names
// that is made from these. MUSTER_UPDATE=1 rewrites the table.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/wire/proto/apps_v1.pb.h"
#include "scheduler/wire/proto/batch_v1.pb.h"
#include "scheduler/wire/proto/coordination_v1.pb.h"
#include "scheduler/wire/proto/core_v1.pb.h"
#include "scheduler/wire/proto/custom_resources.pb.h"
#include "scheduler/wire/proto/events_v1.pb.h"
#include "scheduler/wire/proto/intstr.pb.h"
#include "scheduler/wire/proto/meta_v1.pb.h"
#include "scheduler/wire/proto/policy_v1.pb.h"
#include "scheduler/wire/proto/quantity.pb.h"
#include "scheduler/wire/proto/resource_v1.pb.h"
#include "scheduler/wire/proto/runtime.pb.h"
#include "scheduler/wire/proto/scheduling_v1.pb.h"
#include "scheduler/wire/proto/scheduling_v1alpha2.pb.h"
#include "scheduler/wire/proto/scheduling_v1beta1.pb.h"
#include "scheduler/wire/proto/storage_v1.pb.h"

namespace muster {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

std::string Output(const std::string& command) {
  std::string out;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
    pclose(pipe);
  }
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

// The folder that holds k8s.io/api or k8s.io/apimachinery; "" if it is not there.
std::string ModuleFolder(const std::string& module) {
  std::string folder;
  if (const char* root = std::getenv("MUSTER_UPSTREAM_PROTO_ROOT")) {
    folder = std::string(root) + "/" + module;
  } else {
    folder = Output("cd test 2>/dev/null && go list -m -f '{{.Dir}}' " + module + " 2>/dev/null");
  }
  return std::filesystem::is_directory(folder) ? folder : "";
}

class UpstreamTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string api = ModuleFolder("k8s.io/api"), machinery = ModuleFolder("k8s.io/apimachinery");
    if (api.empty() || machinery.empty()) {
      const char* ci = std::getenv("CI");
      ASSERT_FALSE(ci != nullptr && std::string(ci) == "true") << "no upstream protos, and CI needs them";
      GTEST_SKIP() << "SKIPPED: no upstream protos (set MUSTER_UPSTREAM_PROTO_ROOT, or install Go)";
    }
    const std::string out = testing::TempDir() + "/upstream.descriptors." + std::to_string(getpid());
    std::string command = "protoc -Ik8s.io/api=" + api + " -Ik8s.io/apimachinery=" + machinery +
                          " --include_imports --descriptor_set_out=" + out;
    for (const char* folder :
         {"api/core/v1", "api/apps/v1", "api/batch/v1", "api/coordination/v1", "api/events/v1", "api/policy/v1",
          "api/scheduling/v1", "api/scheduling/v1alpha3", "api/scheduling/v1beta1", "api/storage/v1", "api/resource/v1",
          "api/resource/v1beta2", "api/resource/v1alpha3"}) {
      command += std::string(" k8s.io/") + folder + "/generated.proto";
    }
    command += " 2>&1";
    const std::string said = Output(command);
    google::protobuf::FileDescriptorSet files;
    std::ifstream in(out, std::ios::binary);
    ASSERT_TRUE(in && files.ParseFromIstream(&in)) << command << "\n" << said;
    std::filesystem::remove(out);
    for (const auto& file : files.file()) ASSERT_NE(pool_.BuildFile(file), nullptr) << file.name();
  }
  const Descriptor* Upstream(const std::string& name) { return pool_.FindMessageTypeByName(name); }

  google::protobuf::DescriptorPool pool_;
};

std::string Signature(const FieldDescriptor& field) {
  std::string text = std::to_string(field.number()) + " " + field.name() + " " + field.type_name();
  if (field.is_repeated()) text += " repeated";
  if (field.message_type() != nullptr) text += " " + field.message_type()->full_name();
  return text;
}

std::vector<const FileDescriptor*> OurFiles() {
  namespace api = k8s::io::api;
  namespace pkg = k8s::io::apimachinery::pkg;
  return {api::core::v1::Pod::descriptor()->file(),
          api::apps::v1::Deployment::descriptor()->file(),
          api::batch::v1::Job::descriptor()->file(),
          api::coordination::v1::Lease::descriptor()->file(),
          api::events::v1::Event::descriptor()->file(),
          api::policy::v1::PodDisruptionBudget::descriptor()->file(),
          api::scheduling::v1::PriorityClass::descriptor()->file(),
          api::scheduling::v1beta1::PodGroup::descriptor()->file(),
          api::storage::v1::StorageClass::descriptor()->file(),
          api::resource::v1::ResourceClaim::descriptor()->file(),
          pkg::util::intstr::IntOrString::descriptor()->file(),
          pkg::runtime::Unknown::descriptor()->file(),
          pkg::api::resource::Quantity::descriptor()->file(),
          pkg::apis::meta::v1::ObjectMeta::descriptor()->file()};
}

// Upstream's module has no generated.proto of these: a version that 1.37 dropped, and custom resources.
std::vector<const Descriptor*> OtherObjects() {
  return {k8s::io::api::scheduling::v1alpha2::PodGroup::descriptor(), custom::CoschedulingPodGroup::descriptor(),
          custom::Topology::descriptor(), custom::Queue::descriptor(), custom::ResourceFlavor::descriptor()};
}

void CollectMessages(const Descriptor* message, std::vector<const Descriptor*>* out) {
  out->push_back(message);
  for (int i = 0; i < message->nested_type_count(); ++i) CollectMessages(message->nested_type(i), out);
}

std::vector<const Descriptor*> OurMessages() {
  std::vector<const Descriptor*> messages;
  for (const FileDescriptor* file : OurFiles()) {
    for (int i = 0; i < file->message_type_count(); ++i) CollectMessages(file->message_type(i), &messages);
  }
  return messages;
}

TEST(FieldNumbers, EveryProtoFileIsCompared) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator("scheduler/wire/proto")) {
    files += entry.path().extension() == ".proto" ? 1 : 0;
  }
  std::set<std::string> compared;
  for (const FileDescriptor* file : OurFiles()) compared.insert(file->name());
  for (const Descriptor* object : OtherObjects()) compared.insert(object->file()->name());
  EXPECT_EQ(files, compared.size());
}

TEST_F(UpstreamTest, FieldsAreUpstreams) {
  for (const Descriptor* ours : OurMessages()) {
    const Descriptor* theirs = Upstream(ours->full_name());
    ASSERT_NE(theirs, nullptr) << ours->full_name();
    for (int i = 0; i < ours->field_count(); ++i) {
      const FieldDescriptor* field = theirs->FindFieldByNumber(ours->field(i)->number());
      ASSERT_NE(field, nullptr) << ours->field(i)->full_name();
      EXPECT_EQ(Signature(*ours->field(i)), Signature(*field)) << ours->full_name();
    }
  }
}

// Wants our message's fields in another version's.
void ExpectAlike(const Descriptor& ours, const Descriptor* theirs) {
  ASSERT_NE(theirs, nullptr) << ours.name();
  for (int i = 0; i < ours.field_count(); ++i) {
    const FieldDescriptor* field = theirs->FindFieldByNumber(ours.field(i)->number());
    ASSERT_NE(field, nullptr) << ours.field(i)->full_name();
    EXPECT_EQ(field->name(), ours.field(i)->name());
    EXPECT_EQ(field->type(), ours.field(i)->type());
  }
}

// v1alpha3's PodGroup is read with v1beta1's message.
TEST_F(UpstreamTest, PodGroupsOfTwoVersionsAreAlike) {
  std::vector<const Descriptor*> ours;
  const FileDescriptor* file = k8s::io::api::scheduling::v1beta1::PodGroup::descriptor()->file();
  for (int i = 0; i < file->message_type_count(); ++i) CollectMessages(file->message_type(i), &ours);
  for (const Descriptor* message : ours) {
    ExpectAlike(*message, Upstream("k8s.io.api.scheduling.v1alpha3." + message->name()));
  }
}

// Older servers' DeviceTaintRules are read with v1's messages.
TEST_F(UpstreamTest, TaintRulesOfAllVersionsAreAlike) {
  namespace resource = k8s::io::api::resource::v1;
  for (const Descriptor* message :
       {resource::DeviceTaintRule::descriptor(), resource::DeviceTaintRuleSpec::descriptor(),
        resource::DeviceTaintSelector::descriptor(), resource::DeviceTaint::descriptor()}) {
    for (const std::string version : {"v1beta2.", "v1alpha3."}) {
      ExpectAlike(*message, Upstream("k8s.io.api.resource." + version + message->name()));
    }
  }
}

// Read off the generated.proto of k8s.io/api v0.36.3.
TEST(FieldNumbers, OfV1Alpha2) {
  const Descriptor* group = k8s::io::api::scheduling::v1alpha2::PodGroup::descriptor();
  const auto numbers = [&](const char* message) {
    std::string text;
    const Descriptor* found = group->file()->FindMessageTypeByName(message);
    for (int i = 0; found != nullptr && i < found->field_count(); ++i)
      text += std::to_string(found->field(i)->number()) + " " + found->field(i)->name() + " ";
    return text;
  };
  EXPECT_EQ(numbers("PodGroup"), "1 metadata 2 spec 3 status ");
  EXPECT_EQ(numbers("PodGroupSpec"),
            "1 podGroupTemplateRef 2 schedulingPolicy 3 schedulingConstraints 4 resourceClaims 5 disruptionMode "
            "6 priorityClassName 7 priority ");
  EXPECT_EQ(numbers("PodGroupSchedulingPolicy"), "1 basic 2 gang ");
  EXPECT_EQ(numbers("GangSchedulingPolicy"), "1 minCount ");
  EXPECT_EQ(numbers("PodGroupSchedulingConstraints"), "1 topology ");
  EXPECT_EQ(numbers("TopologyConstraint"), "1 key ");
  EXPECT_EQ(numbers("PodGroupStatus"), "1 conditions 2 resourceClaimStatuses ");
}

// --- The table of field names ------------------------------------------------------------------

// Go embeds these: their fields stand in the message around them.
bool IsInlined(const FieldDescriptor& field) {
  static const std::set<std::string> kInlined = {"volumeSource", "persistentVolumeSource",   "localObjectReference",
                                                 "handler",      "ephemeralContainerCommon", "deviceConfiguration"};
  return kInlined.contains(field.name());
}

// Messages that JSON writes as one scalar, or as anything.
bool IsLeaf(const Descriptor& message) {
  static const std::set<std::string> kLeaves = {"Quantity", "Time",     "MicroTime",   "IntOrString",
                                                "FieldsV1", "Duration", "RawExtension"};
  return message.options().map_entry() || kLeaves.contains(message.name());
}

std::string ShortName(const Descriptor& message) {
  std::string name = message.full_name();
  for (const std::string prefix : {"k8s.io.api.", "k8s.io.apimachinery.pkg."}) {
    if (name.rfind(prefix, 0) == 0) return name.substr(prefix.size());
  }
  return name;
}

using Table = std::map<std::string, std::map<std::string, std::string>>;  // message -> field -> its message

void AddFields(const Descriptor& message, std::map<std::string, std::string>* fields,
               std::vector<const Descriptor*>* todo) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    const Descriptor* type = field.message_type();
    if (IsInlined(field)) {
      AddFields(*type, fields, todo);
    } else if (type == nullptr || IsLeaf(*type)) {
      fields->emplace(field.name(), "");
      const Descriptor* value = field.is_map() ? type->map_value()->message_type() : nullptr;
      if (value != nullptr && !IsLeaf(*value)) todo->push_back(value);
    } else {
      fields->emplace(field.name(), ShortName(*type));
      todo->push_back(type);
    }
  }
}

std::string Write(const Table& table) {
  std::ostringstream out;
  out << "# Field names of Kubernetes 1.37 as JSON writes them, by message; made by field_numbers_test.\n";
  for (const auto& [message, fields] : table) {
    out << message;
    for (const auto& [field, type] : fields) out << " " << field << (type.empty() ? "" : ":") << type;
    out << "\n";
  }
  return out.str();
}

TEST_F(UpstreamTest, KnownFieldsAreUpstreams) {
  std::vector<const Descriptor*> todo;
  for (const char* name : {"core.v1.Pod",
                           "core.v1.Node",
                           "core.v1.Namespace",
                           "apps.v1.Deployment",
                           "apps.v1.ReplicaSet",
                           "apps.v1.StatefulSet",
                           "batch.v1.Job",
                           "scheduling.v1.PriorityClass",
                           "policy.v1.PodDisruptionBudget",
                           "core.v1.Service",
                           "core.v1.ReplicationController",
                           "core.v1.PersistentVolume",
                           "core.v1.PersistentVolumeClaim",
                           "storage.v1.StorageClass",
                           "storage.v1.CSINode",
                           "storage.v1.CSIDriver",
                           "storage.v1.CSIStorageCapacity",
                           "storage.v1.VolumeAttachment",
                           "scheduling.v1beta1.PodGroup",
                           "resource.v1.ResourceClaim",
                           "resource.v1.ResourceClaimTemplate",
                           "resource.v1.ResourceSlice",
                           "resource.v1.DeviceClass",
                           "resource.v1.DeviceTaintRule"}) {
    todo.push_back(Upstream(std::string("k8s.io.api.") + name));
    ASSERT_NE(todo.back(), nullptr) << name;
  }
  // What these hold of Kubernetes' own is there already, under the same name.
  const std::vector<const Descriptor*> others = OtherObjects();
  todo.insert(todo.begin(), others.begin(), others.end());
  Table table;
  while (!todo.empty()) {
    const Descriptor* message = todo.back();
    todo.pop_back();
    const auto [entry, inserted] = table.try_emplace(ShortName(*message));
    if (!inserted) continue;
    AddFields(*message, &entry->second, &todo);
    // Objects carry their type also where they stand in others.
    if (message->name() == "PersistentVolumeClaim") entry->second.insert({{"apiVersion", ""}, {"kind", ""}});
  }
  const std::string path = "scheduler/wire/known_fields.txt";
  if (std::getenv("MUSTER_UPDATE") != nullptr) std::ofstream(path) << Write(table);
  std::stringstream file;
  file << std::ifstream(path).rdbuf();
  EXPECT_EQ(file.str(), Write(table)) << "run this test with MUSTER_UPDATE=1";
}

}  // namespace
}  // namespace muster
