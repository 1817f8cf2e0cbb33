#include "scheduler/wire/device/claim_bodies.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "scheduler/wire/decode.h"
#include "scheduler/wire/proto/resource_v1.pb.h"

namespace muster {
namespace {

namespace resource = k8s::io::api::resource::v1;

resource::ResourceClaim Message(const std::string& text) {
  resource::ResourceClaim wire;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &wire)) << text;
  return wire;
}
ClaimPtr Read(const resource::ResourceClaim& wire) {
  return std::static_pointer_cast<const ResourceClaim>(
      Decoder().DecodeObject(Kind::kResourceClaim, wire.SerializeAsString()));
}
resource::ResourceClaim Open(const std::string& body) {
  const auto envelope = OpenEnvelope(body);
  resource::ResourceClaim wire;
  EXPECT_TRUE(envelope.has_value() &&
              wire.ParseFromArray(envelope->object.data(), static_cast<int>(envelope->object.size())));
  EXPECT_EQ(envelope->api_version, "resource.k8s.io/v1");
  EXPECT_EQ(envelope->kind, "ResourceClaim");
  return wire;
}
void ExpectSame(const resource::ResourceClaim& got, const resource::ResourceClaim& want) {
  std::string difference;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  EXPECT_TRUE(differencer.Compare(want, got)) << difference;
}

constexpr char kMetadata[] =
    "metadata { name: 'c' namespace: 's' uid: 'u' resourceVersion: '7' labels { key: 'a' value: 'b' } "
    "annotations { key: 'k' value: 'v' } ownerReferences { kind: 'Pod' uid: 'p' controller: true } ";
constexpr char kSpec[] = "spec { devices { requests { name: 'r' exactly { deviceClassName: 'gpu' count: 1 } } } } ";
const std::string kBare = std::string(kMetadata) + "} " + kSpec;

TEST(ClaimBodies, Finalizer) {
  const std::string other = std::string(kMetadata) + "finalizers: 'other' ";
  const std::string ours = "finalizers: 'resource.kubernetes.io/delete-protection' } ";
  const ClaimPtr without = Read(Message(other + "} " + kSpec));
  const resource::ResourceClaim with = Message(other + ours + kSpec);
  ExpectSame(Open(EncodeFinalizer(*without, true)), with);
  ExpectSame(Open(EncodeFinalizer(*Read(with), true)), with);
  ExpectSame(Open(EncodeFinalizer(*Read(with), false)), Message(other + "} " + kSpec));
}

TEST(ClaimBodies, AllocationAsItIsRead) {
  const std::string allocation = R"(
      allocation {
        devices {
          results { request: 'r' driver: 'd' pool: 'p' device: '0' adminAccess: false
                    tolerations { key: 'k' operator: 'Exists' effect: 'NoExecute' tolerationSeconds: 3 }
                    bindingConditions: 'a' bindingFailureConditions: 'b' shareID: 'share'
                    consumedCapacity { key: 'm' value { string: '512Mi' } } skipNodeOperations: '*' }
          config { source: 'FromClass' deviceConfiguration { opaque { driver: 'd' parameters { raw: '{"a":1}' } } } }
          config { source: 'FromClaim' requests: 'r' deviceConfiguration {} } }
        nodeSelector { nodeSelectorTerms {
          matchExpressions { key: 'z' operator: 'In' values: 'a' values: 'b' }
          matchExpressions { key: 'y' operator: 'Exists' }
          matchFields { key: 'metadata.name' operator: 'In' values: 'n1' } } }
        allocationTimestamp { seconds: 11 } } )";
  const std::string consumer = "reservedFor { resource: 'pods' name: 'p' uid: 'pu' }";
  const resource::ResourceClaim want = Message(kBare + "status { " + allocation + consumer + " }");
  const ClaimPtr bare = Read(Message(kBare));
  ExpectSame(Open(EncodeReservation(*bare, *Read(want)->allocation, {"", "pods", "p", "pu"})), want);
}

TEST(ClaimBodies, AReservationLeavesTheRestAlone) {
  // An allocation that says more than is read, and a driver's words on the device.
  const std::string status = R"(
      allocation { devices { results { request: 'r' driver: 'd' pool: 'p' device: '0' } } nodeSelector {} }
      devices { driver: 'd' pool: 'p' device: '0' conditions { type: 't' status: 'True' } } )";
  const std::string one = "reservedFor { resource: 'pods' name: 'p' uid: 'p1' } ";
  const std::string two = "reservedFor { apiGroup: 'scheduling.k8s.io' resource: 'podgroups' name: 'g' uid: 'g1' } ";
  resource::ResourceClaim wire = Message(kBare + "status { " + status + one + "}");
  resource::ResourceClaim want = Message(kBare + "status { " + status + one + two + "}");
  for (auto* message : {&wire, &want}) {
    auto* reported = message->mutable_status()->mutable_devices(0);
    reported->GetReflection()->MutableUnknownFields(reported)->AddLengthDelimited(6, "networkData");
  }
  ExpectSame(Open(EncodeReservation(*Read(wire), {}, {"scheduling.k8s.io", "podgroups", "g", "g1"})), want);
  ExpectSame(Open(EncodeDeallocation(*Read(wire))), Message(kBare + "status {}"));
}

TEST(ClaimBodies, ExtendedResources) {
  DeviceRequest request;
  request.name = "container-0-request-1";
  request.device_class = "gpu";
  request.allocation_mode = "ExactCount";
  request.count = 2;
  ExpectSame(Open(EncodeExtendedClaim("s", "p", "pu", {request})), Message(R"(
      metadata { generateName: 'p-extended-resources-' namespace: 's'
                 annotations { key: 'resource.kubernetes.io/extended-resource-claim' value: 'true' }
                 ownerReferences { apiVersion: 'v1' kind: 'Pod' name: 'p' uid: 'pu' controller: true } }
      spec { devices { requests { name: 'container-0-request-1'
                                  exactly { deviceClassName: 'gpu' allocationMode: 'ExactCount' count: 2 } } } })"));
}

}  // namespace
}  // namespace muster
