package live

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A PodGroup of scheduling.k8s.io: the same objects through Muster and through kube-scheduler end the same, and both
// say so in the group's condition.
func TestNativePodGroup(t *testing.T) {
	withGroups(t)
	startPeer(t)
	muster(t, noElection)
	for _, c := range []struct {
		name string
		run  func(s *scene, scheduler string) string
	}{
		{"too few pods", func(s *scene, scheduler string) string {
			s.addNodes(2, "4")
			s.addGroup("g", 4)
			all := gang(4, "g", "1", scheduler)
			s.create(all[:3])
			s.staysAt("g", 0)
			s.create(all[3:])
			s.waitGang("g", 4)
			return s.waitGroup("g", metav1.ConditionTrue)
		}},
		{"the group comes last", func(s *scene, scheduler string) string {
			s.addNodes(2, "4")
			s.create(gang(4, "g", "1", scheduler))
			s.staysAt("g", 0)
			s.addGroup("g", 4)
			s.waitGang("g", 4)
			return s.waitGroup("g", metav1.ConditionTrue)
		}},
		{"room for a part", func(s *scene, scheduler string) string {
			s.addNodes(1, "3")
			s.addGroup("g", 4)
			s.create(gang(4, "g", "1", scheduler))
			before := s.waitGroup("g", metav1.ConditionFalse)
			s.staysAt("g", 0)
			s.addNode(node(s.namespace+"-more", "1"))
			s.waitGang("g", 4)
			return before + "; " + s.waitGroup("g", metav1.ConditionTrue)
		}},
		{"one rack", func(s *scene, scheduler string) string {
			s.addRacks("2", 2, 3, 2)
			// Four free cores in rack 0 and in rack 2 are not enough.
			s.addGroup("g", 5, inOne(rackLabel))
			s.create(gang(5, "g", "1", scheduler))
			s.waitGang("g", 5)
			return s.waitGroup("g", metav1.ConditionTrue) + " " + s.racksOf("g")
		}},
		{"no rack has the room", func(s *scene, scheduler string) string {
			s.addRacks("2", 2, 2)
			s.fill("filler", "1", s.nodes[0])
			s.fill("filler-too", "1", s.nodes[2])
			s.addGroup("g", 4, inOne(rackLabel))
			s.create(gang(4, "g", "1", scheduler))
			before := s.waitGroup("g", metav1.ConditionFalse)
			s.staysAt("g", 0)
			s.remove("filler-too")
			s.waitGang("g", 4)
			return before + "; " + s.waitGroup("g", metav1.ConditionTrue) + " " + s.racksOf("g")
		}},
		{"the minimum is lowered", func(s *scene, scheduler string) string {
			needVersion(s.t, "v1beta1") // before that it cannot be changed
			s.addNodes(1, "3")
			s.addGroup("g", 4)
			s.create(gang(4, "g", "1", scheduler))
			before := s.waitGroup("g", metav1.ConditionFalse)
			s.setMinCount("g", 3)
			s.waitGang("g", 3)
			s.staysAt("g", 3)
			return before + "; " + s.waitGroup("g", metav1.ConditionTrue)
		}},
		{"the minimum is raised", func(s *scene, scheduler string) string {
			needVersion(s.t, "v1beta1") // before that it cannot be changed
			s.addNodes(1, "3")
			s.addGroup("g", 4)
			s.create(gang(4, "g", "1", scheduler))
			before := s.waitGroup("g", metav1.ConditionFalse)
			s.setMinCount("g", 5)
			s.addNode(node(s.namespace+"-more", "2"))
			s.staysAt("g", 0)
			s.create(gang(5, "g", "1", scheduler)[4:])
			s.waitGang("g", 5)
			return before + "; " + s.waitGroup("g", metav1.ConditionTrue)
		}},
	} {
		runAsBoth(t, c.name, c.run)
	}
}

// What is left over once the minimum has its places is no failure of the group. (kube-scheduler 1.37.1 writes one
// over its success at times, so that it is not asked here.)
func TestPodGroupWithElasticMembers(t *testing.T) {
	needMuster(t)
	withGroups(t)
	muster(t, noElection)
	for _, c := range []struct {
		name string
		min  int32 // 0: a basic group
	}{{"gang", 2}, {"basic", 0}} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.addNodes(1, "3")
			s.addGroup("g", c.min)
			s.create(gang(5, "g", "1", schedulerName))
			s.waitGang("g", 3)
			s.waitGroup("g", metav1.ConditionTrue)
			for _, p := range s.members("g") {
				if p.Spec.NodeName == "" {
					s.waitUnschedulable(p.Name)
				}
			}
			s.staysAt("g", 3)
			s.addNode(node(s.namespace+"-more", "2"))
			s.waitGang("g", 5)
			s.waitGroup("g", metav1.ConditionTrue)
			s.checkRoom()
		})
	}
}

// Two gangs that want the same room: one has it, the other holds nothing.
func TestGangsDoNotShareRoom(t *testing.T) {
	withGroups(t)
	s := newScene(t)
	s.addNodes(2, "3")
	muster(t, noElection)
	for _, name := range []string{"a", "b"} {
		s.addGroup(name, 4)
	}
	all := append(gang(4, "a", "1", schedulerName), gang(4, "b", "1", schedulerName)...)
	s.create(all)
	s.waitBound(4, 10*time.Second)
	first, second := "a", "b"
	if s.boundOf("a") == 0 {
		first, second = second, first
	}
	s.waitGang(first, 4)
	s.staysAt(second, 0)
	for _, p := range s.members(first) {
		s.remove(p.Name)
	}
	s.waitGang(second, 4)
	s.checkRoom()
}

// What a user reads of a gang that does not fit: how many would, and where.
func TestGangWords(t *testing.T) {
	if standIn {
		t.Skip("kube-scheduler has other words")
	}
	withGroups(t)
	muster(t, noElection)
	s := newScene(t)
	s.addRacks("2", 2, 1)
	s.addGroup("g", 6, inOne(rackLabel))
	s.create(gang(6, "g", "1", schedulerName))
	s.waitGroup("g", metav1.ConditionFalse)
	for _, c := range []struct{ where, message string }{
		{"the group's condition", s.groupCondition("g").Message},
		{"a pod's condition and event", s.waitUnschedulable("g-0").Message},
	} {
		t.Log(c.where, "says:", c.message)
		for _, word := range []string{"4", "6", "rack-0"} {
			if !strings.Contains(c.message, word) {
				t.Errorf("%s does not say %q: %s", c.where, word, c.message)
			}
		}
	}
}

// Fifty gangs of ten pods, with just the room that they need.
func TestManyGangs(t *testing.T) {
	withGroups(t)
	s := newScene(t)
	s.addNodes(50, "10")
	muster(t, noElection)
	var all []*corev1.Pod
	for i := range 50 {
		name := fmt.Sprintf("many%d", i)
		s.addGroup(name, 10)
		all = append(all, gang(10, name, "1", schedulerName)...)
	}
	s.create(all)
	s.waitBound(500, 30*time.Second)
	for name, n := range s.checkRoom() {
		if n != 10 {
			t.Errorf("node %s holds %d pods, want 10", name, n)
		}
	}
	s.checkBindings()
}
