#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "topology/cel/program.h"

namespace muster::cel {
namespace {

// Evaluates nodes. Errors are values, which `&&`, `||` and folds may absorb; `stopped` ends everything.
class Machine {
 public:
  Machine(const Code& code, const Value& device, Frame& frame, uint64_t limit)
      : code_(code), frame_(frame), call_{frame.arena, frame.regexes}, limit_(limit) {
    frame_.arena.Reset();
    frame_.regexes.Reset();
    frame_.regexes.set_constants(&code.regexes);
    frame_.slots.assign(code.inits.size(), Value());
    frame_.slots[0] = device;
  }

  Evaluation Run() {
    const Value value = Eval(code_.root);
    if (exceeded_) return {MakeError("operation cancelled: actual cost limit exceeded"), cost_, true};
    if (stopped_) return {stop_, cost_, false};
    return {value, cost_, false};
  }

 private:
  void Charge(uint64_t cost) {
    cost_ += cost;
    if (cost_ > limit_ || frame_.arena.exhausted()) stopped_ = exceeded_ = true;
  }
  // What cel-go panics for: nothing absorbs it.
  Value Stop(std::string_view message) {
    stopped_ = true;
    return stop_ = MakeError(message);
  }

  Value Eval(uint32_t id) {
    const Node& node = code_.nodes[id];
    if (stopped_) return stop_;
    switch (node.op) {
      case Op::kConst: return code_.constants[node.a];
      case Op::kVariable: return Variable(node);
      case Op::kAttribute: return Attribute(node);
      case Op::kTest: return Test(node);
      case Op::kAnd: return Logic(node, false);
      case Op::kOr: return Logic(node, true);
      case Op::kConditional: return Conditional(node);
      case Op::kEqual:
      case Op::kNotEqual: return Comparison(node);
      case Op::kCall: return CallFunction(id, node);
      case Op::kIn: return In(node);
      case Op::kOptionalOr:
      case Op::kOrValue: return Or(node);
      case Op::kList: return ListOf(node);
      case Op::kMap: return MapOf(node);
      case Op::kFold: return FoldOver(code_.folds[node.a]);
      case Op::kAppend: return AppendTo(node);
      case Op::kInsert: return InsertInto(node);
    }
    return Value();
  }
  Value Child(const Node& node, uint32_t i) { return Eval(code_.children[node.b + i]); }

  Value Variable(const Node& node) {
    Value& slot = frame_.slots[node.a];
    if (slot.kind == Kind::kUnset) slot = Eval(code_.inits[node.a]);
    if ((node.flags & kFree) == 0) Charge(1);
    return slot;
  }

  // ---- Fields and indices --------------------------------------------------------------------------------------

  enum class Found : uint8_t { kYes, kNo, kError };

  // Replaces `object` by what it has at `key`, or by an error. kNo only where absence is asked for.
  Found Look(Value& object, const Value& key, bool may_be_absent) {
    if (key.kind < Kind::kBool || key.kind > Kind::kString) {
      const std::string_view type = TypeName(key);
      object = call_.Error(absl::StrCat("invalid qualifier type: ", AsAbsl(type)));
      return Found::kError;
    }
    if (object.kind == Kind::kMap) {
      Value missing;
      if (const Value* found = Find(*object.map, key, missing); found != nullptr) {
        object = *found;
        return Found::kYes;
      }
    } else if (object.kind == Kind::kList) {
      return LookInList(object, key, may_be_absent);
    }
    if (may_be_absent) return Found::kNo;
    object = call_.Error("no such key: " + Print(key));
    return Found::kError;
  }

  Found LookInList(Value& object, const Value& key, bool may_be_absent) {
    int64_t index;
    if (key.kind == Kind::kInt) {
      index = key.integer;
    } else if (key.kind == Kind::kUint && key.natural <= INT64_MAX) {
      index = static_cast<int64_t>(key.natural);
    } else if (key.kind == Kind::kDouble && std::fabs(key.real) < 9e18 && std::floor(key.real) == key.real) {
      index = static_cast<int64_t>(key.real);
    } else {
      const std::string_view type = TypeName(key);
      const bool number = key.kind == Kind::kUint || key.kind == Kind::kDouble;
      object = call_.Error(number ? "unsupported index value " + Print(key) + " in list"
                                  : absl::StrCat("unsupported index type '", AsAbsl(type), "' in list"));
      return Found::kError;
    }
    if (index >= 0 && index < object.list->size) {
      object = object.list->items[index];
      return Found::kYes;
    }
    if (may_be_absent) return Found::kNo;
    object = call_.Error("index out of bounds: " + Print(key));
    return Found::kError;
  }

