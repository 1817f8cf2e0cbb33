package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	controlplane "muster.dev/muster/test/control_plane"
)

// The cases, each on a fresh control plane in equal state.
const (
	caseLimit         = "bind limit"     // 64 writers, no scheduler
	caseMuster        = "muster"         // with its ServiceAccount's token, under RBAC
	caseMusterQueues  = "muster, queues" // the same, with Queue objects
	caseKubeScheduler = "kube-scheduler" // its client's limits lifted
)

// percentiles of durations, in milliseconds.
type percentiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
}

// run is what one measured run gave.
type run struct {
	Case       string  `json:"case"`
	Pods       int     `json:"pods"`
	Throughput float64 `json:"pods_per_second"`            // from the first bind to the last; with claims from the start
	FromStart  float64 `json:"pods_per_second_from_start"` // from the start of the scheduler or the arrivals
	// Until the watcher saw the bind; from the start of the scheduler, or where pods arrive at a rate, from then.
	ToBound percentiles `json:"to_bound_ms"`
	// Of the decision alone, as the scheduler's own histogram tells it (bucket bounds).
	Decision *percentiles `json:"decision_ms,omitempty"`
	CPU      float64      `json:"cpu_us_per_pod"`     // of the scheduler, until the last bind
	CPUAll   float64      `json:"cpu_us_per_pod_all"` // and until it is quiet (its events are written)
	PeakMB   float64      `json:"peak_rss_mb"`
	// The measuring watch had to be opened anew so often; what came meanwhile is dated late.
	Restarts int `json:"watch_restarts"`
	Split    int `json:"gangs_split"` // gangs in more than one rack, which is a fault where one was asked for
	// Shares of the machine from the start to the last bind.
	Server float64 `json:"server_share"` // kube-apiserver, etcd and, where there is one, kube-controller-manager
	Others float64 `json:"others_share"` // processes that are none of the benchmark's: noise
}

func startCluster(o options) (*controlplane.Cluster, func(), error) {
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return nil, nil, err
	}
	var flags []string
	if !o.flowControl {
		flags = []string{"--enable-priority-and-fairness=false", "--max-requests-inflight=0",
			"--max-mutating-requests-inflight=0"}
	}
	options := controlplane.Options{Dir: dir, APIServerArgs: flags}
	if o.gangs > 0 {
		options.Groups = "v1beta1"
	}
	c, err := controlplane.Start(options)
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return c, func() {
		c.Stop()
		if o.keep {
			fmt.Fprintln(os.Stderr, "kept", dir)
			return
		}
		os.RemoveAll(dir)
	}, nil
}

// scheduler is one that runs; the bind limit has none.
type scheduler struct {
	*controlplane.Process
	baseURL  string
	decision string // its histogram of what deciding takes, for a pod or a gang
}

func startScheduler(c *controlplane.Cluster, kind string, o options) (*scheduler, error) {
	switch kind {
	case caseMuster, caseMusterQueues:
		d, err := c.StartMuster(controlplane.Muster{Name: "muster", Config: o.musterConfig()})
		if err != nil {
			return nil, err
		}
		return &scheduler{d.Process, d.BaseURL, "muster_decision_seconds"}, nil
	case caseKubeScheduler:
		profile := controlplane.PluginSet
		if o.gangs > 0 {
			profile = controlplane.GroupPluginSet
		}
		if o.defaultPlugins {
			profile = ""
		}
		k, err := c.StartKubeScheduler(schedulerName, profile)
		if err != nil {
			return nil, err
		}
		decision := "scheduler_scheduling_algorithm_duration_seconds"
		if o.gangs > 0 {
			decision = "scheduler_podgroup_scheduling_algorithm_duration_seconds"
		}
		return &scheduler{k.Process, fmt.Sprintf("https://127.0.0.1:%d", k.Port), decision}, nil
	}
	return nil, nil
}

// usage is what processes have used by one moment.
type usage struct {
	at        time.Time
	scheduler float64
	server    float64
	own       float64 // this program
	machine   float64 // all processes, this machine's whole busy time
}

func readUsage(c *controlplane.Cluster, s *scheduler) (u usage, err error) {
	u.at = time.Now()
	for name, pid := range c.PIDs() {
		seconds, err := cpuSeconds(pid)
		if err != nil {
			return u, err
		}
		if name == "etcd" || name == "kube-apiserver" || name == "kube-controller-manager" {
			u.server += seconds
		}
	}
	if s != nil {
		if u.scheduler, err = cpuSeconds(s.PID()); err != nil {
			return u, err
		}
	}
	if u.own, err = cpuSeconds(os.Getpid()); err != nil {
		return u, err
	}
	u.machine, err = machineSeconds()
	return u, err
}

