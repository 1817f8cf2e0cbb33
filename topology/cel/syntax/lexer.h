// Cuts an expression into tokens.
#ifndef MUSTER_TOPOLOGY_CEL_SYNTAX_LEXER_H_
#define MUSTER_TOPOLOGY_CEL_SYNTAX_LEXER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace muster::cel {

enum class TokenKind : uint8_t { kEnd, kSymbol, kIdent, kKeyword, kInt, kUint, kDouble, kString, kBytes };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string_view text;  // as written
  uint32_t position = 0;
};

// The last token is kEnd. Errors name the line and column.
absl::StatusOr<std::vector<Token>> Tokenize(std::string_view text);

// What a string or bytes token stands for.
absl::StatusOr<std::string> Unescape(const Token& token);

// An error as cel-go shows it: `ERROR: <input>:1:17: ` and the message (lines from 1, columns from 1 in code points),
// then the line of `text` and a mark under its column.
std::string ErrorAt(std::string_view text, uint32_t position, std::string_view message);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_SYNTAX_LEXER_H_