  // All qualifiers but the last `but`. False where that settled the result: an error or none.
  bool Walk(const Node& node, uint32_t but, Value& object, bool& optional) {
    if (object.is_error()) return false;
    if (object.kind == Kind::kOptional) {
      if (object.inner == nullptr) return false;
      object = *object.inner;
      optional = true;
    }
    for (uint32_t i = 0; i + but < node.count; ++i) {
      const Qualifier& qualifier = code_.qualifiers[node.b + i];
      optional |= qualifier.optional;
      const Value key = qualifier.constant ? code_.constants[qualifier.index] : Eval(qualifier.index);
      if (stopped_) return false;
      if (key.is_error()) {
        object = key;
        if (!optional) Charge(1);
        return false;
      }
      const Found found = Look(object, key, optional);
      if (found == Found::kNo) object = MakeNone();
      if (found == Found::kYes || !optional) Charge(1);
      if (found != Found::kYes) return false;
    }
    return true;
  }

  Value Attribute(const Node& node) {
    Value object = Eval(node.a);
    bool optional = false;
    if (Walk(node, 0, object, optional) && optional) object = MakeOptional(frame_.arena, object);
    if ((node.flags & kFree) == 0) Charge(1);
    return object;
  }

  // has(): its own cost of one is what cel-go takes off again, except over a conditional, which costs nothing.
  Value Test(const Node& node) {
    Value object = Eval(node.a);
    bool optional = false;
    const Qualifier& last = code_.qualifiers[node.b + node.count - 1];
    bool present = false;
    if (Walk(node, 1, object, optional)) {
      const Found found = Look(object, code_.constants[last.index], true);
      if (found == Found::kError) return object;
      present = found == Found::kYes;
      if (present || !optional) Charge(1);
    }
    if ((node.flags & kFree) != 0 && cost_ > 0) --cost_;
    return object.is_error() ? object : MakeBool(present);
  }

  // ---- Logic ---------------------------------------------------------------------------------------------------

  Value Logic(const Node& node, bool decisive) {
    Value error;
    for (uint32_t i = 0; i < node.count; ++i) {
      const Value term = Child(node, i);
      if (stopped_) return stop_;
      if (term.kind == Kind::kBool) {
        if (term.boolean == decisive) return term;
      } else if (error.kind == Kind::kUnset) {
        error = term.is_error() ? term : NoSuchOverload();
      }
    }
    return error.kind == Kind::kUnset ? MakeBool(!decisive) : error;
  }

  Value Conditional(const Node& node) {
    const Value condition = Child(node, 0);
    if (condition.is_error()) return condition;
    if (condition.kind != Kind::kBool) return NoSuchOverload();
    return Child(node, condition.boolean ? 1 : 2);
  }

  Value Comparison(const Node& node) {
    const Value args[2] = {Child(node, 0), Child(node, 1)};
    Value result;
    if (args[0].is_error() || args[1].is_error()) {
      result = args[0].is_error() ? args[0] : args[1];
    } else {
      const Equality equal = Equal(args[0], args[1]);
      if (node.op == Op::kNotEqual) {
        result = MakeBool(equal != Equality::kTrue);
      } else {
        result = equal == Equality::kError ? NoSuchOverload() : MakeBool(equal == Equality::kTrue);
      }
    }
    Charge(CallCost(node.cost, args, 2, result));
    return result;
  }

  Value In(const Node& node) {
    const Value arg = Child(node, 0);
    if (arg.is_error()) return arg;
    if (arg.kind == Kind::kBytes || arg.kind == Kind::kSemver || arg.kind == Kind::kFormat) {
      return Stop("internal error: runtime error: hash of unhashable type");
    }
    const List& list = *code_.constants[node.c].list;
    for (uint32_t i = 0; i < list.size; ++i) {
      if (EqualDirect(list.items[i], arg) == Equality::kTrue) return MakeBool(true);
    }
    return MakeBool(false);
  }

  Value Or(const Node& node) {
    const Value left = Child(node, 0);
    if (left.is_error()) return left;
    if (left.kind != Kind::kOptional) return NoSuchOverload();
    if (left.inner == nullptr) return Child(node, 1);
    return node.op == Op::kOrValue ? *left.inner : left;
  }

  // ---- Calls and literals --------------------------------------------------------------------------------------

  Value CallFunction(uint32_t id, const Node& node) {
    Value args[4];
    const Value* error = nullptr;
    for (uint32_t i = 0; i < node.count; ++i) {
      args[i] = Child(node, i);
      if (stopped_) return stop_;
      if (!args[i].is_error() || (node.flags & kLenient) != 0) continue;
      if ((node.flags & kEager) != 0) return args[i];
      if (error == nullptr) error = &args[i];
    }
    Value result;
    if (error != nullptr) {
      result = *error;
    } else if (node.run != nullptr) {
      result = node.run(call_, args, static_cast<int>(node.count));
    } else {
      result = NoSuchOverload();
    }
    if (result.kind == Kind::kUnset) result = NoOverload(code_.names[id], args, node.count);
    Charge(CallCost(node.cost, args, static_cast<int>(node.count), result));
    return result;
  }

  Value NoOverload(const std::string& name, const Value* args, uint32_t count) {
    std::string text = "no such overload: " + name + "(";
    for (uint32_t i = 0; i < count; ++i) {
      if (i > 0) text += ", ";
      text += TypeName(args[i]);
    }
    return call_.Error(text + ")");
  }

