package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
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

func TestMain(m *testing.M) {
	if err := ComparePlugins(os.Getenv("CONFORMANCE_PLUGINS")); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// Generated scenarios have the same verdict from both sides: always the same 300, and 2,000 that were never asked.
func TestGeneratedScenariosAgree(t *testing.T) {
	comparer, err := NewComparer(t.Context(), musterBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []struct {
		name  string
		seed  int64
		count int
	}{
		{"fixed", 1, 300}, // reaches all
		{"fresh", time.Now().UnixNano() % 1_000_000_007, 2000},
	} {
		t.Run(run.name, func(t *testing.T) {
			summary := comparer.Run(run.seed, run.count, 3)
			t.Logf("seed %d: %v", run.seed, summary)
			for _, d := range summary.Disagreements {
				t.Errorf("seed %d: %s\n%s\n%s", d.Seed, d.Message(), d.Scenario.manifests(), d.Scenario.configuration())
			}
			if len(summary.Disagreements) > 0 {
				return
			}
			if summary.Count != run.count {
				t.Errorf("%d scenarios were asked, want %d", summary.Count, run.count)
			}
			for _, outcome := range reached() {
				if summary.Outcomes[outcome] == 0 {
					t.Errorf("no node of any scenario was %q: %v", outcome, summary)
				}
			}
		})
	}
}

// reached is what every run of some hundred scenarios must come by.
func reached() []string {
	outcomes := []string{"feasible", "error"}
	for _, plugin := range []string{"NodeName", "NodeUnschedulable", "TaintToleration", "NodeAffinity", "NodePorts",
		"NodeResourcesFit", "PodTopologySpread", "InterPodAffinity", "VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding",
		"VolumeZone", "NodeDeclaredFeatures"} {
		if comparedPlugins.Has(plugin) {
			outcomes = append(outcomes, plugin)
		}
	}
	if comparedPlugins.Has("DefaultPreemption") {
		outcomes = append(outcomes, "preemption")
	}
	return outcomes
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

// The differences that the README lists are still the ones there are.
func TestDeliberateDifferences(t *testing.T) {
	comparer, err := NewComparer(t.Context(), musterBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := filepath.Glob("differences/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no differences: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			answers, err := comparer.bothAnswers(dir)
			if err != nil {
				t.Fatal(err)
			}
			if answers["upstream.json"] == answers["muster.json"] {
				t.Error("both say the same: make it a golden scenario")
			}
			for name, got := range answers {
				want, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if got+"\n" != string(want) {
					t.Errorf("%s: is (>) not what is expected (<):\n%s", name, diff(string(want), got+"\n"))
				}
			}
		})
	}
}
