package live

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	controlplane "muster.dev/muster/test/control_plane"
)

const peerName = "peer" // the scheduler name that kube-scheduler answers to beside Muster

func startPeer(t *testing.T) {
	t.Helper()
	peer, err := cluster.StartKubeScheduler(peerName, plugins)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(peer.Kill)
}

// 1,000 pods on 100 nodes, half of the room taken by another scheduler's pods at the same time.
func TestBesideKubeScheduler(t *testing.T) {
	const each = 1000
	s := newScene(t)
	s.addNodes(100, "32")
	startPeer(t)
	muster(t, noElection)
	start := time.Now()
	s.create(append(pods(each, "ours", "100m", schedulerName), pods(each, "theirs", "100m", peerName)...))
	s.waitBound(2*each, 90*time.Second)
	t.Logf("%d pods created and bound in %v", 2*each, time.Since(start).Round(time.Millisecond))
	s.checkRoom()
	if standIn {
		return // it is the same user as the peer
	}
	binder, _ := s.checkBindings()
	if len(binder) != 2*each {
		t.Errorf("%d bindings are in the audit log, want %d", len(binder), 2*each)
	}
	for name, user := range binder {
		if strings.HasPrefix(name, "ours-") != (user == controlplane.MusterUser) {
			t.Errorf("pod %s was bound by %s", name, user)
		}
	}
}

// verdict is all that a user reads of a pod that fits nowhere.
type verdict struct {
	Status             corev1.ConditionStatus
	Reason, Message    string
	ObservedGeneration int64
	EventType          string
	EventReason        string
	EventAction        string
	EventNote          string
	EventFromScheduler bool
}

func condition(p *corev1.Pod) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == corev1.PodScheduled {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

func (s *scene) event(podName, reason string) *eventsv1.Event {
	s.t.Helper()
	list, err := client.EventsV1().Events(s.namespace).List(ctx, metav1.ListOptions{})
	s.must(err)
	for i := range list.Items {
		if e := &list.Items[i]; e.Regarding.Name == podName && e.Reason == reason {
			return e
		}
	}
	return nil
}

// waitUnschedulable waits until a scheduler has said no to the pod, in condition and event.
func (s *scene) waitUnschedulable(name string) verdict {
	s.t.Helper()
	var v verdict
	ok := poll(10*time.Second, func() bool {
		p := s.get(name)
		c, e := condition(p), s.event(name, "FailedScheduling")
		if c == nil || c.Status != corev1.ConditionFalse || e == nil {
			return false
		}
		v = verdict{c.Status, c.Reason, c.Message, c.ObservedGeneration, e.Type, e.Reason, e.Action, e.Note,
			e.ReportingController == p.Spec.SchedulerName && e.Regarding.UID == p.UID}
		return true
	})
	if !ok {
		s.t.Fatalf("pod %s got no PodScheduled=False condition and FailedScheduling event", name)
	}
	return v
}

type podChange func(*corev1.Pod)

func withSelector(labels map[string]string) podChange {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = labels }
}

func withRequest(name corev1.ResourceName, quantity string) podChange {
	return func(p *corev1.Pod) {
		amount := corev1.ResourceList{name: resource.MustParse(quantity)}
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: amount, Limits: amount}
	}
}

func withHostPort(port int32) podChange {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: port, HostPort: port}}
	}
}

func withAffinity(key string, operator corev1.NodeSelectorOperator, values ...string) podChange {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: operator, Values: values}},
				}},
			},
		}}
	}
}

func tainted(n *corev1.Node, key, value string) *corev1.Node {
	n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffectNoSchedule})
	return n
}

// A pod that fits nowhere reads the same from Muster as from kube-scheduler, word for word.
func TestKubeSchedulersWords(t *testing.T) {
	small, labelled, cordoned := node("words-small", "1"), node("words-labelled", "2"), node("words-cordoned", "8")
	labelled.Labels["disk"] = "ssd"
	cordoned.Spec.Unschedulable = true
	s := newScene(t, small, labelled, cordoned, tainted(node("words-tainted", "8"), "team", "infra"))
	// Takes the port on every node that is open to all.
	for _, name := range []string{"words-small", "words-labelled"} {
		p := pod("port-"+name, "1m", "none")
		withHostPort(8080)(p)
		s.create([]*corev1.Pod{p})
		s.must(s.bind(p.Name, name))
	}
	startPeer(t)
	muster(t, noElection)
	for _, c := range []struct {
		name   string
		cpu    string
		change podChange
	}{
		{"too-much-cpu", "4", func(*corev1.Pod) {}},
		{"too-much-everywhere", "64", withRequest(corev1.ResourceMemory, "900Gi")},
		{"extended-resource", "1m", withRequest("example.test/gpu", "1")},
		{"selector", "1m", withSelector(map[string]string{"disk": "tape"})},
		{"selector-and-cpu", "4", withSelector(map[string]string{"disk": "ssd"})},
		{"host-port", "1m", withHostPort(8080)},
		{"affinity-in", "1m", withAffinity("disk", corev1.NodeSelectorOpIn, "tape", "floppy")},
		{"affinity-not-a-number", "1m", withAffinity("disk", corev1.NodeSelectorOpGt, "12")},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &scene{t: t, namespace: s.namespace}
			ours, theirs := pod(c.name+"-ours", c.cpu, schedulerName), pod(c.name+"-theirs", c.cpu, peerName)
			c.change(ours)
			c.change(theirs)
			s.create([]*corev1.Pod{ours, theirs})
			got, want := s.waitUnschedulable(ours.Name), s.waitUnschedulable(theirs.Name)
			if got != want {
				t.Errorf("Muster:\n  %+v\nkube-scheduler:\n  %+v", got, want)
			}
		})
	}
}

