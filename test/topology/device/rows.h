// Rows of test/conformance/devices/record: what upstream's device allocator was asked and what it answered.
#ifndef MUSTER_TEST_TOPOLOGY_DEVICE_ROWS_H_
#define MUSTER_TEST_TOPOLOGY_DEVICE_ROWS_H_

#include <cstdint>
#include <string>

namespace muster {

struct RowAnswer {
  bool lost = false;  // the row does not say all that upstream was asked: nothing is compared
  bool allocated = false;
  int64_t steps = 0;
  double seconds = 0;      // that Allocate took
  bool others = false;     // other devices than upstream's; a difference in first fit
  std::string difference;  // from upstream's answer; "" where there is none
};

// Asks our allocator what upstream's was asked. `line` is one row, as JSON; a malformed one is a difference. `scored`:
// not in first fit. Then other devices are no difference where the first fit takes them if there are no others.
RowAnswer AskRow(const std::string& line, bool scored = false);

}  // namespace muster

#endif  // MUSTER_TEST_TOPOLOGY_DEVICE_ROWS_H_
