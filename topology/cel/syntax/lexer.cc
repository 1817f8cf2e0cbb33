#include "topology/cel/syntax/lexer.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "topology/cel/value.h"

namespace muster::cel {
namespace {

bool IsLetter(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); }
bool IsOctal(char c) { return c >= '0' && c <= '7'; }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  absl::StatusOr<std::vector<Token>> Run() {
    std::vector<Token> tokens;
    for (SkipSpace(); at_ < text_.size(); SkipSpace()) {
      const size_t start = at_;
      const TokenKind kind = Next();
      if (kind == TokenKind::kEnd) {
        const std::string_view character = text_.substr(start, 1);
        const std::string message = absl::StrCat("Syntax error: token recognition error at: '", AsAbsl(character), "'");
        return absl::InvalidArgumentError(ErrorAt(text_, static_cast<uint32_t>(start), message));
      }
      tokens.push_back({kind, text_.substr(start, at_ - start), static_cast<uint32_t>(start)});
    }
    tokens.push_back({TokenKind::kEnd, "<EOF>", static_cast<uint32_t>(text_.size())});
    return tokens;
  }

 private:
  char Peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  void SkipSpace() {
    while (at_ < text_.size()) {
      if (std::string_view("\t \r\n\f").find(text_[at_]) != std::string_view::npos) {
        ++at_;
      } else if (text_.substr(at_, 2) == "//") {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else {
        return;
      }
    }
  }

  // kEnd for what no token starts with.
  TokenKind Next() {
    if (const size_t length = StringLength(at_); length > 0) return at_ += length, TokenKind::kString;
    if (Peek() == 'b' || Peek() == 'B') {
      if (const size_t length = StringLength(at_ + 1); length > 0) return at_ += length + 1, TokenKind::kBytes;
    }
    if (IsLetter(Peek())) return Identifier();
    if (IsDigit(Peek()) || (Peek() == '.' && IsDigit(Peek(1)))) return Number();
    for (const std::string_view symbol : {"==", "!=", "<=", ">=", "&&", "||"}) {
      if (text_.substr(at_, 2) == symbol) return at_ += 2, TokenKind::kSymbol;
    }
    if (Peek() != '\0' && std::string_view("<>[]{}().,-!?:+*/%").find(Peek()) != std::string_view::npos) {
      return ++at_, TokenKind::kSymbol;
    }
    return TokenKind::kEnd;
  }

  TokenKind Identifier() {
    const size_t start = at_;
    while (IsLetter(Peek()) || IsDigit(Peek())) ++at_;
    const std::string_view word = text_.substr(start, at_ - start);
    const bool keyword = word == "in" || word == "true" || word == "false" || word == "null";
    return keyword ? TokenKind::kKeyword : TokenKind::kIdent;
  }

  TokenKind Number() {
    if (Peek() == '0' && Peek(1) == 'x' && IsHex(Peek(2))) {
      at_ += 2;
      while (IsHex(Peek())) ++at_;
      return Unsigned();
    }
    bool real = false;
    while (IsDigit(Peek())) ++at_;
    if (Peek() == '.' && IsDigit(Peek(1))) {
      real = true;
      ++at_;
      while (IsDigit(Peek())) ++at_;
    }
    if (Peek() == 'e' || Peek() == 'E') {
      const size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 2 : 1;
      if (IsDigit(Peek(sign))) {
        real = true;
        at_ += sign;
        while (IsDigit(Peek())) ++at_;
      }
    }
    return real ? TokenKind::kDouble : Unsigned();
  }

  TokenKind Unsigned() {
    if (Peek() != 'u' && Peek() != 'U') return TokenKind::kInt;
    ++at_;
    return TokenKind::kUint;
  }

  // Of the string literal at `start`, or 0.
  size_t StringLength(size_t start) const {
    size_t at = start;
    const bool raw = at < text_.size() && (text_[at] == 'r' || text_[at] == 'R');
    if (raw) ++at;
    if (at >= text_.size() || (text_[at] != '"' && text_[at] != '\'')) return 0;
    const char quote = text_[at];
    const std::string triple(3, quote);
    if (text_.substr(at, 3) == triple) {
      const size_t length = TripleLength(at + 3, triple, raw);
      if (length > 0) return at + 3 + length - start;
    }
    for (++at; at < text_.size(); ++at) {
      const char c = text_[at];
      if (c == quote) return at + 1 - start;
      if (c == '\n' || c == '\r') return 0;
      if (c == '\\' && !raw) {
        const size_t escape = EscapeLength(at);
        if (escape == 0) return 0;
        at += escape - 1;
      }
    }
    return 0;
  }

  size_t TripleLength(size_t start, const std::string& end, bool raw) const {
    for (size_t at = start; at < text_.size(); ++at) {
      if (text_.substr(at, 3) == end) return at + 3 - start;
      if (text_[at] == '\\' && !raw) {
        const size_t escape = EscapeLength(at);
        if (escape == 0) return 0;
        at += escape - 1;
      }
    }
    return 0;
  }

  // Of the escape sequence at `at`, or 0.
  size_t EscapeLength(size_t at) const {
    const std::string_view rest = text_.substr(at + 1);
    if (rest.empty()) return 0;
    const auto all = [&](size_t digits, bool (*is)(char)) {
      const std::string_view part = rest.substr(1, digits);
      return part.size() == digits && std::all_of(part.begin(), part.end(), is) ? digits + 2 : 0;
    };
    switch (rest[0]) {
      case 'x':
      case 'X': return all(2, IsHex);
      case 'u': return all(4, IsHex);
      case 'U': return all(8, IsHex);
      case '0':
      case '1':
      case '2':
      case '3': return all(2, IsOctal);
      default: return std::string_view("abfnrtv\"'\\?`").find(rest[0]) != std::string_view::npos ? 2 : 0;
    }
  }

  std::string_view text_;
  size_t at_ = 0;
};

std::string NormalizeNewlines(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      result += text[i];
    } else {
      result += '\n';
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
    }
  }
  return result;
}

