package live

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The tests here run the same objects through Muster and through kube-scheduler, each in a scene of its own, and
// want the same outcome.

const zoneLabel = "topology.kubernetes.io/zone"

// asBoth runs one scenario for each scheduler; run returns what is to be equal.
func asBoth[T comparable](t *testing.T, run func(t *testing.T, scheduler string) T) {
	t.Helper()
	outcome := map[string]T{}
	for _, scheduler := range []string{schedulerName, peerName} {
		t.Run(scheduler, func(t *testing.T) { outcome[scheduler] = run(t, scheduler) })
	}
	if ours, theirs := outcome[schedulerName], outcome[peerName]; ours != theirs {
		t.Errorf("Muster:\n  %+v\nkube-scheduler:\n  %+v", ours, theirs)
	}
}

// Pods spread over zones, not more than one apart, though the zones' sizes differ.
func TestSpread(t *testing.T) {
	startPeer(t)
	muster(t, noElection)
	asBoth(t, func(t *testing.T, scheduler string) string {
		s := newScene(t)
		zoneOf := map[string]string{}
		for i, zone := range []string{"x", "x", "x", "y", "z", "z"} {
			n := node(fmt.Sprintf("%s-%d", s.namespace, i), "8")
			n.Labels[zoneLabel] = s.namespace + "-" + zone
			zoneOf[n.Name] = zone
			s.addNode(n)
		}
		labels := map[string]string{"app": s.namespace}
		all := pods(10, "spread", "100m", scheduler)
		for _, p := range all {
			p.Labels = labels
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
				MaxSkew: 1, TopologyKey: zoneLabel, WhenUnsatisfiable: corev1.DoNotSchedule,
				LabelSelector: &metav1.LabelSelector{MatchLabels: labels},
			}}
			onlyScene(p, s)
		}
		s.create(all)
		s.waitBound(len(all), 20*time.Second)
		count := map[string]int{}
		for _, p := range s.list() {
			count[zoneOf[p.Spec.NodeName]]++
		}
		sizes := slices.Sorted(maps.Values(count))
		return fmt.Sprint(sizes)
	})
}

// onlyScene keeps a pod on its own scene's nodes.
func onlyScene(p *corev1.Pod, s *scene) {
	names := []string{}
	names = append(names, s.nodes...)
	p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: "kubernetes.io/hostname", Operator: corev1.NodeSelectorOpIn, Values: names}}}},
		},
	}}
}

func withClaim(p *corev1.Pod, claim string) {
	p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}}
}

func (s *scene) addClass(name, provisioner string) {
	s.t.Helper()
	late := storagev1.VolumeBindingWaitForFirstConsumer
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner,
		VolumeBindingMode: &late}
	_, err := client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{})
	s.must(err)
	s.t.Cleanup(func() { _ = client.StorageV1().StorageClasses().Delete(ctx, name, metav1.DeleteOptions{}) })
}

func (s *scene) addClaim(name, class string) {
	s.t.Helper()
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}}
	_, err := client.CoreV1().PersistentVolumeClaims(s.namespace).Create(ctx, claim, metav1.CreateOptions{})
	s.must(err)
}

// addLocalVolume makes a volume that only one node can use.
func (s *scene) addLocalVolume(name, class, nodeName string) {
	s.t.Helper()
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/mnt/" + name}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: "kubernetes.io/hostname", Operator: corev1.NodeSelectorOpIn, Values: []string{nodeName}}}}}}},
		}}
	_, err := client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	s.must(err)
	s.t.Cleanup(func() { _ = client.CoreV1().PersistentVolumes().Delete(ctx, name, metav1.DeleteOptions{}) })
}

