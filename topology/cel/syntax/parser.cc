#include "topology/cel/syntax/parser.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "topology/cel/syntax/lexer.h"

namespace muster::cel {
namespace {

constexpr int kMostDepth = 250;  // cel-go's own

constexpr std::string_view kReserved[] = {"as",        "break",  "const",  "continue", "else", "for",
                                          "function",  "if",     "import", "let",      "loop", "package",
                                          "namespace", "return", "var",    "void",     "while"};

// Recursive descent over CEL's grammar. The first error ends it: Expr pointers are null from then on.
class Parser {
 public:
  Parser(std::string_view text, std::vector<Token> tokens, Ast& ast)
      : text_(text), tokens_(std::move(tokens)), ast_(ast) {}

  absl::StatusOr<Expr*> Run() {
    Expr* root = Expression();
    if (root != nullptr && Now().kind != TokenKind::kEnd) root = Unexpected();
    if (root == nullptr) return error_;
    if (root->height > kMostDepth) return Fail(0, "expression recursion limit exceeded: 250"), error_;
    return root;
  }

 private:
  // Nesting of one grammar rule, as cel-go counts it: a left-recursive rule counts once more with every operator.
  class Depth {
   public:
    Depth(Parser& parser, int& depth) : parser_(parser), depth_(depth), before_(depth) { Deeper(); }
    ~Depth() { depth_ = before_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;
    void Deeper() {
      if (++depth_ > kMostDepth) parser_.Fail(parser_.Now().position, "expression recursion limit exceeded: 250");
    }

   private:
    Parser& parser_;
    int& depth_;
    int before_;
  };

  const Token& Now() const { return tokens_[at_]; }
  const Token& Ahead(size_t by) const { return tokens_[std::min(at_ + by, tokens_.size() - 1)]; }
  bool Is(const Token& token, std::string_view symbol) const {
    return (token.kind == TokenKind::kSymbol || token.kind == TokenKind::kKeyword) && token.text == symbol;
  }
  bool Is(std::string_view symbol) const { return Is(Now(), symbol); }
  bool Take(std::string_view symbol) {
    if (!Is(symbol)) return false;
    ++at_;
    return true;
  }
  bool failed() const { return !error_.ok(); }

  std::nullptr_t Fail(uint32_t position, std::string_view message) {
    if (error_.ok()) error_ = absl::InvalidArgumentError(ErrorAt(text_, position, message));
    return nullptr;
  }
  std::nullptr_t Unexpected() {
    const std::string_view input = Now().text;
    return Fail(Now().position, absl::StrCat("Syntax error: unexpected input '", AsAbsl(input), "'"));
  }
  bool Expect(std::string_view symbol) {
    if (failed()) return false;
    if (Take(symbol)) return true;
    Unexpected();
    return false;
  }

  Expr* Call(uint32_t position, std::string_view name, std::vector<Expr*> args, bool member = false) {
    if (failed()) return nullptr;
    Expr* target = member ? args[0] : nullptr;
    int height = 0;
    for (const Expr* arg : args) height = std::max(height, arg->height);
    const std::vector<Expr*> rest(args.begin() + (member ? 1 : 0), args.end());
    absl::StatusOr<Expr*> expanded = ExpandMacro(ast_, name, target, rest, position);
    if (!expanded.ok()) {
      const absl::string_view message = expanded.status().message();
      return Fail(position, {message.data(), message.size()});
    }
    if (ast_.full()) return Fail(position, "expression too large");
    Expr* call = *expanded;
    if (call == nullptr) {
      call = ast_.New(ExprKind::kCall, position);
      call->name = name;
      call->member = member;
      call->args = std::move(args);
    }
    call->height = height;
    return call;
  }

  // An operator that cel-go visits recursively.
  Expr* Nested(Expr* expr) {
    if (expr != nullptr && ++expr->height > kMostDepth) {
      return Fail(expr->position, "expression recursion limit exceeded: 250");
    }
    return expr;
  }

