// A Pod message to the model's PodSpec.
#ifndef MUSTER_SCHEDULER_WIRE_POD_SPEC_H_
#define MUSTER_SCHEDULER_WIRE_POD_SPEC_H_

#include <string>
#include <string_view>
#include <vector>

#include "scheduler/model/labels.h"
#include "scheduler/model/node.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/quantity.h"
#include "scheduler/wire/proto/core_v1.pb.h"

namespace muster {

// Reads into *spec what plugins look at; everything but Pod's own fields (see decode.cc). Returns
// why it cannot be interpreted ("spec.overhead[cpu]: ..."), or "". `as_written`: complete pod-level
// requests too, as the API server does on creation.
std::string BuildPodSpec(const k8s::io::api::core::v1::Pod& pod, bool as_written, PodSpec* spec);

// Whether pods that such an object controls are spread by default.
bool SpreadsPods(std::string_view api_version, std::string_view kind);

std::vector<NodeSelectorTerm> ReadNodeSelector(const k8s::io::api::core::v1::NodeSelector& wire);

TaintEffect ReadTaintEffect(std::string_view text);

// A resource list of the wire, rounded up to thousandths as the API server does. Appends what is
// wrong with it to *error (if that is empty), after `path`.
using WireResourceList = google::protobuf::Map<std::string, k8s::io::apimachinery::pkg::api::resource::Quantity>;
ResourceList ReadResourceList(const WireResourceList& wire, std::string_view path, std::string* error);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_POD_SPEC_H_
