// ip("10.0.0.1") and cidr("10.0.0.0/8"), as Go's net/netip reads and writes them.
#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "topology/cel/library/conversions.h"
#include "topology/cel/library/function.h"

namespace muster::cel {
namespace {

bool ReadIp(std::string_view text, CelIp& ip) {
  ip = {};
  const std::string copy(text);
  if (copy.find('\0') != std::string::npos) return false;
  ip.v4 = text.find(':') == std::string_view::npos;
  return inet_pton(ip.v4 ? AF_INET : AF_INET6, copy.c_str(), ip.bytes) == 1;
}

bool IsMappedV4(const CelIp& ip) {
  static constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return !ip.v4 && std::equal(std::begin(kPrefix), std::end(kPrefix), ip.bytes);
}

bool ParseIp(std::string_view text, CelIp& ip, std::string& error) {
  if (!ReadIp(text, ip)) {
    error = "IP Address " + Quote(text) + " parse error during conversion from string: ParseAddr(" + Quote(text) +
            "): unable to parse IP";
  } else if (IsMappedV4(ip)) {
    error = "IPv4-mapped IPv6 address " + Quote(text) + " is not allowed";
  }
  return error.empty();
}

bool ParseCidr(std::string_view text, CelCidr& cidr, std::string& error) {
  const size_t slash = text.rfind('/');
  const std::string_view bits = slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
  const bool number = !bits.empty() && bits.size() <= 3 && bits.find_first_not_of("0123456789") == bits.npos &&
                      (bits.size() == 1 || bits[0] != '0');
  cidr.bits = number ? std::stoi(std::string(bits)) : 1000;
  const bool valid = ReadIp(text.substr(0, slash), cidr.ip) && cidr.bits <= (cidr.ip.v4 ? 32 : 128);
  if (!valid) {
    error = "network address parse error during conversion from string: netip.ParsePrefix(" + Quote(text) + ")";
  } else if (IsMappedV4(cidr.ip)) {
    error = "IPv4-mapped IPv6 address " + Quote(text) + " is not allowed";
  }
  return error.empty();
}

template <typename T>
const T* Store(const Call& call, const T& value) {
  T* copy = call.arena.New<T>();
  *copy = value;
  return copy;
}
Value MakeIp(const Call& call, const CelIp& ip) {
  Value value = Make(Kind::kIp);
  value.ip = Store(call, ip);
  return value;
}
Value MakeCidr(const Call& call, const CelCidr& cidr) {
  Value value = Make(Kind::kCidr);
  value.cidr = Store(call, cidr);
  return value;
}

// The address with only its first `bits`.
CelIp Masked(CelIp ip, int bits) {
  for (int i = 0; i < 16; ++i) {
    const int kept = std::clamp(bits - i * 8, 0, 8);
    ip.bytes[i] &= static_cast<uint8_t>(0xff00 >> kept);
  }
  return ip;
}
bool SamePrefix(const CelIp& left, const CelIp& right, int bits) {
  const CelIp a = Masked(left, bits), b = Masked(right, bits);
  return left.v4 == right.v4 && std::equal(a.bytes, a.bytes + (a.v4 ? 4 : 16), b.bytes);
}
bool InNet(const CelIp& ip, std::string_view net) {
  CelCidr cidr;
  std::string error;
  return ParseCidr(net, cidr, error) && SamePrefix(ip, cidr.ip, cidr.bits);
}

Value IpOf(const Call& call, const Value* args, int) {
  if (args[0].kind == Kind::kCidr) return MakeIp(call, args[0].cidr->ip);
  if (args[0].kind != Kind::kString) return Value();
  CelIp ip;
  std::string error;
  return ParseIp(args[0].view(), ip, error) ? MakeIp(call, ip) : call.Error(error);
}
Value IsIp(const Call&, const Value* args, int) {
  if (args[0].kind != Kind::kString) return Value();
  CelIp ip;
  std::string error;
  return MakeBool(ParseIp(args[0].view(), ip, error));
}
Value IsCanonical(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kString) return Value();
  CelIp ip;
  std::string error;
  if (!ParseIp(args[0].view(), ip, error)) return call.Error(error);
  return MakeBool(FormatIp(ip) == args[0].view());
}
Value CidrOf(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kString) return Value();
  CelCidr cidr;
  std::string error;
  if (ParseCidr(args[0].view(), cidr, error)) return MakeCidr(call, cidr);
  return call.Error("network address parse error during conversion from string: " + error);
}
Value IsCidr(const Call&, const Value* args, int) {
  if (args[0].kind != Kind::kString) return Value();
  CelCidr cidr;
  std::string error;
  return MakeBool(ParseCidr(args[0].view(), cidr, error));
}

