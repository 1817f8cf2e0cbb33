package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	dto "github.com/prometheus/client_model/go"
	v1 "k8s.io/api/core/v1"
	schedulingv1beta1 "k8s.io/api/scheduling/v1beta1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
	"k8s.io/utils/ptr"
)

const (
	gangNamespace = "bench"
	gpu           = "nvidia.com/gpu"
	gpusANode     = 8
	rackLabel     = "example.com/rack"
	blockLabel    = "example.com/block"
)

// racks says which domains a node is in; bench/gpu_cluster.h has the same.
type racks struct{ nodesARack, racksABlock int }

func (r racks) rack(node int) int  { return node / r.nodesARack }
func (r racks) block(node int) int { return r.rack(node) / r.racksABlock }

func nodeName(i int) string { return fmt.Sprintf("node-%06d", i) }

func (r racks) node(i int) *v1.Node {
	room := v1.ResourceList{"cpu": resource.MustParse("128"), "memory": resource.MustParse("1Ti"),
		gpu: *resource.NewQuantity(gpusANode, resource.DecimalSI), "pods": resource.MustParse("110")}
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName(i), UID: types.UID(nodeName(i)), Labels: map[string]string{
			"kubernetes.io/hostname": nodeName(i),
			rackLabel:                fmt.Sprintf("rack-%04d", r.rack(i)),
			blockLabel:               fmt.Sprintf("block-%03d", r.block(i)),
		}},
		Status: v1.NodeStatus{Capacity: room, Allocatable: room},
	}
}

func gpuPod(name string, gpus int, labels map[string]string) *v1.Pod {
	room := v1.ResourceList{"cpu": *resource.NewQuantity(int64(12*gpus), resource.DecimalSI),
		"memory": *resource.NewQuantity(int64(96*gpus)<<30, resource.BinarySI),
		gpu:      *resource.NewQuantity(int64(gpus), resource.DecimalSI)}
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: gangNamespace, Name: name, UID: types.UID("uid-" + name), Labels: labels},
		Spec: v1.PodSpec{SchedulerName: v1.DefaultSchedulerName, Priority: ptr.To[int32](0), Containers: []v1.Container{{
			Name: "trainer", Image: "registry/trainer:latest",
			Resources: v1.ResourceRequirements{Requests: room, Limits: room}}}},
	}
}

// gang is a group of pods that starts whole.
type gang struct {
	group *schedulingv1beta1.PodGroup
	pods  []*v1.Pod
	nodes []string // by pod, once placed
}

// newGang makes a gang; kind is as in bench/gpu_cluster.h, key "" asks for no topology.
func newGang(name, kind string, pods, gpus int, key string) *gang {
	g := &gang{group: &schedulingv1beta1.PodGroup{
		ObjectMeta: metav1.ObjectMeta{Namespace: gangNamespace, Name: name, UID: types.UID("uid-" + name)},
		Spec: schedulingv1beta1.PodGroupSpec{
			SchedulingPolicy: schedulingv1beta1.PodGroupSchedulingPolicy{
				Gang: &schedulingv1beta1.GangSchedulingPolicy{MinCount: int32(pods)}},
			Priority: ptr.To[int32](0)},
	}}
	if key != "" {
		g.group.Spec.SchedulingConstraints = &schedulingv1beta1.PodGroupSchedulingConstraints{
			Topology: []schedulingv1beta1.TopologyConstraint{{Key: key}}}
	}
	for i := range pods {
		labels := map[string]string{"app": "train"}
		if kind != "equal" {
			labels["batch.kubernetes.io/job-name"] = name
			labels["batch.kubernetes.io/controller-uid"] = "uid-" + name
		}
		if kind == "indexed" {
			labels["batch.kubernetes.io/job-completion-index"] = fmt.Sprint(i)
		}
		pod := gpuPod(fmt.Sprintf("%s-%04d", name, i), gpus, labels)
		pod.Spec.SchedulingGroup = &v1.PodSchedulingGroup{PodGroupName: &name}
		g.pods = append(g.pods, pod)
	}
	return g
}

// gangScheduler is kube-scheduler with its gates for groups and topology on, on a fake client. Its own queue and its own
// ScheduleOne are asked for one gang at a time; a bind succeeds at once.
type gangScheduler struct {
	ctx   context.Context
	sched *scheduler.Scheduler
	binds chan struct{}

	mu     sync.Mutex
	nodes  map[string]string // by pod: where it was bound
	failed int               // pods that the last try refused
	err    error
}

