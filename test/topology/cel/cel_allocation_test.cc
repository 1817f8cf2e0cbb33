#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "test/topology/cel/answers.h"

// Counts allocations, so that "a steady state allocates nothing" is a fact.
namespace {
std::atomic<uint64_t> allocations{0};
}  // namespace
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
// std::stable_sort asks this way, and gives back by the plain delete below.
[[gnu::noinline]] void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace muster::cel {
namespace {

TEST(CelTest, AllocatesNothingOnceWarm) {
  const std::string_view selectors[] = {
      "device.driver == 'gpu.example.com'",
      "device.driver == 'gpu.example.com' && device.attributes['gpu.example.com'].model == 'A100-SXM4-80GB' && "
      "device.capacity['gpu.example.com'].memory.compareTo(quantity('40Gi')) >= 0",
      "device.attributes['gpu.example.com'].model in ['A100', 'A100-SXM4-80GB']",
      "device.attributes['gpu.example.com'].version.isLessThan(semver('550.0.0'))",
      "device.attributes['gpu.example.com'].?model.orValue('').lowerAscii().startsWith('a100')",
      "has(device.attributes['gpu.example.com'].healthy) && !has(device.attributes['gpu.example.com'].missing)",
      "'mps' in device.attributes['gpu.example.com'].modes",
      "device.attributes['gpu.example.com'].modes.exists(mode, mode == 'exclusive')",
      "device.attributes['gpu.example.com'].links.map(link, link * 2).filter(link, link > 5).size() == 2",
      "cel.bind(own, device.attributes['gpu.example.com'], own.model.matches('^A[0-9]+') && own.index == 3)",
  };
  const DeviceView device = TestDevice();
  Scratch scratch;
  for (const std::string_view selector : selectors) {
    const absl::StatusOr<Program> program = Compile(selector);
    ASSERT_TRUE(program.ok()) << program.status();
    program->Evaluate(device, scratch);
    const uint64_t before = allocations;
    const Result result = program->Evaluate(device, scratch);
    EXPECT_EQ(allocations - before, 0u) << selector;
    EXPECT_TRUE(result.value) << selector << ": " << result.message;
  }
}

}  // namespace
}  // namespace muster::cel