// measure runs one case.
func measure(kind string, o options) (result run, err error) {
	c, stop, err := startCluster(o)
	if err != nil {
		return run{}, err
	}
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p, err := newPoster(c, o)
	if err != nil {
		return run{}, err
	}
	if err := prepare(c, p, kind, o); err != nil {
		return run{}, err
	}
	if o.rate == 0 {
		if err := p.createPods(o); err != nil {
			return run{}, err
		}
	}
	claims, err := claimsOf(ctx, c, o)
	if err != nil {
		return run{}, err
	}
	writes, err := bindings(o, claims)
	if err != nil {
		return run{}, err
	}
	w, err := watchPods(ctx, c, "pod-", o.pods)
	if err != nil {
		return run{}, err
	}
	runtime.GC() // the preparation's garbage is not the measurement's
	time.Sleep(o.settle)

	start := time.Now()
	before, err := readUsage(c, nil)
	if err != nil {
		return run{}, err
	}
	s, err := startScheduler(c, kind, o)
	if err != nil {
		return run{}, err
	}
	defer func() {
		if err != nil && s != nil {
			err = fmt.Errorf("%w\n%s", err, s.LogTail(10))
		}
	}()
	endChurn := p.churn(o)
	defer endChurn()
	since, err := drive(ctx, p, s, kind, writes, o, start)
	if err != nil {
		return run{}, err
	}
	bound, err := w.wait(o.limit)
	if err != nil {
		return run{}, err
	}
	after, err := readUsage(c, s)
	if err != nil {
		return run{}, err
	}
	result, err = evaluate(kind, bound, since, before, after, s)
	result.Restarts = w.restarts
	if claims != nil { // most of the work may come before the first bind
		result.Throughput = result.FromStart
	}
	if err == nil && o.gangs > 0 {
		result.Split, err = gangsSplit(ctx, c, o)
	}
	if err == nil && claims != nil {
		err = checkClaims(ctx, c, o)
	}
	return result, err
}

func prepare(c *controlplane.Cluster, p *poster, kind string, o options) error {
	if kind == caseMuster || kind == caseMusterQueues {
		if err := c.InstallMuster(o.manifests); err != nil {
			return err
		}
	}
	if kind == caseMusterQueues {
		if err := p.createQueues(o); err != nil {
			return err
		}
	}
	if o.load != nil {
		return p.createLoad(o.load)
	}
	if err := p.createNamespace(); err != nil {
		return err
	}
	if err := p.createNodes(o.nodes); err != nil {
		return err
	}
	return p.createGroups(o.gangs)
}

// drive makes pods become bound, and returns from when the wait of each counts.
func drive(ctx context.Context, p *poster, s *scheduler, kind string, writes [][]write, o options,
	start time.Time) ([]time.Time, error) {
	bind := func(i int) error { return p.bind(writes[i]) }
	if o.rate > 0 {
		var then func(int) error
		if kind == caseLimit {
			then = bind
		} else if err := awaitReady(s.baseURL, time.Minute); err != nil {
			return nil, err
		}
		return p.arrive(ctx, o.pods, o.rate, then)
	}
	since := slices.Repeat([]time.Time{start}, o.pods)
	if kind == caseLimit {
		return since, inParallel(o.pods, bind)
	}
	return since, nil
}

func evaluate(kind string, bound, since []time.Time, before, after usage, s *scheduler) (run, error) {
	waits := make([]time.Duration, len(bound))
	for i := range bound {
		waits[i] = bound[i].Sub(since[i])
	}
	first, last := slices.MinFunc(bound, time.Time.Compare), slices.MaxFunc(bound, time.Time.Compare)
	start := slices.MinFunc(since, time.Time.Compare)
	count := float64(len(bound))
	result := run{
		Case: kind, Pods: len(bound),
		Throughput: (count - 1) / last.Sub(first).Seconds(),
		FromStart:  count / last.Sub(start).Seconds(),
		ToBound:    percentilesOf(waits),
	}
	whole := after.at.Sub(before.at).Seconds() * float64(runtime.NumCPU())
	result.Server = (after.server - before.server) / whole
	ours := after.server - before.server + after.own - before.own + after.scheduler
	result.Others = max(0, (after.machine-before.machine-ours)/whole)
	if s == nil {
		return result, nil
	}
	quiet, err := awaitQuiet(s.PID(), 30*time.Second)
	if err != nil {
		return result, err
	}
	result.CPU, result.CPUAll = after.scheduler/count*1e6, quiet/count*1e6
	if result.PeakMB, err = memoryMB(s.PID(), "VmHWM"); err != nil {
		return result, err
	}
	h, err := readHistogram(s.baseURL, s.decision)
	if err != nil {
		return result, err
	}
	if len(h.counts) > 0 {
		ms := func(q float64) float64 { return h.quantile(q) * 1000 }
		result.Decision = &percentiles{ms(0.5), ms(0.9), ms(0.99), ms(0.999)}
	}
	return result, nil
}

func percentilesOf(waits []time.Duration) percentiles {
	sorted := slices.Sorted(slices.Values(waits))
	at := func(q float64) float64 {
		return float64(sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]) / 1e6
	}
	return percentiles{at(0.5), at(0.9), at(0.99), at(0.999)}
}

// musterConfig is one profile with Muster's defaults, and what the caller adds for trying knobs.
func (o options) musterConfig() string {
	text := `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
profiles:
- schedulerName: ` + schedulerName + "\n"
	if len(o.musterOptions) > 0 {
		text += "---\napiVersion: muster.dev/v1alpha1\nkind: MusterConfiguration\n" +
			strings.Join(o.musterOptions, "\n") + "\n"
	}
	return text
}

func defaultManifests() string {
	// The program runs from the module's folder or from the repository's root.
	for _, path := range []string{"manifests", "../manifests", "../../manifests"} {
		if _, err := os.Stat(filepath.Join(path, "kustomization.yaml")); err == nil {
			return path
		}
	}
	return "manifests"
}
