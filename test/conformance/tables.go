package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"muster.dev/muster/test/conformance/tables"
	"muster.dev/muster/test/conformance/tables/record"
)

// tally counts the rows of one package.
type tally struct {
	rows, exported, own, agree int
	left                       map[string]int // why rows are not exported
	errors                     []string
	foreign                    []string // rows whose scenario has another answer than the unit test
	disagree                   []string
}

func tablesCommand(args []string) error {
	flags := newFlags("tables")
	muster := flags.String("muster", os.Getenv("MUSTER_BIN"), "the binary; empty: ask upstream alone")
	module := flags.String("module", ".", "folder of the go.mod that names upstream's version")
	work := flags.String("work", "../build/tables", "folder for the edited copy of upstream, kept for the next run")
	only := flags.String("packages", strings.Join(tables.Packages, ","), "whose unit tests to run, with commas between")
	recorded := flags.Bool("recorded", false, "do not run them again: take what they wrote the last time")
	keep := flags.String("keep", "", "folder for the rows that disagree")
	verbose := flags.Bool("v", false, "name the rows whose scenario has another answer than the unit test")
	flags.Parse(args)
	packages := strings.Split(*only, ",")
	if !*recorded {
		if err := tables.Record(*module, *work, packages); err != nil {
			return err
		}
	}
	rows, err := tables.Rows(*work)
	if err != nil {
		return err
	}
	comparer, err := NewComparer(context.Background(), *muster)
	if err != nil {
		return err
	}
	tallies := map[string]*tally{}
	for _, name := range packages {
		tallies[name] = &tally{left: map[string]int{}}
	}
	for i := range rows {
		if t := tallies[rows[i].Package]; t != nil {
			comparer.row(&rows[i], t, *keep)
		}
	}
	return report(packages, tallies, *verbose)
}

// row asks both sides about a row: all that it asks must agree.
func (c *Comparer) row(row *record.Row, t *tally, keep string) {
	t.rows++
	if len(row.Questions) == 0 {
		t.left[notAsked(row.Test)]++
		return
	}
	var foreign string
	agree := true
	for i, q := range row.Questions {
		e, scenario, err := export(q)
		if err == nil {
			err = c.usable(scenario, e.subject)
		}
		if err != nil {
			t.left[leftOut(err)]++
			t.errors = append(t.errors, row.Test+": "+err.Error())
			return
		}
		asker := *c
		asker.pod = e.subject
		answers := asker.ask(scenario)
		if difference := e.mismatch(answers.verdict); foreign == "" && difference != "" {
			foreign = difference
		}
		if answers.differ() {
			agree = false
			d := Disagreement{Upstream: answers.upstream, Muster: answers.muster}
			t.disagree = append(t.disagree, fmt.Sprintf("%s (%s): %s", row.Test, e.subject, d.Message()))
			if keep != "" {
				name := strings.NewReplacer("/", "_", " ", "_").Replace(fmt.Sprintf("%s-%s-%d", row.Package, row.Test, i))
				if err := scenario.write(filepath.Join(keep, name)); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			}
		}
	}
	t.exported++
	if foreign == "" {
		t.own++
	} else {
		t.foreign = append(t.foreign, row.Test+": "+foreign)
	}
	if agree {
		t.agree++
	}
}

// usable says why upstream cannot be asked.
func (c *Comparer) usable(s Scenario, pod string) error {
	stored, err := readCluster(s.manifests())
	if err != nil {
		return fmt.Errorf("cannot be stored: %w", err)
	}
	if err := stored.validate(); err != nil {
		return fmt.Errorf("the API server refuses it: %w", err)
	}
	_, err = c.upstream.Evaluate(s.manifests(), s.configuration(), pod)
	if errors.As(err, &refusal{}) {
		return fmt.Errorf("kube-scheduler refuses the arguments: %w", err)
	}
	return err
}

var hints = regexp.MustCompile("^Test_?[iI]sSchedulable|QHint|TestE(nqueue|vents)|ResourcesIncreased")

// notAsked is the reason for a row in which no plugin filters or scores.
func notAsked(test string) string {
	switch {
	case hints.MatchString(test):
		return "queueing hints"
	case strings.Contains(test, "Sign"):
		return "signatures of pods, for batches"
	}
	return "functions and caches inside a plugin, and binding"
}

// What a row that is not exported is counted under, by what the error says.
var leftOutReasons = []struct{ says, reason string }{
	{`spec.tolerations`, "needs a feature gate that is off by default"},
	{"resource.k8s.io", "DynamicResources: devices"},
	{"there is no pod", "the pod is nil"},
	{"the API server refuses it", "the API server refuses the objects"},
	{"cannot be stored", "the API server refuses the objects"},
	{"refuses the arguments", "kube-scheduler refuses the arguments"},
}

func leftOut(err error) string {
	for _, known := range leftOutReasons {
		if strings.Contains(err.Error(), known.says) {
			return known.reason
		}
	}
	return err.Error()
}

func report(packages []string, tallies map[string]*tally, verbose bool) error {
	sum := tally{left: map[string]int{}}
	disagreements := 0
	line := func(name string, t *tally) {
		fmt.Printf("%-22s %5d %9d %12d %6d\n", name, t.rows, t.exported, t.own, t.agree)
	}
	for _, name := range packages {
		t := tallies[name]
		for _, d := range t.disagree {
			fmt.Printf("== %s: %s\n", name, d)
		}
		disagreements += len(t.disagree)
		if verbose {
			for _, e := range t.errors {
				fmt.Printf("-- %s: not exported: %s\n", name, e)
			}
			for _, f := range t.foreign {
				fmt.Printf("-- %s: %s\n", name, f)
			}
		}
		for reason, n := range t.left {
			sum.left[reason] += n
		}
	}
	fmt.Println("rows that are not exported:")
	for _, reason := range slices.Sorted(maps.Keys(sum.left)) {
		fmt.Printf("%5d  %s\n", sum.left[reason], reason)
	}
	fmt.Printf("%-22s %5s %9s %12s %6s\n", "package", "rows", "exported", "same answer", "agree")
	for _, name := range packages {
		t := tallies[name]
		line(name, t)
		sum.rows, sum.exported, sum.own, sum.agree = sum.rows+t.rows, sum.exported+t.exported, sum.own+t.own, sum.agree+t.agree
	}
	line("all", &sum)
	if disagreements > 0 {
		return fmt.Errorf("%d questions disagree", disagreements)
	}
	return nil
}
