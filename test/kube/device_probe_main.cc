// Lets the live tests look at a real API server through Muster's own client. After the kubeconfig, one of these:
//
//   compare FILE          wants the objects of FILE (a JSON list) there, as another reader reads them
//   allocate NS CLAIM     the writes that allocate and reserve, with their conflicts
//   release NS CLAIM      those that undo it
//   extended NS POD UID   the claim of a pod's extended resources, made and deleted
//
// Each write prints "STEP CODE", with ApiCode's number, and the server's words where it refused.
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "scheduler/engine/binding/claim_binding.h"
#include "scheduler/kube/credentials.h"
#include "scheduler/kube/kube_api_server.h"
#include "scheduler/runtime/real_event_loop.h"
#include "test/topology/device/row_objects.h"

namespace muster {
namespace {

class DeviceProbe {
 public:
  explicit DeviceProbe(ServerAccess access) : api_(loop_, std::move(access), {}, nullptr) {}

  // How many objects differ.
  int Compare(const std::string& file) {
    const auto wanted = nlohmann::json::parse(std::ifstream(file));
    int wrong = 0, seen = 0;
    for (const Kind kind : {Kind::kResourceSlice, Kind::kDeviceClass, Kind::kResourceClaim, Kind::kDeviceTaintRule}) {
      const std::map<std::string, ObjectPtr> there = All(kind);
      for (const nlohmann::json& json : wanted) {
        if (json["kind"] != std::string(KindName(kind))) continue;
        const std::string name = json["metadata"]["name"];
        const auto found = there.find(name);
        const std::string why = found == there.end() ? "is not there" : Difference(kind, json, *found->second);
        if (!why.empty()) std::printf("%s %s: %s\n", std::string(KindName(kind)).c_str(), name.c_str(), why.c_str());
        wrong += why.empty() ? 0 : 1;
        ++seen;
      }
    }
    std::printf("%d compared, %d differ\n", seen, wrong);
    return wrong;
  }

  void Allocate(const std::string& ns, const std::string& name) {
    const ClaimPtr first = Ask("get", [&](auto done) { api_.GetClaim(ns, name, done); });
    if (first == nullptr) return;
    Ask("finalizer", [&](auto done) { api_.SetClaimFinalizer(first, true, done); });
    Ask("finalizer of an old version", [&](auto done) { api_.SetClaimFinalizer(first, true, done); });
    const ClaimPtr ours = Ask("allocate from an old version", [&](auto done) {
      binding_.Reserve({first, Allocation(*first), {"", "pods", "p1", "u1"}}, done);
    });
    if (ours == nullptr) return;
    DeviceAllocation other = Allocation(*first);
    other.devices[0].id.device = "another";
    Ask("allocate again", [&](auto done) { api_.ReserveClaim({ours, other, {"", "pods", "p2", "u2"}}, done); });
    Ask("lose", [&](auto done) { binding_.Reserve({first, other, {"", "pods", "p2", "u2"}}, done); });
    Ask("share", [&](auto done) { binding_.Reserve({ours, std::nullopt, {"", "pods", "p2", "u2"}}, done); });
  }

  void Release(const std::string& ns, const std::string& name) {
    const ClaimPtr claim = Ask("get", [&](auto done) { api_.GetClaim(ns, name, done); });
    if (claim == nullptr) return;
    Ask("unreserve", [&](auto done) { api_.UnreserveClaim(ns, name, claim->uid, "u1", done); });
    Ask("unreserve again", [&](auto done) { api_.UnreserveClaim(ns, name, claim->uid, "u1", done); });
    Ask("unreserve another", [&](auto done) { api_.UnreserveClaim(ns, name, "another-uid", "u2", done); });
    Ask("deallocate an old version", [&](auto done) { api_.DeallocateClaim(claim, done); });
    const ClaimPtr now = Ask("get", [&](auto done) { api_.GetClaim(ns, name, done); });
    if (now != nullptr) Ask("deallocate", [&](auto done) { api_.DeallocateClaim(now, done); });
  }

  void Extended(const std::string& ns, const std::string& pod, const std::string& uid) {
    ExtendedClaim wanted{ns, pod, uid, {}};
    wanted.requests.resize(1);
    wanted.requests[0].name = "container-0-request-0";
    wanted.requests[0].device_class = "gpu.example.com";
    wanted.requests[0].allocation_mode = "ExactCount";
    wanted.requests[0].count = 1;
    const ClaimPtr claim = Ask("create", [&](auto done) { api_.CreateClaim(wanted, done); });
    if (claim == nullptr) return;
    std::printf("extended %d owned %d stem %d\n", claim->extended_resource, claim->controller_uid == uid,
                claim->name.starts_with(pod + "-extended-resources-"));
    PodStatusPatch patch;
    patch.ns = ns;
    patch.name = pod;
    patch.uid = uid;
    patch.extended = {claim->name, {{"c", "example.com/gpu", "container-0-request-0"}}};
    Tell("name it in the pod", [&](auto done) { api_.PatchPodStatus(patch, done); });
    Ask("finalizer", [&](auto done) { api_.SetClaimFinalizer(claim, true, done); });
    Tell("delete from an old version", [&](auto done) { binding_.Delete(claim, done); });
    Ask("get", [&](auto done) { api_.GetClaim(ns, claim->name, done); });
  }