var openGates = sync.OnceValue(func() error {
	return utilfeature.DefaultMutableFeatureGate.Set("GenericWorkload=true,TopologyAwareWorkloadScheduling=true")
})

// newGangScheduler: with packing, NodeResourcesFit prefers the nodes with the fewest GPUs left.
func newGangScheduler(ctx context.Context, before []runtime.Object, packing bool) (*gangScheduler, error) {
	if err := openGates(); err != nil {
		return nil, err
	}
	configuration, err := latest.Default()
	if err != nil {
		return nil, err
	}
	if packing {
		for _, plugin := range configuration.Profiles[0].PluginConfig {
			if args, ok := plugin.Args.(*config.NodeResourcesFitArgs); ok {
				args.ScoringStrategy = &config.ScoringStrategy{Type: config.MostAllocated,
					Resources: []config.ResourceSpec{{Name: gpu, Weight: 1}}}
			}
		}
	}
	g := &gangScheduler{ctx: ctx, binds: make(chan struct{}, 10_000), nodes: map[string]string{}}
	client := fake.NewClientset()
	for _, object := range before {
		if err := client.Tracker().Add(object); err != nil {
			return nil, err
		}
	}
	client.PrependReactor("create", "pods", g.bind)
	client.PrependReactor("patch", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &v1.Pod{}, nil
	})
	client.PrependReactor("patch", "podgroups", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &schedulingv1beta1.PodGroup{}, nil
	})
	factory := scheduler.NewInformerFactory(client, 0, nil)
	recorder := func(string) events.EventRecorderLogger { return &events.FakeRecorder{} }
	if g.sched, err = scheduler.New(ctx, client, factory, nil, recorder, scheduler.WithProfiles(configuration.Profiles...)); err != nil {
		return nil, err
	}
	g.sched.FailureHandler = g.fail
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return g, g.sched.WaitForHandlersSync(ctx)
}

func (g *gangScheduler) bind(action clienttesting.Action) (bool, runtime.Object, error) {
	create, ok := action.(clienttesting.CreateAction)
	if !ok || action.GetSubresource() != "binding" {
		return false, nil, nil
	}
	binding := create.GetObject().(*v1.Binding)
	g.mu.Lock()
	g.nodes[binding.Name] = binding.Target.Name
	g.mu.Unlock()
	g.binds <- struct{}{}
	return true, binding, nil
}

func (g *gangScheduler) fail(_ context.Context, _ framework.Framework, pod *framework.QueuedPodInfo, status *fwk.Status,
	_ *fwk.NominatingInfo, _ time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failed++
	if status.IsError() {
		g.err = status.AsError()
	}
	g.sched.SchedulingQueue.Done(pod.Pod.UID)
}

// add lets the scheduler know of the gang.
func (g *gangScheduler) add(gang *gang) {
	g.sched.Cache.AddPodGroup(gang.group)
	g.sched.SchedulingQueue.AddPodGroup(klog.FromContext(g.ctx), gang.group)
	for _, pod := range gang.pods {
		g.sched.Cache.AddPodGroupMember(pod)
	}
}

