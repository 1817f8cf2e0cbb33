#include "topology/cel/kubernetes/named_format.h"

#include <re2/re2.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "scheduler/model/ids.h"
#include "topology/cel/kubernetes/url.h"
#include "topology/cel/library/function.h"
#include "topology/cel/library/time.h"

namespace muster::cel {
namespace {

using Messages = std::vector<std::string>;

// Each pattern is compiled once; all are matched against the whole text.
template <const char* kPattern>
bool Matches(std::string_view text) {
  static const re2::RE2& regex = *new re2::RE2(kPattern, re2::RE2::Quiet);
  return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), regex);
}

constexpr char kLabel[] = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
constexpr char kSubdomain[] = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
constexpr char kOldLabel[] = "[a-z]([-a-z0-9]*[a-z0-9])?";
constexpr char kQualified[] = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
constexpr char kLabelValue[] = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
constexpr char kUuid[] = "(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}";
constexpr char kBase64[] = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})";
constexpr char kTime[] = "[0-9]{2}:[0-9]{2}:[0-9]{2}(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))";

std::string TooLong(size_t most) { return "must be no more than " + std::to_string(most) + " bytes"; }

Messages Dns1123Subdomain(std::string_view text) {
  Messages messages;
  if (text.size() > 253) messages.push_back(TooLong(253));
  if (!Matches<kSubdomain>(text)) messages.push_back("not a lowercase RFC 1123 subdomain");
  return messages;
}
Messages Dns1123Label(std::string_view text) {
  Messages messages;
  if (text.size() > 63) messages.push_back(TooLong(63));
  if (!Matches<kLabel>(text)) {
    messages.push_back(Matches<kSubdomain>(text) ? "must not contain dots" : "not a lowercase RFC 1123 label");
  }
  return messages;
}
Messages Dns1035Label(std::string_view text) {
  Messages messages;
  if (text.size() > 63) messages.push_back(TooLong(63));
  if (!Matches<kOldLabel>(text)) messages.push_back("not a DNS-1035 label");
  return messages;
}

// A prefix may end in a dash; upstream judges it as if "a" were there.
std::string Masked(std::string_view text) {
  if (text.size() < 2 || text.back() != '-') return std::string(text);
  return std::string(text.substr(0, text.size() - 2)) + "a";
}
Messages Dns1123SubdomainPrefix(std::string_view text) { return Dns1123Subdomain(Masked(text)); }
Messages Dns1123LabelPrefix(std::string_view text) { return Dns1123Label(Masked(text)); }
Messages Dns1035LabelPrefix(std::string_view text) { return Dns1035Label(Masked(text)); }

Messages QualifiedName(std::string_view text) {
  if (std::count(text.begin(), text.end(), '/') > 1) return {"not a qualified name"};
  Messages messages;
  const size_t slash = text.find('/');
  if (slash == 0) {
    messages.push_back("prefix part must be non-empty");
  } else if (slash != std::string_view::npos) {
    for (const std::string& message : Dns1123Subdomain(text.substr(0, slash))) {
      messages.push_back("prefix part " + message);
    }
  }
  const std::string_view name = slash == std::string_view::npos ? text : text.substr(slash + 1);
  if (name.empty()) messages.push_back("name part must be non-empty");
  if (name.size() > 63) messages.push_back("name part " + TooLong(63));
  if (!Matches<kQualified>(name)) messages.push_back("name part is not a qualified name");
  return messages;
}
Messages LabelValue(std::string_view text) {
  Messages messages;
  if (text.size() > 63) messages.push_back(TooLong(63));
  if (!Matches<kLabelValue>(text)) messages.push_back("not a label value");
  return messages;
}

Messages OneIf(bool wrong, const char* message) { return wrong ? Messages{message} : Messages{}; }

Messages Uri(std::string_view text) {
  std::string error = CheckRequestUri(text);
  return error.empty() ? Messages{} : Messages{std::move(error)};
}
Messages Uuid(std::string_view text) { return OneIf(!Matches<kUuid>(text), "does not match the UUID format"); }
Messages Byte(std::string_view text) { return OneIf(!Matches<kBase64>(text), "invalid base64"); }
Messages Date(std::string_view text) { return OneIf(!IsDate(text), "invalid date"); }

bool IsDateTime(std::string_view text) {
  const std::string lower = absl::AsciiStrToLower(AsAbsl(text));
  const size_t t = lower.find('t');
  if (t == std::string::npos || !IsDate(std::string_view(lower).substr(0, t))) return false;
  const std::string time = lower.substr(t + 1, lower.find('t', t + 1) - t - 1);
  return Matches<kTime>(time) && time.substr(0, 2) <= "23" && time.substr(3, 2) <= "59" && time.substr(6, 2) <= "59";
}
Messages DateTime(std::string_view text) { return OneIf(!IsDateTime(text), "invalid datetime"); }

constexpr NamedFormat kFormats[] = {
    {"dns1123Label", 30, Dns1123Label},
    {"dns1123Subdomain", 60, Dns1123Subdomain},
    {"dns1035Label", 30, Dns1035Label},
    {"qualifiedName", 60, QualifiedName},
    {"dns1123LabelPrefix", 30, Dns1123LabelPrefix},
    {"dns1123SubdomainPrefix", 60, Dns1123SubdomainPrefix},
    {"dns1035LabelPrefix", 30, Dns1035LabelPrefix},
    {"labelValue", 40, LabelValue},
    {"uri", 1103, Uri},
    {"uuid", 70, Uuid},
    {"byte", 84, Byte},
    {"date", 71, Date},
    {"datetime", 71, DateTime},
};

Value MakeFormat(const NamedFormat& format) {
  Value value = Make(Kind::kFormat);
  value.format = &format;
  return value;
}

template <size_t kIndex>
Value Constant(const Call&, const Value*, int) {
  return MakeFormat(kFormats[kIndex]);
}

Value Named(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kString) return Value();
  for (const NamedFormat& format : kFormats) {
    if (format.name == args[0].view()) return MakeOptional(call.arena, MakeFormat(format));
  }
  return MakeNone();
}

Value Validate(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kFormat || args[1].kind != Kind::kString) return Value();
  const Messages messages = args[0].format->validate(args[1].view());
  if (messages.empty()) return MakeNone();
  List* list = NewList(call.arena, static_cast<uint32_t>(messages.size()));
  for (const std::string& message : messages) Append(call.arena, *list, call.String(message));
  return MakeOptional(call.arena, MakeList(list));
}

constexpr NamedImplementation kFunctions[] = {
    {"format.named", Named},
    {"validate", Validate},
    {"format.dns1123Label", Constant<0>},
    {"format.dns1123Subdomain", Constant<1>},
    {"format.dns1035Label", Constant<2>},
    {"format.qualifiedName", Constant<3>},
    {"format.dns1123LabelPrefix", Constant<4>},
    {"format.dns1123SubdomainPrefix", Constant<5>},
    {"format.dns1035LabelPrefix", Constant<6>},
    {"format.labelValue", Constant<7>},
    {"format.uri", Constant<8>},
    {"format.uuid", Constant<9>},
    {"format.byte", Constant<10>},
    {"format.date", Constant<11>},
    {"format.datetime", Constant<12>},
};

}  // namespace

Family FormatFunctions() { return {kFunctions, std::size(kFunctions)}; }

}  // namespace muster::cel
