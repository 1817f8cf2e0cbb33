// Queues and the namespaces of teams, for tests.
#ifndef MUSTER_TEST_ENGINE_QUOTA_MAKE_QUEUE_H_
#define MUSTER_TEST_ENGINE_QUOTA_MAKE_QUEUE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "scheduler/model/queue.h"
#include "scheduler/sim/sim_api_server.h"

namespace muster {

// A queue that selects the namespaces with the label team=NAME.
class MakeQueue {
 public:
  explicit MakeQueue(const std::string& name, const std::string& parent = "") {
    queue_.name = name;
    queue_.parent = parent;
    queue_.namespace_selector.present = true;
    queue_.namespace_selector.requirements.push_back({"team", Operator::kIn, {name}, ""});
  }
  MakeQueue& Cpu(int64_t nominal, std::optional<int64_t> borrow = {}, std::optional<int64_t> lend = {}) {
    return Resource("cpu", "", nominal, borrow, lend);
  }
  MakeQueue& Resource(const std::string& name, const std::string& flavor, int64_t nominal,
                      std::optional<int64_t> borrow = {}, std::optional<int64_t> lend = {}) {
    queue_.resources.push_back({name, flavor, nominal, borrow, lend});
    return *this;
  }
  MakeQueue& Weight(int32_t weight) {
    return With([&](Queue& q) { q.weight = weight; });
  }
  template <typename F>
  MakeQueue& With(F&& change) {
    change(queue_);
    return *this;
  }
  const Queue& Build() const { return queue_; }

 private:
  Queue queue_;
};

inline void SetQueue(SimApiServer& server, const MakeQueue& queue) { server.SetObject(Kind::kQueue, queue.Build()); }

inline void SetTeam(SimApiServer& server, const std::string& ns, const std::string& team) {
  Namespace object;
  object.name = ns;
  object.labels = {{"kubernetes.io/metadata.name", ns}, {"team", team}};
  server.SetObject(Kind::kNamespace, object);
}

inline void SetFlavor(SimApiServer& server, const std::string& name, Labels node_labels) {
  ResourceFlavor flavor;
  flavor.name = name;
  flavor.node_labels = std::move(node_labels);
  server.SetObject(Kind::kResourceFlavor, flavor);
}

}  // namespace muster

#endif  // MUSTER_TEST_ENGINE_QUOTA_MAKE_QUEUE_H_
