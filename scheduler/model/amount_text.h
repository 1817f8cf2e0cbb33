// Amounts as Kubernetes writes them.
#ifndef MUSTER_SCHEDULER_MODEL_AMOUNT_TEXT_H_
#define MUSTER_SCHEDULER_MODEL_AMOUNT_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace muster {

// A quantity, exact: of cpu, which counts in thousandths, "400" or "250m"; of memory, storage and huge pages, which
// count in bytes, "16Gi" where it is so many; of all others the number. `value` as in Amount.
std::string AmountText(std::string_view resource, int64_t value);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_AMOUNT_TEXT_H_
