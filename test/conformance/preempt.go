package main

import (
	"context"
	"slices"
	"sort"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/preemption"
)

// preempt goes the way of preemption.Evaluator.Preempt, without sampling nodes, up to the choice. Nil: nothing.
func (e *evaluation) preempt(ctx context.Context, state fwk.CycleState, statuses *framework.NodeToStatus) *Preemption {
	asked := func(p config.Plugin) bool { return p.Name == names.DefaultPreemption }
	if e.preemption == nil || !slices.ContainsFunc(e.framework.ListPlugins().PostFilter.Enabled, asked) {
		return nil
	}
	if ok, _ := e.preemption.PodEligibleToPreemptOthers(ctx, e.subject, statuses.Get(e.subject.Status.NominatedNodeName)); !ok {
		return nil
	}
	potential, err := statuses.NodesForStatusCode(e.snapshot.NodeInfos(), fwk.Unschedulable)
	if err != nil || len(potential) == 0 {
		return nil
	}
	budgets := e.budgets()
	evaluator := e.preemption.Evaluator
	found, _, _ := evaluator.DryRunPreemption(ctx, state, e.subject, potential, budgets, 0, int32(len(potential)))
	if len(found) == 0 {
		return nil
	}
	best := evaluator.SelectCandidate(ctx, breakTies(found))
	out := &Preemption{Node: best.Name(), Victims: []string{}}
	for _, pod := range best.Victims().Pods {
		out.Victims = append(out.Victims, podKey(pod))
	}
	sort.Strings(out.Victims)
	return out
}

func (e *evaluation) budgets() []*policyv1.PodDisruptionBudget {
	budgets, err := e.informers.Policy().V1().PodDisruptionBudgets().Lister().List(labels.Everything())
	if err != nil {
		panic(err) // listing all of a local store
	}
	return budgets
}

// breakTies: upstream takes any of equal candidates. Its last criterion is the latest start; moving starts by
// nanoseconds, where the server stores seconds, makes the smallest name win, and changes nothing else.
func breakTies(found []preemption.Candidate) []preemption.Candidate {
	slices.SortFunc(found, func(a, b preemption.Candidate) int {
		if a.Name() < b.Name() {
			return -1
		}
		return 1
	})
	var out []preemption.Candidate
	for i, c := range found {
		bonus := time.Duration(len(found) - i)
		moved := candidate{name: c.Name(), victims: &extenderv1.Victims{NumPDBViolations: c.Victims().NumPDBViolations}}
		for _, pod := range c.Victims().Pods {
			pod = pod.DeepCopy()
			pod.Status.StartTime = &metav1.Time{Time: pod.Status.StartTime.Add(bonus)}
			moved.victims.Pods = append(moved.victims.Pods, pod)
		}
		out = append(out, moved)
	}
	return out
}

type candidate struct {
	name    string
	victims *extenderv1.Victims
}

func (c candidate) Name() string                 { return c.name }
func (c candidate) Victims() *extenderv1.Victims { return c.victims }
func (c candidate) NumPodGroupDisruptions() int  { return 0 }
