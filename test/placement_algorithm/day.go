package main

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"

	"github.com/go-logr/logr"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
)

// dayGang is a gang that came, and what became of it. Times are in seconds from the start of the day.
type dayGang struct {
	Name              string
	Arrival, Duration float64
	Pods, Gpus        int
	Mode, Level       string   // none, preferred or required, in one domain of the level
	Started           *float64 // when its last pod was bound
	Nodes             []string // by rank
}

// day is what muster_group_day says: a cluster, arrivals, and what Muster made of them.
type day struct {
	Nodes, NodesARack, RacksABlock int
	Hours                          float64
	Gangs                          []dayGang
}

func (d *day) racks() racks { return racks{d.NodesARack, d.RacksABlock} }

// What both schedulers prefer among nodes: the defaults, or the nodes with the fewest GPUs left.
const packingConfiguration = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: muster
  pluginConfig:
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated, resources: [{name: nvidia.com/gpu, weight: 1}]}}
`

// compareDays plays days of gangs through Muster (by its program) and kube-scheduler, and prints what came of each.
func compareDays(muster string, seeds, hours int) error {
	file, err := os.CreateTemp("", "packing-*.yaml")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := file.WriteString(packingConfiguration); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	printDayHeader()
	sums := map[string][]daySummary{}
	var order []string
	show := func(what string, seed int, d *day) error {
		if err := check(d); err != nil {
			return fmt.Errorf("%s, seed %d: %w", what, seed, err)
		}
		s := summarise(d)
		s.print(what, fmt.Sprint(seed))
		if len(sums[what]) == 0 {
			order = append(order, what)
		}
		sums[what] = append(sums[what], s)
		return nil
	}
	for seed := 1; seed <= seeds; seed++ {
		for _, packing := range []bool{false, true} {
			arguments, suffix := []string{"--seed", fmt.Sprint(seed), "--hours", fmt.Sprint(hours)}, ""
			if packing {
				arguments, suffix = append(arguments, "--config", file.Name()), ", packing"
			}
			output, err := exec.Command(muster, arguments...).Output()
			if err != nil {
				return fmt.Errorf("%s: %w", muster, err)
			}
			var d day
			if err := json.Unmarshal(output, &d); err != nil {
				return err
			}
			if err := show("muster"+suffix, seed, &d); err != nil {
				return err
			}
			if err := playDay(&d, packing); err != nil {
				return fmt.Errorf("seed %d: %w", seed, err)
			}
			if err := show("kube-scheduler"+suffix, seed, &d); err != nil {
				return err
			}
		}
	}
	for _, what := range order {
		meanOf(sums[what]).print(what, "mean")
	}
	return nil
}

// An event of the day: a gang is tried (when it comes, and when its backoff is over), or ends.
type dayEvent struct {
	at   float64
	gang int
	ends bool
}

type dayEvents []dayEvent

// Ends come first: a gang may take the room.
func (e dayEvents) Less(i, j int) bool {
	if e[i].at != e[j].at {
		return e[i].at < e[j].at
	}
	if e[i].ends != e[j].ends {
		return e[i].ends
	}
	return e[i].gang < e[j].gang
}
func (e dayEvents) Len() int      { return len(e) }
func (e dayEvents) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *dayEvents) Push(x any)   { *e = append(*e, x.(dayEvent)) }
func (e *dayEvents) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// backoff is what kube-scheduler's queue lets a group wait after so many failures in a row, whatever happens meanwhile:
// it does not wake groups.
func backoff(failures, pods int) float64 {
	return min(math.Pow(2, float64(failures-1)), 10*math.Sqrt(float64(pods)))
}

// playDay puts into the day what kube-scheduler makes of it. Time is kept here: deciding and binding take none, and a
// gang that failed is tried again after its queue's backoff, rounded down to the second as there. A gang that cannot fit
// by the GPUs that are free fails without being asked, which changes nothing but what this costs. A preferred topology,
// which the native group has no word for, is none.
func playDay(d *day, packing bool) error {
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logr.Discard()))
	defer cancel()
	r := d.racks()
	objects := []runtime.Object{&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: gangNamespace}}}
	free := make([]int, d.Nodes)
	for n := range d.Nodes {
		objects = append(objects, r.node(n))
		free[n] = gpusANode
	}
	g, err := newGangScheduler(ctx, objects, packing)
	if err != nil {
		return err
	}
	gangs := make([]*gang, len(d.Gangs))
	failures := make([]int, len(d.Gangs))
	events := &dayEvents{}
	for i := range d.Gangs {
		d.Gangs[i].Started, d.Gangs[i].Nodes = nil, nil
		heap.Push(events, dayEvent{at: d.Gangs[i].Arrival, gang: i})
	}
	for events.Len() > 0 {
		event := heap.Pop(events).(dayEvent)
		i, one := event.gang, &d.Gangs[event.gang]
		if event.ends {
			if err := g.end(gangs[i]); err != nil {
				return err
			}
			for _, node := range one.Nodes {
				free[nodeIndex(node)] += one.Gpus
			}
			gangs[i] = nil
			continue
		}
		if event.at > (d.Hours+72)*3600 {
			continue // it never starts
		}
		if gangs[i] == nil {
			key := ""
			if one.Mode == "required" {
				key = one.Level
			}
			gangs[i] = newGang(one.Name, "indexed", one.Pods, one.Gpus, key)
			g.add(gangs[i])
		}
		placed := false
		if mayFit(r, one, free) {
			if placed, _, err = g.try(gangs[i]); err != nil {
				return fmt.Errorf("%s: %w", one.Name, err)
			}
		}
		if !placed {
			failures[i]++
			at := max(event.at, math.Floor(event.at+backoff(failures[i], one.Pods)))
			heap.Push(events, dayEvent{at: at, gang: i})
			continue
		}
		one.Started, one.Nodes = &event.at, gangs[i].nodes
		for _, node := range one.Nodes {
			free[nodeIndex(node)] -= one.Gpus
		}
		heap.Push(events, dayEvent{at: event.at + one.Duration, gang: i, ends: true})
	}
	return nil
}

func nodeIndex(name string) int {
	i, _ := strconv.Atoi(name[len("node-"):])
	return i
}

// mayFit: by free GPUs alone.
func mayFit(r racks, gang *dayGang, free []int) bool {
	domain := func(int) int { return 0 }
	if gang.Mode == "required" {
		domain = r.rack
		if gang.Level == blockLabel {
			domain = r.block
		}
	}
	slots := map[int]int{}
	for n := range free {
		if slots[domain(n)] += free[n] / gang.Gpus; slots[domain(n)] >= gang.Pods {
			return true
		}
	}
	return false
}

// check: started gangs are whole and where they asked to be, and no node ever has more than its GPUs in use.
func check(d *day) error {
	r := d.racks()
	type change struct {
		at   float64
		node string
		gpus int
	}
	var changes []change
	for i := range d.Gangs {
		gang := &d.Gangs[i]
		if gang.Started == nil {
			continue
		}
		domains := map[int]bool{}
		for _, node := range gang.Nodes {
			if node == "" {
				return fmt.Errorf("%s started without one of its pods", gang.Name)
			}
			domain := r.rack(nodeIndex(node))
			if gang.Level == blockLabel {
				domain = r.block(nodeIndex(node))
			}
			domains[domain] = true
			changes = append(changes, change{*gang.Started, node, gang.Gpus},
				change{*gang.Started + gang.Duration, node, -gang.Gpus})
		}
		if len(gang.Nodes) != gang.Pods || gang.Mode == "required" && len(domains) != 1 {
			return fmt.Errorf("%s has %d pods of %d in %d domains", gang.Name, len(gang.Nodes), gang.Pods, len(domains))
		}
	}
	slices.SortFunc(changes, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.gpus, b.gpus))
	})
	used := map[string]int{}
	for _, c := range changes {
		if used[c.node] += c.gpus; used[c.node] > gpusANode {
			return fmt.Errorf("at %.0f s %s has %d GPUs in use", c.at, c.node, used[c.node])
		}
	}
	return nil
}

// daySummary is one day in numbers.
type daySummary struct {
	gangs, placed           float64 // placed: within the day
	waitMean, waitP95       float64 // seconds to the start; of gangs that never started, to the last start of all
	largeWait               float64 // mean, of gangs of 64 GPUs and more
	used                    float64 // of the GPU hours of the day
	racks, preferred, hosts float64 // that a gang of several pods spans, mean; racks of those that prefer one
	alone                   float64 // of those that prefer a rack: the share that is in one
	neighbours              float64 // of pods whose ranks follow each other: the share in one rack
}

func summarise(d *day) daySummary {
	r := d.racks()
	var s daySummary
	var waits, large, spanned, preferred, hosts []float64
	var alone, pairs, near float64
	end := d.Hours * 3600
	last := end
	for i := range d.Gangs {
		if d.Gangs[i].Started != nil {
			last = max(last, *d.Gangs[i].Started)
		}
	}
	for i := range d.Gangs {
		gang := &d.Gangs[i]
		s.gangs++
		started := last
		if gang.Started != nil {
			started = *gang.Started
			if started < end {
				s.placed++
				s.used += float64(gang.Pods*gang.Gpus) * (min(started+gang.Duration, end) - started)
			}
		}
		waits = append(waits, started-gang.Arrival)
		if gang.Pods*gang.Gpus >= 64 {
			large = append(large, started-gang.Arrival)
		}
		if gang.Started == nil || gang.Pods == 1 {
			continue
		}
		inRacks, onNodes := map[int]bool{}, map[int]bool{}
		for rank, node := range gang.Nodes {
			inRacks[r.rack(nodeIndex(node))] = true
			onNodes[nodeIndex(node)] = true
			if rank > 0 {
				pairs++
				if r.rack(nodeIndex(node)) == r.rack(nodeIndex(gang.Nodes[rank-1])) {
					near++
				}
			}
		}
		spanned = append(spanned, float64(len(inRacks)))
		hosts = append(hosts, float64(len(onNodes)))
		if gang.Mode == "preferred" {
			preferred = append(preferred, float64(len(inRacks)))
			if len(inRacks) == 1 {
				alone++
			}
		}
	}
	slices.SortFunc(waits, cmp.Compare[float64])
	s.waitMean, s.largeWait = mean(waits), mean(large)
	if len(waits) > 0 {
		s.waitP95 = waits[int(math.Ceil(0.95*float64(len(waits))))-1]
	}
	s.used /= float64(d.Nodes*gpusANode) * end
	s.racks, s.preferred, s.hosts = mean(spanned), mean(preferred), mean(hosts)
	s.alone, s.neighbours = alone/max(1, float64(len(preferred))), near/max(1, pairs)
	return s
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, value := range values {
		sum += value
	}
	return sum / max(1, float64(len(values)))
}

func meanOf(days []daySummary) daySummary {
	of := func(field func(daySummary) float64) float64 {
		var values []float64
		for _, d := range days {
			values = append(values, field(d))
		}
		return mean(values)
	}
	return daySummary{
		gangs:      of(func(d daySummary) float64 { return d.gangs }),
		placed:     of(func(d daySummary) float64 { return d.placed }),
		waitMean:   of(func(d daySummary) float64 { return d.waitMean }),
		waitP95:    of(func(d daySummary) float64 { return d.waitP95 }),
		largeWait:  of(func(d daySummary) float64 { return d.largeWait }),
		used:       of(func(d daySummary) float64 { return d.used }),
		racks:      of(func(d daySummary) float64 { return d.racks }),
		preferred:  of(func(d daySummary) float64 { return d.preferred }),
		hosts:      of(func(d daySummary) float64 { return d.hosts }),
		alone:      of(func(d daySummary) float64 { return d.alone }),
		neighbours: of(func(d daySummary) float64 { return d.neighbours }),
	}
}

func printDayHeader() {
	fmt.Println("Racks and hosts: that a gang of several pods spans. Preferred: gangs that prefer one rack; for kube-scheduler,\n" +
		"which has no word for that, gangs without topology. Packing: both prefer nodes with few GPUs left, and do not spread.")
	fmt.Printf("%-24s %5s %6s %7s %8s %8s %9s %6s %6s %6s %10s %8s %11s\n", "", "seed", "gangs", "placed", "wait s",
		"p95 s", "large s", "GPUs", "racks", "hosts", "preferred", "in one", "neighbours")
}

func (s daySummary) print(what, seed string) {
	fmt.Printf("%-24s %5s %6.0f %7.0f %8.1f %8.0f %9.0f %5.1f%% %6.2f %6.2f %10.2f %7.0f%% %10.0f%%\n", what, seed, s.gangs,
		s.placed, s.waitMean, s.waitP95, s.largeWait, 100*s.used, s.racks, s.hosts, s.preferred, 100*s.alone, 100*s.neighbours)
}
