// The messages of groups and topologies to the model.
#ifndef MUSTER_SCHEDULER_WIRE_GROUP_OBJECTS_H_
#define MUSTER_SCHEDULER_WIRE_GROUP_OBJECTS_H_

#include <memory>
#include <string_view>

#include "scheduler/model/pod_group.h"
#include "scheduler/wire/proto/custom_resources.pb.h"
#include "scheduler/wire/proto/scheduling_v1alpha2.pb.h"
#include "scheduler/wire/proto/scheduling_v1beta1.pb.h"

namespace muster {

// Never null; what cannot be interpreted is told in `invalid`. `api_version` is kept as given; v1alpha3's
// messages are v1beta1's.
std::shared_ptr<PodGroup> ReadPodGroup(const k8s::io::api::scheduling::v1beta1::PodGroup& wire,
                                       std::string_view api_version);
std::shared_ptr<PodGroup> ReadPodGroup(const k8s::io::api::scheduling::v1alpha2::PodGroup& wire,
                                       std::string_view api_version);
std::shared_ptr<PodGroup> ReadPodGroup(const custom::CoschedulingPodGroup& wire, std::string_view api_version);

std::shared_ptr<Topology> ReadTopology(const custom::Topology& wire);
// Why these are no levels ("spec.levels[1].nodeLabel: is there twice"), or "". A server has checked it.
std::string CheckLevels(const Topology& topology);

// A stored object of scheduling.k8s.io as bytes, of this version; nullptr where they are no PodGroup with a name.
ObjectPtr DecodePodGroup(std::string_view object, std::string_view api_version);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_GROUP_OBJECTS_H_
