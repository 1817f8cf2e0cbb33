package live

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	blockLabel = "example.test/block"
	podset     = "kueue.x-k8s.io/podset-"
)

// addBlocks makes nodes of that many cores in racks in blocks: sizes[b][r] nodes in rack r of block b. Racks are
// counted over all blocks.
func (s *scene) addBlocks(cpu string, sizes ...[]int) {
	s.t.Helper()
	rack := 0
	for block, racks := range sizes {
		for _, size := range racks {
			for i := range size {
				n := node(fmt.Sprintf("%s-rack-%d-%d", s.namespace, rack, i), cpu)
				n.Labels[blockLabel], n.Labels[rackLabel] = fmt.Sprintf("block-%d", block), fmt.Sprintf("rack-%d", rack)
				s.addNode(n)
			}
			rack++
		}
	}
}

// addTopology makes the Topology of blocks, racks and hosts.
func addTopology(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "topology.yaml")
	text := `apiVersion: muster.dev/v1alpha1
kind: Topology
metadata: {name: floor}
spec:
  levels:
  - {nodeLabel: ` + blockLabel + `}
  - {nodeLabel: ` + rackLabel + `}
  - {nodeLabel: kubernetes.io/hostname}
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	apply(t, file)
}

// ranked makes a gang of n pods, in labels alone, that know their rank.
func ranked(n int, annotations map[string]string) []*corev1.Pod {
	all := pods(n, "g", "1", schedulerName)
	for i, p := range all {
		p.Annotations = maps.Clone(annotations)
		p.Labels = map[string]string{"muster.dev/gang": "g", "muster.dev/gang-size": fmt.Sprint(n),
			"batch.kubernetes.io/job-completion-index": fmt.Sprint(i)}
	}
	return all
}

// placesOf says for each pod of the gang, by rank, what its node's label says.
func (s *scene) placesOf(n int, label string) []string {
	s.t.Helper()
	all := make([]string, n)
	for i := range all {
		on, err := client.CoreV1().Nodes().Get(ctx, s.get(fmt.Sprintf("g-%d", i)).Spec.NodeName, metav1.GetOptions{})
		s.must(err)
		all[i] = on.Labels[label]
	}
	return all
}

// Kueue's annotations on the pods of a gang, over a Topology of three levels.
func TestTopologyAnnotations(t *testing.T) {
	needMuster(t)
	addTopology(t)
	muster(t, noElection)
	for _, c := range []struct {
		name   string
		blocks [][]int // nodes of two cores
		n      int
		ask    map[string]string
		racks  string // "" where check says all
		check  func(s *scene)
	}{
		{"a rack, the tightest", [][]int{{3, 2}, {4}}, 4, map[string]string{podset + "required-topology": rackLabel},
			"rack-1:4", nil},
		{"a block", [][]int{{1, 1}, {2, 1}}, 6, map[string]string{podset + "required-topology": blockLabel},
			"rack-2:4 rack-3:2", nil},
		{"a rack if there is one", [][]int{{1, 1}, {3}}, 5, map[string]string{podset + "preferred-topology": rackLabel},
			"rack-2:5", nil},
		{"else few racks of one block", [][]int{{1, 1, 1, 1}, {2, 2}}, 8,
			map[string]string{podset + "preferred-topology": rackLabel}, "rack-4:4 rack-5:4", nil},
		{"else few racks of all", [][]int{{2, 1}, {2, 1}}, 8,
			map[string]string{podset + "preferred-topology": rackLabel}, "", func(s *scene) {
				if racks := s.racksOf("g"); len(racks) != len("rack-0:4 rack-2:4") && len(racks) != len("rack-0:4 rack-1:2 rack-2:2") {
					s.t.Errorf("the pods are spread as %s, want at most three racks", racks)
				}
			}},
		{"slices in racks", [][]int{{2, 2}, {1}}, 6, map[string]string{podset + "unconstrained-topology": "true",
			podset + "slice-required-topology": rackLabel, podset + "slice-size": "3"}, "rack-0:3 rack-1:3", func(s *scene) {
			racks := s.placesOf(6, rackLabel)
			for i, rack := range racks {
				if rack != racks[i/3*3] {
					s.t.Errorf("the ranks are in %v, want each three in one rack", racks)
				}
			}
		}},
		{"ranks beside each other", [][]int{{3}}, 6, map[string]string{podset + "required-topology": rackLabel},
			"rack-0:6", func(s *scene) {
				hosts := s.placesOf(6, "kubernetes.io/hostname")
				for i, host := range hosts {
					if host != hosts[i/2*2] {
						s.t.Errorf("the ranks are on %v, want each two on one host", hosts)
					}
				}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.addBlocks("2", c.blocks...)
			s.create(ranked(c.n, c.ask))
			s.waitGang("g", c.n)
			if racks := s.racksOf("g"); c.racks != "" && racks != c.racks {
				t.Errorf("the pods are spread as %s, want %s", racks, c.racks)
			}
			if c.check != nil {
				c.check(s)
			}
			s.checkRoom()
		})
	}
	t.Run("no rack has the room", func(t *testing.T) {
		s := newScene(t)
		s.addBlocks("2", []int{1, 2}, []int{2})
		s.create(ranked(5, map[string]string{podset + "required-topology": rackLabel}))
		t.Log(s.waitUnschedulable("g-0").Message)
		s.staysAt("g", 0)
		more := node(s.namespace+"-more", "2")
		more.Labels[blockLabel], more.Labels[rackLabel] = "block-1", "rack-2"
		s.addNode(more)
		s.waitGang("g", 5)
		if racks := s.racksOf("g"); racks != "rack-2:5" {
			t.Errorf("the pods are spread as %s, want rack-2:5", racks)
		}
	})
	t.Run("a level that there is not", func(t *testing.T) {
		s := newScene(t)
		s.addBlocks("2", []int{2})
		s.create(ranked(2, map[string]string{podset + "required-topology": "example.test/nowhere"}))
		if c := s.waitWords("g-0", "example.test/nowhere"); c != "" {
			t.Error(c)
		}
		s.staysAt("g", 0)
	})
}
