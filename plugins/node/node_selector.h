// Node selector terms: checked, matched with one node, or with the whole cluster at once.
#ifndef MUSTER_PLUGINS_NODE_NODE_SELECTOR_H_
#define MUSTER_PLUGINS_NODE_NODE_SELECTOR_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/model/labels.h"
#include "scheduler/model/node.h"
#include "scheduler/model/node_set.h"
#include "scheduler/model/snapshot.h"

namespace muster {

inline constexpr std::string_view kNodeNameField = "metadata.name";

// What is wrong with a term, as kube-scheduler words it ("PATH.matchExpressions[0].values: ...");
// empty where nothing is.
std::vector<std::string> TermErrors(const NodeSelectorTerm& term, std::string_view path);

// Several such messages as one: repeats dropped, and in brackets where more than one is left.
std::string JoinErrors(const std::vector<std::string>& errors);

// A term without requirements and one with errors match nothing.
bool Matches(const NodeSelectorTerm& term, const Node& node);
bool MatchesAny(std::span<const NodeSelectorTerm> terms, const Node& node);
bool HasLabels(const Labels& wanted, const Node& node);

// The same for every node of the snapshot.
NodeSet Matching(const NodeSelectorTerm& term, const Snapshot& snap);
NodeSet MatchingAny(std::span<const NodeSelectorTerm> terms, const Snapshot& snap);
NodeSet HavingLabels(const Labels& wanted, const Snapshot& snap);

}  // namespace muster

#endif  // MUSTER_PLUGINS_NODE_NODE_SELECTOR_H_