// provision makes volumes for the claims that are told a node, as a CSI driver's provisioner does, until the test
// ends. It returns at once.
func (s *scene) provision(class string) {
	stop := make(chan struct{})
	s.t.Cleanup(func() { close(stop) })
	made := map[string]bool{}
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			claims, err := client.CoreV1().PersistentVolumeClaims(s.namespace).List(ctx, metav1.ListOptions{})
			if err != nil {
				continue
			}
			for _, claim := range claims.Items {
				node := claim.Annotations["volume.kubernetes.io/selected-node"]
				if node == "" || claim.Spec.VolumeName != "" || *claim.Spec.StorageClassName != class || made[claim.Name] {
					continue
				}
				made[claim.Name] = true
				volume := &corev1.PersistentVolume{
					ObjectMeta: metav1.ObjectMeta{Name: "pvc-" + string(claim.UID),
						Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": "csi.example.test"}},
					Spec: corev1.PersistentVolumeSpec{
						StorageClassName: class, AccessModes: claim.Spec.AccessModes,
						Capacity: claim.Spec.Resources.Requests,
						ClaimRef: &corev1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1",
							Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
						PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
						PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
							Driver: "csi.example.test", VolumeHandle: string(claim.UID)}},
						NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
							NodeSelectorTerms: []corev1.NodeSelectorTerm{{
								MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "kubernetes.io/hostname",
									Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}}},
					}}
				if _, err := client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{}); err != nil &&
					!errors.IsAlreadyExists(err) {
					s.t.Errorf("provision %s: %v", claim.Name, err)
				}
			}
		}
	}()
}

// Pods of a StatefulSet whose claims wait for their first consumer: local volumes there already, and volumes that a
// driver provisions on the node that the scheduler chose. The real volume binder binds them.
func TestWaitForFirstConsumer(t *testing.T) {
	controllers, err := cluster.StartControllerManager("persistentvolume-binder-controller")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(controllers.Kill)
	startPeer(t)
	muster(t, noElection)
	for _, provisioner := range []string{"kubernetes.io/no-provisioner", "csi.example.test"} {
		t.Run(provisioner, func(t *testing.T) {
			asBoth(t, func(t *testing.T, scheduler string) string {
				s := newScene(t)
				s.addNodes(4, "4")
				class := s.namespace
				s.addClass(class, provisioner)
				if provisioner == "csi.example.test" {
					s.provision(class)
				} else {
					// Two on the first node, one on the second, none on the others.
					for i, n := range []int{0, 0, 1} {
						s.addLocalVolume(fmt.Sprintf("%s-volume-%d", s.namespace, i), class, s.nodes[n])
					}
				}
				all := pods(3, "db", "1", scheduler)
				for _, p := range all {
					s.addClaim(p.Name, class)
					withClaim(p, p.Name)
					onlyScene(p, s)
				}
				s.create(all)
				s.waitBound(len(all), 60*time.Second)
				return s.checkClaims(all)
			})
		})
	}
}

// checkClaims wants every pod's claim bound to a volume that its node can use, and says how it went.
func (s *scene) checkClaims(all []*corev1.Pod) string {
	s.t.Helper()
	bound := 0
	for _, p := range all {
		claim, err := client.CoreV1().PersistentVolumeClaims(s.namespace).Get(ctx, p.Name, metav1.GetOptions{})
		s.must(err)
		if claim.Status.Phase != corev1.ClaimBound {
			continue
		}
		volume, err := client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
		s.must(err)
		where := volume.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values[0]
		if on := s.get(p.Name).Spec.NodeName; on != where {
			s.t.Errorf("pod %s is on %s, its volume on %s", p.Name, on, where)
		}
		bound++
	}
	return fmt.Sprintf("%d of %d claims bound", bound, len(all))
}

// What preemption leaves behind.
type evicted struct {
	Victims, Node            string
	Condition, Event, Action string
}