  Expr* Expression() {
    Depth depth(*this, expression_depth_);
    if (failed()) return nullptr;
    Expr* condition =
        Chain("||", names::kOr, [this] { return Chain("&&", names::kAnd, [this] { return Relation(); }); });
    const uint32_t position = Now().position;
    if (failed() || !Take("?")) return failed() ? nullptr : condition;
    Expr* yes = Chain("||", names::kOr, [this] { return Chain("&&", names::kAnd, [this] { return Relation(); }); });
    if (!Expect(":")) return nullptr;
    Expr* no = Expression();
    return Nested(Call(position, names::kConditional, {condition, yes, no}));
  }

  // `&&` and `||` take any number of operands.
  template <typename Operand>
  Expr* Chain(std::string_view symbol, std::string_view name, Operand operand) {
    const uint32_t position = Now().position;
    std::vector<Expr*> terms = {operand()};
    while (!failed() && Take(symbol)) terms.push_back(operand());
    if (failed()) return nullptr;
    return terms.size() == 1 ? terms[0] : Call(position, name, std::move(terms));
  }

  Expr* Relation() {
    Depth depth(*this, relation_depth_);
    Expr* left = Calc(0);
    while (!failed()) {
      std::string name;
      for (const std::string_view symbol : {"<", "<=", ">=", ">", "==", "!="}) {
        if (Is(symbol)) name = absl::StrCat("_", AsAbsl(symbol), "_");
      }
      if (Is("in")) name = names::kIn;
      if (name.empty()) return left;
      depth.Deeper();
      const uint32_t position = Now().position;
      ++at_;
      Expr* right = OneRelation();
      left = Nested(Call(position, name, {left, right}));
    }
    return nullptr;
  }

  Expr* OneRelation() {
    Depth depth(*this, relation_depth_);
    return Calc(0);
  }

  // level 0: sums; 1: products; 2: one operand.
  Expr* Calc(int level) {
    if (failed()) return nullptr;
    Depth depth(*this, calc_depth_);
    Expr* left = Unary();
    return CalcRest(left, level, depth);
  }

  Expr* CalcRest(Expr* left, int level, Depth& depth) {
    while (!failed()) {
      const bool product = Is("*") || Is("/") || Is("%");
      const bool sum = Is("+") || Is("-");
      if (!(product && level <= 1) && !(sum && level == 0)) return left;
      depth.Deeper();
      const Token token = Now();
      ++at_;
      Expr* right = Calc(product ? 2 : 1);
      const std::string_view symbol = token.text;
      left = Nested(Call(token.position, absl::StrCat("_", AsAbsl(symbol), "_"), {left, right}));
    }
    return nullptr;
  }

  Expr* Unary() {
    const uint32_t position = Now().position;
    if (Is("!")) {
      int count = 0;
      for (; Take("!"); ++count) {
      }
      Expr* operand = Member();
      return count % 2 == 0 ? operand : Call(position, names::kNot, {operand});
    }
    const bool literal = Ahead(1).kind == TokenKind::kInt || Ahead(1).kind == TokenKind::kDouble;
    if (Is("-") && !literal) {
      int count = 0;
      for (; Take("-"); ++count) {
      }
      Expr* operand = Member();
      return count % 2 == 0 ? operand : Call(position, names::kNegate, {operand});
    }
    return Member();
  }

  Expr* Member() {
    Depth depth(*this, member_depth_);
    Expr* expr = Primary();
    while (!failed()) {
      const uint32_t position = Now().position;
      if (Take(".")) {
        depth.Deeper();
        expr = Selection(expr, position);
      } else if (Take("[")) {
        depth.Deeper();
        const bool optional = Take("?");
        Expr* index = Expression();
        if (!Expect("]")) return nullptr;
        expr = Nested(Call(position, optional ? names::kOptIndex : names::kIndex, {expr, index}));
      } else {
        return expr;
      }
    }
    return nullptr;
  }