 private:
  static DeviceAllocation Allocation(const ResourceClaim& claim) {
    DeviceAllocation allocation;
    AllocatedDevice& device = allocation.devices.emplace_back();
    device.request = claim.requests.at(0).name;
    device.id = {"gpu.example.com", "box-0", "gpu-0"};
    device.share_id = "7f1c9a52-3b1e-4c6a-9b8e-0a1b2c3d4e5f";
    device.consumed_capacity["memory"] = ReadQuantity("1536Mi");
    device.tolerations = {{"k", "Exists", "", "NoSchedule", std::nullopt}};
    allocation.config.push_back({true, {{device.request}, true, "gpu.example.com", R"({"a":1})"}});
    allocation.nodes = {{}, {{"metadata.name", Operator::kIn, {"box-0"}, ""}}};
    allocation.time = absl::FromUnixSeconds(1'700'000'000);
    return allocation;
  }

  void RunUntil(const std::function<void(std::function<void()>)>& start) {
    bool over = false;
    start([&] {
      over = true;
      loop_.Stop();
    });
    const EventLoop::TimerId limit = loop_.After(absl::Seconds(30), [&] { loop_.Stop(); });
    loop_.Run();
    loop_.Cancel(limit);
    if (!over) std::printf("no answer within 30 s\n");
  }

  void Tell(const char* step, const std::function<void(ApiServer::Done)>& ask) {
    RunUntil([&](auto over) {
      ask([step, over](const ApiStatus& status) {
        std::printf("%s %d %s\n", step, static_cast<int>(status.code), status.message.c_str());
        over();
      });
    });
  }
  ClaimPtr Ask(const char* step, const std::function<void(ApiServer::ClaimDone)>& ask) {
    ClaimPtr got;
    Tell(step, [&](const ApiServer::Done& done) {
      ask([&, done](ApiStatus status, ClaimPtr claim) {
        got = std::move(claim);
        done(std::move(status));
      });
    });
    return got;
  }

  // By name, as a watch gives them.
  std::map<std::string, ObjectPtr> All(Kind kind) {
    std::map<std::string, ObjectPtr> all;
    std::unique_ptr<WatchStream> stream;
    RunUntil([&](auto over) {
      stream = api_.Watch(kind, 0,
                          {[&all, over](const std::vector<WatchEvent>& events) {
                             for (const WatchEvent& event : events) {
                               if (const auto* object = std::get_if<ObjectPtr>(&event.object))
                                 all[(*object)->name] = *object;
                               if (event.type == WatchEvent::Type::kSynced) over();
                             }
                           },
                           [](const ApiStatus& status) { std::printf("watch: %s\n", status.message.c_str()); }});
    });
    return all;
  }

  static void Normalize(std::vector<DeviceConfig>* config) {
    for (DeviceConfig& one : *config) {
      if (one.opaque) one.parameters = nlohmann::json::parse(one.parameters).dump();
    }
  }

  // What is not as in the JSON; "" if nothing is. When taints were added the server says.
  static std::string Difference(Kind kind, const nlohmann::json& json, const Object& object) {
    if (kind == Kind::kResourceSlice) {
      const ResourceSlice want = ReadSlice(json);
      auto got = static_cast<const ResourceSlice&>(object);
      for (Device& device : got.devices) {
        for (DeviceTaint& taint : device.taints) taint.time_added = absl::InfinitePast();
      }
      for (size_t i = 0; i < std::min(want.devices.size(), got.devices.size()); ++i) {
        if (want.devices[i] != got.devices[i]) return absl::StrCat("device ", want.devices[i].name, " differs");
      }
      if (want.devices.size() != got.devices.size()) return "other devices";
      if (want.driver != got.driver || want.pool != got.pool || want.generation != got.generation ||
          want.slice_count != got.slice_count)
        return "another pool";
      if (want.nodes != got.nodes || want.per_device_node_selection != got.per_device_node_selection)
        return "other nodes";
      return want.shared_counters == got.shared_counters ? got.invalid : "other counters";
    }
    if (kind == Kind::kDeviceClass) {
      const DeviceClass want = ReadClass(json);
      auto got = static_cast<const DeviceClass&>(object);
      Normalize(&got.config);
      if (want.selectors != got.selectors || want.config != got.config) return "other selectors or configuration";
      return json["spec"].value("extendedResourceName", "") == got.extended_resource_name ? "" : "another resource";
    }
    if (kind == Kind::kResourceClaim) {
      const ResourceClaim want = ReadClaim(json);
      auto got = static_cast<const ResourceClaim&>(object);
      Normalize(&got.config);
      if (want.requests != got.requests) return "other requests";
      return want.constraints == got.constraints && want.config == got.config ? got.invalid : "other constraints";
    }
    const auto& got = static_cast<const DeviceTaintRule&>(object);
    const nlohmann::json &selector = json["spec"]["deviceSelector"], &taint = json["spec"]["taint"];
    const bool same = got.driver == selector.value("driver", "") && got.pool == selector.value("pool", "") &&
                      got.device == selector.value("device", "") && got.taint.key == taint.value("key", "") &&
                      got.taint.effect == taint.value("effect", "") && got.taint.value == taint.value("value", "");
    return same ? "" : "differs";
  }

  RealEventLoop loop_;
  KubeApiServer api_;
  ClaimBinding binding_{loop_, api_};
};

int Main(const std::vector<std::string>& args) {
  auto access = FindAccess(args.at(0), "");
  if (!access.ok()) {
    std::printf("%s\n", std::string(access.status().message()).c_str());
    return 1;
  }
  DeviceProbe probe(*std::move(access));
  if (args.at(1) == "compare") return probe.Compare(args.at(2)) == 0 ? 0 : 1;
  if (args.at(1) == "allocate") probe.Allocate(args.at(2), args.at(3));
  if (args.at(1) == "release") probe.Release(args.at(2), args.at(3));
  if (args.at(1) == "extended") probe.Extended(args.at(2), args.at(3), args.at(4));
  return 0;
}

}  // namespace
}  // namespace muster

int main(int argc, char** argv) { return muster::Main({argv + 1, argv + argc}); }
