// JSON to a protobuf message: for what a server gives in no other form.
#ifndef MUSTER_SCHEDULER_WIRE_JSON_JSON_MESSAGE_H_
#define MUSTER_SCHEDULER_WIRE_JSON_JSON_MESSAGE_H_

#include <string>

#include "nlohmann/json_fwd.hpp"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace muster {

// Fills the message's fields by name, quantities and times in their own forms; other names and nulls
// are skipped. A value of the wrong type counts as absent; the first of these is returned
// ("spec.minMember: must be a whole number"), else "".
std::string ReadJson(const nlohmann::json& json, google::protobuf::Message* message);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_JSON_JSON_MESSAGE_H_
