// The files that a path of manifests stands for.
#ifndef MUSTER_SCHEDULER_SIM_MANIFEST_FILES_H_
#define MUSTER_SCHEDULER_SIM_MANIFEST_FILES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace muster {

// The path itself ("-" is standard input), or a folder's *.yaml, *.yml and *.json files by name.
absl::StatusOr<std::vector<std::string>> ManifestFiles(const std::string& path);
absl::StatusOr<std::string> ReadManifestFile(const std::string& path);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_MANIFEST_FILES_H_
