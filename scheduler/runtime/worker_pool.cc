#include "scheduler/runtime/worker_pool.h"

#include <algorithm>

namespace muster {

WorkerPool::WorkerPool(int threads, size_t min_words) : min_words_(std::max<size_t>(1, min_words)) {
  for (int i = 1; i < threads; ++i) threads_.emplace_back([this, i] { Work(static_cast<size_t>(i)); });
}

WorkerPool::~WorkerPool() {
  {
    std::lock_guard lock(mu_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::ForWords(size_t words, Body body) {
  const size_t parts = std::min(threads_.size() + 1, words / min_words_);
  if (parts <= 1) return body(0, words);
  {
    std::lock_guard lock(mu_);
    body_ = &body;
    words_ = words;
    parts_ = parts;
    pending_ = parts - 1;
    ++round_;
  }
  start_.notify_all();
  body(0, words / parts);
  std::unique_lock lock(mu_);
  done_.wait(lock, [&] { return pending_ == 0; });
}

void WorkerPool::Work(size_t index) {
  size_t seen = 0;
  std::unique_lock lock(mu_);
  while (true) {
    start_.wait(lock, [&] { return stop_ || round_ != seen; });
    if (stop_) return;
    seen = round_;
    if (index >= parts_) continue;
    const Body& body = *body_;
    const size_t begin = words_ * index / parts_, end = words_ * (index + 1) / parts_;
    lock.unlock();
    body(begin, end);
    lock.lock();
    if (--pending_ == 0) done_.notify_one();
  }
}

}  // namespace muster
