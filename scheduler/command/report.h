// A simulation's outcome, for people and for programs.
#ifndef MUSTER_SCHEDULER_COMMAND_REPORT_H_
#define MUSTER_SCHEDULER_COMMAND_REPORT_H_

#include <ostream>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "scheduler/command/simulation.h"

namespace muster {

// Rows of left-aligned columns, two spaces apart, as wide as their widest cell; the first row is
// the heading. The last column is not padded.
void PrintTable(const std::vector<std::vector<std::string>>& rows, std::ostream& out);

// Where everything went: pods (alike ones in one row), then nodes (unless they are many), then the
// summary.
void PrintSimulationTable(const SimulationResult& result, std::ostream& out);

// One JSON object, keys in the order that the manual gives.
void PrintSimulationJson(const SimulationResult& result, std::ostream& out);

// [{"claim","request","driver","pool","device"}].
nlohmann::ordered_json DevicesJson(const std::vector<GivenDevice>& devices);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_COMMAND_REPORT_H_
