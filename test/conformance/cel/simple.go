package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	expr "cel.dev/expr"
	_ "cel.dev/expr/conformance/proto2"
	_ "cel.dev/expr/conformance/proto3"
	test "cel.dev/expr/conformance/test"
	"google.golang.org/protobuf/encoding/prototext"
)

// The suites whose features device selectors have.
var suites = []string{
	"basic", "bindings_ext", "comparisons", "conversions", "fp_math", "integer_math", "lists", "logic", "macros",
	"macros2", "optionals", "parse", "plumbing", "string", "string_ext", "timestamps", "type_deduction",
}

// Selectors have no use for messages: Muster takes none.
var messageLiteral = regexp.MustCompile(`google\.protobuf\.\w+\s*\{`)

var errUnwritable = errors.New("no literal for it")

// literal writes a value as an expression.
func literal(v *expr.Value) (string, error) {
	switch k := v.GetKind().(type) {
	case *expr.Value_NullValue:
		return "null", nil
	case *expr.Value_BoolValue:
		return strconv.FormatBool(k.BoolValue), nil
	case *expr.Value_Int64Value:
		return strconv.FormatInt(k.Int64Value, 10), nil
	case *expr.Value_Uint64Value:
		return strconv.FormatUint(k.Uint64Value, 10) + "u", nil
	case *expr.Value_DoubleValue:
		if math.IsNaN(k.DoubleValue) || math.IsInf(k.DoubleValue, 0) {
			return fmt.Sprintf("double(%q)", strconv.FormatFloat(k.DoubleValue, 'g', -1, 64)), nil
		}
		return fmt.Sprintf("double(%q)", strconv.FormatFloat(k.DoubleValue, 'g', -1, 64)), nil
	case *expr.Value_StringValue:
		return quoted(k.StringValue), nil
	case *expr.Value_BytesValue:
		text := "b\""
		for _, b := range k.BytesValue {
			text += fmt.Sprintf("\\x%02x", b)
		}
		return text + "\"", nil
	case *expr.Value_TypeValue:
		return k.TypeValue, nil
	case *expr.Value_ListValue:
		var parts []string
		for _, e := range k.ListValue.GetValues() {
			part, err := literal(e)
			if err != nil {
				return "", err
			}
			parts = append(parts, "dyn("+part+")")
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	case *expr.Value_MapValue:
		var parts []string
		for _, e := range k.MapValue.GetEntries() {
			key, err := literal(e.GetKey())
			if err != nil {
				return "", err
			}
			value, err := literal(e.GetValue())
			if err != nil {
				return "", err
			}
			parts = append(parts, "dyn("+key+"): dyn("+value+")")
		}
		return "{" + strings.Join(parts, ", ") + "}", nil
	}
	return "", errUnwritable
}

func quoted(s string) string {
	text := "\""
	for _, r := range s {
		if r < ' ' || r == '"' || r == '\\' || r > '~' {
			text += fmt.Sprintf("\\U%08x", r)
		} else {
			text += string(r)
		}
	}
	return text + "\""
}

// selector makes a selector of a test: true where the result is what the test wants.
func selector(t *test.SimpleTest) (text, want string, err error) {
	if t.GetDisableCheck() || t.GetContainer() != "" || t.GetDisableMacros() {
		return "", "", errors.New("not checked, in a container, or without macros")
	}
	text = t.GetExpr()
	if messageLiteral.MatchString(text) {
		return "", "", errors.New("a message literal")
	}
	switch r := t.GetResultMatcher().(type) {
	case *test.SimpleTest_EvalError:
		text, want = "dyn("+text+") == dyn(0)", "error"
	case *test.SimpleTest_Value, nil:
		value := t.GetValue()
		if r == nil {
			value = &expr.Value{Kind: &expr.Value_BoolValue{BoolValue: true}}
		}
		expected, err := literal(value)
		if err != nil {
			return "", "", err
		}
		text, want = "dyn("+text+") == dyn("+expected+")", "true"
		if d, ok := value.GetKind().(*expr.Value_DoubleValue); ok && math.IsNaN(d.DoubleValue) {
			text = "string(dyn(" + t.GetExpr() + ")) == 'NaN'"
		}
	default:
		return "", "", errors.New("another kind of result")
	}
	for name, binding := range t.GetBindings() {
		value, err := literal(binding.GetValue())
		if err != nil || strings.Contains(name, ".") {
			return "", "", errors.New("a binding that cannot be written")
		}
		text = "cel.bind(" + name + ", " + value + ", " + text + ")"
	}
	return text, want, nil
}

func simpleTests(folder string, write func(answer)) error {
	skipped := map[string]int{}
	for _, suite := range suites {
		data, err := os.ReadFile(filepath.Join(folder, suite+".textproto"))
		if err != nil {
			return err
		}
		file := &test.SimpleTestFile{}
		if err := prototext.Unmarshal(data, file); err != nil {
			return fmt.Errorf("%s: %w", suite, err)
		}
		for _, section := range file.GetSection() {
			for _, t := range section.GetTest() {
				text, want, err := selector(t)
				if err != nil {
					skipped[err.Error()]++
					continue
				}
				result := ask(text)
				result.Name = suite + "/" + section.GetName() + "/" + t.GetName()
				result.Want = want
				write(result)
			}
		}
	}
	for reason, count := range skipped {
		fmt.Fprintf(os.Stderr, "skipped %d: %s\n", count, reason)
	}
	return nil
}
