package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// Comparer asks both sides about scenarios.
type Comparer struct {
	upstream *Upstream
	muster   string
	pod      string // NAMESPACE/NAME that is asked about
	asFound  bool   // report disagreements without shrinking them
}

// NewComparer: muster is the path of the binary; "": upstream is asked alone, to see what the scenarios reach.
func NewComparer(ctx context.Context, muster string) (*Comparer, error) {
	if _, err := os.Stat(muster); err != nil && muster != "" {
		return nil, fmt.Errorf("the muster binary (--muster or MUSTER_BIN): %w", err)
	}
	upstream, err := NewUpstream(ctx)
	if err != nil {
		return nil, err
	}
	return &Comparer{upstream: upstream, muster: muster, pod: subjectKey}, nil
}

// Disagreement is one scenario, shrunk, on which the answers differ.
type Disagreement struct {
	Seed             int64
	Scenario         Scenario
	Upstream, Muster string
}

// Message shows both answers, line by line where they differ.
func (d Disagreement) Message() string {
	return fmt.Sprintf("upstream (<) and muster (>) disagree\n%s", diff(d.Upstream, d.Muster))
}

// Summary counts what a run saw, so that one can tell that it was no run of trivial cases.
type Summary struct {
	Count         int
	Outcomes      map[string]int // "feasible", "NodePorts", ...: how many nodes
	Disagreements []Disagreement
}

func (s Summary) String() string {
	var parts []string
	for outcome, n := range s.Outcomes {
		parts = append(parts, fmt.Sprintf("%s %d", outcome, n))
	}
	sort.Strings(parts)
	return fmt.Sprintf("%d disagreements (%s)", len(s.Disagreements), strings.Join(parts, ", "))
}

// Run compares the scenarios of seeds [seed, seed+count), until `most` of them disagree.
func (c *Comparer) Run(seed int64, count, most int) Summary {
	summary := Summary{Outcomes: map[string]int{}}
	var mu sync.Mutex
	var workers sync.WaitGroup
	next := 0
	for range 2 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for {
				mu.Lock()
				i := next
				next++
				stop := i >= count || len(summary.Disagreements) >= most
				mu.Unlock()
				if stop {
					return
				}
				scenario := Generate(seed + int64(i))
				answers := c.ask(scenario)
				var found *Disagreement
				if answers.differ() {
					small := scenario
					if !c.asFound {
						small = c.shrink(scenario)
					}
					answers := c.ask(small)
					found = &Disagreement{seed + int64(i), small, answers.upstream, answers.muster}
				}
				mu.Lock()
				summary.Count++
				answers.count(summary.Outcomes)
				if found != nil {
					summary.Disagreements = append(summary.Disagreements, *found)
				}
				mu.Unlock()
			}
		}()
	}
	workers.Wait()
	return summary
}

type answers struct {
	upstream, muster string
	verdict          Verdict
	unusable         bool // upstream cannot be asked
	varies           bool // upstream has several answers, and muster's is one
}

func (a answers) differ() bool { return !a.unusable && a.upstream != a.muster }

// kind tells disagreements apart, so that shrinking one does not end with another.
func (a answers) kind() string {
	of := func(answer string) string {
		for _, mark := range []string{refused, `"error":`, `"preFilter": null`, `"preFilter": {`} {
			if strings.Contains(answer, mark) {
				return mark
			}
		}
		return "broken"
	}
	return of(a.upstream) + of(a.muster)
}

func (a answers) count(outcomes map[string]int) {
	switch {
	case a.unusable:
		outcomes["unusable"]++
	case a.verdict.Error != "":
		outcomes["error"]++
	case a.verdict.PreFilter != nil:
		outcomes["preFilter "+a.verdict.PreFilter.Plugin]++
	}
	if a.varies {
		outcomes["upstream varies"]++
	}
	if a.verdict.Preemption != nil {
		outcomes["preemption"]++
	}
	for _, node := range a.verdict.Nodes {
		if node.Feasible {
			outcomes["feasible"]++
		} else {
			outcomes[node.Plugin]++
		}
		for plugin, score := range node.Scores {
			if score != 0 && score != 100 {
				outcomes["score "+plugin]++
			}
		}
	}
}

const refused = `"the configuration is refused"`

// ask: where upstream goes through a hash map, it has several answers. Any of them will do.
func (c *Comparer) ask(s Scenario) answers {
	manifests, configuration := s.manifests(), s.configuration()
	a := c.askUpstream(manifests, configuration)
	if a.unusable {
		return a
	}
	a.muster = c.askMuster(manifests, configuration)
	for i := 0; i < 20 && a.differ(); i++ {
		again := c.askUpstream(manifests, configuration)
		if again.unusable { // it crashes in one order and not in another
			return again
		}
		if again.upstream == a.muster {
			again.muster, again.varies = a.muster, true
			return again
		}
	}
	return a
}

