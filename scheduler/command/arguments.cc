#include "scheduler/command/arguments.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace muster {
namespace {

// What is wrong, or "".
std::string ParseNumber(const std::string& text, uint64_t min, uint64_t max, uint64_t* into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *into);
  if (error == std::errc() && end == text.data() + text.size() && !text.empty() && *into >= min && *into <= max)
    return "";
  return absl::StrCat("must be a whole number from ", min, " to ", max);
}

}  // namespace

void Arguments::Add(std::string names, std::string value, std::string help,
                    std::function<std::string(const std::string&)> set) {
  flags_.push_back({std::move(names), std::move(value), std::move(help), false, false, std::move(set)});
}

void Arguments::Text(std::string names, std::string value, std::string help, std::string* into) {
  Add(std::move(names), std::move(value), std::move(help), [into](const std::string& text) {
    if (text.empty()) return "must not be empty";
    *into = text;
    return "";
  });
}

void Arguments::Many(std::string names, std::string value, std::string help, std::vector<std::string>* into) {
  Add(std::move(names), std::move(value), std::move(help), [into](const std::string& text) {
    if (text.empty()) return "must not be empty";
    into->push_back(text);
    return "";
  });
  flags_.back().many = true;
}

void Arguments::Switch(std::string names, std::string help, bool* into) {
  Add(std::move(names), "", std::move(help), [into](const std::string&) {
    *into = true;
    return "";
  });
}

void Arguments::Number(std::string names, std::string value, std::string help, uint64_t min, uint64_t max,
                       uint64_t* into) {
  Add(std::move(names), std::move(value), std::move(help),
      [=](const std::string& text) { return ParseNumber(text, min, max, into); });
}

void Arguments::Number(std::string names, std::string value, std::string help, uint64_t min, uint64_t max,
                       std::optional<uint64_t>* into) {
  Add(std::move(names), std::move(value), std::move(help),
      [=](const std::string& text) { return ParseNumber(text, min, max, &into->emplace()); });
}

void Arguments::Length(std::string names, std::string value, std::string help, std::optional<Duration>* into) {
  Add(std::move(names), std::move(value), std::move(help), [into](const std::string& text) {
    Duration duration;
    if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration() ||
        duration == absl::InfiniteDuration())
      return "must be a length of time, such as 90s or 1h30m";
    *into = duration;
    return "";
  });
}

void Arguments::Choice(std::string names, std::vector<std::string> values, std::string help, std::string* into) {
  std::string shown = absl::StrJoin(values, "|");
  Add(std::move(names), shown, std::move(help), [=](const std::string& text) -> std::string {
    if (std::find(values.begin(), values.end(), text) == values.end())
      return absl::StrCat("must be one of ", absl::StrJoin(values, ", "));
    *into = text;
    return "";
  });
}

Arguments::Flag* Arguments::Find(const std::string& name) {
  for (Flag& flag : flags_) {
    for (const auto part : absl::StrSplit(flag.names, ", ")) {
      if (part == name) return &flag;
    }
  }
  return nullptr;
}

std::optional<int> Arguments::Parse(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "-h" || arg == "--help") {
      Help(out);
      return kExitOk;
    }
    if (arg == "--") {
      if (rest_ == nullptr && i + 1 < args.size())
        return Refuse(absl::StrCat("unexpected argument \"", args[i + 1], "\""), err);
      for (++i; i < args.size(); ++i) rest_->push_back(args[i]);
      return std::nullopt;
    }
    if (arg.empty() || arg[0] != '-' || arg == "-") {
      if (rest_ == nullptr) return Refuse(absl::StrCat("unexpected argument \"", arg, "\""), err);
      rest_->push_back(arg);
      continue;
    }
    const size_t equals = arg.starts_with("--") ? arg.find('=') : std::string::npos;
    const std::string name = arg.substr(0, equals);
    Flag* flag = Find(name);
    if (flag == nullptr) return Refuse(absl::StrCat("unknown flag ", name), err);
    if (flag->given && !flag->many) return Refuse(absl::StrCat(name, " is given twice"), err);
    flag->given = true;
    std::string value;
    if (flag->value.empty()) {
      if (equals != std::string::npos) return Refuse(absl::StrCat(name, " takes no value"), err);
    } else if (equals != std::string::npos) {
      value = arg.substr(equals + 1);
    } else if (i + 1 < args.size()) {
      value = args[++i];
    } else {
      return Refuse(absl::StrCat(name, " needs a value"), err);
    }
    if (const std::string wrong = flag->set(value); !wrong.empty())
      return Refuse(absl::StrCat(name, " ", value, ": ", wrong), err);
  }
  return std::nullopt;
}

int Arguments::Refuse(const std::string& what, std::ostream& err) const {
  err << "muster: " << what << "\nusage: muster " << usage_ << "\n";
  return kExitBadInput;
}

void Arguments::Help(std::ostream& out) const {
  out << "usage: muster " << usage_ << "\n\n" << about_ << "\n\n";
  size_t width = 0;
  for (const Flag& flag : flags_) width = std::max(width, flag.names.size() + 1 + flag.value.size());
  for (const Flag& flag : flags_) {
    std::string left = absl::StrCat(flag.names, " ", flag.value);
    left.resize(width, ' ');
    out << "  " << left << "  " << flag.help << "\n";
  }
}

}  // namespace muster
