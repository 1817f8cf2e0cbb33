// Amounts as Kubernetes writes them.
#ifndef MUSTER_SCHEDULER_MODEL_AMOUNT_TEXT_H_
#define MUSTER_SCHEDULER_MODEL_AMOUNT_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster {

// A quantity, exact: of cpu, which counts in thousandths, "400" or "250m"; of memory, storage and huge pages, which
// count in bytes, "16Gi" where it is so many; of all others the number. `value` as in Amount.
inline std::string AmountText(std::string_view resource, int64_t value) {
  if (resource == "cpu") return value % 1000 == 0 ? absl::StrCat(value / 1000) : absl::StrCat(value, "m");
  const bool bytes = resource == "memory" || resource == "ephemeral-storage" || resource.starts_with("hugepages-");
  if (bytes && value != 0) {
    constexpr std::pair<const char*, int> kUnits[] = {{"Ei", 60}, {"Pi", 50}, {"Ti", 40},
                                                      {"Gi", 30}, {"Mi", 20}, {"Ki", 10}};
    for (const auto& [unit, shift] : kUnits) {
      if (value % (int64_t{1} << shift) == 0) return absl::StrCat(value / (int64_t{1} << shift), unit);
    }
  }
  return absl::StrCat(value);
}

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_AMOUNT_TEXT_H_
