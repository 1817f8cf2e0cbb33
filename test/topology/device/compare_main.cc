// Reads rows on standard input and says where our answer differs from upstream's; exit status 1 where one does.
#include <cstdint>
#include <iostream>
#include <string>

#include "test/topology/device/rows.h"

int main() {
  int64_t rows = 0, lost = 0, allocated = 0, differing = 0, steps = 0;
  double seconds = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const muster::RowAnswer answer = muster::AskRow(line);
    ++rows;
    lost += answer.lost ? 1 : 0;
    allocated += answer.allocated ? 1 : 0;
    steps += answer.steps;
    seconds += answer.seconds;
    if (answer.difference.empty()) continue;
    ++differing;
    std::cout << answer.difference << "\n";
  }
  std::cout << rows << " rows, " << allocated << " allocated, " << differing << " differ, " << lost
            << " cannot be written; " << steps << " steps in " << seconds << " s\n";
  return differing == 0 ? 0 : 1;
}
