package main

import (
	"os"
	"slices"
	"testing"
)

// The metrics that times are read from are registered once, for the gates that are open then.
func TestMain(m *testing.M) {
	if err := openGates(); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// A gang that requires a rack gets one, and one without need not.
func TestTimeGangs(t *testing.T) {
	var m ourGroups
	m.Cluster.NodesARack, m.Cluster.RacksABlock = 2, 2
	m.Cluster.Filling = [][]int{{4}, {8}, {}, {}, {4, 2, 1}, {8}, {}, {2}}
	for _, kind := range []string{"equal", "job", "indexed"} {
		for _, key := range []string{"", rackLabel, blockLabel} {
			times, err := timeGangs(m, kind, 8, 2, key)
			if err != nil {
				t.Fatalf("%s, %q: %v", kind, key, err)
			}
			if len(times) != 2 || slices.Min(times) <= 0 {
				t.Errorf("%s, %q: times %v, want two above zero", kind, key, times)
			}
		}
	}
}

// Two racks of two nodes: the day's gangs start as soon as there is room, in the racks that they require.
func TestPlayDay(t *testing.T) {
	d := &day{Nodes: 4, NodesARack: 2, RacksABlock: 2, Hours: 1, Gangs: []dayGang{
		{Name: "a", Arrival: 0, Duration: 100, Pods: 2, Gpus: 8, Mode: "required", Level: rackLabel},
		{Name: "b", Arrival: 10, Duration: 50, Pods: 1, Gpus: 8, Mode: "none"},
		{Name: "c", Arrival: 20, Duration: 10, Pods: 2, Gpus: 8, Mode: "required", Level: rackLabel}, // after b
		{Name: "d", Arrival: 30, Duration: 10, Pods: 4, Gpus: 2, Mode: "preferred", Level: rackLabel},
	}}
	for _, packing := range []bool{false, true} {
		// Gang c fails at 20, 21, 23, 27, 35 and 49 s: by then its backoff is at its most, 10 * sqrt(2).
		// GPU seconds: a 1600, b 400, c 160, d 80.
		if err := playDay(d, packing); err != nil {
			t.Fatal(err)
		}
		for i, want := range []float64{0, 10, 63, 30} {
			if got := d.Gangs[i].Started; got == nil || *got != want {
				t.Errorf("packing %v: gang %s started at %v, want %v", packing, d.Gangs[i].Name, got, want)
			}
		}
		if err := check(d); err != nil {
			t.Errorf("packing %v: %v", packing, err)
		}
		s := summarise(d)
		want := daySummary{gangs: 4, placed: 4, waitMean: 10.75, waitP95: 43, used: 2240.0 / (32 * 3600), racks: 1,
			preferred: 1, hosts: s.hosts, alone: 1, neighbours: 1}
		if s != want {
			t.Errorf("packing %v: got %+v, want %+v", packing, s, want)
		}
	}
}

// What check says of days that no scheduler may make.
func TestCheck(t *testing.T) {
	at := 5.0
	for _, test := range []struct {
		name string
		gang dayGang
		ok   bool
	}{
		{"whole", dayGang{Pods: 2, Gpus: 4, Nodes: []string{"node-000000", "node-000000"}}, true},
		{"too much on a node", dayGang{Pods: 2, Gpus: 8, Nodes: []string{"node-000000", "node-000000"}}, false},
		{"a pod without node", dayGang{Pods: 2, Gpus: 1, Nodes: []string{"node-000000", ""}}, false},
		{"a pod too few", dayGang{Pods: 2, Gpus: 1, Nodes: []string{"node-000000"}}, false},
		{"two racks", dayGang{Pods: 2, Gpus: 1, Mode: "required", Level: rackLabel,
			Nodes: []string{"node-000001", "node-000002"}}, false},
		{"one block", dayGang{Pods: 2, Gpus: 1, Mode: "required", Level: blockLabel,
			Nodes: []string{"node-000001", "node-000002"}}, true},
	} {
		test.gang.Started, test.gang.Duration = &at, 10
		d := &day{Nodes: 4, NodesARack: 2, RacksABlock: 2, Hours: 1, Gangs: []dayGang{test.gang}}
		if err := check(d); (err == nil) != test.ok {
			t.Errorf("%s: got %v, want ok %v", test.name, err, test.ok)
		}
	}
}
