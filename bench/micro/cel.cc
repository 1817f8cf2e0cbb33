// Device selectors: what compiling one costs, and asking it of a device.
#include "topology/cel/cel.h"

#include <array>
#include <cstdint>
#include <string>

#include "benchmark/benchmark.h"
#include "scheduler/model/device.h"
#include "topology/device/device_selectors.h"

namespace muster::cel {
namespace {

// A GPU as drivers publish them: a dozen attributes, two capacities.
DeviceView Gpu() {
  DeviceView device("gpu.example.com");
  device.AddString("model", "h100");
  device.AddString("architecture", "Hopper");
  device.AddString("brand", "Nvidia");
  device.AddString("uuid", "GPU-18db0e85-99e9-c746-8531-ffeb86328b39");
  device.AddString("type", "gpu");
  device.AddVersion("driverVersion", "570.86.15");
  device.AddVersion("cudaComputeCapability", "9.0.0");
  device.AddInt("index", 3);
  device.AddInt("minor", 3);
  device.AddBool("healthy", true);
  device.AddStrings("modes", {"mig", "mps", "exclusive"});
  device.AddString("resource.kubernetes.io/pcieRoot", "pci0000:8c");
  device.AddCapacity("memory", "80Gi");
  device.AddCapacity("multiprocessors", "132");
  return device;
}

constexpr std::array<std::string_view, 8> kSelectors = {
    "device.driver == 'gpu.example.com'",
    "device.driver == 'gpu.example.com' && device.attributes['gpu.example.com'].model == 'h100' && "
    "device.capacity['gpu.example.com'].memory.compareTo(quantity('40Gi')) >= 0",
    "device.attributes['gpu.example.com'].model in ['a100', 'h100', 'h200'] && "
    "device.attributes['gpu.example.com'].index < 4",
    "device.attributes['gpu.example.com'].driverVersion.isGreaterThan(semver('550.0.0'))",
    "device.attributes['gpu.example.com'].?model.orValue('').startsWith('h') && "
    "has(device.attributes['gpu.example.com'].healthy)",
    "'mps' in device.attributes['gpu.example.com'].modes",
    "device.attributes['gpu.example.com'].modes.exists(mode, mode == 'exclusive')",
    "device.attributes['gpu.example.com'].uuid.matches('^GPU-[0-9a-f]{8}')",
};

void CelCompile(benchmark::State& state) {
  const std::string_view selector = kSelectors[static_cast<size_t>(state.range(0))];
  for (auto _ : state) benchmark::DoNotOptimize(Compile(selector));
  state.SetLabel(std::string(selector));
}
BENCHMARK(CelCompile)->DenseRange(0, kSelectors.size() - 1);

void CelEvaluate(benchmark::State& state) {
  const std::string_view selector = kSelectors[static_cast<size_t>(state.range(0))];
  const Program program = *Compile(selector);
  const DeviceView device = Gpu();
  Scratch scratch;
  for (auto _ : state) {
    const Result result = program.Evaluate(device, scratch);
    if (!result.value) return state.SkipWithError("should match");
  }
  state.SetLabel(std::string(selector));
}
BENCHMARK(CelEvaluate)->DenseRange(0, kSelectors.size() - 1);

// A selector asked of 8 devices by the allocator: known from before (0), or of slices that are new (1).
void DeviceSelectorsMatch(benchmark::State& state) {
  ResourceSlice slice;
  slice.driver = "gpu.example.com";
  for (int64_t i = 0; i < 8; ++i) {
    Device& device = slice.devices.emplace_back();
    device.attributes["model"] = {DeviceAttribute::Type::kString, false, {}, {"h100"}};
    device.attributes["index"] = {DeviceAttribute::Type::kInt, false, {i}, {}};
    device.attributes["driverVersion"] = {DeviceAttribute::Type::kVersion, false, {}, {"570.86.15"}};
    device.capacity["memory"].value = {*Quantity::Parse("80Gi"), QuantityFormat::kBinarySI};
  }
  const std::string selector(kSelectors[1]);
  DeviceSelectors selectors;
  for (auto _ : state) {
    if (state.range(0) == 1) selectors.Forget(slice);
    for (const Device& device : slice.devices) {
      if (selectors.Matches(selector, slice, device).kind != SelectorAnswer::Kind::kYes) {
        return state.SkipWithError("should match");
      }
    }
  }
}
BENCHMARK(DeviceSelectorsMatch)->DenseRange(0, 1);

}  // namespace
}  // namespace muster::cel
