package live

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var coschedulingGroups = schema.GroupVersionResource{
	Group: "scheduling.x-k8s.io", Version: "v1alpha1", Resource: "podgroups"}

// addCoscheduling makes a PodGroup of scheduling.x-k8s.io, as soon as its definition is served.
func (s *scene) addCoscheduling(name string, spec map[string]any) {
	s.t.Helper()
	group := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "scheduling.x-k8s.io/v1alpha1", "kind": "PodGroup",
		"metadata": map[string]any{"name": name}, "spec": spec,
	}}
	var err error
	if !poll(10*time.Second, func() bool {
		_, err = dynamicClient(s.t).Resource(coschedulingGroups).Namespace(s.namespace).
			Create(ctx, group, metav1.CreateOptions{})
		return err == nil
	}) {
		s.t.Fatal(err)
	}
}

// coschedulingStatus is "phase, scheduled".
func (s *scene) coschedulingStatus(name string) string {
	s.t.Helper()
	group, err := dynamicClient(s.t).Resource(coschedulingGroups).Namespace(s.namespace).
		Get(ctx, name, metav1.GetOptions{})
	s.must(err)
	phase, _, _ := unstructured.NestedString(group.Object, "status", "phase")
	scheduled, _, _ := unstructured.NestedInt64(group.Object, "status", "scheduled")
	return fmt.Sprintf("%s, %d", phase, scheduled)
}

func (s *scene) waitCoscheduling(name, want string) {
	s.t.Helper()
	var got string
	if !poll(10*time.Second, func() bool { got = s.coschedulingStatus(name); return got == want }) {
		s.t.Errorf("the status of group %s is %q, want %q", name, got, want)
	}
}

// The groups of the coscheduling plugin, on a server of any version, whose definition comes when the daemon runs
// already and goes again under it.
func TestCoschedulingPodGroup(t *testing.T) {
	needMuster(t)
	s := newScene(t)
	s.addNodes(1, "3")
	d := muster(t, noElection)
	all := withMeta(pods(4, "g", "1", schedulerName), map[string]string{"scheduling.x-k8s.io/pod-group": "g"}, nil)
	s.create(all)
	s.staysAt("g", 0) // there is no such group
	outer := t
	t.Run("while it is defined", func(t *testing.T) {
		s := &scene{t: t, namespace: s.namespace, nodes: s.nodes}
		apply(t, "testdata/coscheduling_pod_group.yaml")
		defined := time.Now()
		s.addCoscheduling("g", map[string]any{"minMember": int64(4), "scheduleTimeoutSeconds": int64(60)})
		// The daemon asks again now and then whether the kind is served.
		if !poll(60*time.Second, func() bool { return s.coschedulingStatus("g") != ", 0" }) {
			t.Fatal("the group is not noticed")
		}
		t.Logf("noticed after %v", time.Since(defined).Round(time.Millisecond))
		s.staysAt("g", 0) // three of four would fit
		s.waitCoscheduling("g", "PreScheduling, 0")
		more := node(s.namespace+"-more", "1")
		_, err := client.CoreV1().Nodes().Create(ctx, more, metav1.CreateOptions{})
		s.must(err)
		t.Cleanup(func() { _ = client.CoreV1().Nodes().Delete(ctx, more.Name, metav1.DeleteOptions{}) })
		s.waitGang("g", 4)
		s.checkRoom()
		s.waitCoscheduling("g", "Scheduled, 4")

		// A minimum of resources that the cluster lacks holds a group back whose pods would fit.
		for i := range 4 {
			s.remove(fmt.Sprintf("g-%d", i))
		}
		s.addCoscheduling("rich", map[string]any{"minMember": int64(2), "minResources": map[string]any{"cpu": "8"}})
		rich := withMeta(pods(2, "rich", "1", schedulerName),
			map[string]string{"scheduling.x-k8s.io/pod-group": "rich"}, nil)
		s.create(rich)
		s.staysAt("rich", 0)
		big := node(s.namespace+"-big", "4")
		_, err = client.CoreV1().Nodes().Create(ctx, big, metav1.CreateOptions{})
		s.must(err)
		t.Cleanup(func() { _ = client.CoreV1().Nodes().Delete(ctx, big.Name, metav1.DeleteOptions{}) })
		s.waitGang("rich", 2)

		// To the next daemon it is there from the start.
		stopCleanly(t, d)
		d = muster(outer, noElection)
		s.addCoscheduling("late", map[string]any{"minMember": int64(2)})
		late := withMeta(pods(2, "late", "1", schedulerName),
			map[string]string{"scheduling.x-k8s.io/pod-group": "late"}, nil)
		s.create(late[:1])
		s.staysAt("late", 0)
		s.create(late[1:])
		s.waitGang("late", 2)
	})
	s.create(pods(1, "after", "1", schedulerName))
	s.waitGang("after", 1)
	d.waitReady(t)
}

// A gang that is written in labels alone.
func TestLabelGang(t *testing.T) {
	needMuster(t)
	s := newScene(t)
	s.addNodes(1, "3")
	muster(t, noElection)
	labels := map[string]string{"muster.dev/gang": "g", "muster.dev/gang-size": "4"}
	all := withMeta(pods(4, "g", "1", schedulerName), labels, nil)
	s.create(all[:3])
	s.staysAt("g", 0) // one is missing
	s.create(all[3:])
	s.waitUnschedulable("g-0")
	s.staysAt("g", 0) // three of four would fit
	s.addNode(node(s.namespace+"-more", "1"))
	s.waitGang("g", 4)
	s.checkRoom()

	// A pod whose labels make no sense is told so, and is not scheduled alone.
	odd := withMeta(pods(1, "odd", "1m", schedulerName), map[string]string{"muster.dev/gang": "odd"}, nil)
	s.create(odd)
	if c := s.waitWords("odd-0", "muster.dev/gang-size"); c != "" {
		t.Error(c)
	}
	s.staysAt("odd", 0)
}
