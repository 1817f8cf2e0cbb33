// Asks Kubernetes' own CEL environment for device selectors about generated expressions, or about the conformance tests
// of cel.dev/expr, and prints its answers as JSON lines, which test/topology/cel compares with Muster's.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"os"

	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	dracel "k8s.io/dynamic-resource-allocation/cel"
	"k8s.io/utils/ptr"
)

// answer is one line: what the environment made of an expression.
type answer struct {
	Name      string `json:"name,omitempty"`
	Expr      string `json:"expr"`
	Want      string `json:"want,omitempty"` // conformance tests: what the specification says: "true" or "error"
	CompileOK bool   `json:"compile_ok"`
	Value     *bool  `json:"value"`
	Error     bool   `json:"error"`
	Message   string `json:"message,omitempty"`
	Cost      uint64 `json:"cost"`
}

func (a answer) write(out io.Writer) {
	line, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(out, string(line))
}

// device is the same one as in test/topology/cel/answers.h.
func device() dracel.Device {
	text := func(s string) resourceapi.DeviceAttribute { return resourceapi.DeviceAttribute{StringValue: &s} }
	number := func(i int64) resourceapi.DeviceAttribute { return resourceapi.DeviceAttribute{IntValue: &i} }
	truth := func(b bool) resourceapi.DeviceAttribute { return resourceapi.DeviceAttribute{BoolValue: &b} }
	version := func(s string) resourceapi.DeviceAttribute { return resourceapi.DeviceAttribute{VersionValue: &s} }
	return dracel.Device{
		Driver:                   "gpu.example.com",
		AllowMultipleAllocations: ptr.To(true),
		Attributes: map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{
			"model":                   text("A100-SXM4-80GB"),
			"index":                   number(3),
			"healthy":                 truth(true),
			"version":                 version("1.2.3-rc.1"),
			"links":                   {IntValues: []int64{1, 2, 3, 5}},
			"flags":                   {BoolValues: []bool{true, false}},
			"modes":                   {StringValues: []string{"mig", "mps", "exclusive"}},
			"versions":                {VersionValues: []string{"1.0.0", "2.1.0"}},
			"other.example.com/model": text("mlx5"),
			"other.example.com/speed": number(200),
			"other.example.com/empty": text(""),
		},
		Capacity: map[resourceapi.QualifiedName]resourceapi.DeviceCapacity{
			"memory":                  {Value: resource.MustParse("80Gi")},
			"slices":                  {Value: resource.MustParse("7")},
			"other.example.com/share": {Value: resource.MustParse("1500m")},
		},
	}
}

// ask has every expression that cel-go panics for count as one that does not compile.
func ask(expr string) (result answer) {
	defer func() {
		if r := recover(); r != nil {
			result = answer{Expr: expr, Message: fmt.Sprintf("panic: %v", r)}
		}
	}()
	compiler := dracel.GetCompiler(dracel.Features{EnableConsumableCapacity: true, EnableListTypeAttributes: true})
	result = answer{Expr: expr}
	compiled := compiler.CompileCELExpression(expr, dracel.Options{DisableCostEstimation: true})
	if compiled.Error != nil {
		result.Message = compiled.Error.Error()
		return result
	}
	result.CompileOK = true
	value, details, err := compiled.DeviceMatches(context.Background(), device())
	if details != nil && details.ActualCost() != nil {
		result.Cost = *details.ActualCost()
	}
	if err != nil {
		result.Error, result.Message = true, err.Error()
	} else {
		result.Value = &value
	}
	return result
}

// askAgain asks about the expressions of rows; names and wants stay.
func askAgain(in io.Reader, write func(answer)) error {
	for rows := json.NewDecoder(in); ; {
		var row answer
		if err := rows.Decode(&row); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		result := ask(row.Expr)
		result.Name, result.Want = row.Name, row.Want
		write(result)
	}
}

func main() {
	count := flag.Int("count", 5000, "how many expressions")
	seed := flag.Int64("seed", 1, "of the generator")
	conformance := flag.String("conformance", "", "instead: the folder of cel.dev/expr's tests/simple/testdata")
	again := flag.Bool("again", false, "instead: the expressions of the rows on standard input")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	write := func(a answer) { a.write(out) }
	if *conformance != "" {
		if err := simpleTests(*conformance, write); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if *again {
		if err := askAgain(os.Stdin, write); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	generate(*seed, *count, write)
}

func generate(seed int64, count int, write func(answer)) {
	generator := &generator{Rand: rand.New(rand.NewSource(seed))}
	for range count {
		expr := generator.boolean(2 + generator.Intn(3))
		if generator.Intn(4) == 0 {
			expr = generator.mistyped(expr)
		}
		write(ask(expr))
	}
}
