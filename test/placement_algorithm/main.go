// Command placement_algorithm times kube-scheduler's scheduling algorithm alone, in memory and in one process: its own
// Scheduler on a fake client that holds a workload's cluster, asked for one pod after the other (what its metric
// scheduling_algorithm_duration_seconds measures), each placed before the next. `./dev bench` runs it beside Muster's
// harness in memory, on the same files (bench/placement/workload).
//
// With -groups it times the pod group cycle, and with -day it plays days of gangs through it: groups.go and day.go.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	v1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	configtesting "k8s.io/kubernetes/pkg/scheduler/apis/config/testing/defaults"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/profile"

	"muster.dev/muster/test/workload"
)

const schedulerName = "muster" // that the workloads' pods ask for

func main() {
	muster := flag.String("muster", "", "Muster's harness in memory, muster_placement; none: only kube-scheduler")
	scale := flag.Int("scale", 1000, "thousandths of the workloads' counts")
	most := flag.Int("pods", 500, "ask kube-scheduler for so many of the measured pods")
	groups := flag.Bool("groups", false, "instead of files: gangs of 8 and of 512 at 5,000 nodes")
	gangs := flag.Int("gangs", 60, "with -groups: gangs of 8 that kube-scheduler is asked for")
	groupDay := flag.String("day", "", "instead of files: a day of gangs, as this program (muster_group_day) plays it")
	seeds := flag.Int("seeds", 3, "with -day: so many days")
	hours := flag.Int("hours", 24, "with -day: of a day")
	flag.Parse()
	klog.SetLogger(logr.Discard())
	var err error
	switch {
	case *groups:
		err = compareGroups(*muster, *gangs)
	case *groupDay != "":
		err = compareDays(*groupDay, *seeds, *hours)
	default:
		err = compareFiles(flag.Args(), *muster, *scale, *most)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "placement_algorithm: %v\n", err)
		os.Exit(1)
	}
}

func printHeader(what string) {
	fmt.Printf("%-36s %14s %14s %6s %14s %14s %6s\n", what, "kube mean us", "muster mean us", "ratio", "kube p50 us",
		"muster p50 us", "ratio")
}

func printRow(name string, times []time.Duration, mean, p50 float64, note string) {
	slices.Sort(times)
	sum := time.Duration(0)
	for _, t := range times {
		sum += t
	}
	us := func(seconds float64) float64 { return seconds * 1e6 }
	kubeMean, kubeP50 := us(sum.Seconds())/float64(len(times)), us(times[len(times)/2].Seconds())
	fmt.Printf("%-36s %14.1f %14.1f %6.0f %14.1f %14.1f %6.0f%s\n", name, kubeMean, us(mean), kubeMean/us(mean),
		kubeP50, us(p50), kubeP50/us(p50), note)
}

func compareFiles(files []string, muster string, scale, most int) error {
	printHeader("workload")
	for _, file := range files {
		if err := compare(file, muster, scale, most); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// ours is what muster_placement -o json says.
type ours struct {
	Pods, Bound     int
	DecisionSeconds struct{ Mean, P50 float64 }
}

// compare prints one workload's row: what deciding takes on both sides, one after the other.
func compare(file, muster string, scale, most int) error {
	var m ours
	if muster != "" {
		output, err := exec.Command(muster, "--workload", file, "--scale", fmt.Sprint(scale), "-o", "json").Output()
		if err != nil {
			return fmt.Errorf("%s: %w", muster, err)
		}
		if err := json.Unmarshal(output, &m); err != nil {
			return err
		}
	}
	times, err := run(file, scale, most)
	if err != nil {
		return err
	}
	note := ""
	if m.Bound < m.Pods {
		note = fmt.Sprintf("  muster bound %d of %d", m.Bound, m.Pods)
	}
	d := m.DecisionSeconds
	printRow(strings.TrimSuffix(filepath.Base(file), ".yaml"), times, d.Mean, d.P50, note)
	return nil
}

func run(file string, scale, most int) ([]time.Duration, error) {
	load, err := workload.Read(file, scale)
	if err != nil {
		return nil, err
	}
	return placeAll(load, most)
}

func placeAll(load *workload.Workload, most int) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logr.Discard()))
	defer cancel()
	snapshot := cache.NewEmptySnapshot()
	sched, err := newScheduler(ctx, load, snapshot)
	if err != nil {
		return nil, err
	}
	return place(ctx, sched, snapshot, load, most)
}

