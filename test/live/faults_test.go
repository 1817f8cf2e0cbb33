package live

import (
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	controlplane "muster.dev/muster/test/control_plane"
)

const burst = 600

// startBurst creates burst pods of one core in the background, on nodes with room for just so many, and returns
// once a few of them are bound. The channel closes when all are created.
func startBurst(s *scene) <-chan struct{} {
	s.t.Helper()
	s.addNodes(burst/30, "30")
	created := make(chan struct{})
	go func() {
		defer close(created)
		if err := s.createThrough(pods(burst, "burst", "1", schedulerName)); err != nil {
			s.t.Error(err)
		}
	}()
	if !poll(30*time.Second, func() bool { return s.bound() >= 50 }) {
		s.t.Fatal("the burst does not start")
	}
	return created
}

// finishBurst wants every pod bound, once, and every node just full.
func finishBurst(s *scene, created <-chan struct{}, limit time.Duration) {
	s.t.Helper()
	<-created
	s.waitBound(burst, limit)
	for name, n := range s.checkRoom() {
		if n != 30 {
			s.t.Errorf("node %s holds %d pods, want 30", name, n)
		}
	}
	_, codes := s.checkBindings()
	s.t.Logf("answers to bindings: %v", codes)
}

// The kubelet would start it again; nothing else is done.
func TestKilledMidBurst(t *testing.T) {
	s := newScene(t)
	d := muster(t, noElection)
	created := startBurst(s)
	d.Kill()
	t.Logf("killed with %d pods bound", s.bound())
	muster(t, noElection)
	finishBurst(s, created, 30*time.Second)
}

func TestTerminatedMidBurst(t *testing.T) {
	s := newScene(t)
	d := muster(t, noElection)
	created := startBurst(s)
	stopCleanly(t, d)
	t.Logf("ended with %d pods bound", s.bound())
	muster(t, noElection)
	finishBurst(s, created, 30*time.Second)
}

