// Command devices asks upstream's device allocators what topology/device is asked; test/conformance/devices/compare
// compares.
//
//	devices tables --out DIR               upstream's own tables: DIR/VARIANT.jsonl
//	devices generate --count N --seed S    N generated scenarios, one line each
package main

import (
	"bufio"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"muster.dev/muster/test/conformance/devices/tables"
)

//go:embed record/record.go
var recorder []byte

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "devices:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("want tables or generate")
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	switch args[0] {
	case "tables":
		out := flags.String("out", "", "where the rows go")
		flags.Parse(args[1:])
		return recordTables(*out)
	case "generate":
		count := flags.Int("count", 1000, "how many")
		seed := flags.Int64("seed", 1, "of the first")
		flags.Parse(args[1:])
		out := bufio.NewWriterSize(os.Stdout, 1<<20)
		for i := range *count {
			row, err := Scenario(*seed + int64(i))
			if err != nil {
				return err
			}
			if row == nil {
				continue // upstream takes too long
			}
			if err := row.Write(out); err != nil {
				return err
			}
		}
		return out.Flush()
	}
	return fmt.Errorf("want tables or generate, not %q", args[0])
}

func recordTables(out string) error {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/dynamic-resource-allocation").Output()
	if err != nil {
		return fmt.Errorf("go list, which needs the folder test: %w", err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(out, "module")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	return tables.Record(strings.TrimSpace(string(module)), recorder, work, out)
}
