package main

import (
	"fmt"
	"math/rand"
	"strings"
)

// generator makes expressions of each type from those of others, some of them wrong on purpose.
type generator struct{ *rand.Rand }

func (g *generator) pick(texts ...string) string { return texts[g.Intn(len(texts))] }

// mistyped changes an expression in one place; few of these still compile.
func (g *generator) mistyped(text string) string {
	at := g.Intn(len(text))
	end := min(len(text), at+g.Intn(6))
	part := g.pick("", "", text[at:end]+text[at:end], "(", ")", "[", "]", "{", "}", "'", "\"", "\\", ".", "?", ":", ",", "!", "-", "&&",
		"||", "in", "as", "0x1f", "1u", ".5", "1e3", "null", "true", "`a`", "//", "\\x41", "\\u00e9", "b'", "r'", "\"\"\"", ".?", "[?", "has(",
		"dyn(", ".all(x, ", "9223372036854775808", "\n", "\t", "\u00e9", "\U0001d11e", "\r", "\f")
	return strings.ToValidUTF8(text[:at]+part+text[end:], "?")
}

const (
	own   = `device.attributes["gpu.example.com"]`
	other = `device.attributes["other.example.com"]`
)

// anything is of no type that the place expects.
func (g *generator) anything(depth int) string {
	return g.pick(g.integer(depth), g.text(depth), g.boolean(depth), g.real(depth), g.list(depth), "null",
		"device", own, g.quantity(depth), g.version(depth), g.optional(depth), `{"a": 1}`, "b'ab'", "1u",
		own+"."+g.attribute(), g.duration(depth), "type(1)")
}

func (g *generator) attribute() string {
	return g.pick("model", "index", "healthy", "version", "links", "flags", "modes", "versions", "missing", "model", "index")
}