  Expr* Selection(Expr* operand, uint32_t position) {
    const bool optional = Take("?");
    if (Now().kind != TokenKind::kIdent) return Unexpected();
    const Token name = Now();
    ++at_;
    if (!optional && Is("(")) {
      const uint32_t open = Now().position;
      std::vector<Expr*> args = {operand};
      if (!Arguments(args)) return nullptr;
      return Nested(Call(open, name.text, std::move(args), true));
    }
    if (optional) {
      Expr* field = ast_.New(ExprKind::kLiteral, name.position);
      field->literal = MakeString(ast_.text().Copy(name.text));
      return Nested(Call(position, names::kOptSelect, {operand, field}));
    }
    Expr* select = ast_.New(ExprKind::kSelect, position);
    select->name = name.text;
    select->args = {operand};
    select->height = operand->height;
    return Nested(select);
  }

  // "(" ... ")", appended.
  bool Arguments(std::vector<Expr*>& args) {
    if (!Expect("(")) return false;
    if (Take(")")) return true;
    do {
      Expr* arg = Expression();
      if (arg == nullptr) return false;
      args.push_back(arg);
    } while (Take(","));
    return Expect(")");
  }

  Expr* Primary() {
    if (failed()) return nullptr;
    const Token token = Now();
    if (Take("(")) {
      Expr* inner = Expression();
      return Expect(")") ? inner : nullptr;
    }
    if (Is("[")) return ListLiteral();
    if (Is("{")) return MapLiteral();
    if (token.kind == TokenKind::kIdent || (Is(".") && Ahead(1).kind == TokenKind::kIdent)) return Name();
    return Literal();
  }

  Expr* Name() {
    const uint32_t position = Now().position;
    const bool dot = Take(".");
    if (StructFollows()) return StructLiteral(dot);
    const Token name = Now();
    ++at_;
    const bool reserved = std::find(std::begin(kReserved), std::end(kReserved), name.text) != std::end(kReserved);
    if (reserved) {
      const std::string_view word = name.text;
      return Fail(position, absl::StrCat("reserved identifier: ", AsAbsl(word)));
    }
    const std::string full = absl::StrCat(dot ? "." : "", AsAbsl(name.text));
    if (Is("(")) {
      const uint32_t open = Now().position;
      std::vector<Expr*> args;
      return Arguments(args) ? Call(open, full, std::move(args)) : nullptr;
    }
    Expr* ident = ast_.New(ExprKind::kIdent, name.position);
    ident->name = full;
    return ident;
  }

  bool StructFollows() const {
    size_t ahead = 1;
    while (Is(Ahead(ahead), ".") && Ahead(ahead + 1).kind == TokenKind::kIdent) ahead += 2;
    return Is(Ahead(ahead), "{");
  }

  Expr* StructLiteral(bool dot) {
    Expr* expr = ast_.New(ExprKind::kStruct, Now().position);
    expr->name = dot ? "." : "";
    while (!Is("{")) {
      expr->name += Now().text;
      ++at_;
    }
    ++at_;
    while (!failed() && !Is("}") && !Is(",")) {
      expr->optional.push_back(Take("?"));
      if (Now().kind != TokenKind::kIdent) return Unexpected();
      expr->fields.emplace_back(Now().text);
      ++at_;
      if (!Expect(":") || !Element(*expr)) return nullptr;
      if (!Is(",") || Is(Ahead(1), "}")) break;
      ++at_;
    }
    Take(",");
    return Expect("}") ? expr : nullptr;
  }

  // One more operand of a list, map or struct.
  bool Element(Expr& expr) {
    Expr* element = Expression();
    if (element == nullptr) return false;
    expr.args.push_back(element);
    expr.height = std::max(expr.height, element->height);
    return true;
  }

