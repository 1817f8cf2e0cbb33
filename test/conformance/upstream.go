package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
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
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/defaultpreemption"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/dynamicresources"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodevolumelimits"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
	"k8s.io/kubernetes/pkg/scheduler/util/assumecache"
	"k8s.io/utils/ptr"
)

const musterName = "muster"

// The plugins that Muster has: a profile is restricted to them on upstream's side, and the generator to what they read.
var comparedPlugins = sets.New(
	"SchedulingGates", "PrioritySort", "NodeName", "NodeUnschedulable", "TaintToleration", "NodeAffinity", "NodePorts",
	"NodeResourcesFit", "NodeResourcesBalancedAllocation", "ImageLocality", "DefaultBinder", "PodTopologySpread",
	"InterPodAffinity", "VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone", "NodeDeclaredFeatures",
	"DefaultPreemption")

// Those that it does not have yet: asked about only with `--plugins`, or CONFORMANCE_PLUGINS in the environment.
var laterPlugins = sets.New[string]()

// ComparePlugins adds to comparedPlugins: "" nothing, "all" all, else names with commas between.
func ComparePlugins(which string) error {
	for _, name := range strings.Split(which, ",") {
		switch {
		case name == "":
		case name == "all":
			comparedPlugins = comparedPlugins.Union(laterPlugins)
		case laterPlugins.Has(name) || comparedPlugins.Has(name):
			comparedPlugins.Insert(name)
		default:
			return fmt.Errorf("%q is no plugin to compare", name)
		}
	}
	return nil
}

// Upstream runs kube-scheduler's own framework over scenarios. Safe for concurrent use.
type Upstream struct {
	ctx      context.Context
	client   kubernetes.Interface
	dra      fwk.SharedDRAManager
	recorder *metrics.MetricAsyncRecorder
}

var prepareOnce sync.Once

func prepare() {
	metrics.Register()
	klog.SetLogger(logr.Discard())
	utilruntime.ReallyCrash = false
	utilruntime.PanicHandlers = []func(context.Context, any){func(ctx context.Context, _ any) {
		if crashed, ok := ctx.Value(crashKey{}).(*atomic.Bool); ok {
			crashed.Store(true)
		}
	}}
}

// NewUpstream starts what the plugins expect around them: informers of an empty cluster. It ends with ctx.
func NewUpstream(ctx context.Context) (*Upstream, error) {
	prepareOnce.Do(prepare)
	ctx = klog.NewContext(ctx, logr.Discard())
	client := fake.NewClientset()
	factory := informers.NewSharedInformerFactory(client, 0)
	u := &Upstream{ctx: ctx, client: client,
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
	Preemption *Preemption
}

// Preemption is what DefaultPreemption would do.
type Preemption struct {
	Node    string   `json:"node"`
	Victims []string `json:"victims"`
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
	out := object{"preFilter": nil, "preemption": nil}
	if v.Preemption != nil {
		out["preemption"] = v.Preemption
	}
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
	var crashed atomic.Bool
	ctx = context.WithValue(ctx, crashKey{}, &crashed)
	w, err := u.world(ctx, c, cfg, podKey)
	if err != nil {
		return Verdict{}, err
	}
	for i := range cfg.Profiles {
		profile := &cfg.Profiles[i]
		if profile.SchedulerName != w.subject.Spec.SchedulerName {
			continue
		}
		e := evaluation{world: w}
		registry := plugins.NewInTreeRegistry()
		registry[names.DefaultPreemption] = func(ctx context.Context, args runtime.Object, h fwk.Handle) (fwk.Plugin, error) {
			var err error
			e.preemption, err = defaultpreemption.New(ctx, args, h, feature.NewSchedulerFeaturesFromGates(utilfeature.DefaultFeatureGate))
			return e.preemption, err
		}
		e.framework, err = frameworkruntime.NewFramework(ctx, registry, profile,
			frameworkruntime.WithComponentConfigVersion(cfg.APIVersion),
			frameworkruntime.WithInformerFactory(w.informers),
			frameworkruntime.WithClientSet(u.client),
			frameworkruntime.WithSharedDRAManager(u.dra),
			frameworkruntime.WithSharedCSIManager(nodevolumelimits.NewCSIManager(w.informers.Storage().V1().CSINodes().Lister())),
			frameworkruntime.WithSnapshotSharedLister(w.snapshot),
			frameworkruntime.WithMutableSnapshotLister(w.snapshot),
			frameworkruntime.WithParallelism(1),
			frameworkruntime.WithMetricsRecorder(u.recorder),
			frameworkruntime.WithPodNominator(w.nominated))
		if err != nil {
			return Verdict{}, refusal{err}
		}
		w.fillInformers(c)
		verdict, err := e.schedule(ctx)
		if crashed.Load() {
			return Verdict{}, errCrash
		}
		return verdict, err
	}
	return Verdict{}, fmt.Errorf("no profile is named %q", w.subject.Spec.SchedulerName)
}

var errCrash = errors.New("kube-scheduler crashes here")

// crashKey finds, in a context, whether a plugin crashed. It does so in goroutines of the framework.
type crashKey struct{}

type evaluation struct {
	*world
	framework  framework.Framework
	preemption *defaultpreemption.DefaultPreemption // nil: not in the profile at all
}

// schedule goes the way of Scheduler.schedulePod, but over all nodes, and keeps every answer.
func (e *evaluation) schedule(ctx context.Context) (Verdict, error) {
	all, err := e.snapshot.NodeInfos().List()
	if err != nil {
		return Verdict{}, err
	}
	verdict := Verdict{Nodes: map[string]NodeVerdict{}}
	if len(all) == 0 {
		return Verdict{Error: "no nodes available to schedule pods"}, nil
	}
	state, statuses := framework.NewCycleState(), framework.NewDefaultNodeToStatus()
	narrowed, status, narrowedBy := e.framework.RunPreFilterPlugins(ctx, state, e.subject)
	if status.IsRejected() {
		verdict.PreFilter = &Rejection{status.Plugin(), status.Reasons()}
		statuses.SetAbsentNodesStatus(status)
		verdict.Preemption = e.preempt(ctx, state, statuses)
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
		status := e.framework.RunFilterPluginsWithNominatedPods(ctx, state, e.subject, node)
		switch {
		case status.Code() == fwk.Error:
			return Verdict{Error: status.AsError().Error()}, nil
		case status.IsSuccess():
			feasible = append(feasible, node)
		default:
			statuses.Set(name, status)
			verdict.Nodes[name] = NodeVerdict{Rejection: Rejection{status.Plugin(), sortReasons(status.Reasons())}}
		}
	}
	if len(feasible) == 0 {
		verdict.Preemption = e.preempt(ctx, state, statuses)
		return verdict, nil
	}
	return score(ctx, e.framework, state, e.subject, feasible, weightsOf(e.framework), verdict)
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
