// Reads rows on standard input and says where our answer differs from upstream's; exit status 1 where one does. Each is
// asked in first fit and scored: then only whether there are devices is compared, and that they may be taken.
#include <cstdint>
#include <iostream>
#include <string>

#include "test/topology/device/rows.h"

int main() {
  struct Counts {
    int64_t allocated = 0, differing = 0, others = 0, steps = 0;
    double seconds = 0;
  } counts[2];
  int64_t rows = 0, lost = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++rows;
    for (const bool scored : {false, true}) {
      const muster::RowAnswer answer = muster::AskRow(line, scored);
      Counts& count = counts[scored ? 1 : 0];
      lost += answer.lost && !scored ? 1 : 0;
      count.allocated += answer.allocated ? 1 : 0;
      count.others += answer.others ? 1 : 0;
      count.steps += answer.steps;
      count.seconds += answer.seconds;
      if (answer.difference.empty()) continue;
      ++count.differing;
      std::cout << (scored ? "scored: " : "") << answer.difference << "\n";
    }
  }
  const auto& [first, scored] = counts;
  std::cout << rows << " rows, " << first.allocated << " allocated, " << first.differing << " differ, " << lost
            << " cannot be written; " << first.steps << " steps in " << first.seconds << " s\n"
            << "scored: " << scored.allocated << " allocated, " << scored.differing << " differ; " << scored.others
            << " have other devices; " << scored.steps << " steps in " << scored.seconds << " s\n";
  return first.differing + scored.differing == 0 ? 0 : 1;
}
