// A binary heap of pointers whose items know their place (T::heap_index), so that any item can be
// removed in O(log n).
#ifndef MUSTER_QUEUE_INDEXED_HEAP_H_
#define MUSTER_QUEUE_INDEXED_HEAP_H_

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace muster {

template <typename T>
class IndexedHeap {
 public:
  using Before = std::function<bool(const T& a, const T& b)>;
  explicit IndexedHeap(Before before) : before_(std::move(before)) {}

  bool empty() const { return items_.empty(); }
  size_t size() const { return items_.size(); }
  T* Top() const { return items_.front(); }

  void Push(T* item) {
    items_.push_back(item);
    item->heap_index = items_.size() - 1;
    Up(items_.size() - 1);
  }
  void Remove(T* item) {
    const size_t i = item->heap_index;
    T* last = items_.back();
    items_.pop_back();
    if (last == item) return;
    Put(i, last);
    Down(i);
    Up(i);
  }

 private:
  void Put(size_t i, T* item) {
    items_[i] = item;
    item->heap_index = i;
  }
  void Up(size_t i) {
    T* item = items_[i];
    while (i > 0 && before_(*item, *items_[(i - 1) / 2])) {
      Put(i, items_[(i - 1) / 2]);
      i = (i - 1) / 2;
    }
    Put(i, item);
  }
  void Down(size_t i) {
    T* item = items_[i];
    for (size_t child = 2 * i + 1; child < items_.size(); child = 2 * i + 1) {
      if (child + 1 < items_.size() && before_(*items_[child + 1], *items_[child])) ++child;
      if (!before_(*items_[child], *item)) break;
      Put(i, items_[child]);
      i = child;
    }
    Put(i, item);
  }

  Before before_;
  std::vector<T*> items_;
};

}  // namespace muster

#endif  // MUSTER_QUEUE_INDEXED_HEAP_H_
