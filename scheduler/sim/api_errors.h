// What the API server answers where it does not do as asked.
#ifndef MUSTER_SCHEDULER_SIM_API_ERRORS_H_
#define MUSTER_SCHEDULER_SIM_API_ERRORS_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "scheduler/runtime/api_server.h"

namespace muster {

inline constexpr char kWasModified[] =
    "the object has been modified; please apply your changes to the latest version and try again";

inline ApiStatus NotFound(const std::string& resource, const std::string& name) {
  return {ApiCode::kNotFound, absl::StrCat(resource, " \"", name, "\" not found"), {}};
}

inline ApiStatus Conflict(const std::string& resource, const std::string& name, const std::string& why) {
  return {
      ApiCode::kConflict, absl::StrCat("Operation cannot be fulfilled on ", resource, " \"", name, "\": ", why), {}};
}

inline ApiStatus UidConflict(const std::string& resource, const std::string& key, const std::string& name,
                             const std::string& wanted, const std::string& has) {
  return Conflict(resource, name,
                  absl::StrCat("StorageError: invalid object, Code: 4, Key: /registry/", resource, "/", key,
                               ", ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ",
                               wanted, ", UID in object meta: ", has));
}

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_API_ERRORS_H_
