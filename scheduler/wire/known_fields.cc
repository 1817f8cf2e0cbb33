#include "scheduler/wire/known_fields.h"

#include <map>

namespace muster {

extern const char kKnownFieldsText[];  // known_fields.txt

namespace {

using Table = std::map<std::string_view, std::map<std::string_view, std::string_view>>;

// Takes the text up to the next `end` off the front.
std::string_view Take(std::string_view& text, char end) {
  const size_t at = text.find(end);
  const std::string_view front = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return front;
}

Table ReadTable() {
  Table table;
  for (std::string_view text = kKnownFieldsText; !text.empty();) {
    std::string_view line = Take(text, '\n');
    if (line.starts_with('#')) continue;
    auto& fields = table[Take(line, ' ')];
    while (!line.empty()) {
      std::string_view field = Take(line, ' ');
      const std::string_view name = Take(field, ':');
      fields.emplace(name, field);
    }
  }
  return table;
}

}  // namespace

std::optional<std::string_view> KnownField(std::string_view message, std::string_view field) {
  static const Table* const kTable = new Table(ReadTable());
  const auto fields = kTable->find(message);
  if (fields == kTable->end()) return std::nullopt;
  const auto found = fields->second.find(field);
  if (found == fields->second.end()) return std::nullopt;
  return found->second;
}

}  // namespace muster