uint32_t Digits(std::string_view text, uint32_t base) {
  uint32_t number = 0;
  for (const char c : text) {
    const int digit = IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
    number = number * base + static_cast<uint32_t>(digit);
  }
  return number;
}

}  // namespace

absl::StatusOr<std::vector<Token>> Tokenize(std::string_view text) { return Lexer(text).Run(); }

absl::StatusOr<std::string> Unescape(const Token& token) {
  const bool bytes = token.kind == TokenKind::kBytes;
  std::string text = NormalizeNewlines(token.text.substr(bytes ? 1 : 0));
  const bool raw = text[0] == 'r' || text[0] == 'R';
  if (raw) text.erase(0, 1);
  const size_t quotes = text.size() >= 6 && text[1] == text[0] && text[2] == text[0] ? 3 : 1;
  const std::string_view body = std::string_view(text).substr(quotes, text.size() - 2 * quotes);
  if (raw) return std::string(body);
  std::string result;
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      result += body[i];
      continue;
    }
    const char c = body[++i];
    static constexpr std::string_view kFrom = "abfnrtv", kTo = "\a\b\f\n\r\t\v";
    if (const size_t simple = kFrom.find(c); simple != std::string_view::npos) {
      result += kTo[simple];
      continue;
    }
    const size_t digits = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0 && !IsOctal(c)) {
      result += c;
      continue;
    }
    if (bytes && digits > 2) return absl::InvalidArgumentError("unable to unescape string");
    const uint32_t code = digits > 0 ? Digits(body.substr(i + 1, digits), 16) : Digits(body.substr(i, 3), 8);
    i += digits > 0 ? digits : 2;
    if (bytes) {
      result += static_cast<char>(code);
      continue;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      return absl::InvalidArgumentError("invalid unicode code point");
    }
    AppendRune(result, code);
  }
  return result;
}

std::string ErrorAt(std::string_view text, uint32_t position, std::string_view message) {
  const std::string_view before = text.substr(0, position);
  const size_t line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t start = before.rfind('\n') + 1;  // npos + 1 is 0
  const size_t column = CountRunes(before.substr(start)) + 1;
  const std::string_view row = text.substr(start, text.find('\n', start) - start);
  std::string shown(row);
  std::replace(shown.begin(), shown.end(), '\t', ' ');
  std::string result =
      absl::StrCat("ERROR: <input>:", line, ":", column, ": ", AsAbsl(message), "\n | ", shown, "\n | ");
  for (size_t at = 0; at < row.size() && start + at < position;) {
    const size_t rune = at;
    NextRune(row, at);
    result += at - rune > 1 ? "\uff0e" : ".";
  }
  size_t end = position - start;
  if (end < row.size()) NextRune(row, end);
  return result + (end - (position - start) > 1 ? "\uff3e" : "^");
}

}  // namespace muster::cel
