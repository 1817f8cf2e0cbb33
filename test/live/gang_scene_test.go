package live

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingv1beta1 "k8s.io/api/scheduling/v1beta1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	controlplane "muster.dev/muster/test/control_plane"
)

const rackLabel = "example.test/rack"

var (
	groupVersion     string // of scheduling.k8s.io's pod groups, where withGroups found one
	groupConditionOf = map[string]string{"v1beta1": "PodGroupInitiallyScheduled", "v1alpha2": "PodGroupScheduled"}
)

func podGroups(t *testing.T) dynamic.NamespaceableResourceInterface {
	t.Helper()
	return dynamicClient(t).Resource(
		schema.GroupVersionResource{Group: "scheduling.k8s.io", Version: groupVersion, Resource: "podgroups"})
}

func dynamicClient(t *testing.T) *dynamic.DynamicClient {
	t.Helper()
	c := cluster.AdminConfig()
	c.ContentType, c.AcceptContentTypes = "application/json", "application/json"
	made, err := dynamic.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// needVersion is for what only that version of the pod groups has.
func needVersion(t *testing.T, version string) {
	t.Helper()
	if groupVersion != version {
		t.Skip("this is about scheduling.k8s.io/", version, ", the server has ", groupVersion)
	}
}

// withGroups has the test run on a cluster whose server knows groups of pods.
func withGroups(t *testing.T) {
	t.Helper()
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case strings.HasPrefix(version.GitVersion, "v1.37."):
		groupVersion = "v1beta1"
	case strings.HasPrefix(version.GitVersion, "v1.36."):
		groupVersion = "v1alpha2"
	default:
		t.Skip("a server of this version has no pod groups that Muster knows: ", version.GitVersion)
	}
	usual, usualClient := cluster, client
	t.Cleanup(func() { cluster, client, plugins = usual, usualClient, controlplane.PluginSet })
	plugins = controlplane.GroupPluginSet
	if len(clusters) > 1 {
		cluster = clusters[1]
		if client, err = cluster.Client(); err != nil {
			t.Fatal(err)
		}
		return
	}
	options := controlplane.Options{Dir: filepath.Join(cluster.Dir, "groups"), Audit: true, Groups: groupVersion}
	if err := startCluster(options); err != nil {
		t.Fatal(err)
	}
}

