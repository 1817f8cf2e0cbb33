package main

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	resourceslicetracker "k8s.io/dynamic-resource-allocation/resourceslice/tracker"
	"k8s.io/klog/v2"
	configv1 "k8s.io/kube-scheduler/config/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/features"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/validation"
	internalcache "k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/dynamicresources"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
	"k8s.io/kubernetes/pkg/scheduler/util/assumecache"
	"k8s.io/utils/ptr"
)

const musterName = "muster"

// The plugins that Muster has: a profile is restricted to them on upstream's side.
var comparedPlugins = sets.New(
	"SchedulingGates", "PrioritySort", "NodeName", "NodeUnschedulable", "TaintToleration", "NodeAffinity", "NodePorts",
	"NodeResourcesFit", "NodeResourcesBalancedAllocation", "ImageLocality", "DefaultBinder")

// Upstream runs kube-scheduler's own framework over scenarios. Safe for concurrent use.
type Upstream struct {
	ctx       context.Context
	client    kubernetes.Interface
	informers informers.SharedInformerFactory
	dra       fwk.SharedDRAManager
	recorder  *metrics.MetricAsyncRecorder
}

var registerMetrics sync.Once

// NewUpstream starts what the plugins expect around them: informers of an empty cluster. It ends with ctx.
func NewUpstream(ctx context.Context) (*Upstream, error) {
	registerMetrics.Do(metrics.Register)
	klog.SetLogger(logr.Discard())
	ctx = klog.NewContext(ctx, logr.Discard())
	client := fake.NewClientset()
	factory := informers.NewSharedInformerFactory(client, 0)
	u := &Upstream{ctx: ctx, client: client, informers: factory,
		recorder: metrics.NewMetricsAsyncRecorder(1000, time.Second, ctx.Done())}
	if utilfeature.DefaultFeatureGate.Enabled(features.DynamicResourceAllocation) {
		claims := assumecache.NewAssumeCache(klog.FromContext(ctx), factory.Resource().V1().ResourceClaims().Informer(),
			"ResourceClaim", "", nil)
		slices, err := resourceslicetracker.StartTracker(ctx, resourceslicetracker.Options{
			SliceInformer: factory.Resource().V1().ResourceSlices(), KubeClient: client})
		if err != nil {
			return nil, err
		}
		u.dra = dynamicresources.NewDRAManager(ctx, claims, slices, factory)
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return u, nil
}

// Verdict is what `muster evaluate -o json` prints.
type Verdict struct {
	Error      string
	PreFilter  *Rejection
	Nodes      map[string]NodeVerdict
	Preemption any
}

type Rejection struct {
	Plugin  string   `json:"plugin"`
	Reasons []string `json:"reasons"`
}

type NodeVerdict struct {
	Feasible bool
	Rejection
	Scores map[string]int64
	Total  int64
}

func (v Verdict) tree() object {
	if v.Error != "" {
		return object{"error": v.Error}
	}
	out := object{"preFilter": nil, "preemption": v.Preemption}
	if v.PreFilter != nil {
		out["preFilter"] = object{"plugin": v.PreFilter.Plugin, "reasons": v.PreFilter.Reasons}
	}
	nodes := object{}
	for name, node := range v.Nodes {
		if node.Feasible {
			nodes[name] = object{"feasible": true, "scores": node.Scores, "total": node.Total}
		} else {
			nodes[name] = object{"feasible": false, "plugin": node.Plugin, "reasons": node.Reasons}
		}
	}
	out["nodes"] = nodes
	return out
}

// LoadConfig reads and checks a KubeSchedulerConfiguration as kube-scheduler does; nil text: the default profile
// under Muster's name. The profiles keep only the plugins that Muster has.
func LoadConfig(text []byte) (*config.KubeSchedulerConfiguration, error) {
	cfg := &config.KubeSchedulerConfiguration{}
	if text == nil {
		versioned := &configv1.KubeSchedulerConfiguration{
			Profiles: []configv1.KubeSchedulerProfile{{SchedulerName: ptr.To(musterName)}}}
		scheme.Scheme.Default(versioned)
		if err := scheme.Scheme.Convert(versioned, cfg, nil); err != nil {
			return nil, err
		}
	} else {
		decoded, gvk, err := scheme.Codecs.UniversalDecoder().Decode(text, nil, nil)
		if err != nil {
			return nil, err
		}
		var ok bool
		if cfg, ok = decoded.(*config.KubeSchedulerConfiguration); !ok {
			return nil, fmt.Errorf("a %s is no KubeSchedulerConfiguration", gvk)
		}
		cfg.APIVersion = gvk.GroupVersion().String()
		if errs := validation.ValidateKubeSchedulerConfiguration(cfg); errs != nil {
			return nil, errs
		}
	}
	for i := range cfg.Profiles {
		points := &cfg.Profiles[i].Plugins.MultiPoint.Enabled
		*points = slices.DeleteFunc(*points, func(p config.Plugin) bool { return !comparedPlugins.Has(p.Name) })
	}
	return cfg, nil
}

// Evaluate asks upstream about one pod (NAMESPACE/NAME) and every node. An error: it cannot be asked.
func (u *Upstream) Evaluate(manifests, configuration []byte, podKey string) (Verdict, error) {
	c, err := readCluster(manifests)
	if err != nil {
		return Verdict{}, err
	}
	cfg, err := LoadConfig(configuration)
	if err != nil {
		return Verdict{}, refusal{err}
	}
	return u.evaluate(c, cfg, podKey)
}

// refusal: the configuration is not taken.
type refusal struct{ error }

func (u *Upstream) evaluate(c *cluster, cfg *config.KubeSchedulerConfiguration, podKey string) (Verdict, error) {
	ctx, cancel := context.WithCancel(u.ctx)
	defer cancel()
	pod, snapshot, err := u.snapshot(ctx, c, podKey)
	if err != nil {
		return Verdict{}, err
	}
	for i := range cfg.Profiles {
		profile := &cfg.Profiles[i]
		if profile.SchedulerName != pod.Spec.SchedulerName {
			continue
		}
		f, err := frameworkruntime.NewFramework(ctx, plugins.NewInTreeRegistry(), profile,
			frameworkruntime.WithComponentConfigVersion(cfg.APIVersion),
			frameworkruntime.WithInformerFactory(u.informers),
			frameworkruntime.WithClientSet(u.client),
			frameworkruntime.WithSharedDRAManager(u.dra),
			frameworkruntime.WithSnapshotSharedLister(snapshot),
			frameworkruntime.WithMutableSnapshotLister(snapshot),
			frameworkruntime.WithParallelism(1),
			frameworkruntime.WithMetricsRecorder(u.recorder),
			frameworkruntime.WithPodNominator(noNominations{}))
		if err != nil {
			return Verdict{}, refusal{err}
		}
		return schedule(ctx, f, snapshot, profile, pod)
	}
	return Verdict{}, fmt.Errorf("no profile is named %q", pod.Spec.SchedulerName)
}

// snapshot is taken of upstream's own cache, filled as its informers would.
func (u *Upstream) snapshot(ctx context.Context, c *cluster, podKey string) (*v1.Pod, *internalcache.Snapshot, error) {
	logger := klog.FromContext(ctx)
	cache := internalcache.New(ctx, nil, false, false)
	known := sets.New[string]()
	for _, node := range c.nodes {
		known.Insert(node.Name)
		cache.AddNode(logger, node)
	}
	var subject *v1.Pod
	for _, pod := range c.pods {
		switch {
		case pod.Namespace+"/"+pod.Name == podKey:
			subject = pod
		case pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed || !known.Has(pod.Spec.NodeName):
		default:
			if err := cache.AddPod(logger, pod); err != nil {
				return nil, nil, err
			}
		}
	}
	if subject == nil {
		return nil, nil, fmt.Errorf("no pod %s in the manifests", podKey)
	}
	snapshot := internalcache.NewEmptySnapshot()
	return subject, snapshot, cache.UpdateSnapshot(logger, snapshot)
}

// schedule goes the way of Scheduler.schedulePod, but over all nodes, and keeps every answer.
func schedule(ctx context.Context, f framework.Framework, snapshot *internalcache.Snapshot,
	profile *config.KubeSchedulerProfile, pod *v1.Pod) (Verdict, error) {
	all, err := snapshot.NodeInfos().List()
	if err != nil {
		return Verdict{}, err
	}
	verdict := Verdict{Nodes: map[string]NodeVerdict{}}
	if len(all) == 0 {
		return Verdict{Error: "no nodes available to schedule pods"}, nil
	}
	state := framework.NewCycleState()
	narrowed, status, narrowedBy := f.RunPreFilterPlugins(ctx, state, pod)
	if status.IsRejected() {
		verdict.PreFilter = &Rejection{status.Plugin(), status.Reasons()}
		return verdict, nil
	}
	if !status.IsSuccess() {
		return Verdict{Error: status.AsError().Error()}, nil
	}
	var feasible []fwk.NodeInfo
	for _, node := range all {
		name := node.Node().Name
		if !narrowed.AllNodes() && !narrowed.NodeNames.Has(name) {
			by := sets.List(narrowedBy)
			reason := fmt.Sprintf("node(s) didn't satisfy plugin(s) %v", by)
			verdict.Nodes[name] = NodeVerdict{Rejection: Rejection{strings.Join(by, ","), []string{reason}}}
			continue
		}
		status := f.RunFilterPluginsWithNominatedPods(ctx, state, pod, node)
		switch {
		case status.Code() == fwk.Error:
			return Verdict{Error: status.AsError().Error()}, nil
		case status.IsSuccess():
			feasible = append(feasible, node)
		default:
			verdict.Nodes[name] = NodeVerdict{Rejection: Rejection{status.Plugin(), sortReasons(status.Reasons())}}
		}
	}
	if len(feasible) == 0 {
		return verdict, nil
	}
	return score(ctx, f, state, pod, feasible, weightsOf(f), verdict)
}

func score(ctx context.Context, f framework.Framework, state fwk.CycleState, pod *v1.Pod, feasible []fwk.NodeInfo,
	weights map[string]int64, verdict Verdict) (Verdict, error) {
	if !f.HasScorePlugins() {
		for _, node := range feasible {
			verdict.Nodes[node.Node().Name] = NodeVerdict{Feasible: true, Scores: map[string]int64{}, Total: 1}
		}
		return verdict, nil
	}
	if status := f.RunPreScorePlugins(ctx, state, pod, feasible); !status.IsSuccess() {
		return Verdict{Error: status.AsError().Error()}, nil
	}
	all, status := f.RunScorePlugins(ctx, state, pod, feasible)
	if !status.IsSuccess() {
		return Verdict{Error: status.AsError().Error()}, nil
	}
	for _, of := range all {
		node := NodeVerdict{Feasible: true, Scores: map[string]int64{}, Total: of.TotalScore}
		for _, s := range of.Scores {
			node.Scores[s.Name] = s.Score / weights[s.Name]
		}
		verdict.Nodes[of.Name] = node
	}
	return verdict, nil
}

func weightsOf(f framework.Framework) map[string]int64 {
	weights := map[string]int64{}
	for _, p := range f.ListPlugins().Score.Enabled {
		weights[p.Name] = int64(p.Weight)
	}
	return weights
}

// sortReasons brings upstream's reasons, of which those of scalar resources come in map order, into the contract's:
// pods, cpu, memory, ephemeral-storage, then the others by name.
func sortReasons(reasons []string) []string {
	rank := func(reason string) int {
		known := []string{"Too many pods", "Insufficient cpu", "Insufficient memory", "Insufficient ephemeral-storage"}
		if i := slices.Index(known, reason); i >= 0 || !strings.HasPrefix(reason, "Insufficient ") {
			return i
		}
		return len(known)
	}
	sorted := slices.Clone(reasons)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := rank(sorted[i]), rank(sorted[j])
		return a < b || a == b && a == 4 && sorted[i] < sorted[j]
	})
	return sorted
}

// noNominations stands for a queue without nominated pods.
type noNominations struct{}

func (noNominations) AddNominatedPod(klog.Logger, fwk.PodInfo, *fwk.NominatingInfo) {}
func (noNominations) DeleteNominatedPodIfExists(*v1.Pod)                            {}
func (noNominations) UpdateNominatedPod(klog.Logger, *v1.Pod, fwk.PodInfo)          {}
func (noNominations) NominatedPodsForNode(string) []fwk.PodInfo                     { return nil }
