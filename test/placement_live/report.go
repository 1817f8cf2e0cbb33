package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

type report struct {
	Nodes          int                `json:"nodes"`
	Gangs          int                `json:"gangs,omitempty"`
	GangSize       int                `json:"gang_size,omitempty"`
	OneRack        bool               `json:"one_rack,omitempty"`
	Pods           int                `json:"pods"`
	Kind           string             `json:"kind"`
	Rate           float64            `json:"rate"`
	FlowControl    bool               `json:"server_flow_control"`
	DefaultPlugins bool               `json:"kube_scheduler_default_plugins"`
	Runs           []run              `json:"runs"`
	OfLimit        map[string]float64 `json:"of_limit"` // median throughput over the limit's median
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// compare fills OfLimit. Where pods arrive at a rate, throughput says nothing and it stays empty.
func (r *report) compare() {
	speeds := map[string][]float64{}
	for _, one := range r.Runs {
		speeds[one.Case] = append(speeds[one.Case], one.Throughput)
	}
	limit := speeds[caseLimit]
	if len(limit) == 0 || r.Rate > 0 {
		return
	}
	r.OfLimit = map[string]float64{}
	for name, all := range speeds {
		r.OfLimit[name] = median(all) / median(limit)
	}
}

func tabulate(write func(row func(format string, args ...any))) string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	write(func(format string, args ...any) { fmt.Fprintf(table, format+"\t\n", args...) })
	table.Flush()
	return text.String()
}

func (r report) table() string {
	plugins := "the plugins that Muster has"
	if r.DefaultPlugins {
		plugins = "its default plugins"
	}
	how := "all there before the scheduler starts"
	if r.Rate > 0 {
		how = fmt.Sprintf("%g arriving a second", r.Rate)
	}
	flow := "off"
	if r.FlowControl {
		flow = "on"
	}
	restarts := 0
	for _, one := range r.Runs {
		restarts += one.Restarts
	}
	what := fmt.Sprintf("%d %s pods", r.Pods, r.Kind)
	if r.Gangs > 0 {
		what = fmt.Sprintf("%d gangs of %d pods%s", r.Gangs, r.GangSize, map[bool]string{true: ", each in one rack"}[r.OneRack])
	}
	head := fmt.Sprintf("%d nodes, %s, %s; the server's flow control %s; kube-scheduler with %s\n",
		r.Nodes, what, how, flow, plugins)
	rows := tabulate(func(row func(string, ...any)) {
		row("\tpods/s\tof limit\tfrom start\tp50 ms\tp90\tp99\tp99.9\tdecision p50 µs\tp99\tCPU µs/pod\tand after\tpeak MB\tserver\tothers")
		for _, one := range r.Runs {
			ratio, decision, own := "", "\t", "\t\t"
			if share, known := r.OfLimit[one.Case]; known {
				ratio = fmt.Sprintf("%.2f", share)
			}
			if one.Decision != nil {
				decision = fmt.Sprintf("≤%.0f\t≤%.0f", one.Decision.P50*1000, one.Decision.P99*1000)
			}
			if one.Case != caseLimit {
				own = fmt.Sprintf("%.0f\t%.0f\t%.0f", one.CPU, one.CPUAll, one.PeakMB)
			}
			b := one.ToBound
			row("%s\t%.0f\t%s\t%.0f\t%.1f\t%.1f\t%.1f\t%.1f\t%s\t%s\t%.0f%%\t%.0f%%", one.Case, one.Throughput, ratio,
				one.FromStart, b.P50, b.P90, b.P99, b.P999, decision, own, 100*one.Server, 100*one.Others)
		}
	})
	for _, one := range r.Runs {
		if r.OneRack && one.Case != caseLimit && one.Split > 0 {
			rows += fmt.Sprintf("%s split %d gangs over racks, against their groups' constraint\n", one.Case, one.Split)
		}
	}
	if restarts > 0 {
		rows += fmt.Sprintf("the measuring watch was cut off %d times by a server short of CPU: some times are late\n", restarts)
	}
	return head + rows + "p50...p99.9: until a watching client sees the bind, from " +
		map[bool]string{true: "the pod's creation", false: "the scheduler's start"}[r.Rate > 0] +
		". decision: bucket bounds of the scheduler's own histogram.\n" +
		"server, others: shares of the machine that the API server with etcd (and controllers), and programs beside the benchmark, took.\n"
}

func (r coldReport) table() string {
	rows := tabulate(func(row func(string, ...any)) {
		row("\tfirst bind s\tCPU s\tpeak MB\tMB after 2 s\tserver hands out the list in s")
		for i, one := range r.Starts {
			row("%s\t%.2f\t%.2f\t%.0f\t%.0f\t%.2f", one.Case, one.FirstBind, one.CPU, one.PeakMB, one.NowMB, r.ListSeconds[i])
		}
	})
	return fmt.Sprintf("cold start: %d nodes, %d bound %s pods (a list of %.1f MB), one pod waiting\n",
		r.Nodes, r.BoundPods, r.Kind, float64(r.ListBytes)/1e6) + rows
}
