// Compares Muster's answers with those that test/conformance/cel had from Kubernetes' own environment.
#ifndef MUSTER_TEST_TOPOLOGY_CEL_ANSWERS_H_
#define MUSTER_TEST_TOPOLOGY_CEL_ANSWERS_H_

#include <istream>
#include <map>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "topology/cel/cel.h"

namespace muster::cel {

// The device that test/conformance/cel/main.go asks about.
inline DeviceView TestDevice() {
  DeviceView device("gpu.example.com", true);
  device.AddString("model", "A100-SXM4-80GB");
  device.AddInt("index", 3);
  device.AddBool("healthy", true);
  device.AddVersion("version", "1.2.3-rc.1");
  device.AddInts("links", {1, 2, 3, 5});
  device.AddBools("flags", {true, false});
  device.AddStrings("modes", {"mig", "mps", "exclusive"});
  device.AddVersions("versions", {"1.0.0", "2.1.0"});
  device.AddString("other.example.com/model", "mlx5");
  device.AddInt("other.example.com/speed", 200);
  device.AddString("other.example.com/empty", "");
  device.AddCapacity("memory", "80Gi");
  device.AddCapacity("slices", "7");
  device.AddCapacity("other.example.com/share", "1500m");
  return device;
}

struct Comparison {
  int ran = 0, agree = 0, same_cost = 0, values = 0, same_message = 0, errors = 0, refused = 0, same_refusal = 0;
  int specified = 0, as_specified = 0;  // conformance tests, and those that end as the specification says
  std::vector<std::string> differences;
  std::vector<std::string> costs;     // of equal values
  std::vector<std::string> messages;  // of errors, compile errors too
};

inline Comparison CompareAnswers(std::istream& lines) {
  Comparison found;
  const DeviceView device = TestDevice();
  Scratch scratch;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json row = nlohmann::json::parse(line);
    const std::string expr = row.at("expr");
    const bool wants_value = row.at("value").is_boolean();
    const bool wants_error = row.at("error");
    ++found.ran;
    const absl::StatusOr<Program> program = Compile(expr);
    std::string mine = "does not compile";
    std::string message(program.status().message());
    Result result;
    if (program.ok()) {
      result = program->Evaluate(device, scratch);
      const bool value = result.outcome == Result::Outcome::kValue;
      mine = value ? (result.value ? "true" : "false") : "error";
      message = result.message;
    }
    const std::string theirs = !row.at("compile_ok") ? "does not compile"
                               : wants_error         ? "error"
                               : row.at("value")     ? "true"
                                                     : "false";
    if (const std::string want = row.value("want", ""); !want.empty()) {
      ++found.specified;
      found.as_specified += mine == want || (want == "error" && mine == "does not compile");
    }
    if (mine != theirs) {
      found.differences.push_back(row.value("name", "") + " " + expr + "\n  here: " + mine + " " + message +
                                  "\n  there: " + theirs + " " + row.value("message", ""));
      continue;
    }
    ++found.agree;
    const std::string there = row.value("message", "");
    if (mine != "true" && mine != "false" && message != there) {
      found.messages.push_back(expr + "\n  here:  " + message + "\n  there: " + there);
    }
    found.refused += !program.ok();
    found.same_refusal += !program.ok() && message == there;
    if (wants_value) {
      ++found.values;
      const uint64_t cost = row.at("cost");
      found.same_cost += result.cost == cost;
      if (result.cost != cost) {
        found.costs.push_back(expr + "\n  here " + std::to_string(result.cost) + ", there " + std::to_string(cost));
      }
    }
    if (wants_error) {
      ++found.errors;
      found.same_message += message == there;
    }
  }
  return found;
}

}  // namespace muster::cel

#endif  // MUSTER_TEST_TOPOLOGY_CEL_ANSWERS_H_
