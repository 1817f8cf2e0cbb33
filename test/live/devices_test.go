package live

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"muster.dev/muster/test/support/devices"
)

// claimWriter is what the probe may. resourceclaims/binding is no resource: whoever changes an allocation or a
// reservation must be allowed to there too, and the audit log does not tell that it was asked for.
var claimWriter = []rbacv1.PolicyRule{
	allow("resource.k8s.io", "list watch", "resourceclaims resourceslices deviceclasses devicetaintrules"),
	allow("resource.k8s.io", "get update create delete", "resourceclaims"),
	allow("resource.k8s.io", "update patch", "resourceclaims/status resourceclaims/binding"),
	allow("", "patch", "pods/status"),
}

func allow(group, verbs, resources string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{
		APIGroups: []string{group}, Verbs: strings.Fields(verbs), Resources: strings.Fields(resources),
	}
}

// prober gives what runs test/kube/device_probe_main.cc: Muster's client without its scheduler, as a claimWriter.
func (s *scene) prober() func(args ...string) string {
	s.t.Helper()
	if standIn {
		s.t.Skip("it is Muster's client that is looked through")
	}
	kubeconfig := s.account("claim-writer", claimWriter...)
	program := filepath.Join(filepath.Dir(os.Getenv("MUSTER_BIN")), "device_probe")
	return func(args ...string) string {
		s.t.Helper()
		out, err := exec.Command(program, append([]string{kubeconfig}, args...)...).CombinedOutput()
		s.t.Logf("%s\n%s", args[0], out)
		s.must(err)
		return string(out)
	}
}

func (s *scene) newClaim(name string, requests ...resourceapi.DeviceRequest) *resourceapi.ResourceClaim {
	s.t.Helper()
	claim := &resourceapi.ResourceClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "resource.k8s.io/v1", Kind: "ResourceClaim"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kept": "as-it-is"}},
		Spec:       resourceapi.ResourceClaimSpec{Devices: resourceapi.DeviceClaim{Requests: requests}},
	}
	made, err := client.ResourceV1().ResourceClaims(s.namespace).Create(ctx, claim, metav1.CreateOptions{})
	s.must(err)
	s.t.Cleanup(func() {
		free := []byte(`{"metadata":{"finalizers":null}}`)
		all := client.ResourceV1().ResourceClaims(s.namespace)
		_, err := all.Patch(ctx, name, types.MergePatchType, free, metav1.PatchOptions{})
		if err == nil {
			err = all.Delete(ctx, name, metav1.DeleteOptions{})
		}
		if err != nil {
			s.t.Error(err)
		}
	})
	made.TypeMeta = claim.TypeMeta
	return made
}

func gpuRequest(name string) resourceapi.DeviceRequest {
	return resourceapi.DeviceRequest{Name: name, Exactly: &resourceapi.ExactDeviceRequest{DeviceClassName: devices.GPUs}}
}

