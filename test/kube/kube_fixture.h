// Bodies as an API server writes them, and a loop that runs until something holds.
#ifndef MUSTER_TEST_KUBE_KUBE_FIXTURE_H_
#define MUSTER_TEST_KUBE_KUBE_FIXTURE_H_

#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "scheduler/runtime/real_event_loop.h"
#include "scheduler/wire/encode.h"
#include "scheduler/wire/proto/core_v1.pb.h"
#include "scheduler/wire/proto/meta_v1.pb.h"

namespace muster {

inline constexpr char kProtobuf[] = "application/vnd.kubernetes.protobuf";
inline constexpr char kProtobufStream[] = "application/vnd.kubernetes.protobuf;stream=watch";

namespace core = k8s::io::api::core::v1;
namespace meta = k8s::io::apimachinery::pkg::apis::meta::v1;

inline core::Pod WirePod(const std::string& name, int version, const std::string& node = "") {
  core::Pod pod;
  pod.mutable_metadata()->set_name(name);
  pod.mutable_metadata()->set_namespace_("default");
  pod.mutable_metadata()->set_uid("uid-" + name);
  pod.mutable_metadata()->set_resourceversion(std::to_string(version));
  pod.mutable_spec()->add_containers()->set_name("c");
  if (!node.empty()) pod.mutable_spec()->set_nodename(node);
  return pod;
}

inline std::string StatusBody(int code, const std::string& reason, const std::string& message) {
  meta::Status status;
  status.set_status("Failure");
  status.set_code(code);
  status.set_reason(reason);
  status.set_message(message);
  return Seal("v1", "Status", status);
}

inline std::string ListBody(const std::vector<core::Pod>& pods, int version) {
  core::PodList list;
  list.mutable_metadata()->set_resourceversion(std::to_string(version));
  for (const core::Pod& pod : pods) *list.add_items() = pod;
  return Seal("v1", "PodList", list);
}

// One frame of a watch; `object` is a sealed body.
inline std::string Frame(const std::string& type, const std::string& object) {
  meta::WatchEvent event;
  event.set_type(type);
  event.mutable_object()->set_raw(object);
  const std::string bytes = event.SerializeAsString();
  std::string frame;
  for (int shift = 24; shift >= 0; shift -= 8) frame.push_back(static_cast<char>(bytes.size() >> shift & 0xff));
  return frame + bytes;
}
inline std::string PodFrame(const std::string& type, const core::Pod& pod) {
  return Frame(type, Seal("v1", "Pod", pod));
}
inline std::string BookmarkFrame(int version, bool initial_end) {
  core::Pod pod;
  pod.mutable_metadata()->set_resourceversion(std::to_string(version));
  if (initial_end) (*pod.mutable_metadata()->mutable_annotations())["k8s.io/initial-events-end"] = "true";
  return PodFrame("BOOKMARK", pod);
}

class KubeTest : public testing::Test {
 protected:
  // Runs the loop until it holds; a failure after ten seconds.
  void RunUntil(const std::function<bool()>& holds) {
    const Time limit = loop_.Now() + absl::Seconds(10);
    const std::function<void()> look = [&] {
      if (holds() || loop_.Now() > limit) {
        loop_.Stop();
      } else {
        timer_ = loop_.After(absl::Milliseconds(1), look);
      }
    };
    look();
    loop_.Run();
    loop_.Cancel(timer_);
    EXPECT_TRUE(holds()) << "not within ten seconds";
  }

  RealEventLoop loop_;

 private:
  EventLoop::TimerId timer_ = 0;
};

}  // namespace muster

#endif  // MUSTER_TEST_KUBE_KUBE_FIXTURE_H_