// addGroup makes a PodGroup of which min pods start together; min 0: a basic one.
func (s *scene) addGroup(name string, min int32, changes ...func(*schedulingv1beta1.PodGroup)) {
	s.t.Helper()
	group := &schedulingv1beta1.PodGroup{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if min > 0 {
		group.Spec.SchedulingPolicy.Gang = &schedulingv1beta1.GangSchedulingPolicy{MinCount: min}
	} else {
		group.Spec.SchedulingPolicy.Basic = &schedulingv1beta1.BasicSchedulingPolicy{}
	}
	for _, change := range changes {
		change(group)
	}
	// What is set here is written alike in all versions.
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(group)
	s.must(err)
	object := &unstructured.Unstructured{Object: fields}
	object.SetAPIVersion("scheduling.k8s.io/" + groupVersion)
	object.SetKind("PodGroup")
	_, err = podGroups(s.t).Namespace(s.namespace).Create(ctx, object, metav1.CreateOptions{})
	s.must(err)
}

func inOne(key string) func(*schedulingv1beta1.PodGroup) {
	return func(g *schedulingv1beta1.PodGroup) {
		g.Spec.SchedulingConstraints = &schedulingv1beta1.PodGroupSchedulingConstraints{
			Topology: []schedulingv1beta1.TopologyConstraint{{Key: key}}}
	}
}

func (s *scene) setMinCount(name string, min int32) {
	s.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"schedulingPolicy":{"gang":{"minCount":%d}}}}`, min)
	_, err := podGroups(s.t).Namespace(s.namespace).Patch(ctx, name, "application/merge-patch+json", []byte(patch),
		metav1.PatchOptions{})
	s.must(err)
}

// groupCondition is the group's condition that says whether it was scheduled, or nil.
func (s *scene) groupCondition(name string) *metav1.Condition {
	s.t.Helper()
	object, err := podGroups(s.t).Namespace(s.namespace).Get(ctx, name, metav1.GetOptions{})
	s.must(err)
	var group struct {
		Status schedulingv1beta1.PodGroupStatus `json:"status"`
	}
	s.must(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &group))
	return meta.FindStatusCondition(group.Status.Conditions, groupConditionOf[groupVersion])
}

// waitGroup waits until the group's condition has a status, and returns its words but for the message.
func (s *scene) waitGroup(name string, status metav1.ConditionStatus) string {
	s.t.Helper()
	var c *metav1.Condition
	if !poll(10*time.Second, func() bool {
		c = s.groupCondition(name)
		return c != nil && c.Status == status
	}) {
		s.t.Fatalf("the condition of group %s is %+v, want status %s", name, c, status)
	}
	return fmt.Sprintf("%s=%s %s, of generation %d", c.Type, c.Status, c.Reason, c.ObservedGeneration)
}

// gang makes n pods of a PodGroup.
func gang(n int, group, cpu, scheduler string) []*corev1.Pod {
	all := pods(n, group, cpu, scheduler)
	for _, p := range all {
		p.Spec.SchedulingGroup = &corev1.PodSchedulingGroup{PodGroupName: &group}
	}
	return all
}

// withMeta gives pods labels and annotations.
func withMeta(all []*corev1.Pod, labels, annotations map[string]string) []*corev1.Pod {
	for _, p := range all {
		p.Labels, p.Annotations = labels, annotations
	}
	return all
}

// addRacks makes nodes with a rack's label: rack-0 with as many as sizes[0] says, and so on.
func (s *scene) addRacks(cpu string, sizes ...int) {
	s.t.Helper()
	for rack, size := range sizes {
		for i := range size {
			n := node(fmt.Sprintf("%s-rack-%d-%d", s.namespace, rack, i), cpu)
			n.Labels[rackLabel] = fmt.Sprintf("rack-%d", rack)
			s.addNode(n)
		}
	}
}

// fill binds a pod of that many cores to a node.
func (s *scene) fill(name, cpu, node string) {
	s.t.Helper()
	s.create([]*corev1.Pod{pod(name, cpu, "none")})
	s.must(s.bind(name, node))
}

// members are the scene's pods whose names begin so.
func (s *scene) members(group string) (all []corev1.Pod) {
	s.t.Helper()
	for _, p := range s.list() {
		if strings.HasPrefix(p.Name, group+"-") {
			all = append(all, p)
		}
	}
	return all
}

func (s *scene) boundOf(group string) (n int) {
	s.t.Helper()
	for _, p := range s.members(group) {
		if p.Spec.NodeName != "" {
			n++
		}
	}
	return n
}

// waitGang wants so many of a group's pods bound.
func (s *scene) waitGang(group string, n int) {
	s.t.Helper()
	start := time.Now()
	if !poll(20*time.Second, func() bool { return s.boundOf(group) >= n }) {
		s.t.Fatalf("%d pods of %s are bound, want %d", s.boundOf(group), group, n)
	}
	s.t.Logf("%d pods of %s bound after %v", n, group, time.Since(start).Round(time.Millisecond))
}

// staysAt wants just so many of a group's pods bound for a while.
func (s *scene) staysAt(group string, n int) {
	s.t.Helper()
	if poll(700*time.Millisecond, func() bool { return s.boundOf(group) != n }) {
		s.t.Fatalf("%d pods of %s are bound, want %d", s.boundOf(group), group, n)
	}
}

// racksOf tells how a group's bound pods are spread: "rack-1:4", the fullest rack first.
func (s *scene) racksOf(group string) string {
	s.t.Helper()
	rackOf := map[string]string{}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	s.must(err)
	for _, n := range nodes.Items {
		rackOf[n.Name] = n.Labels[rackLabel]
	}
	count := map[string]int{}
	for _, p := range s.members(group) {
		if p.Spec.NodeName != "" {
			count[rackOf[p.Spec.NodeName]]++
		}
	}
	words := []string{}
	for rack, n := range count {
		words = append(words, fmt.Sprintf("%s:%d", rack, n))
	}
	slices.SortFunc(words, func(a, b string) int {
		_, an, _ := strings.Cut(a, ":")
		_, bn, _ := strings.Cut(b, ":")
		if an != bn {
			return strings.Compare(bn, an)
		}
		return strings.Compare(a, b)
	})
	return strings.Join(words, " ")
}

// apply makes the objects of a file, and removes them when the test ends.
func apply(t *testing.T, file string) {
	t.Helper()
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Kubectl("apply", "--server-side", "-f", file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Kubectl("delete", "--ignore-not-found", "--timeout=20s", "-f", file); err != nil {
			t.Error(err)
		}
	})
}

// waitWords waits until the pod's condition says a word; else it returns what is wrong.
func (s *scene) waitWords(name, word string) string {
	s.t.Helper()
	var c *corev1.PodCondition
	if poll(10*time.Second, func() bool {
		c = condition(s.get(name))
		return c != nil && strings.Contains(c.Message, word)
	}) {
		return ""
	}
	return fmt.Sprintf("the condition of pod %s is %+v, want one with %q", name, c, word)
}

// runAsBoth compares what comes of a scene with either scheduler.
func runAsBoth(t *testing.T, name string, run func(s *scene, scheduler string) string) {
	t.Run(name, func(t *testing.T) {
		asBoth(t, func(t *testing.T, scheduler string) string {
			s := newScene(t)
			outcome := run(s, scheduler)
			s.checkRoom()
			t.Log(outcome)
			return outcome
		})
	})
}