// An important pod needs a node's room: it takes it from pods that no budget protects, and these are told.
func TestPreemptionWithBudget(t *testing.T) {
	for name, value := range map[string]int32{"parity-low": 10, "parity-high": 1000} {
		class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value}
		if _, err := client.SchedulingV1().PriorityClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.SchedulingV1().PriorityClasses().Delete(ctx, name, metav1.DeleteOptions{}) })
	}
	startPeer(t)
	muster(t, noElection)
	asBoth(t, func(t *testing.T, scheduler string) evicted {
		s := newScene(t)
		s.addNodes(2, "4")
		protected := map[string]string{"budget": s.namespace}
		for i, name := range []string{"guarded-0", "guarded-1", "free-0", "free-1"} {
			p := pod(name, "2", "none")
			p.Spec.PriorityClassName = "parity-low"
			p.Spec.TerminationGracePeriodSeconds = new(int64)
			if i < 2 {
				p.Labels = protected
			}
			s.create([]*corev1.Pod{p})
			s.must(s.bind(name, s.nodes[i/2]))
		}
		none := intstr.FromInt32(0)
		budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "guard"},
			Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &none,
				Selector: &metav1.LabelSelector{MatchLabels: protected}}}
		_, err := client.PolicyV1().PodDisruptionBudgets(s.namespace).Create(ctx, budget, metav1.CreateOptions{})
		s.must(err)
		// Keeps a victim readable until its condition was seen.
		for _, name := range []string{"free-0", "free-1"} {
			s.patchPod(name, map[string]any{"metadata": map[string]any{"finalizers": []string{"muster.dev/test"}}})
		}
		important := pod("important", "3", scheduler)
		important.Spec.PriorityClassName = "parity-high"
		onlyScene(important, s)
		s.create([]*corev1.Pod{important})
		if !poll(20*time.Second, func() bool {
			return s.get("free-0").DeletionTimestamp != nil && s.get("free-1").DeletionTimestamp != nil
		}) {
			t.Fatalf("the victims were not deleted; the pod is %+v", s.get("important").Status)
		}
		out := evicted{}
		for _, p := range s.list() {
			if p.DeletionTimestamp == nil {
				continue
			}
			out.Victims += p.Name + " "
			for _, c := range p.Status.Conditions {
				if c.Type == corev1.DisruptionTarget {
					out.Condition = fmt.Sprintf("%s %s %s", c.Status, c.Reason, strings.ReplaceAll(c.Message, scheduler, "SCHEDULER"))
				}
			}
		}
		if got := s.get("important").Status.NominatedNodeName; got != s.nodes[1] {
			t.Errorf("nominated for %q, want %q", got, s.nodes[1])
		}
		poll(5*time.Second, func() bool {
			e := s.event("free-0", "Preempted")
			if e == nil {
				return false
			}
			clean := strings.NewReplacer(s.nodes[1], "NODE", string(s.get("important").UID), "UID", s.namespace, "NS")
			out.Event = fmt.Sprintf("%s %s", e.Type, clean.Replace(e.Note))
			// kube-scheduler means to name the preemptor as related, but its object has no kind, and the field stays empty.
			if scheduler == schedulerName && !standIn && (e.Related == nil || e.Related.Name != "important") {
				t.Errorf("the event is related to %+v, want the preemptor", e.Related)
			}
			out.Action = e.Action
			return true
		})
		for _, name := range []string{"free-0", "free-1"} {
			s.patchPod(name, map[string]any{"metadata": map[string]any{"finalizers": nil}})
		}
		if !poll(20*time.Second, func() bool { return s.get("important").Spec.NodeName != "" }) {
			t.Fatal("the pod did not get the room that was made for it")
		}
		out.Node = strings.ReplaceAll(s.get("important").Spec.NodeName, s.namespace, "NS")
		return out
	})
}

func (s *scene) patchPod(name string, patch any) {
	s.t.Helper()
	body, err := json.Marshal(patch)
	s.must(err)
	_, err = client.CoreV1().Pods(s.namespace).Patch(ctx, name, "application/merge-patch+json", body, metav1.PatchOptions{})
	s.must(err)
}