Value FamilyOf(const Call&, const Value* args, int) {
  return args[0].kind == Kind::kIp ? MakeInt(args[0].ip->v4 ? 4 : 6) : Value();
}

bool Unspecified(const CelIp& ip) {
  return std::all_of(ip.bytes, ip.bytes + (ip.v4 ? 4 : 16), [](uint8_t byte) { return byte == 0; });
}
bool Loopback(const CelIp& ip) { return InNet(ip, ip.v4 ? "127.0.0.0/8" : "::1/128"); }
bool LinkLocalMulticast(const CelIp& ip) {
  return ip.v4 ? InNet(ip, "224.0.0.0/24") : ip.bytes[0] == 0xff && (ip.bytes[1] & 0x0f) == 2;
}
bool LinkLocalUnicast(const CelIp& ip) { return InNet(ip, ip.v4 ? "169.254.0.0/16" : "fe80::/10"); }
bool GlobalUnicast(const CelIp& ip) {
  const bool broadcast = ip.v4 && InNet(ip, "255.255.255.255/32");
  const bool multicast = InNet(ip, ip.v4 ? "224.0.0.0/4" : "ff00::/8");
  return !broadcast && !multicast && !Unspecified(ip) && !Loopback(ip) && !LinkLocalUnicast(ip);
}

template <bool (*kTest)(const CelIp&)>
Value Test(const Call&, const Value* args, int) {
  return args[0].kind == Kind::kIp ? MakeBool(kTest(*args[0].ip)) : Value();
}

Value ContainsIp(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kCidr) return Value();
  Value other = args[1];
  if (other.kind == Kind::kString) other = IpOf(call, &args[1], 1);
  if (other.is_error()) return other;
  if (other.kind != Kind::kIp) return Value();
  return MakeBool(SamePrefix(*other.ip, args[0].cidr->ip, args[0].cidr->bits));
}

Value ContainsCidr(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kCidr) return Value();
  Value other = args[1];
  if (other.kind == Kind::kString) other = CidrOf(call, &args[1], 1);
  if (other.is_error()) return other;
  if (other.kind != Kind::kCidr) return Value();
  const CelCidr& outer = *args[0].cidr;
  return MakeBool(outer.bits <= other.cidr->bits && SamePrefix(other.cidr->ip, outer.ip, outer.bits));
}

Value PrefixLength(const Call&, const Value* args, int) {
  return args[0].kind == Kind::kCidr ? MakeInt(args[0].cidr->bits) : Value();
}
Value MaskedOf(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kCidr) return Value();
  return MakeCidr(call, {Masked(args[0].cidr->ip, args[0].cidr->bits), args[0].cidr->bits});
}

constexpr NamedImplementation kFunctions[] = {
    {"ip", IpOf},
    {"isIP", IsIp},
    {"ip.isCanonical", IsCanonical},
    {"cidr", CidrOf},
    {"isCIDR", IsCidr},
    {"family", FamilyOf},
    {"isUnspecified", Test<Unspecified>},
    {"isLoopback", Test<Loopback>},
    {"isLinkLocalMulticast", Test<LinkLocalMulticast>},
    {"isLinkLocalUnicast", Test<LinkLocalUnicast>},
    {"isGlobalUnicast", Test<GlobalUnicast>},
    {"containsIP", ContainsIp},
    {"containsCIDR", ContainsCidr},
    {"prefixLength", PrefixLength},
    {"masked", MaskedOf},
};

}  // namespace

std::string FormatIp(const CelIp& ip) {
  char buffer[48];
  if (ip.v4) {
    std::snprintf(buffer, sizeof buffer, "%d.%d.%d.%d", ip.bytes[0], ip.bytes[1], ip.bytes[2], ip.bytes[3]);
    return buffer;
  }
  const auto group = [&](int i) { return ip.bytes[2 * i] << 8 | ip.bytes[2 * i + 1]; };
  // The first longest run of at least two zero groups is "::".
  int start = -1, length = 1;
  for (int i = 0; i < 8; ++i) {
    int end = i;
    while (end < 8 && group(end) == 0) ++end;
    if (end - i > length) {
      start = i;
      length = end - i;
    }
  }
  std::string text;
  for (int i = 0; i < 8; ++i) {
    if (i == start) {
      text += "::";
      i += length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    std::snprintf(buffer, sizeof buffer, "%x", group(i));
    text += buffer;
  }
  return text;
}

std::string FormatCidr(const CelCidr& cidr) { return FormatIp(cidr.ip) + "/" + std::to_string(cidr.bits); }

Family NetworkFunctions() { return {kFunctions, std::size(kFunctions)}; }

}  // namespace muster::cel
