// matchAttribute and distinctAttribute over the devices of a claim, with backtracking.
#ifndef MUSTER_TOPOLOGY_DEVICE_CONSTRAINT_H_
#define MUSTER_TOPOLOGY_DEVICE_CONSTRAINT_H_

#include <string>
#include <vector>

#include "scheduler/model/device.h"

namespace muster {

// The device's attribute of that fully qualified name; one of the driver's own domain may be published without it.
// Null: it has none.
const DeviceAttribute* FindAttribute(const Device& device, const std::string& driver, const std::string& name);

class ConstraintState {
 public:
  // `lists`: feature list_type_attributes. The constraint must outlive this.
  ConstraintState(const DeviceConstraint& constraint, bool lists);

  const std::string& attribute() const {
    return matches_ ? constraint_->match_attribute : constraint_->distinct_attribute;
  }
  bool matches() const { return matches_; }  // else all must differ
  // Whether it is about the request; `alternative`: "request/alternative", or "".
  bool Concerns(const std::string& request, const std::string& alternative) const;
  // A device comes, with its attribute (null: it has none; it must live until removed). False: it must not.
  bool Add(const DeviceAttribute* attribute);
  void RemoveLast();
  void Clear() {
    devices_.clear();
    common_.clear();
  }

 private:
  const DeviceConstraint* constraint_;
  bool matches_;
  bool lists_;
  std::vector<const DeviceAttribute*> devices_;
  std::vector<DeviceAttribute> common_;  // with lists: what the first 1, 2, ... devices have in common
};

}  // namespace muster

#endif  // MUSTER_TOPOLOGY_DEVICE_CONSTRAINT_H_