func patchNode(t *testing.T, name, patch string) {
	t.Helper()
	_, err := client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// A waiting pod is placed within a second of the event that makes it fit.
func TestPlacedOnceItFits(t *testing.T) {
	for _, c := range []struct {
		name   string
		node   *corev1.Node
		change podChange
		happen func(*scene)
	}{
		{"node added", node("fit-0", "1"), nil, func(s *scene) { s.addNode(node("fit-1", "4")) }},
		{"node label added", node("fit-2", "4"), withSelector(map[string]string{"disk": "ssd"}),
			func(s *scene) { patchNode(s.t, "fit-2", `{"metadata":{"labels":{"disk":"ssd"}}}`) }},
		{"taint removed", tainted(node("fit-3", "4"), "team", "infra"), nil,
			func(s *scene) { patchNode(s.t, "fit-3", `{"spec":{"taints":null}}`) }},
		{"pod deleted", node("fit-4", "4"), nil, func(s *scene) { s.remove("filler") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, c.node)
			if c.name == "pod deleted" {
				s.create([]*corev1.Pod{pod("filler", "3", "none")})
				s.must(s.bind("filler", c.node.Name))
			}
			muster(t, noElection)
			waiting := pod("waiting", "2", schedulerName)
			if c.change != nil {
				c.change(waiting)
			}
			s.create([]*corev1.Pod{waiting})
			s.waitUnschedulable("waiting")
			time.Sleep(1200 * time.Millisecond) // the first failure's backoff is over
			c.happen(s)
			start := time.Now()
			if !poll(time.Second, func() bool { return s.get("waiting").Spec.NodeName != "" }) {
				t.Fatal("not placed within a second")
			}
			t.Logf("placed after %v", time.Since(start).Round(time.Millisecond))
			s.checkPlacedWords("waiting")
		})
	}
}

// checkPlacedWords wants the condition and the event of a pod that was placed.
func (s *scene) checkPlacedWords(name string) {
	s.t.Helper()
	p := s.get(name)
	if c := condition(p); c == nil || c.Status != corev1.ConditionTrue {
		s.t.Errorf("PodScheduled is %+v, want True", c)
	}
	want := fmt.Sprintf("Successfully assigned %s/%s to %s", s.namespace, name, p.Spec.NodeName)
	var e *eventsv1.Event
	poll(5*time.Second, func() bool { e = s.event(name, "Scheduled"); return e != nil })
	if e == nil || e.Note != want || e.Type != "Normal" || e.Action != "Binding" {
		s.t.Errorf("event Scheduled is %+v, want note %q, action Binding", e, want)
	}
}

// Of the pods that wait for the same room the most important one gets it; the refusals of the others are told as
// a series, not as an event each.
func TestPriorityFirst(t *testing.T) {
	s := newScene(t, node("priority-0", "1"))
	s.create([]*corev1.Pod{pod("filler", "1", "none")})
	s.must(s.bind("filler", "priority-0"))
	low, high, highest := pod("low", "1", schedulerName), pod("high", "1", schedulerName), pod("highest", "1", schedulerName)
	high.Spec.PriorityClassName = "system-cluster-critical"
	highest.Spec.PriorityClassName = "system-node-critical"
	muster(t, noElection)
	s.create([]*corev1.Pod{low, high, highest})
	for _, p := range []*corev1.Pod{low, high, highest} {
		s.waitUnschedulable(p.Name)
	}
	holder := "filler"
	for round, next := range []string{"highest", "high"} {
		time.Sleep(time.Duration(round+1)*time.Second + 200*time.Millisecond) // the backoff doubles
		s.remove(holder)
		s.waitBound(1, 2*time.Second)
		if s.get(next).Spec.NodeName == "" {
			t.Fatalf("%s was not placed first", next)
		}
		holder = next
	}
	var told []string
	repeated := poll(5*time.Second, func() bool {
		list, err := client.EventsV1().Events(s.namespace).List(ctx, metav1.ListOptions{})
		s.must(err)
		told = nil
		series := false
		for _, e := range list.Items {
			if e.Regarding.Name == "low" && e.Reason == "FailedScheduling" {
				told = append(told, fmt.Sprintf("%s %+v", e.Name, e.Series))
				series = series || e.Series != nil && e.Series.Count >= 2
			}
		}
		return series
	})
	if !repeated {
		t.Errorf("three refusals of one pod make no series: %q", told)
	}
}