func (c *Comparer) askUpstream(manifests, configuration []byte) answers {
	var a answers
	stored, err := readCluster(manifests)
	if err != nil {
		return answers{unusable: true}
	}
	if err := stored.validate(); err != nil {
		return answers{unusable: true}
	}
	a.verdict, err = c.upstream.Evaluate(manifests, configuration, c.pod)
	switch {
	case errors.As(err, &refusal{}):
		a.upstream = refused
	case err != nil:
		return answers{unusable: true}
	default:
		a.upstream = canonicalJSON(a.verdict.tree())
	}
	return a
}

// askMuster's answer is JSON in canonicalJSON's form, or what went wrong.
func (c *Comparer) askMuster(manifests, configuration []byte) string {
	if c.muster == "" {
		a := c.askUpstream(manifests, configuration)
		return a.upstream
	}
	args := []string{"evaluate", "--pod", c.pod, "-o", "json", "-f", "-"}
	if configuration != nil {
		file, err := os.CreateTemp("", "conformance-*.yaml")
		if err != nil {
			return err.Error()
		}
		defer os.Remove(file.Name())
		file.Write(configuration)
		file.Close()
		args = append(args, "--config", file.Name())
	}
	command := exec.Command(c.muster, args...)
	command.Stdin = bytes.NewReader(manifests)
	var out, stderr bytes.Buffer
	command.Stdout, command.Stderr = &out, &stderr
	err := command.Run()
	var tree any
	if json.Unmarshal(out.Bytes(), &tree) == nil {
		return canonicalJSON(tree)
	}
	if configuration != nil && command.ProcessState.ExitCode() == 2 && strings.Contains(stderr.String(), args[8]) {
		return refused
	}
	return fmt.Sprintf("%v: %s%s", err, stderr.String(), out.String())
}

// ---- Golden scenarios: a folder with scenario.yaml, expected.json and perhaps config.yaml -------------------

func (s Scenario) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if s.config != nil {
		if err := os.WriteFile(filepath.Join(dir, "config.yaml"), s.configuration(), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "scenario.yaml"), s.manifests(), 0o644)
}

// Keep writes a scenario with upstream's answer.
func (c *Comparer) Keep(s Scenario, dir string) error {
	if err := s.write(dir); err != nil {
		return err
	}
	return c.upstream.accept(dir)
}

func readGolden(dir string) (manifests, configuration []byte, err error) {
	if manifests, err = os.ReadFile(filepath.Join(dir, "scenario.yaml")); err != nil {
		return nil, nil, err
	}
	configuration, err = os.ReadFile(filepath.Join(dir, "config.yaml"))
	if errors.Is(err, os.ErrNotExist) {
		return manifests, nil, nil
	}
	return manifests, configuration, err
}

func (u *Upstream) answer(manifests, configuration []byte) (string, error) {
	verdict, err := u.Evaluate(manifests, configuration, subjectKey)
	if errors.As(err, &refusal{}) {
		return refused, nil
	}
	return canonicalJSON(verdict.tree()), err
}

// ---- Deliberate differences: a folder with scenario.yaml, upstream.json, muster.json and perhaps config.yaml -------

// bothAnswers are upstream's and muster's, by the files that hold them.
func (c *Comparer) bothAnswers(dir string) (map[string]string, error) {
	manifests, configuration, err := readGolden(dir)
	if err != nil {
		return nil, err
	}
	answer, err := c.upstream.answer(manifests, configuration)
	if errors.Is(err, errCrash) {
		answer, err = strconv.Quote(err.Error()), nil
	}
	return map[string]string{"upstream.json": answer, "muster.json": c.askMuster(manifests, configuration)}, err
}

func (c *Comparer) acceptDifference(dir string) error {
	answers, err := c.bothAnswers(dir)
	for name, answer := range answers {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(answer+"\n"), 0o644))
	}
	return err
}

func (u *Upstream) accept(dir string) error {
	manifests, configuration, err := readGolden(dir)
	if err != nil {
		return err
	}
	answer, err := u.answer(manifests, configuration)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return os.WriteFile(filepath.Join(dir, "expected.json"), []byte(answer+"\n"), 0o644)
}

// diff lists the lines that only one side has. The answers are small and sorted: that is enough to see it.
func diff(a, b string) string {
	var out strings.Builder
	only := func(mark string, text, other string) {
		lines := map[string]int{}
		for _, line := range strings.Split(other, "\n") {
			lines[line]++
		}
		for _, line := range strings.Split(text, "\n") {
			if lines[line]--; lines[line] < 0 {
				fmt.Fprintf(&out, "%s %s\n", mark, line)
			}
		}
	}
	only("<", a, b)
	only(">", b, a)
	return out.String()
}