// try queues the gang's pods and runs one scheduling cycle. It gives what the scheduler's own metric says that the
// algorithm took (podgroup_scheduling_algorithm_duration_seconds: the snapshot's update and the search).
func (g *gangScheduler) try(gang *gang) (placed bool, took time.Duration, err error) {
	g.failed, g.err = 0, nil
	for _, pod := range gang.pods {
		g.sched.SchedulingQueue.Add(g.ctx, pod)
	}
	before, err := algorithmSeconds()
	if err != nil {
		return false, 0, err
	}
	g.sched.ScheduleOne(g.ctx)
	after, err := algorithmSeconds()
	if err != nil {
		return false, 0, err
	}
	if took = time.Duration((after - before) * 1e9); took <= 0 {
		return false, 0, fmt.Errorf("the metric of the group cycle tells nothing")
	}
	g.mu.Lock()
	failed, err := g.failed, g.err
	g.mu.Unlock()
	if err != nil || failed > 0 {
		return false, took, err
	}
	gang.nodes = make([]string, len(gang.pods))
	for range gang.pods {
		select {
		case <-g.binds:
		case <-time.After(time.Minute):
			return false, took, fmt.Errorf("%s: not all pods were bound", gang.group.Name)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, pod := range gang.pods {
		gang.nodes[i] = g.nodes[pod.Name]
		delete(g.nodes, pod.Name)
		gang.pods[i] = pod.DeepCopy()
		gang.pods[i].Spec.NodeName = gang.nodes[i]
		if err := g.sched.Cache.AddPod(klog.FromContext(g.ctx), gang.pods[i]); err != nil {
			return false, took, err
		}
	}
	return true, took, nil
}

// end takes a placed gang away.
func (g *gangScheduler) end(gang *gang) error {
	logger := klog.FromContext(g.ctx)
	for _, pod := range gang.pods {
		if err := g.sched.Cache.RemovePod(logger, pod); err != nil {
			return err
		}
	}
	g.sched.Cache.RemovePodGroup(logger, gang.group)
	g.sched.SchedulingQueue.DeletePodGroup(logger, gang.group)
	return nil
}

func algorithmSeconds() (float64, error) {
	var out dto.Metric
	metric, ok := metrics.PodGroupSchedulingAlgorithmLatency.ObserverMetric.(interface{ Write(*dto.Metric) error })
	if !ok {
		return 0, fmt.Errorf("the metric of the group cycle is not registered")
	}
	if err := metric.Write(&out); err != nil {
		return 0, err
	}
	return out.GetHistogram().GetSampleSum(), nil
}

// ourGroups is what muster_placement --groups -o json says.
type ourGroups struct {
	Cluster struct {
		NodesARack, RacksABlock int
		Filling                 [][]int
	}
	Rows []struct {
		Name, Kind                          string
		MeanSeconds, P50Seconds             float64
		Decisions, AsExpected, BoundSeconds float64
	}
}

func (o ourGroups) objects() []runtime.Object {
	r := racks{o.Cluster.NodesARack, o.Cluster.RacksABlock}
	objects := []runtime.Object{&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: gangNamespace}}}
	for n, pods := range o.Cluster.Filling {
		objects = append(objects, r.node(n))
		for i, gpus := range pods {
			pod := gpuPod(fmt.Sprintf("old-%d-%d", n, i), gpus, map[string]string{"app": "notebook"})
			pod.Spec.NodeName = nodeName(n)
			objects = append(objects, pod)
		}
	}
	return objects
}

// compareGroups prints for gangs of 8 and of 512 what a decision takes on both sides, on the same cluster.
func compareGroups(muster string, gangs int) error {
	output, err := exec.Command(muster, "--groups", "--only", "gang of", "-o", "json").Output()
	if err != nil {
		return fmt.Errorf("%s: %w", muster, err)
	}
	var m ourGroups
	if err := json.Unmarshal(output, &m); err != nil {
		return err
	}
	printHeader(fmt.Sprintf("gangs, %d nodes", len(m.Cluster.Filling)))
	keys := map[string]string{"": "", "rack required": rackLabel, "block required": blockLabel}
	for _, row := range m.Rows {
		var pods int
		if n, _ := fmt.Sscanf(row.Name, "gang of %d", &pods); n != 1 {
			continue
		}
		_, constraint, _ := strings.Cut(row.Name, ", ")
		key, expressible := keys[constraint]
		if !expressible {
			continue
		}
		times, err := timeGangs(m, row.Kind, pods, max(2, gangs*8/pods), key)
		if err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
		note := ""
		if row.AsExpected < row.Decisions {
			note = fmt.Sprintf("  muster placed %.0f of %.0f", row.AsExpected, row.Decisions)
		}
		printRow(row.Name+" ("+row.Kind+")", times, row.MeanSeconds, row.P50Seconds, note)
	}
	return nil
}

// timeGangs places that many gangs, one after the other. The first does not count.
func timeGangs(m ourGroups, kind string, pods, count int, key string) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logr.Discard()))
	defer cancel()
	g, err := newGangScheduler(ctx, m.objects(), false)
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	for i := range count + 1 {
		one := newGang(fmt.Sprintf("gang-%05d", i), kind, pods, 1, key)
		g.add(one)
		placed, took, err := g.try(one)
		if err != nil {
			return nil, err
		}
		if !placed {
			return nil, fmt.Errorf("%s was not placed", one.group.Name)
		}
		if i > 0 {
			times = append(times, took)
		}
	}
	return times, nil
}
