// The names that Kubernetes' objects have beside those that our trimmed messages keep: a typing
// error in a manifest can be told from a field that a scheduler does not read.
#ifndef MUSTER_SCHEDULER_WIRE_KNOWN_FIELDS_H_
#define MUSTER_SCHEDULER_WIRE_KNOWN_FIELDS_H_

#include <optional>
#include <string_view>

namespace muster {

// `message` is a protobuf name without "k8s.io.api." or "k8s.io.apimachinery.pkg.", as in
// "core.v1.PodSpec"; `field` as JSON writes it. nullopt: no such field. Else the message that the
// field holds (one, or a list of them); "" for scalars, maps and what is written as a scalar.
std::optional<std::string_view> KnownField(std::string_view message, std::string_view field);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_KNOWN_FIELDS_H_
