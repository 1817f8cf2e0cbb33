package live

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1alpha3 "k8s.io/api/scheduling/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Job that asks for a gang gets its Workload and PodGroup from the controller manager; the Job's pods, which name
// Muster, start together in one rack.
func TestJobWorkload(t *testing.T) {
	withGroups(t)
	needVersion(t, "v1beta1")
	controllers, err := cluster.StartControllerManager("job-controller")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(controllers.Kill)
	muster(t, noElection)
	s := newScene(t)
	s.addRacks("2", 2, 2)
	s.fill("filler", "1", s.nodes[0])
	s.fill("filler-too", "1", s.nodes[2])
	four, indexed := int32(4), batchv1.IndexedCompletion
	template := pod("", "1", schedulerName)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "train"}, Spec: batchv1.JobSpec{
		Parallelism: &four, Completions: &four, CompletionMode: &indexed,
		Template: corev1.PodTemplateSpec{Spec: template.Spec},
		Scheduling: &batchv1.JobSchedulingConfiguration{
			SchedulingPolicy: &schedulingv1alpha3.WorkloadPodGroupSchedulingPolicy{
				Gang: &schedulingv1alpha3.WorkloadPodGroupGangSchedulingPolicy{MinCount: &four}},
			SchedulingConstraints: &schedulingv1alpha3.WorkloadPodGroupSchedulingConstraints{
				Topology: []schedulingv1alpha3.TopologyConstraint{{Key: rackLabel}}},
		},
	}}
	_, err = client.BatchV1().Jobs(s.namespace).Create(ctx, job, metav1.CreateOptions{})
	s.must(err)
	if !poll(15*time.Second, func() bool { return len(s.members("train")) == 4 }) {
		t.Fatalf("the Job has %d pods, want 4:\n%s", len(s.members("train")), controllers.LogTail(5))
	}
	groups, err := client.SchedulingV1beta1().PodGroups(s.namespace).List(ctx, metav1.ListOptions{})
	s.must(err)
	workloads, err := client.SchedulingV1beta1().Workloads(s.namespace).List(ctx, metav1.ListOptions{})
	s.must(err)
	if len(groups.Items) != 1 || len(workloads.Items) != 1 {
		t.Fatalf("the Job has %d Workloads and %d PodGroups, want one of each", len(workloads.Items), len(groups.Items))
	}
	name := groups.Items[0].Name
	for _, p := range s.members("train") {
		if p.Spec.SchedulingGroup == nil || *p.Spec.SchedulingGroup.PodGroupName != name {
			t.Errorf("pod %s is of group %+v, want %s", p.Name, p.Spec.SchedulingGroup, name)
		}
	}
	s.waitGroup(name, metav1.ConditionFalse)
	s.staysAt("train", 0)
	s.remove("filler-too")
	s.waitGang("train", 4)
	s.waitGroup(name, metav1.ConditionTrue)
	if racks := s.racksOf("train"); racks != "rack-1:4" {
		t.Errorf("the pods are spread as %s, want rack-1:4", racks)
	}
	s.checkRoom()
}
