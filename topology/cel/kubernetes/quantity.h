// quantity("1.5Gi"): upstream's resource.Quantity, with its idea of what is an integer.
#ifndef MUSTER_TOPOLOGY_CEL_KUBERNETES_QUANTITY_H_
#define MUSTER_TOPOLOGY_CEL_KUBERNETES_QUANTITY_H_

#include <string_view>

#include "topology/cel/value.h"

namespace muster::cel {

// "" or what is wrong.
std::string_view ParseQuantity(std::string_view text, CelQuantity& quantity);
bool QuantityAsInt(const CelQuantity& quantity, int64_t& number);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_KUBERNETES_QUANTITY_H_
