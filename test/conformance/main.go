// Command conformance asks kube-scheduler's own framework what `muster evaluate` is asked, and compares the answers.
//
//	conformance evaluate -f FILE --pod NAMESPACE/NAME [--config FILE]    upstream's answer, as JSON
//	conformance compare --count N --seed S --muster BIN                  N generated scenarios, both sides
//	conformance generate --seed S --out DIR                              one generated scenario, to look at
//	conformance accept DIR                                               (re)write DIR/expected.json from upstream
//	conformance accept --muster BIN DIR                                  (re)write DIR/upstream.json and DIR/muster.json
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if err := ComparePlugins(os.Getenv("CONFORMANCE_PLUGINS")); err != nil {
		return err
	}
	if len(args) > 0 {
		switch args[0] {
		case "evaluate":
			return evaluateCommand(args[1:])
		case "compare":
			return compareCommand(args[1:])
		case "generate":
			return generateCommand(args[1:])
		case "accept":
			return acceptCommand(args[1:])
		case "tables":
			return tablesCommand(args[1:])
		}
	}
	return fmt.Errorf("want evaluate, compare, generate, accept or tables, not %q", args)
}

func newFlags(command string) *flag.FlagSet {
	flags := flag.NewFlagSet(command, flag.ExitOnError)
	flags.Func("plugins", "NAME,... or all: compare these too, which muster lacks", ComparePlugins)
	return flags
}

func evaluateCommand(args []string) error {
	flags := newFlags("evaluate")
	file := flags.String("f", "", "manifests")
	pod := flags.String("pod", subjectKey, "NAMESPACE/NAME")
	configFile := flags.String("config", "", "KubeSchedulerConfiguration")
	flags.Parse(args)
	manifests, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	var configuration []byte
	if *configFile != "" {
		if configuration, err = os.ReadFile(*configFile); err != nil {
			return err
		}
	}
	upstream, err := NewUpstream(context.Background())
	if err != nil {
		return err
	}
	verdict, err := upstream.Evaluate(manifests, configuration, *pod)
	if err != nil {
		return err
	}
	fmt.Println(canonicalJSON(verdict.tree()))
	return nil
}

func generateCommand(args []string) error {
	flags := newFlags("generate")
	seed := flags.Int64("seed", 1, "which scenario")
	out := flags.String("out", "", "folder to write it to; - for standard output")
	flags.Parse(args)
	scenario := Generate(*seed)
	if *out == "-" || *out == "" {
		os.Stdout.Write(scenario.manifests())
		if scenario.config != nil {
			fmt.Printf("---\n%s", scenario.configuration())
		}
		return nil
	}
	return scenario.write(*out)
}

func compareCommand(args []string) error {
	flags := newFlags("compare")
	count := flags.Int("count", 1000, "how many scenarios")
	seed := flags.Int64("seed", time.Now().UnixNano()%1_000_000_007, "of the first; each next one has the next seed")
	muster := flags.String("muster", os.Getenv("MUSTER_BIN"), "the binary; empty: ask upstream twice")
	keep := flags.String("keep", "", "folder for shrunk disagreements")
	most := flags.Int("most", 5, "stop after so many disagreements")
	asFound := flags.Bool("as-found", false, "do not shrink disagreements")
	flags.Parse(args)
	comparer, err := NewComparer(context.Background(), *muster)
	if err != nil {
		return err
	}
	comparer.asFound = *asFound
	start := time.Now()
	summary := comparer.Run(*seed, *count, *most)
	for _, d := range summary.Disagreements {
		fmt.Printf("== seed %d: %s\n%s\n", d.Seed, d.Message(), d.Scenario.manifests())
		if d.Scenario.config != nil {
			fmt.Printf("--- configuration\n%s\n", d.Scenario.configuration())
		}
		if *keep != "" {
			if err := comparer.Keep(d.Scenario, filepath.Join(*keep, fmt.Sprintf("seed-%d", d.Seed))); err != nil {
				return err
			}
		}
	}
	fmt.Printf("%d scenarios from seed %d in %.0f s: %s\n", summary.Count, *seed, time.Since(start).Seconds(), summary)
	if len(summary.Disagreements) > 0 {
		return fmt.Errorf("%d scenarios disagree", len(summary.Disagreements))
	}
	return nil
}

func acceptCommand(args []string) error {
	flags := newFlags("accept")
	muster := flags.String("muster", "", "the binary: write the answers of both, of a deliberate difference")
	flags.Parse(args)
	comparer, err := NewComparer(context.Background(), *muster)
	if err != nil {
		return err
	}
	for _, dir := range flags.Args() {
		accept := comparer.upstream.accept
		if *muster != "" {
			accept = comparer.acceptDifference
		}
		if err := accept(dir); err != nil {
			return err
		}
	}
	return nil
}
