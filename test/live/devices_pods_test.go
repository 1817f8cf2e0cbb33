package live

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"muster.dev/muster/test/support/devices"
)

// withDevices has the scene's nodes publish 8 GPUs and NICs each, and claims made of templates and freed.
func (s *scene) withDevices() {
	s.t.Helper()
	if standIn {
		s.t.Skip("kube-scheduler as the stand-in does not log its requests as Muster")
	}
	controllers, err := cluster.StartControllerManager("resourceclaim-controller")
	s.must(err)
	s.t.Cleanup(controllers.Kill)
	s.t.Cleanup(func() {
		if err := devices.Withdraw(ctx, client); err != nil {
			s.t.Error(err)
		}
	})
	s.must(devices.PublishClasses(ctx, client, devices.Classes()))
	var slices []*resourceapi.ResourceSlice
	for _, name := range s.nodes {
		slices = append(slices, devices.NVLinkBox(name)...)
	}
	s.must(devices.Publish(ctx, client, slices))
}

// addTemplate is of claims for so many GPUs, and as many NICs on the same PCIe root where there is one.
func (s *scene) addTemplate(name string, gpus int64, nic bool) {
	s.t.Helper()
	request := func(name, class string) resourceapi.DeviceRequest {
		return resourceapi.DeviceRequest{Name: name, Exactly: &resourceapi.ExactDeviceRequest{
			DeviceClassName: class, AllocationMode: resourceapi.DeviceAllocationModeExactCount, Count: gpus}}
	}
	var claim resourceapi.DeviceClaim
	claim.Requests = append(claim.Requests, request("gpu", devices.GPUs))
	if nic {
		claim.Requests = append(claim.Requests, request("nic", devices.NICs))
		root := resourceapi.FullyQualifiedName(devices.PCIeRoot)
		claim.Constraints = append(claim.Constraints, resourceapi.DeviceConstraint{MatchAttribute: &root})
	}
	_, err := client.ResourceV1().ResourceClaimTemplates(s.namespace).Create(ctx, &resourceapi.ResourceClaimTemplate{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       resourceapi.ResourceClaimTemplateSpec{Spec: resourceapi.ResourceClaimSpec{Devices: claim}},
	}, metav1.CreateOptions{})
	s.must(err)
}

func fromTemplate(p *corev1.Pod, template string) *corev1.Pod {
	p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "own", ResourceClaimTemplateName: &template}}
	p.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "own"}}
	return p
}

// checkDevices wants each device given once, each reservation a live pod's, and each bound pod with its devices on its
// node. It returns how many devices are given.
func (s *scene) checkDevices() int {
	s.t.Helper()
	claims, err := client.ResourceV1().ResourceClaims(s.namespace).List(ctx, metav1.ListOptions{})
	s.must(err)
	live := map[string]corev1.Pod{}
	for _, p := range s.list() {
		live[string(p.UID)] = p
	}
	owner := map[string]string{}
	reserved := map[string]bool{}
	for _, claim := range claims.Items {
		for _, consumer := range claim.Status.ReservedFor {
			p, found := live[string(consumer.UID)]
			if !found {
				s.t.Errorf("claim %s is reserved for %s, which is gone", claim.Name, consumer.Name)
				continue
			}
			reserved[p.Name] = true
			for _, result := range claim.Status.Allocation.Devices.Results {
				if p.Spec.NodeName != "" && p.Spec.NodeName != result.Pool {
					s.t.Errorf("pod %s is on %s, its device %s on %s", p.Name, p.Spec.NodeName, result.Device, result.Pool)
				}
			}
		}
		if claim.Status.Allocation == nil {
			continue
		}
		for _, result := range claim.Status.Allocation.Devices.Results {
			id := result.Driver + "/" + result.Pool + "/" + result.Device
			if owner[id] != "" {
				s.t.Errorf("device %s is given to %s and %s", id, owner[id], claim.Name)
			}
			owner[id] = claim.Name
		}
	}
	for _, p := range live {
		if p.Spec.NodeName != "" && len(p.Spec.ResourceClaims) > 0 && !reserved[p.Name] {
			s.t.Errorf("pod %s runs without its claim", p.Name)
		}
	}
	return len(owner)
}

func TestPodsGetDevicesOfTheirOwn(t *testing.T) {
	s := newScene(t)
	s.addNodes(2, "64")
	s.withDevices()
	muster(t, noElection)
	s.addTemplate("pair", 1, true)
	var all []*corev1.Pod
	for i := range 17 {
		all = append(all, fromTemplate(pod(fmt.Sprintf("p-%02d", i), "1", schedulerName), "pair"))
	}
	s.create(all)
	s.waitBound(16, 30*time.Second)
	if given := s.checkDevices(); given != 32 {
		t.Errorf("%d devices are given, want 32", given)
	}
	var left string
	for _, p := range s.list() {
		if p.Spec.NodeName == "" {
			left = p.Name
		}
	}
	if said := s.waitUnschedulable(left).Message; !strings.Contains(said, "2 cannot allocate all claims") {
		t.Errorf("%s: %q", left, said)
	}
	// One goes; its devices are the last one's.
	for _, p := range s.list() {
		if p.Spec.NodeName != "" {
			s.remove(p.Name)
			break
		}
	}
	if !poll(30*time.Second, func() bool { return s.get(left).Spec.NodeName != "" }) {
		t.Fatalf("%s did not get the devices that became free", left)
	}
	s.checkDevices()
}

func TestPodsShareAClaim(t *testing.T) {
	s := newScene(t)
	s.addNodes(2, "64")
	s.withDevices()
	muster(t, noElection)
	s.newClaim("shared", gpuRequest("r"))
	var all []*corev1.Pod
	for i := range 4 {
		p := pod(fmt.Sprintf("p-%d", i), "1", schedulerName)
		name := "shared"
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "it", ResourceClaimName: &name}}
		p.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "it"}}
		all = append(all, p)
	}
	s.create(all)
	s.waitBound(4, 30*time.Second)
	if given := s.checkDevices(); given != 1 {
		t.Errorf("%d devices are given, want 1", given)
	}
	claim, err := client.ResourceV1().ResourceClaims(s.namespace).Get(ctx, "shared", metav1.GetOptions{})
	s.must(err)
	if len(claim.Status.ReservedFor) != 4 {
		t.Errorf("the claim is reserved for %d pods, want 4", len(claim.Status.ReservedFor))
	}
	for _, p := range s.list() {
		s.remove(p.Name)
	}
	if !poll(30*time.Second, func() bool {
		claim, err := client.ResourceV1().ResourceClaims(s.namespace).Get(ctx, "shared", metav1.GetOptions{})
		return err == nil && claim.Status.Allocation == nil
	}) {
		t.Error("the claim keeps its device without a consumer")
	}
}
