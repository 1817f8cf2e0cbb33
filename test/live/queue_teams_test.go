package live

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// team is a namespace and the queue that selects it, both of one name.
type team struct {
	*scene
	made int
}

// newTeams has the teams share their quotas under one parent: nominal quotas of cpu, by team.
func newTeams(t *testing.T, cpus ...int) (parent string, teams []*team) {
	t.Helper()
	waitQueues(t)
	for range cpus {
		teams = append(teams, &team{scene: newScene(t)})
	}
	parent = teams[0].namespace + "-all"
	if _, err := create(t, queues, parent, "{}"); err != nil {
		t.Fatal(err)
	}
	for i, cpu := range cpus {
		teams[i].makeQueue(parent, cpu)
	}
	return parent, teams
}

func (m *team) makeQueue(parent string, cpu int) {
	m.t.Helper()
	_, err := create(m.t, queues, m.namespace, fmt.Sprintf("{parent: %s, namespaceSelector: {matchLabels: "+
		"{kubernetes.io/metadata.name: %s}}, resources: [{name: cpu, nominalQuota: %d}]}", parent, m.namespace, cpu))
	m.must(err)
}

func (m *team) change(patch string) {
	m.t.Helper()
	_, err := dynamicClient(m.t).Resource(queues).Patch(
		ctx, m.namespace, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	m.must(err)
}

// start makes n pods of one cpu, which leave at once when they are told to.
func (m *team) start(n int) {
	m.t.Helper()
	all := pods(n, fmt.Sprintf("p%d", m.made), "1", schedulerName)
	m.made++
	for _, p := range all {
		p.Spec.TerminationGracePeriodSeconds = new(int64)
	}
	m.create(all)
}

// waitEach wants exactly so many pods bound of each team, and that it stays so a little.
func waitEach(t *testing.T, teams []*team, want ...int) {
	t.Helper()
	var got []int
	same := func() bool {
		got = nil
		for _, m := range teams {
			got = append(got, m.bound())
		}
		return fmt.Sprint(got) == fmt.Sprint(want)
	}
	if !poll(20*time.Second, func() bool {
		if !same() {
			return false
		}
		time.Sleep(300 * time.Millisecond)
		return same()
	}) {
		t.Fatalf("%v pods are bound, want %v", got, want)
	}
}

// usageIsBound wants each queue's status to count what the server's pods of its namespace say.
func usageIsBound(t *testing.T, teams []*team) {
	t.Helper()
	for _, m := range teams {
		var used string
		var bound int
		if !poll(20*time.Second, func() bool {
			status := statusOf(t, m.namespace)
			if len(status.Usage) != 1 {
				return false
			}
			bound = m.bound()
			used = status.Usage[0].Used
			return used == fmt.Sprint(bound) && status.RunningPods == bound
		}) {
			t.Errorf("queue %s has %s cpus in use, %d are bound", m.namespace, used, bound)
		}
	}
}

func TestTeamsBorrowReclaimHoldAndDrain(t *testing.T) {
	if standIn {
		t.Skip("kube-scheduler knows no queues")
	}
	_, teams := newTeams(t, 4, 4, 4)
	a, b, c := teams[0], teams[1], teams[2]
	a.addNodes(3, "32")
	d := muster(t, noElection)

	a.start(15)
	waitEach(t, teams, 12, 0, 0) // what b and c do not use is lent
	usageIsBound(t, teams)

	// They get it back: whoever borrows goes, and comes to wait again.
	b.start(3)
	waitEach(t, teams, 9, 3, 0)
	c.start(6)
	waitEach(t, teams, 5, 3, 4)
	usageIsBound(t, teams)
	if log := d.Log(); strings.Contains(log, "panic") {
		t.Error(log)
	}

	// On hold, b starts nothing, and what it leaves idle is lent.
	b.change(`{"spec":{"stopPolicy":"Hold"}}`)
	time.Sleep(500 * time.Millisecond)
	b.start(2)
	waitEach(t, teams, 5, 3, 4)
	for _, p := range b.list()[:1] {
		b.remove(p.Name)
	}
	var told string
	if !poll(20*time.Second, func() bool {
		for _, p := range b.list() {
			if at := condition(&p); p.Spec.NodeName == "" && at != nil {
				told = at.Reason + ": " + at.Message
			}
		}
		return strings.Contains(told, "is on hold")
	}) {
		t.Errorf("a held pod is told %q", told)
	}
	b.change(`{"spec":{"stopPolicy":"HoldAndDrain"}}`)
	if !poll(20*time.Second, func() bool { return b.bound() == 0 }) {
		t.Fatalf("%d pods are left of a drained queue", b.bound())
	}
	usageIsBound(t, teams)
	b.change(`{"spec":{"stopPolicy":"None"}}`)
	if !poll(20*time.Second, func() bool { return b.bound() > 0 }) {
		t.Fatal("nothing starts after the hold")
	}
	usageIsBound(t, teams)
}

// Queues change, go and come back under load, and the scheduler dies in the middle.
func TestQueuesChangeUnderLoad(t *testing.T) {
	if standIn {
		t.Skip("kube-scheduler knows no queues")
	}
	seed := uint64(envNumber(t, "MUSTER_SEED", int(time.Now().UnixNano()%1000000)))
	t.Logf("MUSTER_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	parent, teams := newTeams(t, 20, 20, 20)
	a, b, c := teams[0], teams[1], teams[2]
	a.addNodes(4, "50")
	d := muster(t, noElection)
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		for range 20 {
			for _, m := range teams {
				m.start(2 + random.IntN(4))
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	time.Sleep(500 * time.Millisecond)
	b.change(`{"spec":{"resources":[{"name":"cpu","nominalQuota":"40"}]}}`)
	time.Sleep(300 * time.Millisecond)
	a.must(dynamicClient(t).Resource(queues).Delete(ctx, c.namespace, metav1.DeleteOptions{}))
	time.Sleep(300 * time.Millisecond)
	d.Kill()
	d = muster(t, noElection)
	time.Sleep(500 * time.Millisecond)
	c.makeQueue(parent, 30)
	<-loaded
	// All is in use: 20 + 40 + 30, whoever was there first.
	total := func() int { return a.bound() + b.bound() + c.bound() }
	if !poll(30*time.Second, func() bool { return total() == 90 }) {
		t.Errorf("%d pods are bound, want 90", total())
	}
	usageIsBound(t, teams)
	for i, m := range teams {
		if want := []int{20, 40, 30}[i]; m.bound() < want && m.bound() < len(m.list()) {
			t.Errorf("team %d has %d bound, and wants more, of its %d", i, m.bound(), want)
		}
	}
	// And once more from the server alone.
	stopCleanly(t, d)
	muster(t, noElection)
	usageIsBound(t, teams)
	if n := total(); n != 90 {
		t.Errorf("%d pods are bound after the restart, want 90", n)
	}
}
