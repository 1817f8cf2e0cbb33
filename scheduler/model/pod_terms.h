// How many pods of each node a selector selects, and which terms the pods of each node have: the
// columns behind topology spreading and affinity among pods.
//
// Every question that a pending pod asks ("pods with app=web in my namespace") and every affinity
// term that a pod has becomes a column of dynamic cells; a pod's PodInfo::cells say what placing it
// adds to them. So a placement, its undo and a victim's removal change these counts like any other
// cell, and nobody ever counts pods again.
//
// Owner: the Snapshot. Decision thread only.
#ifndef MUSTER_SCHEDULER_MODEL_POD_TERMS_H_
#define MUSTER_SCHEDULER_MODEL_POD_TERMS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/model/cluster_objects.h"
#include "scheduler/model/pod.h"

namespace muster {

using ColumnId = uint32_t;
inline constexpr ColumnId kNoColumn = UINT32_MAX;

// Pods that every term selects; their topology keys do not matter.
struct PodQuestion {
  std::vector<PodAffinityTerm> all_of;
  bool skip_deleting = false;
};

// An affinity term that some pods have.
struct PodTerm {
  enum class Role : uint8_t { kAffinity, kAntiAffinity, kPreferred, kPreferredAnti };
  PodAffinityTerm term;
  Role role = Role::kAffinity;
  // Per node: how many of its pods have the term; of preferred ones, the sum of their weights.
  ColumnId column = kNoColumn;
};

// Which pods a question or term selects. A namespace that does not exist has no labels: a term of
// another pod may select by that, a pod's own question never does (both as upstream).
class PodTerms {
 public:
  explicit PodTerms(const ClusterObjects& objects) : objects_(objects) {}

  bool Selects(const PodQuestion& question, const PodSpec& pod) const;
  bool Selects(const PodAffinityTerm& term, const PodSpec& pod, bool unknown_namespaces) const;

  struct Question {
    PodQuestion question;
    ColumnId column = kNoColumn;  // kNoColumn: the entry is free
  };
  // Id of the question or term, new ones without column (*fresh).
  uint32_t Find(const PodQuestion& question, bool* fresh);
  uint32_t Find(const PodAffinityTerm& term, PodTerm::Role role, bool* fresh);
  void FreeQuestion(uint32_t id);
  void FreeTerm(uint32_t id);

  std::vector<Question>& questions() { return questions_; }
  std::vector<PodTerm>& terms() { return terms_; }
  const std::vector<PodTerm>& terms() const { return terms_; }
  // Whether any of them looks at the labels of namespaces.
  bool uses_namespaces() const { return uses_namespaces_; }

 private:
  const ClusterObjects& objects_;
  std::vector<Question> questions_;
  std::vector<PodTerm> terms_;
  std::vector<uint32_t> free_questions_, free_terms_;
  absl::flat_hash_map<std::string, uint32_t> question_ids_, term_ids_;
  bool uses_namespaces_ = false;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_POD_TERMS_H_