func leaseHolder(t *testing.T) string {
	t.Helper()
	lease, err := client.CoordinationV1().Leases(controlplane.MusterNamespace).Get(ctx, "muster", metav1.GetOptions{})
	if errors.IsNotFound(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

func TestLeaderKilledWithStandby(t *testing.T) {
	if standIn {
		t.Skip("the stand-in runs without leader election")
	}
	s := newScene(t)
	leader := muster(t, fastElection)
	if !poll(10*time.Second, func() bool { return leaseHolder(t) != "" }) {
		t.Fatal("nobody took the lease")
	}
	first := leaseHolder(t)
	standby := launch(t, controlplane.Muster{Config: config(fastElection)})
	standby.waitStatus(t, "/livez", http.StatusOK, 10*time.Second)
	time.Sleep(time.Second)
	if holder := leaseHolder(t); holder != first {
		t.Fatalf("%s took the lease from a living leader %s", holder, first)
	}
	created := startBurst(s)
	leader.Kill()
	t.Logf("leader killed with %d pods bound", s.bound())
	start := time.Now()
	if !poll(15*time.Second, func() bool { h := leaseHolder(t); return h != "" && h != first }) {
		t.Fatal("the standby did not take over")
	}
	t.Logf("the standby leads after %v", time.Since(start).Round(time.Millisecond))
	finishBurst(s, created, 30*time.Second)
	noneForbidden(t, standby)
}

// A leader that ends in good order gives the lease back: the standby need not wait for it to run out.
func TestLeaderHandsOver(t *testing.T) {
	if standIn {
		t.Skip("the stand-in runs without leader election")
	}
	s := newScene(t, node("handover-0", "4"))
	leader := muster(t, fastElection)
	if !poll(10*time.Second, func() bool { return leaseHolder(t) != "" }) {
		t.Fatal("nobody took the lease")
	}
	standby := launch(t, controlplane.Muster{Config: config(fastElection)})
	standby.waitStatus(t, "/livez", http.StatusOK, 10*time.Second)
	time.Sleep(500 * time.Millisecond)
	stopCleanly(t, leader)
	s.create(pods(1, "after", "1", schedulerName))
	s.waitBound(1, 3*time.Second)
}

// The configuration that manifests/ installs, just as it is.
func TestShippedConfiguration(t *testing.T) {
	if standIn {
		t.Skip("the stand-in has a configuration of its own")
	}
	shipped, err := os.ReadFile("../../manifests/config/scheduler.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t, node("shipped-0", "4"))
	d := launch(t, controlplane.Muster{Config: string(shipped)})
	s.create(pods(1, "pod", "1", schedulerName))
	s.waitBound(1, 10*time.Second)
	if leaseHolder(t) == "" {
		t.Error("nobody holds the lease")
	}
	stopCleanly(t, d)
	if holder := leaseHolder(t); holder != "" {
		t.Errorf("%s still holds the lease after its end", holder)
	}
	noneForbidden(t, d)
}

func TestAPIServerKilledMidBurst(t *testing.T) {
	s := newScene(t)
	d := launch(t, controlplane.Muster{Config: config(noElection)})
	d.waitReady(t)
	created := startBurst(s)
	cluster.KillAPIServer()
	time.Sleep(time.Second)
	s.must(cluster.StartAPIServer())
	t.Logf("the server is back with %d pods bound", s.bound())
	finishBurst(s, created, 60*time.Second)
	if d.Exited() {
		t.Error("the daemon ended with the server")
	}
	d.waitReady(t)
}

// While the daemon hears nothing, the world changes and the history that it would resume from is compacted away.
func TestExpiredWatch(t *testing.T) {
	s := newScene(t)
	s.addNodes(2, "10")
	d := launch(t, controlplane.Muster{Config: config(noElection)})
	d.waitReady(t)
	s.create(pods(10, "before", "1", schedulerName))
	s.waitBound(10, 10*time.Second)
	s.must(d.Signal(syscall.SIGSTOP))
	for i := range 5 {
		s.remove(fmt.Sprintf("before-%d", i))
	}
	s.create(pods(5, "other", "1", "none"))
	s.must(inParallel(5, func(i int) error { return s.bind(fmt.Sprintf("other-%d", i), s.nodes[0]) }))
	s.addNode(node("expired-new", "5"))
	// A new server process remembers no history, so that the resumed watch must be answered from etcd's.
	cluster.KillAPIServer()
	s.must(cluster.StartAPIServer())
	s.must(cluster.CompactEtcd())
	s.create(pods(30, "after", "1", schedulerName))
	s.must(d.Signal(syscall.SIGCONT))
	// 25 cores; 5 of before and 5 of other hold ten of them.
	s.waitBound(25, 30*time.Second)
	time.Sleep(500 * time.Millisecond)
	if n := s.bound(); n > 25 {
		t.Errorf("%d pods are bound to 25 cores", n)
	}
	s.checkRoom()
	s.checkBindings()
	s.remove("other-0")
	s.waitBound(25, 5*time.Second) // one of the five that wait takes the room
}

// Another scheduler fills the room while this one does not look, and then takes some of its very pods.
func TestAnotherSchedulerTakesTheRoom(t *testing.T) {
	s := newScene(t)
	s.addNodes(4, "10")
	s.addNode(tainted(node("reserved", "110"), "reserved", "yes"))
	d := muster(t, noElection)
	s.must(d.Signal(syscall.SIGSTOP))
	s.create(pods(20, "other", "1", "none"))
	s.must(inParallel(20, func(i int) error { return s.bind(fmt.Sprintf("other-%d", i), s.nodes[i%2]) }))
	s.create(pods(20, "ours", "1", schedulerName))
	s.must(d.Signal(syscall.SIGCONT))
	s.waitBound(40, 10*time.Second)
	s.checkRoom()

	// Pods that are bound under the daemon's hands, to a node that it would not choose: what it had assumed for
	// them must be free again, to the last core.
	for i := range 20 {
		s.remove(fmt.Sprintf("ours-%d", i))
	}
	stolen := 0
	s.must(inParallel(40, func(i int) error {
		p := pod(fmt.Sprintf("stolen-%d", i), "1", schedulerName)
		if _, err := client.CoreV1().Pods(s.namespace).Create(ctx, p, metav1.CreateOptions{}); err != nil {
			return err
		}
		err := s.bind(p.Name, "reserved")
		if errors.IsConflict(err) {
			return nil // the daemon was faster
		}
		return err
	}))
	s.waitBound(40, 10*time.Second)
	poll(3*time.Second, func() bool { return s.bound() == 60 })
	for _, p := range s.list() {
		if p.Spec.NodeName == "reserved" {
			stolen++
		}
	}
	count := s.checkRoom()
	_, codes := s.checkBindings()
	t.Logf("%d of 40 pods were taken; answers to bindings: %v", stolen, codes)
	room := 40
	for _, name := range s.nodes[:4] {
		room -= count[name]
	}
	want := s.bound() + room
	s.create(pods(room, "fill", "1", schedulerName))
	s.waitBound(want, 10*time.Second)
	s.checkRoom()
}

// The room that was assumed for pods deleted before their binding arrived is free again, to the last core.
func TestPodDeletedBeforeItsBinding(t *testing.T) {
	const doomed = 200
	s := newScene(t)
	s.addNodes(4, "50")
	muster(t, noElection)
	s.must(inParallel(doomed, func(i int) error {
		p := pod(fmt.Sprintf("doomed-%d", i), "1", schedulerName)
		if _, err := client.CoreV1().Pods(s.namespace).Create(ctx, p, metav1.CreateOptions{}); err != nil {
			return err
		}
		now := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
		return client.CoreV1().Pods(s.namespace).Delete(ctx, p.Name, now)
	}))
	s.create(pods(200, "fill", "1", schedulerName))
	s.waitBound(200, 15*time.Second)
	for name, n := range s.checkRoom() {
		if n != 50 {
			t.Errorf("node %s holds %d pods, want 50", name, n)
		}
	}
	_, codes := s.checkBindings()
	t.Logf("answers to bindings: %v (404: the pod was gone)", codes)
}

// A node that goes away under its pods takes no more, and one of the same name later starts empty.
func TestNodeReplaced(t *testing.T) {
	s := newScene(t, node("replaced", "4"))
	muster(t, noElection)
	s.create(pods(4, "old", "1", schedulerName))
	s.waitBound(4, 10*time.Second)
	s.must(client.CoreV1().Nodes().Delete(ctx, "replaced", metav1.DeleteOptions{}))
	s.create(pods(1, "homeless", "1", schedulerName))
	s.waitUnschedulable("homeless-0")
	for i := range 4 {
		s.remove(fmt.Sprintf("old-%d", i))
	}
	time.Sleep(1200 * time.Millisecond)
	s.addNode(node("replaced", "4"))
	s.create(pods(3, "new", "1", schedulerName))
	s.waitBound(4, 5*time.Second)
	s.checkRoom()
}
