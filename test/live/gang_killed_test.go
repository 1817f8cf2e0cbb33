package live

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	controlplane "muster.dev/muster/test/control_plane"
)

// envNumber reads a number from the environment.
func envNumber(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const (
	gangs, gangSize = 6, 4
	fitting         = 4 // gangs that there is room for
)

// killPoints are the steps of a group's commit, and how many requests of the kind a round has at least.
var killPoints = []struct {
	point
	requests int
}{
	{point{kind: "binding"}, fitting * gangSize},
	{point{kind: "binding", answered: true}, fitting * gangSize},
	{point{kind: "group status"}, gangs},
	{point{kind: "group status", answered: true}, gangs},
	{point{kind: "claim"}, fitting * gangSize},
	{point{kind: "claim", answered: true}, fitting * gangSize},
	{point{kind: "pod status"}, 1},
	{point{kind: "pod status", answered: true}, 1},
}

// The daemon is killed at a random request of each kind of step, and once more at another in some rounds. The one
// that comes after it leaves every gang whole or wholly pending, with as many whole as there is room for.
//
// MUSTER_ROUNDS says how often (default 10), MUSTER_SEED repeats a run's choices.
func TestGangKilled(t *testing.T) {
	needMuster(t)
	withGroups(t)
	seed := envNumber(t, "MUSTER_SEED", int(time.Now().UnixNano()%1_000_000))
	rounds := envNumber(t, "MUSTER_ROUNDS", 10)
	t.Logf("MUSTER_SEED=%d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	volumes, err := cluster.StartControllerManager("persistentvolume-binder-controller")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(volumes.Kill)
	choose := func(i int) point {
		p := killPoints[i%len(killPoints)]
		p.n = 1 + random.IntN(p.requests)
		return p.point
	}
	partial := 0
	for round := range rounds {
		kills := []point{choose(round)}
		if round%3 == 2 {
			kills = append(kills, choose(random.IntN(len(killPoints))))
		}
		t.Run(fmt.Sprintf("round %d", round), func(t *testing.T) {
			if killRound(t, kills) {
				partial++
			}
		})
	}
	t.Logf("in %d of %d rounds a gang was in part bound when the daemon died", partial, rounds)
}

// killRound says whether a kill left a gang in part bound.
func killRound(t *testing.T, kills []point) (partial bool) {
	s := newScene(t)
	s.addNodes(4, fmt.Sprint(fitting*gangSize/4))
	claims := kills[0].kind == "claim"
	if claims {
		s.addClass(s.namespace, "csi.example.test")
		s.provision(s.namespace)
	}
	for g := range gangs {
		name := fmt.Sprintf("g%d", g)
		s.addGroup(name, gangSize)
		all := gang(gangSize, name, "1", schedulerName)
		for _, p := range all {
			if claims {
				s.addClaim(p.Name, s.namespace)
				withClaim(p, p.Name)
			}
		}
		s.create(all)
	}
	for i, at := range kills {
		died := make(chan *daemon, 1)
		g := newGate(t, at, func() {
			d := <-died
			d.Kill()
			died <- d
		})
		d := launch(t, controlplane.Muster{Config: config(noElection), Kubeconfig: g.kubeconfig})
		died <- d
		reached := poll(5*time.Second, d.Exited)
		d.Kill()
		counts := s.gangCounts()
		t.Logf("killed at %+v (reached: %v) with %v bound", at, reached, counts)
		if i == 0 && !reached { // later ones may have little left to do
			t.Errorf("the daemon did not come to %+v", at)
		}
		for _, n := range counts {
			partial = partial || n > 0 && n < gangSize
		}
	}
	launch(t, controlplane.Muster{Config: config(noElection)}).waitReady(t)
	s.waitBound(fitting*gangSize, 30*time.Second)
	whole := 0
	for g, n := range s.gangCounts() {
		name := fmt.Sprintf("g%d", g)
		switch n {
		case gangSize:
			whole++
			s.waitGroup(name, metav1.ConditionTrue)
		case 0:
			s.waitGroup(name, metav1.ConditionFalse)
		default:
			t.Errorf("%d of the %d pods of %s are bound", n, gangSize, name)
		}
	}
	if whole != fitting {
		t.Errorf("%d gangs are whole, want %d", whole, fitting)
	}
	s.checkRoom()
	s.checkBindings()
	return partial
}

// gangCounts says of each gang how many of its pods are bound.
func (s *scene) gangCounts() [gangs]int {
	s.t.Helper()
	var counts [gangs]int
	for _, p := range s.list() {
		if p.Spec.NodeName != "" {
			counts[p.Name[1]-'0']++
		}
	}
	return counts
}
