package live

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type pendingGroup struct {
	Group, Ahead, WaitingFor, EstimatedStart, Assumption string
	Position, Pods                                       int
}

type queueStatus struct {
	Conditions                              []metav1.Condition
	PendingGroups, PendingPods, RunningPods int
	Share                                   string
	Usage                                   []struct{ Resource, Flavor, Used, Borrowed string }
	Pending                                 []pendingGroup
}

func statusOf(t *testing.T, name string) (status queueStatus) {
	t.Helper()
	object, err := dynamicClient(t).Resource(queues).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(object.Object["status"])
	if err := json.Unmarshal(text, &status); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return status
}

// musterQueue runs `muster queue`.
func musterQueue(t *testing.T, kubeconfig string, args ...string) string {
	t.Helper()
	command := exec.Command(os.Getenv("MUSTER_BIN"), append([]string{"queue", "--kubeconfig", kubeconfig}, args...)...)
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("muster queue %s: %v\n%s", args, err, stderr.String())
	}
	return string(output)
}

// What queues and those that wait in them are told, everywhere that it is.
func TestQueueStatus(t *testing.T) {
	if standIn {
		t.Skip("kube-scheduler knows no queues")
	}
	waitQueues(t)
	s := newScene(t, node("queued-0", "64"))
	name := s.namespace
	spec := fmt.Sprintf("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}, "+
		"resources: [{name: cpu, nominalQuota: 4}]}", name)
	if _, err := create(t, queues, name, spec); err != nil {
		t.Fatal(err)
	}
	if _, err := create(t, queues, name+"-wrong", "{parent: nobody}"); err != nil {
		t.Fatal(err)
	}
	d := muster(t, noElection)

	running := pods(4, "runs", "1", schedulerName)
	for _, p := range running {
		p.Spec.ActiveDeadlineSeconds = new(int64)
		*p.Spec.ActiveDeadlineSeconds = 3600
	}
	s.create(running)
	s.waitBound(4, 10*time.Second)
	s.create(pods(1, "first", "2", schedulerName))
	s.create(pods(1, "second", "1", schedulerName))

	var status queueStatus
	if !poll(20*time.Second, func() bool { status = statusOf(t, name); return len(status.Pending) == 2 }) {
		t.Fatalf("the status is %+v", status)
	}
	ready := status.Conditions[0]
	if ready.Status != metav1.ConditionTrue || ready.Reason != "Ready" || ready.ObservedGeneration != 1 || ready.LastTransitionTime.IsZero() {
		t.Errorf("the condition is %+v", ready)
	}
	if got := fmt.Sprintf("%d %d %d %s %v", status.PendingGroups, status.PendingPods, status.RunningPods, status.Share, status.Usage); got != "2 2 4 0 [{cpu  4 0}]" {
		t.Errorf("the status has %s", got)
	}
	first, second := status.Pending[0], status.Pending[1]
	if first.Group != name+"/first-0" || first.Position != 1 || first.Ahead != "" || second.Position != 2 || second.Ahead != first.Group {
		t.Errorf("pending are %+v", status.Pending)
	}
	const lacks = "cpu asks for 2, available 0, used 4 of 4"
	if !strings.Contains(first.WaitingFor, lacks) {
		t.Errorf("it waits for %q", first.WaitingFor)
	}
	start, err := time.Parse(time.RFC3339, first.EstimatedStart)
	if away := time.Until(start); err != nil || away < 55*time.Minute || away > time.Hour {
		t.Errorf("the estimated start is %q: %v", first.EstimatedStart, away)
	}
	wrong := statusOf(t, name+"-wrong").Conditions
	if len(wrong) != 1 || wrong[0].Status != metav1.ConditionFalse || wrong[0].Reason != "ParentNotFound" {
		t.Errorf("the bad queue's conditions are %+v", wrong)
	}

	// The pod's own condition.
	var condition corev1.PodCondition
	if !poll(20*time.Second, func() bool {
		for _, c := range s.get("second-0").Status.Conditions {
			if c.Type == corev1.PodScheduled {
				condition = c
			}
		}
		return strings.Contains(condition.Message, "position 2 of 2, behind "+first.Group)
	}) || condition.Reason != "SchedulingGated" || condition.Status != corev1.ConditionFalse {
		t.Errorf("the pod's condition is %+v", condition)
	}

	// `muster queue`, by one who may only list queues.
	kubeconfig := s.account("reader", allow("muster.dev", "list", "queues"))
	table := musterQueue(t, kubeconfig)
	for _, want := range []string{"NAME", name + " ", "BestEffortFIFO  2        4        0      True", "False (ParentNotFound)"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	one := musterQueue(t, kubeconfig, name)
	for _, want := range []string{lacks, first.EstimatedStart, "running      4 pods", "pending      2 pods in 2 groups"} {
		if !strings.Contains(one, want) {
			t.Errorf("no %q in\n%s", want, one)
		}
	}
	var all struct {
		Queues []struct {
			Name   string
			Status queueStatus
		}
	}
	if err := json.Unmarshal([]byte(musterQueue(t, kubeconfig, name, "-o", "json")), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Queues) != 1 || all.Queues[0].Name != name || fmt.Sprint(all.Queues[0].Status.Pending) != fmt.Sprint(status.Pending) {
		t.Errorf("-o json gives %+v\nthe status is %+v", all, status)
	}

	// Metrics, while the queue is there.
	labels := fmt.Sprintf(`queue="%s"`, name)
	of := func(series string) bool { _, body := d.get("/metrics"); return hasSeries(body, series, labels) }
	for _, series := range []string{"muster_queue_pending_pods", "muster_queue_running_pods", "muster_queue_share",
		"muster_queue_usage", "muster_queue_nominal", "muster_queue_borrowed", "muster_queue_wait_seconds_count",
		"muster_queue_resource_seconds_total"} {
		if !poll(10*time.Second, func() bool { return of(series) }) {
			t.Errorf("no %s{%s}", series, labels)
		}
	}
	s.must(dynamicClient(t).Resource(queues).Delete(ctx, name, metav1.DeleteOptions{}))
	if !poll(20*time.Second, func() bool { return !of("muster_queue_pending_pods") && !of("muster_queue_wait_seconds_count") }) {
		t.Error("the series of a queue that went are still there")
	}
}
