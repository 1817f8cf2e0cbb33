// Threads that share a cluster's words. The split never shows in a result: each word is computed
// by one thread from the same inputs.
#ifndef MUSTER_SCHEDULER_RUNTIME_WORKER_POOL_H_
#define MUSTER_SCHEDULER_RUNTIME_WORKER_POOL_H_

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace muster {

class WorkerPool {
 public:
  using Body = absl::FunctionRef<void(size_t begin, size_t end)>;

  // `threads` >= 1 counts the caller's own. Ranges shorter than `min_words` are not worth a wake-up
  // (64 nodes a word: about 2 us of filtering and scoring against some 10 us to wake a thread).
  explicit WorkerPool(int threads, size_t min_words = 32);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Calls body for disjoint ranges that cover [0, words) and returns when all are done. One caller
  // at a time; body may run on any of the threads.
  void ForWords(size_t words, Body body);
  int threads() const { return static_cast<int>(threads_.size()) + 1; }

 private:
  void Work(size_t index);

  const size_t min_words_;
  std::vector<std::thread> threads_;
  std::mutex mu_;
  std::condition_variable start_, done_;
  // Guarded by mu_:
  const Body* body_ = nullptr;
  size_t words_ = 0, parts_ = 0;
  size_t round_ = 0;    // raised for every call
  size_t pending_ = 0;  // helpers still at work
  bool stop_ = false;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_RUNTIME_WORKER_POOL_H_