// What drivers publish comes out of Muster's client as it went in.
func TestDevicesAreReadAsPublished(t *testing.T) {
	s := newScene(t)
	probe := s.prober()
	tainted := devices.NVLinkBox("box-1")
	tainted[0].Spec.Devices[3].Taints = []resourceapi.DeviceTaint{{Key: "bad", Value: "xid", Effect: "NoExecute"}}
	tainted[0].Spec.Devices[4].BindingConditions = []string{"attached"}
	tainted[0].Spec.Devices[4].BindingFailureConditions = []string{"lost"}
	var slices []*resourceapi.ResourceSlice
	for _, of := range [][]*resourceapi.ResourceSlice{
		devices.NVLinkBox("box-0"), tainted, devices.PartitionedGPUs("cut-0"), devices.SharedGPUs("shared-0"),
		devices.TPUSlice("tpu-0", []string{"h0", "h1", "h2", "h3"}),
	} {
		slices = append(slices, of...)
	}
	t.Cleanup(func() {
		if err := devices.Withdraw(ctx, client); err != nil {
			t.Error(err)
		}
	})
	s.must(devices.PublishClasses(ctx, client, devices.Classes()))
	s.must(devices.Publish(ctx, client, slices))
	rule := &resourceapi.DeviceTaintRule{
		TypeMeta:   metav1.TypeMeta{APIVersion: "resource.k8s.io/v1", Kind: "DeviceTaintRule"},
		ObjectMeta: metav1.ObjectMeta{Name: "drain"},
		Spec: resourceapi.DeviceTaintRuleSpec{
			DeviceSelector: &resourceapi.DeviceTaintSelector{
				Driver: new(string), Pool: new(string), Device: new(string),
			},
			Taint: resourceapi.DeviceTaint{Key: "drain", Effect: "NoSchedule"},
		},
	}
	*rule.Spec.DeviceSelector.Driver, *rule.Spec.DeviceSelector.Pool = devices.GPUs, "box-0"
	*rule.Spec.DeviceSelector.Device = "gpu-7"

	var published []any
	for _, slice := range slices {
		published = append(published, slice)
	}
	for _, class := range devices.Classes() {
		published = append(published, class)
	}
	// An older server may not have this one.
	if _, err := client.ResourceV1().DeviceTaintRules().Create(ctx, rule, metav1.CreateOptions{}); err == nil {
		published = append(published, rule)
		t.Cleanup(func() {
			if err := client.ResourceV1().DeviceTaintRules().Delete(ctx, "drain", metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	tolerant := gpuRequest("tolerant")
	tolerant.Exactly.Tolerations = []resourceapi.DeviceToleration{{Key: "bad", Operator: "Exists"}}
	tolerant.Exactly.Capacity = &resourceapi.CapacityRequirements{
		Requests: map[resourceapi.QualifiedName]resource.Quantity{"memory": resource.MustParse("40Gi")},
	}
	either := resourceapi.DeviceRequest{Name: "either", FirstAvailable: []resourceapi.DeviceSubRequest{
		{Name: "whole", DeviceClassName: devices.GPUs, Count: 2},
		{Name: "all", DeviceClassName: devices.Partitions, AllocationMode: resourceapi.DeviceAllocationModeAll},
	}}
	claim := s.newClaim("many-ways", gpuRequest("plain"), tolerant, either)
	published = append(published, claim)

	file := filepath.Join(t.TempDir(), "published.json")
	text, err := json.Marshal(published)
	s.must(err)
	s.must(os.WriteFile(file, text, 0o600))
	probe("compare", file)
}

// The writes that kube-scheduler makes, made by Muster's client, against the real rules.
func TestDeviceClaimsAreAllocatedAndReleased(t *testing.T) {
	s := newScene(t)
	probe := s.prober()
	claim := s.newClaim("c", gpuRequest("r"))
	claims := client.ResourceV1().ResourceClaims(s.namespace)
	steps := codes(probe("allocate", s.namespace, "c"))
	for step, want := range map[string]string{
		"get": ok, "finalizer": ok, "finalizer of an old version": conflict, "allocate from an old version": ok,
		"allocate again": invalid, "lose": conflict, "share": ok,
	} {
		if steps[step] != want {
			t.Errorf("%s: %q, want %q", step, steps[step], want)
		}
	}
	got, err := claims.Get(ctx, "c", metav1.GetOptions{})
	s.must(err)
	share, raw := types.UID("7f1c9a52-3b1e-4c6a-9b8e-0a1b2c3d4e5f"), []byte(`{"a":1}`)
	memory := resource.MustParse("1536Mi")
	if len(got.Finalizers) != 1 || got.Finalizers[0] != resourceapi.Finalizer || got.Labels["kept"] != "as-it-is" {
		t.Errorf("metadata %+v", got.ObjectMeta)
	}
	if !equality.Semantic.DeepEqual(got.Spec, claim.Spec) {
		t.Errorf("spec %+v, was %+v", got.Spec, claim.Spec)
	}
	want := &resourceapi.AllocationResult{
		Devices: resourceapi.DeviceAllocationResult{
			Results: []resourceapi.DeviceRequestAllocationResult{{
				Request: "r", Driver: devices.GPUs, Pool: "box-0", Device: "gpu-0", ShareID: &share,
				ConsumedCapacity: map[resourceapi.QualifiedName]resource.Quantity{"memory": memory},
				Tolerations:      []resourceapi.DeviceToleration{{Key: "k", Operator: "Exists", Effect: "NoSchedule"}},
			}},
			Config: []resourceapi.DeviceAllocationConfiguration{{
				Source: resourceapi.AllocationConfigSourceClass, Requests: []string{"r"},
				DeviceConfiguration: resourceapi.DeviceConfiguration{
					Opaque: &resourceapi.OpaqueDeviceConfiguration{Driver: devices.GPUs},
				},
			}},
		},
		NodeSelector: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: "In", Values: []string{"box-0"}}},
		}}},
		AllocationTimestamp: &metav1.Time{},
	}
	want.Devices.Config[0].Opaque.Parameters.Raw = raw
	want.AllocationTimestamp.Time = metav1.Unix(1700000000, 0).Time
	if !equality.Semantic.DeepEqual(got.Status.Allocation, want) {
		text, _ := json.Marshal(got.Status.Allocation)
		t.Errorf("allocation %s", text)
	}
	reserved := []resourceapi.ResourceClaimConsumerReference{
		{Resource: "pods", Name: "p1", UID: "u1"}, {Resource: "pods", Name: "p2", UID: "u2"},
	}
	if !equality.Semantic.DeepEqual(got.Status.ReservedFor, reserved) {
		t.Errorf("reserved for %+v", got.Status.ReservedFor)
	}

	steps = codes(probe("release", s.namespace, "c"))
	for step, want := range map[string]string{
		"unreserve": ok, "unreserve again": ok, "unreserve another": invalid, "deallocate an old version": conflict,
		"deallocate": ok,
	} {
		if steps[step] != want {
			t.Errorf("%s: %q, want %q", step, steps[step], want)
		}
	}
	got, err = claims.Get(ctx, "c", metav1.GetOptions{})
	s.must(err)
	if !equality.Semantic.DeepEqual(got.Status, resourceapi.ResourceClaimStatus{}) {
		t.Errorf("status after the release %+v", got.Status)
	}
}

