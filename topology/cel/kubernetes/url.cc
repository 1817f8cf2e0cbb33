#include "topology/cel/kubernetes/url.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "topology/cel/library/function.h"

namespace muster::cel {
namespace {

struct Url {
  std::string scheme, user, host, raw_path, query, fragment;
  std::string path;  // unescaped
  bool has_user = false, opaque = false, authority = false, force_query = false;
};

bool IsHex(char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); }
bool IsAlnum(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }
bool OneOf(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

bool Unescape(std::string_view text, bool plus_is_space, std::string& result, std::string& error) {
  result.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || !IsHex(text[i + 1]) || !IsHex(text[i + 2])) {
        error = absl::StrCat("invalid URL escape ", Quote(text.substr(i, 3)));
        return false;
      }
      result += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      result += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return true;
}

bool UnescapeHost(std::string_view text, std::string& result, std::string& error) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '%') {
      const bool ascii = i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] < '8';
      if (ascii && text.substr(i, 3) != "%25") {
        error = absl::StrCat("invalid URL escape ", Quote(text.substr(i, 3)));
        return false;
      }
    } else if (static_cast<uint8_t>(c) < 0x80 && !IsAlnum(c) && !OneOf(c, "-_.~!$&'()*+,;=:[]<>\"")) {
      error = absl::StrCat("invalid character ", Quote(text.substr(i, 1)), " in host name");
      return false;
    }
  }
  return Unescape(text, false, result, error);
}

bool IsOptionalPort(std::string_view port) {
  return port.empty() || (port[0] == ':' && port.find_first_not_of("0123456789", 1) == std::string_view::npos);
}

bool ReadBracketed(std::string_view text, std::string& host, std::string& error) {
  const size_t close = text.rfind(']');
  if (close == std::string_view::npos) return error = "missing ']' in host", false;
  const std::string_view port = text.substr(close + 1);
  if (!IsOptionalPort(port)) return error = absl::StrCat("invalid port ", Quote(port), " after host"), false;
  const std::string_view inner = text.substr(1, close - 1);
  std::string name;
  if (!UnescapeHost(inner.substr(0, inner.find("%25")), name, error)) return false;
  unsigned char bytes[16];
  if (inet_pton(AF_INET6, name.c_str(), bytes) != 1) return error = "invalid host", false;
  std::string zone;
  if (const size_t percent = inner.find("%25"); percent != std::string_view::npos) {
    if (!Unescape(inner.substr(percent), false, zone, error)) return false;
    if (zone.size() == 1) return error = "invalid host", false;
  }
  host = absl::StrCat("[", name, zone, "]", AsAbsl(port));
  return true;
}

bool ReadHost(std::string_view scheme, std::string_view text, std::string& host, std::string& error) {
  const size_t bracket = text.rfind('[');
  if (bracket == 0) return ReadBracketed(text, host, error);
  if (bracket != std::string_view::npos) return error = "invalid IP-literal", false;
  size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    if (scheme != "http" && scheme != "https") colon = text.rfind(':');
    const std::string_view port = text.substr(colon);
    if (!IsOptionalPort(port)) return error = absl::StrCat("invalid port ", Quote(port), " after host"), false;
  }
  return UnescapeHost(text, host, error);
}

bool ReadAuthority(std::string_view text, Url& url, std::string& error) {
  const size_t at = text.rfind('@');
  if (!ReadHost(url.scheme, at == std::string_view::npos ? text : text.substr(at + 1), url.host, error)) return false;
  if (at == std::string_view::npos) return true;
  const std::string_view user = text.substr(0, at);
  const bool valid =
      std::all_of(user.begin(), user.end(), [](char c) { return IsAlnum(c) || OneOf(c, "-._:~!$&'()*+,;=%@"); });
  if (!valid) return error = "net/url: invalid userinfo", false;
  url.has_user = true;
  return Unescape(user, false, url.user, error);
}

bool ReadScheme(std::string_view text, Url& url, std::string_view& rest, std::string& error) {
  rest = text;
  for (size_t i = 0; i < text.size(); ++i) {
    if (absl::ascii_isalpha(static_cast<unsigned char>(text[i]))) continue;
    if (text[i] == ':') {
      if (i == 0) return error = "missing protocol scheme", false;
      const std::string_view scheme = text.substr(0, i);
      url.scheme = absl::AsciiStrToLower(AsAbsl(scheme));
      rest = text.substr(i + 1);
      return true;
    }
    if (i == 0 || !(IsAlnum(text[i]) || OneOf(text[i], "+-."))) return true;
  }
  return true;
}

bool Read(std::string_view text, bool request, Url& url, std::string& error) {
  for (const char c : text) {
    if (static_cast<uint8_t>(c) < ' ' || c == 0x7f) {
      return error = "net/url: invalid control character in URL", false;
    }
  }
  if (text.empty() && request) return error = "empty url", false;
  if (text == "*") return url.path = url.raw_path = "*", true;
  std::string_view rest;
  if (!ReadScheme(text, url, rest, error)) return false;
  const size_t question = rest.find('?');
  if (question != std::string_view::npos) {
    url.query = rest.substr(question + 1);
    url.force_query = question + 1 == rest.size();
    rest = rest.substr(0, question);
  }
  if (rest.empty() || rest[0] != '/') {
    if (!url.scheme.empty()) {
      url.opaque = true;
      url.raw_path = rest;
      return true;
    }
    if (request) return error = "invalid URI for request", false;
    if (rest.substr(0, rest.find('/')).find(':') != std::string_view::npos) {
      return error = "first path segment in URL cannot contain colon", false;
    }
  }
  const bool double_slash = rest.substr(0, 2) == "//";
  if (double_slash && (!url.scheme.empty() || (!request && rest.substr(0, 3) != "///"))) {
    rest.remove_prefix(2);
    const size_t slash = std::min(rest.find('/'), rest.size());
    url.authority = true;
    if (!ReadAuthority(rest.substr(0, slash), url, error)) return false;
    rest.remove_prefix(slash);
  }
  url.raw_path = rest;
  return Unescape(rest, false, url.path, error);
}

