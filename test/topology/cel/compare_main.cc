// cel_compare [--messages] FILE: compares Muster with the answers in FILE (JSON lines of test/conformance/cel). Exit 1
// where they differ; other costs and, where asked for, other texts of errors are only shown.
#include <cstdio>
#include <fstream>
#include <string_view>

#include "test/topology/cel/answers.h"

int main(int argc, char** argv) {
  const bool messages = argc == 3 && std::string_view(argv[1]) == "--messages";
  if (argc != 2 && !messages) return std::fprintf(stderr, "usage: cel_compare [--messages] FILE\n"), 2;
  std::ifstream lines(argv[argc - 1]);
  const muster::cel::Comparison found = muster::cel::CompareAnswers(lines);
  for (const std::string& difference : found.differences) std::printf("%s\n", difference.c_str());
  for (const std::string& cost : found.costs) std::printf("cost of %s\n", cost.c_str());
  if (messages) {
    for (const std::string& message : found.messages) std::printf("message of %s\n", message.c_str());
  }
  std::printf(
      "ran %d, agree %d (%d values, %d of the same cost; %d errors, %d with the same message; %d refused, "
      "%d with the same message)\n",
      found.ran, found.agree, found.values, found.same_cost, found.errors, found.same_message, found.refused,
      found.same_refusal);
  if (found.specified > 0) std::printf("as specified: %d of %d\n", found.as_specified, found.specified);
  return found.agree == found.ran ? 0 : 1;
}