func (g *generator) boolean(depth int) string {
	if depth <= 0 {
		return g.pick("true", "false", own+".healthy", "device.allowMultipleAllocations", own+".missing",
			"has("+own+"."+g.attribute()+")", "1/0 == 1", own+".index")
	}
	d := depth - 1
	if g.Intn(40) == 0 {
		return g.anything(d)
	}
	switch g.Intn(30) {
	case 0, 1:
		return g.boolean(d) + " && " + g.boolean(d)
	case 2, 3:
		return "(" + g.boolean(d) + " || " + g.boolean(d) + ")"
	case 4:
		return "!(" + g.boolean(d) + ")"
	case 5:
		return "(" + g.boolean(d) + " ? " + g.boolean(d) + " : " + g.boolean(d) + ")"
	case 6:
		return g.integer(d) + g.pick(" < ", " <= ", " > ", " >= ", " == ", " != ") + g.pick(g.integer(d), g.real(d))
	case 7:
		return g.text(d) + g.pick(" < ", " <= ", " > ", " >= ", " == ", " != ") + g.text(d)
	case 8:
		return g.text(d) + "." + g.pick("contains", "startsWith", "endsWith", "matches") + "(" + g.text(d) + ")"
	case 9:
		return own + "." + g.attribute() + g.pick(" == ", " != ", " < ") + g.pick(g.integer(d), g.text(d), g.version(d), g.anything(d))
	case 10:
		return g.text(d) + " in " + g.pick(own, other, "device.attributes", g.texts(d), own+".modes", "device.capacity")
	case 11:
		return g.integer(d) + " in " + g.pick(g.list(d), own+".links", "[1.0, 2.0]")
	case 12:
		return g.list(d) + "." + g.pick("all", "exists", "exists_one") + "(x, " + g.predicate(d) + ")"
	case 13:
		return g.quantity(d) + "." + g.pick("isGreaterThan", "isLessThan") + "(" + g.quantity(d) + ")"
	case 14:
		return g.version(d) + "." + g.pick("isGreaterThan", "isLessThan") + "(" + g.version(d) + ")"
	case 15:
		return g.quantity(d) + g.pick(" == ", " != ") + g.quantity(d)
	case 16:
		return g.optional(d) + "." + g.pick("hasValue()", "orValue(1) == 1", "value() == 2", "optMap(v, v + 1).orValue(0) > 2",
			"optFlatMap(v, optional.of(v)).hasValue()", "or(optional.of(7)).value() == 7")
	case 17:
		return own + g.pick(".?"+g.attribute(), "[?\""+g.attribute()+"\"]") + g.pick(".hasValue()", ".orValue(false)", ".orValue(\"x\") == \"x\"", ".value() == 3")
	case 18:
		return "cel.bind(v, " + g.integer(d) + ", v " + g.pick("<", "==", "!=") + " v * 2)"
	case 19:
		return g.list(d) + g.pick(".isSorted()", ".sum() > 3", ".max() == 3", ".min() < 2", ".includes(2)", ".indexOf(2) == 1",
			".sort() == [1, 2, 3]", ".reverse()[0] == 1", ".distinct().size() < 3", ".slice(0, 1) == [1]",
			".first().hasValue()", ".last() == optional.of(3)", ".sortBy(x, -x)[0] == 3", ".lastIndexOf(3) > 0")
	case 20:
		return "sets." + g.pick("contains", "equivalent", "intersects") + "(" + g.list(d) + ", " + g.list(d) + ")"
	case 21:
		return g.pick("ip", "isIP", "cidr", "isCIDR", "url", "isURL", "isQuantity", "isSemver", "ip.isCanonical") + "(" +
			g.network() + ")" + g.pick("", " == ip(\"10.0.0.1\")", ".family() == 4", ".isLoopback()", ".isGlobalUnicast()",
			".containsIP(\"10.1.2.3\")", ".containsCIDR(\"10.1.0.0/16\")", ".prefixLength() > 8", ".getHost() == \"a.b:80\"",
			".getPort() == \"80\"", ".getQuery()[\"k\"] == [\"v\"]", ".getEscapedPath() == \"/p%20q\"", ".masked() == cidr(\"10.0.0.0/8\")")
	case 22:
		return "format." + g.pick("dns1123Label", "dns1123Subdomain", "dns1035Label", "qualifiedName", "labelValue", "uri", "uuid",
			"byte", "date", "datetime", "dns1123LabelPrefix") + "().validate(" + g.text(d) + ")" + g.pick(".hasValue()", " == optional.none()",
			".orValue([]).size() == 1")
	case 23:
		return g.text(d) + g.pick(".find(", ".findAll(") + g.pick(`"[a-z]+"`, `"[0-9]"`, `"("`, `"a*"`, g.text(d)) + ")" +
			g.pick(" == \"a\"", ".size() == 2", ".size() > 0")
	case 24:
		return g.duration(d) + g.pick(" < ", " == ", " >= ") + g.duration(d)
	case 25:
		return "timestamp(" + g.pick(`"2024-02-29T12:34:56.789Z"`, `"2023-01-01T00:00:00+02:00"`, `"0001-01-01T00:00:00Z"`, "1700000000") + ")" +
			g.pick(".getFullYear() == 2024", ".getMonth() == 1", ".getHours() == 12", ".getDayOfWeek(\"America/New_York\") == 4",
				".getHours(\"+05:30\") > 10", " + "+g.duration(d)+" > timestamp(0)", ".getMilliseconds() == 789", ".getDayOfYear() == 59")
	case 26:
		return "{" + g.text(d) + ": " + g.integer(d) + ", \"b\": 2}" + g.pick(".all(k, k != \"\")", ".exists(k, v, v > 1)", ".b == 2",
			"[\"a\"] == 1", ".size() == 2", ".transformMap(k, v, v * 2) == {\"b\": 4}", ".transformList(k, v, v).size() == 2", ".exists_one(k, k == \"b\")")
	case 27:
		return g.pick("int", "string", "double", "uint", "bool", "type", "size", "bytes", "duration", "timestamp") + "(" +
			g.pick("dyn("+g.anything(d)+")", g.anything(d)) + ")" + g.pick(" == 1", " == \"1\"", " != 2.5", " == type(1)", "")
	case 28:
		return g.list(d) + g.pick(".map(x, x * 2)", ".filter(x, x > 1)", ".map(x, x > 1, x + 1)", ".transformList(i, x, i + x)") +
			g.pick(" == [2, 4, 6]", ".size() == 2", " == []", ".exists(y, y == 4)")
	default:
		return "dyn(" + g.anything(d) + ")" + g.pick(" == ", " != ", " < ", " in ", " + ") + "dyn(" + g.anything(d) + ")" + g.pick("", " == 1")
	}
}

func (g *generator) predicate(depth int) string {
	return g.pick("x > 1", "x == 2", "x < "+g.integer(depth), "x / 0 == 1", "x in [1, 3]", "x % 2 == 0 && "+g.boolean(depth-1), "string(x) == \"1\"")
}

func (g *generator) integer(depth int) string {
	if depth <= 0 {
		return g.pick("0", "1", "2", "3", "-1", "42", "9223372036854775807", own+".index", other+".speed", own+".missing")
	}
	d := depth - 1
	switch g.Intn(9) {
	case 0:
		return "(" + g.integer(d) + g.pick(" + ", " - ", " * ", " / ", " % ") + g.integer(d) + ")"
	case 1:
		return "size(" + g.pick(g.text(d), g.list(d), own, "device.attributes") + ")"
	case 2:
		return g.text(d) + g.pick(".indexOf(\"a\")", ".lastIndexOf(\"1\")", ".size()", ".indexOf(\"0\", 2)")
	case 3:
		return g.version(d) + g.pick(".major()", ".minor()", ".patch()", ".compareTo(semver(\"1.2.3\"))")
	case 4:
		return g.quantity(d) + g.pick(".asInteger()", ".compareTo(quantity(\"1Gi\"))")
	case 5:
		return g.list(d) + "[" + g.integer(d) + "]"
	case 6:
		return "int(" + g.pick(g.real(d), g.text(d), "3u") + ")"
	case 7:
		return "(" + g.boolean(d) + " ? " + g.integer(d) + " : " + g.integer(d) + ")"
	default:
		return g.integer(0)
	}
}

