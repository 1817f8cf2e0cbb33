package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	schedulingv1beta1 "k8s.io/api/scheduling/v1beta1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	controlplane "muster.dev/muster/test/control_plane"
)

const (
	rackLabel    = "example.com/rack"
	nodesPerRack = 40
	gpu          = corev1.ResourceName("example.com/gpu")
)

// gangs makes nodes, pods and PodGroups of a run with gangs; the zero value is a run without.
type gangs struct {
	size    int
	oneRack bool
}

func (o options) gangsOf() gangs {
	if o.gangs == 0 {
		return gangs{}
	}
	return gangs{o.gangSize, o.oneRack}
}

func rackOf(node int) string { return fmt.Sprintf("rack-%d", node/nodesPerRack) }

func groupName(i int) string { return fmt.Sprintf("gang-%d", i) }

// equip gives the i-th node its rack and eight GPUs.
func (g gangs) equip(node *corev1.Node, i int) {
	if g.size == 0 {
		return
	}
	node.Labels[rackLabel] = rackOf(i)
	node.Status.Capacity[gpu] = resource.MustParse("8")
	node.Status.Allocatable[gpu] = resource.MustParse("8")
}

// join makes the i-th pod one of its gang, and gives it a GPU.
func (g gangs) join(pod *corev1.Pod, i int) {
	if g.size == 0 {
		return
	}
	name := groupName(i / g.size)
	pod.Spec.SchedulingGroup = &corev1.PodSchedulingGroup{PodGroupName: &name}
	r := &pod.Spec.Containers[0].Resources
	r.Requests[gpu] = resource.MustParse("1")
	r.Limits = corev1.ResourceList{gpu: resource.MustParse("1")}
}

// createGroups makes the PodGroups of n gangs.
func (p *poster) createGroups(n int) error {
	return inParallel(n, func(i int) error {
		group := &schedulingv1beta1.PodGroup{ObjectMeta: metav1.ObjectMeta{Name: groupName(i), Namespace: namespace}}
		group.Spec.SchedulingPolicy.Gang = &schedulingv1beta1.GangSchedulingPolicy{MinCount: int32(p.gangs.size)}
		if p.gangs.oneRack {
			group.Spec.SchedulingConstraints = &schedulingv1beta1.PodGroupSchedulingConstraints{
				Topology: []schedulingv1beta1.TopologyConstraint{{Key: rackLabel}}}
		}
		return p.create(group)
	})
}

// gangsSplit counts the gangs whose pods are in more than one rack.
func gangsSplit(ctx context.Context, c *controlplane.Cluster, o options) (int, error) {
	client, err := c.Client()
	if err != nil {
		return 0, err
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	rack := map[string]string{}
	for _, node := range nodes.Items {
		rack[node.Name] = node.Labels[rackLabel]
	}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	racks := map[string]map[string]bool{}
	for _, pod := range pods.Items {
		if pod.Spec.SchedulingGroup == nil {
			continue
		}
		group := *pod.Spec.SchedulingGroup.PodGroupName
		if racks[group] == nil {
			racks[group] = map[string]bool{}
		}
		racks[group][rack[pod.Spec.NodeName]] = true
	}
	split := 0
	for _, in := range racks {
		if len(in) > 1 {
			split++
		}
	}
	return split, nil
}