std::string EscapedPath(const Url& url) {
  if (url.opaque) return "";
  const auto plain = [](char c) { return IsAlnum(c) || OneOf(c, "-_.~$&+,/:;=@"); };
  const bool valid =
      std::all_of(url.raw_path.begin(), url.raw_path.end(), [&](char c) { return plain(c) || OneOf(c, "!'()*[]%"); });
  if (valid) return url.raw_path;
  std::string result;
  for (const char c : url.path) {
    if (plain(c)) {
      result += c;
    } else {
      const uint8_t byte = static_cast<uint8_t>(c);
      result += '%';
      result += "0123456789ABCDEF"[byte >> 4];
      result += "0123456789ABCDEF"[byte & 15];
    }
  }
  return result;
}

std::string Written(const Url& url) {
  std::string text = url.scheme.empty() ? "" : url.scheme + ":";
  if (url.opaque) {
    text += url.raw_path;
  } else {
    if (url.authority || !url.host.empty() || url.has_user) text += "//";
    if (url.has_user) text += url.user + "@";
    text += url.host + EscapedPath(url);
  }
  if (!url.query.empty() || url.force_query) text += "?" + url.query;
  if (!url.fragment.empty()) text += "#" + url.fragment;
  return text;
}

std::string Malformed(std::string_view text, const std::string& error) {
  return absl::StrCat("parse ", Quote(text), ": ", error);
}

Value UrlOf(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kString) return Value();
  const std::string_view text = args[0].view();
  std::string error = CheckRequestUri(text);
  Url url;
  const size_t hash = text.find('#');
  if (error.empty() && !Read(text.substr(0, hash), false, url, error)) error = Malformed(text, error);
  if (error.empty() && hash != std::string_view::npos && !Unescape(text.substr(hash + 1), false, url.fragment, error)) {
    error = Malformed(text, error);
  }
  if (!error.empty()) return call.Error("URL parse error during conversion from string: " + error);
  CelUrl* copy = new (call.arena.New<CelUrl>()) CelUrl;
  copy->scheme = call.arena.Copy(url.scheme);
  copy->host = call.arena.Copy(url.host);
  copy->path = call.arena.Copy(EscapedPath(url));
  copy->query = call.arena.Copy(url.query);
  copy->text = call.arena.Copy(Written(url));
  Value value = Make(Kind::kUrl);
  value.url = copy;
  return value;
}

Value IsUrl(const Call&, const Value* args, int) {
  return args[0].kind == Kind::kString ? MakeBool(CheckRequestUri(args[0].view()).empty()) : Value();
}

// Where the port of a host begins, with its colon.
size_t PortStart(std::string_view host) {
  const size_t colon = host.rfind(':');
  return colon != std::string_view::npos && IsOptionalPort(host.substr(colon)) ? colon : host.size();
}

Value GetScheme(const Call&, const Value* args, int) {
  return args[0].kind == Kind::kUrl ? MakeString(args[0].url->scheme) : Value();
}
Value GetHost(const Call&, const Value* args, int) {
  return args[0].kind == Kind::kUrl ? MakeString(args[0].url->host) : Value();
}
Value GetHostname(const Call&, const Value* args, int) {
  if (args[0].kind != Kind::kUrl) return Value();
  std::string_view host = args[0].url->host.substr(0, PortStart(args[0].url->host));
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return MakeString(host);
}
Value GetPort(const Call&, const Value* args, int) {
  if (args[0].kind != Kind::kUrl) return Value();
  const std::string_view host = args[0].url->host;
  const size_t start = PortStart(host);
  return MakeString(start < host.size() ? host.substr(start + 1) : std::string_view(""));
}
Value GetEscapedPath(const Call&, const Value* args, int) {
  return args[0].kind == Kind::kUrl ? MakeString(args[0].url->path) : Value();
}

Value GetQuery(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kUrl) return Value();
  Map* map = NewMap(call.arena, 4);
  std::string_view rest = args[0].url->query;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty() || pair.find(';') != std::string_view::npos) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    std::string key, value, error;
    if (!Unescape(pair.substr(0, equals), true, key, error) ||
        !Unescape(pair.substr(std::min(equals + 1, pair.size())), true, value, error)) {
      continue;
    }
    const Value name = call.String(key);
    const Value* known = FindExact(*map, name);
    const Value values = known != nullptr ? *known : MakeList(NewList(call.arena, 1));
    if (known == nullptr) Put(call.arena, *map, name, values);
    Append(call.arena, *values.list, call.String(value));
  }
  return MakeMap(map);
}

constexpr NamedImplementation kFunctions[] = {
    {"url", UrlOf},
    {"isURL", IsUrl},
    {"getScheme", GetScheme},
    {"getHost", GetHost},
    {"getHostname", GetHostname},
    {"getPort", GetPort},
    {"getEscapedPath", GetEscapedPath},
    {"getQuery", GetQuery},
};

}  // namespace

std::string CheckRequestUri(std::string_view text) {
  Url url;
  std::string error;
  return Read(text, true, url, error) ? "" : Malformed(text, error);
}

Family UrlFunctions() { return {kFunctions, std::size(kFunctions)}; }

}  // namespace muster::cel