  Expr* ListLiteral() {
    Expr* expr = ast_.New(ExprKind::kList, Now().position);
    ++at_;
    while (!failed() && !Is("]") && !Is(",")) {
      expr->optional.push_back(Take("?"));
      if (!Element(*expr)) return nullptr;
      if (!Is(",") || Is(Ahead(1), "]")) break;
      ++at_;
      if (Is(",")) return Unexpected();
    }
    Take(",");
    return Expect("]") ? expr : nullptr;
  }

  Expr* MapLiteral() {
    Expr* expr = ast_.New(ExprKind::kMap, Now().position);
    ++at_;
    while (!failed() && !Is("}") && !Is(",")) {
      expr->optional.push_back(Take("?"));
      if (!Element(*expr) || !Expect(":") || !Element(*expr)) return nullptr;
      if (!Is(",") || Is(Ahead(1), "}")) break;
      ++at_;
      if (Is(",")) return Unexpected();
    }
    Take(",");
    return Expect("}") ? expr : nullptr;
  }

  Expr* Literal() {
    const uint32_t position = Now().position;
    const bool negative = Is("-");
    if (negative) ++at_;
    const Token token = Now();
    Expr* expr = ast_.New(ExprKind::kLiteral, position);
    ++at_;
    switch (token.kind) {
      case TokenKind::kInt: return Integer(expr, token, negative);
      case TokenKind::kUint: return Natural(expr, token);
      case TokenKind::kDouble: return Real(expr, token, negative);
      case TokenKind::kString:
      case TokenKind::kBytes: {
        const absl::StatusOr<std::string> text = Unescape(token);
        if (!text.ok()) return Fail(position, std::string(text.status().message()));
        const Kind kind = token.kind == TokenKind::kString ? Kind::kString : Kind::kBytes;
        expr->literal = MakeText(kind, ast_.text().Copy(*text));
        return expr;
      }
      case TokenKind::kKeyword:
        if (token.text == "in") break;
        expr->literal = token.text == "null" ? MakeNull() : MakeBool(token.text == "true");
        return expr;
      default: break;
    }
    --at_;
    return Unexpected();
  }

  Expr* Integer(Expr* expr, const Token& token, bool negative) {
    const bool hex = token.text.substr(0, 2) == "0x";
    const std::string digits = absl::StrCat(negative ? "-" : "", AsAbsl(token.text.substr(hex ? 2 : 0)));
    int64_t number;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), number, hex ? 16 : 10);
    if (result.ec != std::errc()) return Fail(token.position, "invalid int literal");
    expr->literal = MakeInt(number);
    return expr;
  }

  Expr* Natural(Expr* expr, const Token& token) {
    const bool hex = token.text.substr(0, 2) == "0x";
    const std::string_view digits = token.text.substr(hex ? 2 : 0, token.text.size() - (hex ? 3 : 1));
    uint64_t number;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), number, hex ? 16 : 10);
    if (result.ec != std::errc()) return Fail(token.position, "invalid uint literal");
    expr->literal = MakeUint(number);
    return expr;
  }

  Expr* Real(Expr* expr, const Token& token, bool negative) {
    double number;
    const bool read = absl::SimpleAtod(AsAbsl(token.text), &number);
    if (!read || number > 1.7976931348623157e308) return Fail(token.position, "invalid double literal");
    expr->literal = MakeDouble(negative ? -number : number);
    return expr;
  }

  std::string_view text_;
  std::vector<Token> tokens_;
  Ast& ast_;
  size_t at_ = 0;
  absl::Status error_;
  int expression_depth_ = 0, relation_depth_ = 0, calc_depth_ = 0, member_depth_ = 0;
};

}  // namespace

absl::StatusOr<Expr*> Parse(std::string_view text, Ast& ast) {
  absl::StatusOr<std::vector<Token>> tokens = Tokenize(text);
  if (!tokens.ok()) return tokens.status();
  return Parser(text, *std::move(tokens), ast).Run();
}

}  // namespace muster::cel
