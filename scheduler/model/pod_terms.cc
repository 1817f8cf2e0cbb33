#include "scheduler/model/pod_terms.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace muster {
namespace {

// Every text with its length before it, so that no two keys can be mistaken for one.
void Append(std::string& key, const std::string& text) { absl::StrAppend(&key, text.size(), ":", text); }

void Append(std::string& key, const LabelSelector& selector) {
  absl::StrAppend(&key, selector.present ? "{" : "-");
  for (const Requirement& r : selector.requirements) {
    Append(key, r.key);
    absl::StrAppend(&key, static_cast<int>(r.op), "/", r.values.size(), "/");
    for (const std::string& value : r.values) Append(key, value);
  }
  absl::StrAppend(&key, "}");
}

void AppendWithoutKey(std::string& key, const PodAffinityTerm& term) {
  Append(key, term.selector);
  Append(key, term.namespace_selector);
  for (const std::string& ns : term.namespaces) Append(key, ns);
}

}  // namespace

bool PodTerms::Selects(const PodAffinityTerm& term, const PodSpec& pod, bool unknown_namespaces) const {
  const bool named = std::binary_search(term.namespaces.begin(), term.namespaces.end(), pod.ns);
  if (!named && !term.namespace_selector.empty()) {
    if (!term.namespace_selector.present) return false;
    const auto* ns = objects_.Get<Namespace>(Kind::kNamespace, "", pod.ns);
    if (ns == nullptr && !unknown_namespaces) return false;
    static const Labels* const kNone = new Labels();
    if (!term.namespace_selector.Matches(ns == nullptr ? *kNone : ns->labels)) return false;
  }
  return term.selector.Matches(pod.labels);
}

bool PodTerms::Selects(const PodQuestion& question, const PodSpec& pod) const {
  if (question.skip_deleting && pod.deleting) return false;
  return std::all_of(question.all_of.begin(), question.all_of.end(),
                     [&](const PodAffinityTerm& term) { return Selects(term, pod, /*unknown_namespaces=*/false); });
}

uint32_t PodTerms::Find(const PodQuestion& question, bool* fresh) {
  std::string key = question.skip_deleting ? "live" : "all";
  for (const PodAffinityTerm& term : question.all_of) {
    AppendWithoutKey(key, term);
    absl::StrAppend(&key, ";");
    uses_namespaces_ |= term.namespace_selector.present;
  }
  auto [it, inserted] = question_ids_.try_emplace(std::move(key), 0);
  *fresh = inserted;
  if (!inserted) return it->second;
  if (free_questions_.empty()) {
    it->second = static_cast<uint32_t>(questions_.size());
    questions_.emplace_back();
  } else {
    it->second = free_questions_.back();
    free_questions_.pop_back();
  }
  questions_[it->second].question = question;
  return it->second;
}

uint32_t PodTerms::Find(const PodAffinityTerm& term, PodTerm::Role role, bool* fresh) {
  std::string key = absl::StrCat(static_cast<int>(role), "/");
  Append(key, term.topology_key);
  AppendWithoutKey(key, term);
  uses_namespaces_ |= term.namespace_selector.present;
  auto [it, inserted] = term_ids_.try_emplace(std::move(key), 0);
  *fresh = inserted;
  if (!inserted) return it->second;
  if (free_terms_.empty()) {
    it->second = static_cast<uint32_t>(terms_.size());
    terms_.emplace_back();
  } else {
    it->second = free_terms_.back();
    free_terms_.pop_back();
  }
  terms_[it->second] = {term, role, kNoColumn};
  return it->second;
}

void PodTerms::FreeQuestion(uint32_t id) {
  questions_[id] = {};
  free_questions_.push_back(id);
  absl::erase_if(question_ids_, [&](const auto& entry) { return entry.second == id; });
}

void PodTerms::FreeTerm(uint32_t id) {
  terms_[id] = {};
  free_terms_.push_back(id);
  absl::erase_if(term_ids_, [&](const auto& entry) { return entry.second == id; });
}

}  // namespace muster