func newScheduler(ctx context.Context, load *workload.Workload, snapshot *cache.Snapshot) (*scheduler.Scheduler, error) {
	priorities := map[string]int32{}
	for _, object := range load.Before {
		complete(object, priorities)
	}
	for _, pod := range load.Measured {
		complete(pod, priorities)
	}
	client := fake.NewClientset()
	for _, object := range load.Before {
		if err := client.Tracker().Add(object); err != nil {
			return nil, err
		}
	}
	// kube-scheduler keeps what it wrote of a claim only where its version is a newer one.
	version := 1
	client.PrependReactor("update", "resourceclaims", func(action clienttesting.Action) (bool, runtime.Object, error) {
		version++
		action.(clienttesting.UpdateAction).GetObject().(metav1.Object).SetResourceVersion(fmt.Sprint(version))
		return false, nil, nil
	})
	factory := scheduler.NewInformerFactory(client, 0, nil)
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	sched, err := scheduler.New(ctx, client, factory, nil, profile.NewRecorderFactory(broadcaster),
		scheduler.WithNodeInfoSnapshot(snapshot),
		scheduler.WithProfiles(config.KubeSchedulerProfile{
			SchedulerName: schedulerName,
			Plugins:       configtesting.PluginsV1,
			PluginConfig:  configtesting.PluginConfigsV1,
		}))
	if err != nil {
		return nil, err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return sched, sched.WaitForHandlersSync(ctx)
}

// place schedules and times the first of the measured pods.
func place(ctx context.Context, sched *scheduler.Scheduler, snapshot *cache.Snapshot, load *workload.Workload,
	most int) ([]time.Duration, error) {
	logger := klog.FromContext(ctx)
	fwk := sched.Profiles[schedulerName]
	var times []time.Duration
	for _, pod := range load.Measured[:min(most, len(load.Measured))] {
		info, err := framework.NewPodInfo(pod)
		if err != nil {
			return nil, err
		}
		queued := &framework.QueuedPodInfo{PodInfo: info}
		if err := sched.Cache.UpdateSnapshot(logger, snapshot); err != nil {
			return nil, err
		}
		start := time.Now()
		state := framework.NewCycleState()
		result, err := sched.SchedulePod(ctx, fwk, state, queued)
		times = append(times, time.Since(start))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pod.Name, err)
		}
		placed := pod.DeepCopy()
		placed.Spec.NodeName = result.SuggestedHost
		if err := sched.Cache.AssumePod(logger, placed); err != nil {
			return nil, err
		}
		// What was decided of claims is known to the next pod from here on.
		if status := fwk.RunReservePluginsReserve(ctx, state, placed, result.SuggestedHost); !status.IsSuccess() {
			return nil, fmt.Errorf("%s: %w", pod.Name, status.AsError())
		}
		if status := fwk.RunPreBindPlugins(ctx, state, placed, result.SuggestedHost); !status.IsSuccess() {
			return nil, fmt.Errorf("%s: %w", pod.Name, status.AsError())
		}
	}
	return times, nil
}

// complete fills in what the server would, as far as the scheduler reads it here.
func complete(object runtime.Object, priorities map[string]int32) {
	meta := object.(metav1.Object)
	meta.SetResourceVersion("1")
	if meta.GetUID() == "" {
		meta.SetUID(types.UID(fmt.Sprintf("%T/%s/%s", object, meta.GetNamespace(), meta.GetName())))
	}
	switch typed := object.(type) {
	case *v1.Node:
		typed.Status.Capacity = typed.Status.Allocatable
	case *v1.Namespace:
		typed.Labels = map[string]string{"kubernetes.io/metadata.name": typed.Name}
	case *schedulingv1.PriorityClass:
		priorities[typed.Name] = typed.Value
	case *v1.Pod:
		if class := typed.Spec.PriorityClassName; class != "" {
			value := priorities[class]
			typed.Spec.Priority = &value
		}
	}
}
