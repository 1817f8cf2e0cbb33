// Trees of queues and what is charged to them, written in a line.
#ifndef MUSTER_TEST_QUEUE_QUOTA_SCENE_H_
#define MUSTER_TEST_QUEUE_QUOTA_SCENE_H_

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "queue/quota_tree.h"

namespace muster {

// "r 10; a<r 4 b5 l2; b<r": root r with nominal 10; a with nominal 4, borrowing limit 5, lending limit 2; b lists
// nothing. Numbers of further cells follow after "|": "a<r 4|6 b1". Each cell is a resource, or all are flavors of one.
struct Scene {
  std::vector<std::string> names;
  std::vector<QuotaTree::Queue> queues;
  QuotaTree tree;

  QueueIndex Find(std::string_view name) const {
    const auto at = std::find(names.begin(), names.end(), name);
    return at == names.end() ? kNoQueue : static_cast<QueueIndex>(at - names.begin());
  }
};

inline Scene MakeScene(std::string_view text, bool flavors = false) {
  Scene scene;
  size_t cells = 1;
  for (absl::string_view part : absl::StrSplit(absl::string_view(text.data(), text.size()), ';')) {
    const std::vector<std::string> of_cell = absl::StrSplit(part, '|');
    cells = std::max(cells, of_cell.size());
    QuotaTree::Queue queue;
    for (size_t c = 0; c < of_cell.size(); ++c) {
      Quota quota;
      quota.cell = static_cast<QuotaCell>(c);
      bool listed = false, named = c > 0;
      for (const std::string& word : std::vector<std::string>(absl::StrSplit(of_cell[c], ' ', absl::SkipEmpty()))) {
        if (!named) {
          const std::vector<std::string> name = absl::StrSplit(word, '<');
          scene.names.push_back(name[0]);
          if (name.size() > 1) queue.parent = scene.Find(name[1]);
          named = true;
          continue;
        }
        listed = true;
        int64_t& to = word[0] == 'b' ? quota.borrowing_limit : word[0] == 'l' ? quota.lending_limit : quota.nominal;
        if (word[0] == 'w') {
          queue.weight = std::atoi(word.c_str() + 1);
        } else {
          EXPECT_TRUE(absl::SimpleAtoi(word.substr(&to == &quota.nominal ? 0 : 1), &to)) << word;
        }
      }
      if (listed) queue.quotas.push_back(quota);
    }
    scene.queues.push_back(queue);
  }
  std::vector<uint32_t> resources;
  for (uint32_t c = 0; c < cells; ++c) resources.push_back(flavors ? 0 : c);
  scene.tree.Build(scene.queues, resources);
  return scene;
}

// "a 3|1; b 2": what is charged to each.
inline void Use(Scene& scene, std::string_view text) {
  if (text.empty()) return;
  for (absl::string_view part : absl::StrSplit(absl::string_view(text.data(), text.size()), ';')) {
    const std::vector<std::string> words = absl::StrSplit(part, absl::ByAnyChar(" |"), absl::SkipEmpty());
    for (size_t c = 1; c < words.size(); ++c)
      scene.tree.Add(scene.Find(words[0]), static_cast<QuotaCell>(c - 1), std::atoll(words[c].c_str()));
  }
}

}  // namespace muster

#endif  // MUSTER_TEST_QUEUE_QUOTA_SCENE_H_
