package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// smokeOptions skips the test where there is nothing to measure.
func smokeOptions(t *testing.T, args ...string) options {
	t.Helper()
	if os.Getenv("MUSTER_CONTROL_PLANE") == "" && os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skip("no control plane; ./dev test builds one")
	}
	if os.Getenv("MUSTER_BIN") == "" {
		bin, err := filepath.Abs("../../build/release/muster")
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("MUSTER_BIN", bin)
	}
	if _, err := os.Stat(os.Getenv("MUSTER_BIN")); err != nil {
		t.Skip("no muster: ", err)
	}
	o, _, err := parse(append([]string{"-nodes=10", "-pods=50", "-bound-pods=100", "-repeats=1", "-settle=10ms",
		"-limit=60s"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestBurst(t *testing.T) {
	result, err := burst(smokeOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Runs) != 3 {
		t.Fatalf("%d runs, want 3", len(result.Runs))
	}
	for _, one := range result.Runs {
		if one.Pods != 50 || one.Throughput <= 0 || one.ToBound.P50 <= 0 || one.ToBound.P999 < one.ToBound.P50 {
			t.Errorf("implausible: %+v", one)
		}
		if one.Case != caseLimit && (one.PeakMB <= 0 || one.CPUAll <= 0 || one.Decision == nil) {
			t.Errorf("without the scheduler's own figures: %+v", one)
		}
		if result.OfLimit[one.Case] <= 0 {
			t.Errorf("%s is not compared with the limit", one.Case)
		}
	}
	t.Log("\n" + result.table())
}

func TestGangs(t *testing.T) {
	result, err := burst(smokeOptions(t, "-gangs=10", "-gang-size=5", "-nodes=100"))
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Runs) != 3 {
		t.Fatalf("%d runs, want 3", len(result.Runs))
	}
	for _, one := range result.Runs {
		if one.Pods != 50 || one.Throughput <= 0 || one.Case != caseLimit && one.Split != 0 {
			t.Errorf("implausible: %+v", one)
		}
		if one.Case != caseLimit && one.Decision == nil {
			t.Errorf("without the scheduler's own figures: %+v", one)
		}
	}
	t.Log("\n" + result.table())
}

func TestQueues(t *testing.T) {
	result, err := burst(smokeOptions(t, "-queues=10", "-cases=limit,muster,muster-queues"))
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Runs) != 3 || result.Runs[2].Case != caseMusterQueues || result.Runs[2].Pods != 50 {
		t.Fatalf("implausible: %+v", result.Runs)
	}
	t.Log("\n" + result.table())
}

func TestArrivals(t *testing.T) {
	result, err := burst(smokeOptions(t, "-rate=100", "-kind=distinct", "-cases=limit,muster"))
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range result.Runs {
		// They arrive within half a second; a wait from the run's start would be longer in the mean.
		if one.ToBound.P50 <= 0 || one.ToBound.P50 > float64(30*time.Second/time.Millisecond) {
			t.Errorf("implausible: %+v", one)
		}
	}
}

func TestColdStart(t *testing.T) {
	result, err := coldStart(smokeOptions(t, "-cold-start"))
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Starts) != 2 || result.ListBytes < 100*200 {
		t.Fatalf("implausible: %+v", result)
	}
	for _, one := range result.Starts {
		if one.FirstBind <= 0 || one.PeakMB < one.NowMB {
			t.Errorf("implausible: %+v", one)
		}
	}
	t.Log("\n" + result.table())
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ args, wrong string }{
		{"", ""}, {"-small", ""}, {"-o json -cases muster", ""}, {"-rate 100 -repeats 3", ""},
		{"-kind distinct", ""},
		{"-o yaml", "-o"}, {"-kind odd", "-kind"}, {"-cases nobody", "-cases"}, {"-nodes 0", "at least"},
		{"-gangs 5", ""}, {"-gangs 5 -gang-size 2 -one-rack=false", ""},
		{"-gangs 5 -kind distinct", "-gangs"}, {"-gangs 5 -cold-start", "-gangs"}, {"-gangs 5 -gang-size 0", "-gang-size"},
		{"-rate -1", "negative"}, {"extra", "extra"},
	} {
		t.Run(c.args, func(t *testing.T) {
			_, _, err := parse(strings.Fields(c.args))
			if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("error %v, want one with %q", err, c.wrong)
			}
		})
	}
}

func TestSmallLeavesWhatIsAskedFor(t *testing.T) {
	o, _, err := parse(strings.Fields("-small -pods 70"))
	if err != nil || o.nodes != 100 || o.pods != 70 || o.boundPods != 1000 {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestHistogramQuantile(t *testing.T) {
	h := histogram{bounds: []float64{1, 2, 4, 8}, counts: []float64{50, 90, 99, 100}}
	for _, c := range []struct{ q, want float64 }{{0.1, 1}, {0.5, 1}, {0.51, 2}, {0.9, 2}, {0.99, 4}, {0.999, 4}} {
		if got := h.quantile(c.q); got != c.want {
			t.Errorf("quantile %v: %v, want %v", c.q, got, c.want)
		}
	}
}

func TestPodOf(t *testing.T) {
	// Field `number`, as bytes.
	wrap := func(number byte, value string) string { return string([]byte{number<<3 | 2, byte(len(value))}) + value }
	pod := wrap(1, wrap(1, "pod-7")+wrap(6, "42")) + wrap(2, wrap(10, "n1"))
	frame := wrap(1, "ADDED") + wrap(2, wrap(1, "k8s\x00"+wrap(1, "")+wrap(2, pod)))
	seen, err := podOf([]byte(frame))
	if err != nil || string(seen.name) != "pod-7" || string(seen.version) != "42" || string(seen.node) != "n1" {
		t.Errorf("%q, %v", seen, err)
	}
	if _, err := podOf([]byte(wrap(1, "ADDED"))); err == nil {
		t.Error("a frame without an object is no error")
	}
}
