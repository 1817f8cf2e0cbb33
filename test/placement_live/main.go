// Command placement_live measures placement on a real API server, in one run: the server's own bind limit with no
// scheduler, Muster, and kube-scheduler, each on a fresh control plane in equal state. `./dev bench` runs it.
//
// It wants $MUSTER_CONTROL_PLANE (or $KUBEBUILDER_ASSETS) and $MUSTER_BIN. Results go to standard output, progress
// to standard error.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"muster.dev/muster/test/workload"
)

type options struct {
	nodes, pods, boundPods, repeats int
	rate                            float64
	coldStart, defaultPlugins, keep bool
	flowControl                     bool
	kind                            string
	cases, musterOptions            []string
	manifests, workloadFile         string
	load                            *workload.Workload // of workloadFile, or nil
	scale                           int
	gangs, gangSize                 int  // none: lone pods
	oneRack                         bool // each gang in one
	queues                          int  // that pods are charged to, in case musterQueues
	settle, limit                   time.Duration
}

var caseNames = map[string]string{"limit": caseLimit, "muster": caseMuster, "kube-scheduler": caseKubeScheduler,
	"muster-queues": caseMusterQueues}

func parse(args []string) (o options, output string, err error) {
	flags := flag.NewFlagSet("placement_live", flag.ContinueOnError)
	small := flags.Bool("small", false, "a quick check of the harness: 100 nodes, 500 pods, 1,000 bound ones")
	flags.IntVar(&o.nodes, "nodes", 5000, "nodes (32 CPU, 256Gi, 110 pods)")
	flags.IntVar(&o.pods, "pods", 10000, "pods to place (100m, 128Mi)")
	flags.IntVar(&o.boundPods, "bound-pods", 50000, "pods bound before a cold start")
	flags.IntVar(&o.repeats, "repeats", 0, "how often each case is run, in turns (default 1; 3 for cold starts)")
	flags.StringVar(&o.kind, "kind", "repeated", "repeated (all pods ask for the same) or distinct (no two do)")
	flags.Float64Var(&o.rate, "rate", 0, "pods that arrive a second; 0: all are there before the scheduler starts")
	flags.BoolVar(&o.coldStart, "cold-start", false, "measure the first bind on a full cluster, and memory")
	flags.BoolVar(&o.defaultPlugins, "default-plugins", false,
		"kube-scheduler with its default plugins (default: with those that Muster has)")
	flags.BoolVar(&o.flowControl, "flow-control", false,
		"the server with its flow control, as it is by default: it refuses much of what kube-scheduler sends at once")
	flags.BoolVar(&o.keep, "keep", false, "keep the clusters' folders (logs, data)")
	flags.StringVar(&o.workloadFile, "workload", "", "objects and pods of that file, not -nodes, -pods and -kind")
	flags.IntVar(&o.scale, "scale", 1000, "thousandths of the workload's counts")
	flags.IntVar(&o.gangs, "gangs", 0, "PodGroups to place, of pods that ask for a GPU (of a node's eight), not -pods")
	flags.IntVar(&o.gangSize, "gang-size", 8, "pods of each, all of which start together")
	flags.BoolVar(&o.oneRack, "one-rack", true, "each gang must be in one of the racks, of 40 nodes each")
	flags.IntVar(&o.queues, "queues", 0, "queues that the pods name, in a tree of depth 4, for the case muster-queues")
	cases := flags.String("cases", "limit,muster,kube-scheduler",
		"what to measure, in this order; muster-queues is muster with Queue objects, -queues")
	config := flags.String("muster-options", "", "MusterConfiguration fields, as 'bindsInFlight: 64; threads: 1'")
	flags.StringVar(&o.manifests, "manifests", defaultManifests(), "kustomize base that installs Muster")
	flags.DurationVar(&o.settle, "settle", time.Second, "pause before each measurement")
	flags.DurationVar(&o.limit, "limit", 5*time.Minute, "time allowed for all binds of a run")
	flags.StringVar(&output, "o", "table", "table or json")
	if err = flags.Parse(args); err != nil {
		return o, "", err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if *small {
		for name, value := range map[string]string{"nodes": "100", "pods": "500", "bound-pods": "1000", "repeats": "1"} {
			if !given[name] {
				_ = flags.Set(name, value)
			}
		}
	}
	if o.gangs > 0 {
		o.pods, o.kind = o.gangs*o.gangSize, "gang"
	}
	if o.repeats == 0 {
		o.repeats = 1
		if o.coldStart {
			o.repeats = 3
		}
	}
	for _, name := range strings.Split(*cases, ",") {
		kind, known := caseNames[name]
		if !known {
			return o, "", fmt.Errorf("-cases: unknown %q; want limit, muster, muster-queues or kube-scheduler", name)
		}
		o.cases = append(o.cases, kind)
	}
	for _, field := range strings.Split(*config, ";") {
		if field = strings.TrimSpace(field); field != "" {
			o.musterOptions = append(o.musterOptions, field)
		}
	}
	switch {
	case output != "table" && output != "json":
		err = fmt.Errorf("-o: want table or json, not %q", output)
	case o.kind != "repeated" && o.kind != "distinct" && o.gangs == 0:
		err = fmt.Errorf("-kind: want repeated or distinct, not %q", o.kind)
	case o.gangs < 0 || o.gangSize < 1:
		err = fmt.Errorf("-gangs, -gang-size: want no negative number, and at least one pod a gang")
	case o.gangs > 0 && (o.coldStart || o.workloadFile != "" || given["kind"]):
		err = fmt.Errorf("-gangs: its pods are its own: no -cold-start, -workload or -kind")
	case o.queues < 0 || o.queues > 0 && o.load != nil:
		err = fmt.Errorf("-queues: want no negative number, and no -workload")
	case slices.Contains(o.cases, caseMusterQueues) && o.queues == 0:
		err = fmt.Errorf("-cases: muster-queues wants -queues")
	case o.nodes < 1 || o.pods < 2 || o.boundPods < 0 || o.repeats < 1 || o.rate < 0:
		err = fmt.Errorf("want at least one node, two pods, one repeat and no negative number")
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		return o, "", err
	}
	if o.manifests, err = filepath.Abs(o.manifests); err == nil && o.workloadFile != "" {
		err = o.readWorkload()
	}
	return o, output, err
}

// burst measures every case as often as asked, in turns.
func burst(o options) (report, error) {
	result := report{Nodes: o.nodes, Pods: o.pods, Kind: o.kind, Rate: o.rate, DefaultPlugins: o.defaultPlugins,
		FlowControl: o.flowControl, Gangs: o.gangs, GangSize: o.gangSize, OneRack: o.oneRack}
	for range o.repeats {
		for _, kind := range o.cases {
			one, err := measure(kind, o)
			if err != nil {
				return result, fmt.Errorf("%s: %w", kind, err)
			}
			result.Runs = append(result.Runs, one)
			progress("%s: %.0f pods/s", kind, one.Throughput)
		}
	}
	result.compare()
	return result, nil
}

func main() {
	o, output, err := parse(os.Args[1:])
	if err != nil {
		if err != flag.ErrHelp {
			fmt.Fprintln(os.Stderr, "placement_live:", err)
		}
		os.Exit(2)
	}
	var result interface{ table() string }
	if o.coldStart {
		result, err = coldStart(o)
	} else {
		result, err = burst(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "placement_live:", err)
		os.Exit(1)
	}
	if output == "table" {
		fmt.Print(result.table())
		return
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(result)
}
