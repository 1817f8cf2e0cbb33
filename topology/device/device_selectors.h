// Answers what the allocator asks of devices: their CEL selectors and derived attributes. Remembers what it compiled
// and what each device answered, so that a selector is evaluated once for a device, however many pods ask.
#ifndef MUSTER_TOPOLOGY_DEVICE_DEVICE_SELECTORS_H_
#define MUSTER_TOPOLOGY_DEVICE_DEVICE_SELECTORS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "scheduler/model/device.h"
#include "topology/cel/cel.h"
#include "topology/device/allocator.h"

namespace muster {

// One thread at a time.
class DeviceSelectors {
 public:
  // `device` is one of the slice's. Nothing is allocated for an answer that is known, errors aside; its `steps` are 0.
  SelectorAnswer Matches(const std::string& expression, const ResourceSlice& slice, const Device& device);
  // Errors read as the allocator shows them.
  absl::StatusOr<DeviceAttribute> Derive(const DerivedAttribute& attribute, const ResourceSlice& slice,
                                         const Device& device);
  // Must be called before a slice that was asked of goes or changes.
  void Forget(const ResourceSlice& slice);
  // Sets `selector` and `derived`, which use this.
  void Answer(DeviceQuestions& questions);

 private:
  // At that many expressions all is forgotten: users write them. Each has 4 bytes for a device that it was asked of: 80
  // MB where all of 80,000 devices were asked by all.
  static constexpr size_t kMostExpressions = 256;

  using Program = absl::StatusOr<cel::Program>;
  using Programs = absl::flat_hash_map<std::string, std::unique_ptr<const Program>>;
  // What the devices of a slice answered, in their order: kUnknown, kNo, kYes, or kError and the index of its text.
  using Answers = std::vector<uint32_t>;
  enum : uint32_t { kUnknown, kNo, kYes, kError };
  struct Slice {
    absl::flat_hash_map<const Program*, Answers> answers;
    std::vector<std::string> errors;
  };

  template <typename Compile>
  const Program& Compiled(Programs& programs, const std::string& expression, Compile compile);
  const cel::DeviceView& ViewOf(const ResourceSlice& slice, const Device& device);
  uint32_t Evaluate(const cel::Program& program, const cel::DeviceView& device, std::vector<std::string>& errors);

  Programs selectors_, derived_;
  absl::flat_hash_map<const ResourceSlice*, Slice> slices_;
  // Of the device asked last: its class's selectors and the request's come one after the other.
  cel::DeviceView view_{""};
  const Device* viewed_ = nullptr;
  cel::Scratch scratch_;
  int64_t steps_ = 0;  // of compiling and evaluating, since the answer before
};

}  // namespace muster

#endif  // MUSTER_TOPOLOGY_DEVICE_DEVICE_SELECTORS_H_