  Value ListOf(const Node& node) {
    List* list = NewList(frame_.arena, node.count);
    for (uint32_t i = 0; i < node.count; ++i) {
      Value item = Child(node, i);
      if (item.is_error()) return Built(item, 10);
      if (code_.optional[node.b + i]) {
        if (item.kind != Kind::kOptional) {
          const std::string text = "cannot initialize optional list element from non-optional value ";
          return Built(call_.Error(text + Print(item)), 10);
        }
        if (item.inner == nullptr) continue;
        item = *item.inner;
      }
      list->items[list->size++] = item;
    }
    return Built(MakeList(list), 10);
  }

  Value MapOf(const Node& node) {
    Map* map = NewMap(frame_.arena, node.count / 2);
    for (uint32_t i = 0; i < node.count; i += 2) {
      const Value key = Child(node, i);
      if (key.is_error()) return Built(key, 30);
      Value value = Child(node, i + 1);
      if (value.is_error()) return Built(value, 30);
      if (code_.optional[node.b + i + 1]) {
        if (value.kind != Kind::kOptional) {
          const std::string text = "cannot initialize optional entry '" + Print(key) + "' from non-optional value ";
          return Built(call_.Error(text + Print(value)), 30);
        }
        if (value.inner == nullptr) continue;
        value = *value.inner;
      }
      Put(frame_.arena, *map, key, value);
    }
    return Built(MakeMap(map), 30);
  }

  Value Built(Value value, uint64_t cost) {
    Charge(cost);
    return value;
  }

  // ---- Folds ---------------------------------------------------------------------------------------------------

  Value FoldOver(const Fold& fold) {
    const Value range = Eval(fold.range);
    if (range.is_error()) return range;
    if (range.kind != Kind::kList && range.kind != Kind::kMap) {
      const std::string type(TypeName(range));
      return call_.Error(fold.variable2 != 0 ? "unsupported comprehension range type: " + type
                                             : "got '" + type + "', expected iterable type");
    }
    frame_.slots[fold.accu] = Value();
    const bool list = range.kind == Kind::kList;
    const uint32_t size = list ? range.list->size : range.map->size;
    for (uint32_t i = 0; i < size; ++i) {
      if (fold.variable2 != 0) {
        frame_.slots[fold.variable] = list ? MakeInt(i) : range.map->entries[i].key;
        frame_.slots[fold.variable2] = list ? range.list->items[i] : range.map->entries[i].value;
      } else {
        frame_.slots[fold.variable] = list ? range.list->items[i] : range.map->entries[i].key;
      }
      if (Eval(fold.condition).is_false()) break;
      const Value next = Eval(fold.step);
      if (stopped_) return stop_;
      frame_.slots[fold.accu] = next;
    }
    return Eval(fold.result);
  }

  Value AppendTo(const Node& node) {
    Charge(1);  // the accumulator
    const Value item = Child(node, 0);
    // A list of a constant is a constant and costs nothing.
    if (code_.nodes[code_.children[node.b]].op != Op::kConst) Charge(10);
    Charge(1);  // the sum
    Value& accu = frame_.slots[node.a];
    if (accu.is_error()) return accu;
    if (item.is_error()) return item;
    if (accu.kind == Kind::kUnset || accu.list->size == 0) accu = MakeList(NewList(frame_.arena, 4));
    Append(frame_.arena, *accu.list, item);
    return accu;
  }

  Value InsertInto(const Node& node) {
    Charge(1);  // the accumulator
    Value& accu = frame_.slots[node.a];
    if (accu.is_error()) {
      if (node.count == 1) {
        Child(node, 0);
        Charge(1);
      }
      return accu;
    }
    const Value key = Child(node, 0);
    if (key.is_error()) return key;
    if (accu.kind == Kind::kUnset || accu.map->size == 0) accu = MakeMap(NewMap(frame_.arena, 4));
    if (node.count == 1) {
      Charge(1);
      return InsertAll(accu, key);
    }
    const Value value = Child(node, 1);
    if (value.is_error()) return value;
    Charge(1);
    return Insert(accu, key, value);
  }

  Value InsertAll(const Value& accu, const Value& entries) {
    if (entries.kind != Kind::kMap) return NoOverload(std::string(names::kMapInsert), &entries, 1);
    for (uint32_t i = 0; i < entries.map->size; ++i) {
      const Value result = Insert(accu, entries.map->entries[i].key, entries.map->entries[i].value);
      if (result.is_error()) return result;
    }
    return accu;
  }

  Value Insert(const Value& accu, const Value& key, const Value& value) {
    if (FindExact(*accu.map, key) != nullptr) {
      return call_.Error("insert failed: key " + Print(key) + " already exists");
    }
    Put(frame_.arena, *accu.map, key, value);
    return accu;
  }

  const Code& code_;
  Frame& frame_;
  Call call_;
  uint64_t limit_;
  uint64_t cost_ = 0;
  bool stopped_ = false;
  bool exceeded_ = false;
  Value stop_ = MakeError("operation cancelled: actual cost limit exceeded");
};

}  // namespace

Evaluation Run(const Code& code, const Value& device, Frame& frame, uint64_t cost_limit) {
  return Machine(code, device, frame, cost_limit).Run();
}

}  // namespace muster::cel
