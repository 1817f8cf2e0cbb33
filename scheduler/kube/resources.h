// Where servers have the kinds that are watched.
#ifndef MUSTER_SCHEDULER_KUBE_RESOURCES_H_
#define MUSTER_SCHEDULER_KUBE_RESOURCES_H_

#include <span>
#include <string>
#include <string_view>

#include "scheduler/model/object.h"

namespace muster {

struct Resource {
  std::string_view version_path;  // "/apis/apps/v1"
  std::string_view name;          // "replicasets"
  bool json = false;              // custom resources come as JSON only
  // Of all its objects: "/apis/apps/v1/replicasets".
  std::string Path() const { return std::string(version_path).append("/").append(name); }
  std::string_view ApiVersion() const { return version_path.substr(version_path.find('/', 1) + 1); }  // "apps/v1"
};

// The places where a kind may be, the best first; never empty. A kind that not every server has may be at none.
std::span<const Resource> ResourcesOf(Kind kind);
bool MayBeAbsent(Kind kind);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_KUBE_RESOURCES_H_
