// Keeps one kind's watch going over an ApiServer that fails: resumes where a stream ended, backs
// off with jitter, starts from the whole state when the server no longer has the version, and
// then tells which objects went away unseen.
#ifndef MUSTER_SCHEDULER_RUNTIME_REFLECTOR_H_
#define MUSTER_SCHEDULER_RUNTIME_REFLECTOR_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"
#include "scheduler/runtime/random.h"

namespace muster {

class Reflector {
 public:
  struct Callbacks {
    // kAdded, kModified or kDeleted, with its object; each object's events alternate properly: an
    // added one was unknown, a modified or deleted one known, and a name that changes its uid is
    // deleted first. An object that did not change is not told again.
    std::function<void(const WatchEvent&)> on_event;
    // The whole state has been told. Again after every new start from the whole state.
    std::function<void()> on_synced;
    // The watch broke (not ok: why), or works again (ok).
    std::function<void(const ApiStatus&)> on_status;
  };

  // All of them outlive the reflector. Decision thread only.
  Reflector(EventLoop& loop, ApiServer& api, Kind kind, Random& random, Callbacks callbacks);
  ~Reflector();
  Reflector(const Reflector&) = delete;
  Reflector& operator=(const Reflector&) = delete;

  void Start();
  bool synced() const { return synced_; }
  size_t size() const { return known_.size(); }

 private:
  struct Known {
    AnyObject object;        // shared with whoever else keeps it
    mutable uint32_t round;  // the last start from the whole state that named it
  };
  using Key = std::pair<std::string_view, std::string_view>;  // namespace, name
  static Key KeyOf(const AnyObject& object);
  struct Hash {
    using is_transparent = void;
    size_t operator()(const Key& key) const { return absl::Hash<Key>()(key); }
    size_t operator()(const Known& known) const { return (*this)(KeyOf(known.object)); }
  };
  struct Equal {
    using is_transparent = void;
    static Key Of(const Key& key) { return key; }
    static Key Of(const Known& known) { return KeyOf(known.object); }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return Of(a) == Of(b);
    }
  };

  void Connect();
  void OnEvents(std::vector<WatchEvent> events);
  void OnEnd(const ApiStatus& status);
  void Apply(const WatchEvent& event);
  void Remove(const WatchEvent& event);
  void ForgetUnseen();
  void SetConnected(const ApiStatus& status);

  EventLoop& loop_;
  ApiServer& api_;
  const Kind kind_;
  Random& random_;
  const Callbacks callbacks_;

  absl::flat_hash_set<Known, Hash, Equal> known_;
  std::unique_ptr<WatchStream> stream_;
  EventLoop::TimerId retry_ = 0;
  uint64_t resource_version_ = 0;  // 0: the next stream starts from the whole state
  uint32_t round_ = 0;
  bool starting_ = false;  // between such a start and its kSynced
  bool synced_ = false;
  bool connected_ = false;
  bool heard_ = false;  // something came on this stream
  Time opened_;
  int failures_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_RUNTIME_REFLECTOR_H_
