// The functions of the environment that Kubernetes gives to stored device selectors: which overloads there are.
#ifndef MUSTER_TOPOLOGY_CEL_DECLARATIONS_H_
#define MUSTER_TOPOLOGY_CEL_DECLARATIONS_H_

#include <string>
#include <string_view>
#include <vector>

#include "topology/cel/library/function.h"
#include "topology/cel/types.h"

namespace muster::cel {

struct Overload {
  std::string id;  // cel-go's, which costs go by
  bool member = false;
  std::vector<const Type*> args;  // a parameter is a kParam with number 0 to 25, for A to Z
  const Type* result = nullptr;
};

struct Function {
  std::string name;
  Implementation run = nullptr;  // null where nothing of this environment can be its argument (authorization)
  std::vector<Overload> overloads;
};

// Null where there is none. Built on first use; any thread.
const Function* FindFunction(std::string_view name);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_DECLARATIONS_H_