// The claim of a pod's extended resources is made, named in the pod's status, and deleted with its finalizer.
func TestDeviceClaimsOfExtendedResources(t *testing.T) {
	s := newScene(t)
	probe := s.prober()
	asks := pod("p-0", "1", "nobody")
	resources := &asks.Spec.Containers[0].Resources
	resources.Requests["example.com/gpu"] = resource.MustParse("1")
	resources.Limits = corev1.ResourceList{"example.com/gpu": resource.MustParse("1")}
	s.create([]*corev1.Pod{asks})
	out := probe("extended", s.namespace, "p-0", string(s.get("p-0").UID))
	steps := codes(out)
	for step, want := range map[string]string{
		"create": ok, "name it in the pod": ok, "finalizer": ok, "delete from an old version": ok, "get": notFound,
	} {
		if steps[step] != want {
			t.Errorf("%s: %q, want %q", step, steps[step], want)
		}
	}
	if !strings.Contains(out, "extended 1 owned 1 stem 1") {
		t.Error("the claim is not what was asked for")
	}
	status := s.get("p-0").Status.ExtendedResourceClaimStatus
	if status == nil || len(status.RequestMappings) != 1 ||
		status.RequestMappings[0] != (corev1.ContainerExtendedResourceRequest{
			ContainerName: "c", ResourceName: "example.com/gpu", RequestName: "container-0-request-0",
		}) {
		t.Errorf("the pod's status says %+v", status)
	}
}

// ApiCode's numbers, as the probe prints them.
const ok, notFound, conflict, invalid = "0", "1", "2", "8"

// codes are of the steps that the probe printed, the last of a name.
func codes(out string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		for i, word := range words {
			if i > 0 && len(word) <= 2 && strings.Trim(word, "0123456789") == "" {
				found[strings.Join(words[:i], " ")] = word
				break
			}
		}
	}
	return found
}
