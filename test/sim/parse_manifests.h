// Reads manifests from a text, as the file f.yaml.
#ifndef MUSTER_TEST_SIM_PARSE_MANIFESTS_H_
#define MUSTER_TEST_SIM_PARSE_MANIFESTS_H_

#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "scheduler/sim/manifests.h"

namespace muster {

inline absl::StatusOr<Manifests> Parse(const std::string& text, const ManifestOptions& options = {}) {
  const ManifestSource source{"f.yaml", text};
  return ParseManifests({&source, 1}, options);
}
inline Manifests MustParse(const std::string& text, const ManifestOptions& options = {}) {
  auto manifests = Parse(text, options);
  EXPECT_TRUE(manifests.ok()) << manifests.status() << "\n" << text;
  return manifests.ok() ? *std::move(manifests) : Manifests();
}
inline std::string ErrorOf(const std::string& text) { return std::string(Parse(text).status().message()); }

}  // namespace muster

#endif  // MUSTER_TEST_SIM_PARSE_MANIFESTS_H_