func (g *generator) real(depth int) string {
	return g.pick("1.5", "2.0", "-0.25", "1e3", "double(3)", "double(\"NaN\")", g.quantity(depth-1)+".asApproximateFloat()", "0.1 + 0.2")
}

func (g *generator) text(depth int) string {
	if depth <= 0 {
		return g.pick(`""`, `"a"`, `"A100"`, `"abc-1"`, `"1.5"`, `"ab\u00e9\U0001F600"`, own+".model", "device.driver", other+".model", `r"\d+"`, `"[a-c]"`, `"10.0.0.1"`)
	}
	d := depth - 1
	switch g.Intn(9) {
	case 0:
		return "(" + g.text(d) + " + " + g.text(d) + ")"
	case 1:
		return g.text(d) + g.pick(".lowerAscii()", ".upperAscii()", ".trim()", ".replace(\"a\", \"xy\")", ".replace(\"\", \"-\", 2)",
			".substring(1)", ".substring(0, 2)", ".charAt(0)", ".charAt(9)", ".split(\"-\")[0]", ".split(\"\", 2)[1]")
	case 2:
		return g.texts(d) + g.pick(".join()", ".join(\",\")", "[0]")
	case 3:
		return "string(" + g.pick(g.integer(d), g.real(d), g.boolean(d), g.duration(d), "b\"abc\"", "timestamp(0)", "ip(\"::1\")", "2u") + ")"
	case 4:
		return g.pick(`"%d-%s"`, `"%s"`, `"%x %s"`, `"%.2f"`, `"%e %%"`, `"%b"`, `"%o"`, `"%"`) + ".format([" +
			g.pick(g.integer(d), g.integer(d)+", "+g.text(d), g.real(d), g.anything(d)) + "])"
	case 5:
		return "strings.quote(" + g.text(d) + ")"
	case 6:
		return own + "." + g.attribute()
	case 7:
		return "device.attributes[" + g.text(0) + "].?" + g.attribute() + ".orValue(\"none\")"
	default:
		return g.text(0)
	}
}

func (g *generator) texts(depth int) string {
	return g.pick(`["a", "b", "A100"]`, own+".modes", "["+g.text(depth-1)+", \"z\"]", g.text(depth-1)+".split(\"-\")", "[]")
}

func (g *generator) list(depth int) string {
	if depth <= 0 {
		return g.pick("[]", "[1]", "[1, 2, 3]", "[3, 2, 1]", own+".links", "lists.range(4)", "[1, 1, 2]", own+".missing", "[1, 2.5]")
	}
	d := depth - 1
	switch g.Intn(5) {
	case 0:
		return "(" + g.list(d) + " + " + g.list(d) + ")"
	case 1:
		var parts []string
		for range g.Intn(4) {
			parts = append(parts, g.integer(d))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case 2:
		return "[" + g.list(d) + ", [4]].flatten()"
	case 3:
		return "[?" + g.optional(d) + ", 2]"
	default:
		return g.list(0)
	}
}

func (g *generator) quantity(depth int) string {
	if depth > 0 && g.Intn(4) == 0 {
		return g.quantity(depth-1) + g.pick(".add(", ".sub(") + g.pick("1", g.quantity(depth-1)) + ")"
	}
	return g.pick(`quantity("1Gi")`, `quantity("80Gi")`, `quantity("1.5k")`, `quantity("100m")`, `quantity("-3")`, `quantity("1e3")`,
		`quantity("12345678901234567890")`, `quantity("1.5Gi")`, `quantity("x")`, `quantity("0.1")`, `quantity("1Pi")`,
		`device.capacity["gpu.example.com"].memory`, `device.capacity["gpu.example.com"].slices`,
		`device.capacity["other.example.com"].share`, `device.capacity["gpu.example.com"].missing`)
}

func (g *generator) version(int) string {
	return g.pick(`semver("1.2.3")`, `semver("v1.02", true)`, `semver("1.2.3-alpha.1+b")`, own+".version", `semver("1.2")`, `semver("10.0.0")`, own+".versions[1]")
}

func (g *generator) optional(depth int) string {
	return g.pick("optional.of("+g.integer(depth-1)+")", "optional.none()", own+".?index", own+"[?\"missing\"]", "[1, 2][?"+g.integer(depth-1)+"]",
		"optional.ofNonZeroValue("+g.integer(depth-1)+")", "device.?driver", own+".?links[?0]", "[1, 2].first()")
}

func (g *generator) duration(depth int) string {
	return g.pick(`duration("1h")`, `duration("90m")`, `duration("1.5s")`, `duration("x")`, "(timestamp(10) - timestamp(4))", `(duration("1m") + duration("1ms"))`, `duration("-2h45m")`)
}

func (g *generator) network() string {
	return g.pick(`"10.0.0.1"`, `"10.0.0.0/8"`, `"::1"`, `"2001:db8::/32"`, `"::ffff:1.2.3.4"`, `"https://a.b:80/p%20q?k=v&k2=w"`, `"/path"`, `"1.2.3"`,
		`"1.2"`, `"256.1.1.1"`, `"100m"`, `"http://[::1]:8080/"`, fmt.Sprintf("%q", "127.0.0.1"), `"a b"`, `"10.0.0.1/33"`)
}
