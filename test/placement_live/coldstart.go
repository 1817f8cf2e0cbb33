package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// cold is what one start on a full cluster gave.
type cold struct {
	Case      string  `json:"case"`
	FirstBind float64 `json:"first_bind_seconds"` // from exec until the watcher saw the waiting pod bound
	CPU       float64 `json:"cpu_seconds"`        // used by then
	PeakMB    float64 `json:"peak_rss_mb"`
	NowMB     float64 `json:"rss_mb"` // two seconds later
}

type coldReport struct {
	Nodes       int       `json:"nodes"`
	BoundPods   int       `json:"bound_pods"`
	Kind        string    `json:"kind"`
	ListBytes   int64     `json:"pod_list_bytes"`
	ListSeconds []float64 `json:"pod_list_seconds"` // how long the server takes to hand it out, before each start
	Starts      []cold    `json:"starts"`
}

// coldStart starts each scheduler in turn on one cluster with many bound pods and one waiting pod.
func coldStart(o options) (report coldReport, err error) {
	c, stop, err := startCluster(o)
	if err != nil {
		return report, err
	}
	defer stop()
	p, err := newPoster(c, o)
	if err != nil {
		return report, err
	}
	report.Nodes, report.BoundPods, report.Kind = o.nodes, o.boundPods, o.kind
	if err := prepare(c, p, caseMuster, o); err != nil {
		return report, err
	}
	progress("creating %d bound pods", o.boundPods)
	if err := p.createBoundPods(o.boundPods, o.nodes); err != nil {
		return report, err
	}
	if _, _, err := readList(c); err != nil { // the first one warms the server up
		return report, err
	}
	start := func(kind string, number int) (cold, error) {
		result := cold{Case: kind}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		prefix := fmt.Sprintf("waiting-%d-", number)
		if err := p.createPod(number, prefix+"0", ""); err != nil {
			return result, err
		}
		w, err := watchPods(ctx, c, prefix, 1)
		if err != nil {
			return result, err
		}
		time.Sleep(o.settle)
		took, size, err := readList(c)
		if err != nil {
			return result, err
		}
		report.ListBytes, report.ListSeconds = size, append(report.ListSeconds, took.Seconds())
		time.Sleep(o.settle)
		begin := time.Now()
		s, err := startScheduler(c, kind, o)
		if err != nil {
			return result, err
		}
		defer s.Kill()
		bound, err := w.wait(o.limit)
		if err != nil {
			return result, fmt.Errorf("%w\n%s", err, s.LogTail(10))
		}
		result.FirstBind = bound[0].Sub(begin).Seconds()
		if result.CPU, err = cpuSeconds(s.PID()); err != nil {
			return result, err
		}
		time.Sleep(2 * time.Second)
		if result.PeakMB, err = memoryMB(s.PID(), "VmHWM"); err != nil {
			return result, err
		}
		result.NowMB, err = memoryMB(s.PID(), "VmRSS")
		return result, err
	}
	number := 0
	for range o.repeats {
		for _, kind := range o.cases {
			if kind == caseLimit {
				continue
			}
			number++
			result, err := start(kind, number)
			if err != nil {
				return report, fmt.Errorf("%s: %w", kind, err)
			}
			report.Starts = append(report.Starts, result)
			progress("%s: first bind after %.2f s, peak %.0f MB", kind, result.FirstBind, result.PeakMB)
		}
	}
	return report, nil
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "placement_live: "+format+"\n", args...)
}
