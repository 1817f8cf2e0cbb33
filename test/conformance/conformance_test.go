package main

import (
	"os"
	"path/filepath"
	"testing"
)

// The binary to test, or "": that of MUSTER_BIN, else of `./dev build`.
func musterBinary(t *testing.T) string {
	path := os.Getenv("MUSTER_BIN")
	if path == "" {
		path, _ = filepath.Abs("../../build/release/muster")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no muster binary to compare with kube-scheduler (run ./dev build, or set MUSTER_BIN): %v", err)
	}
	return path
}

// 300 generated scenarios: all have the same verdict from both sides, and together they reach every plugin.
func TestGeneratedScenariosAgree(t *testing.T) {
	comparer, err := NewComparer(t.Context(), musterBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	const seed, count = 20260801, 300
	summary := comparer.Run(seed, count, 3)
	for _, d := range summary.Disagreements {
		t.Errorf("seed %d: %s\n%s\n%s", d.Seed, d.Message(), d.Scenario.manifests(), d.Scenario.configuration())
	}
	if summary.Count != count && len(summary.Disagreements) == 0 {
		t.Errorf("%d scenarios were asked, want %d", summary.Count, count)
	}
	for _, outcome := range []string{"feasible", "error", "NodeName", "NodeUnschedulable", "TaintToleration", "NodeAffinity",
		"NodePorts", "NodeResourcesFit"} {
		if summary.Outcomes[outcome] == 0 && len(summary.Disagreements) == 0 {
			t.Errorf("no node of any scenario was %q: %v", outcome, summary)
		}
	}
	t.Logf("seed %d: %v", seed, summary)
}

// Every golden scenario's expected.json is what upstream says, and what muster says.
func TestGoldenScenarios(t *testing.T) {
	comparer, err := NewComparer(t.Context(), musterBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := filepath.Glob("../golden/*/scenario.yaml")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden scenarios: %v", err)
	}
	for _, scenario := range dirs {
		dir := filepath.Dir(scenario)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			manifests, configuration, err := readGolden(dir)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
			if err != nil {
				t.Fatal(err)
			}
			want := string(text[:len(text)-1])
			got, err := comparer.upstream.answer(manifests, configuration)
			if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("upstream (>) does not say what is expected (<):\n%s", diff(want, got))
			}
			if got := comparer.askMuster(manifests, configuration); got != want {
				t.Errorf("muster (>) does not say what is expected (<):\n%s", diff(want, got))
			}
		})
	}
}
