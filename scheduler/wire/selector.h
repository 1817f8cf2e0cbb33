// Label selectors of the wire.
#ifndef MUSTER_SCHEDULER_WIRE_SELECTOR_H_
#define MUSTER_SCHEDULER_WIRE_SELECTOR_H_

#include <string>
#include <string_view>

#include "google/protobuf/map.h"
#include "scheduler/model/labels.h"
#include "scheduler/wire/proto/meta_v1.pb.h"

namespace muster {

// In, NotIn, Exists, DoesNotExist, Gt, Lt; else kInvalid.
Operator ReadOperator(std::string_view text);

// matchLabels by key, then matchExpressions in their order. The first thing that makes it no
// selector (an unknown operator, values that the operator does not take) goes to *error, if that
// is empty, after `path`.
LabelSelector ReadLabelSelector(const k8s::io::apimachinery::pkg::apis::meta::v1::LabelSelector& wire,
                                std::string_view path, std::string* error);

// A map of labels that must all be there; present also where it is empty.
LabelSelector SelectorOf(const google::protobuf::Map<std::string, std::string>& labels);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_SELECTOR_H_
