package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	controlplane "muster.dev/muster/test/control_plane"
)

// madeByController says that a real server's controllers make the object: a pod's claim from its template.
func madeByController(object runtime.Object) bool {
	return metav1.GetControllerOf(object.(metav1.Object)) != nil
}

// hasClaims says that the measured pods have claims of their own.
func (o options) hasClaims() bool {
	return o.load != nil && len(o.load.Measured[0].Spec.ResourceClaims) > 0
}

// claimsOf runs the controller that makes the pods' claims, and waits for them; they are by pod, with it in reservedFor.
func claimsOf(ctx context.Context, c *controlplane.Cluster, o options) ([]resourceapi.ResourceClaim, error) {
	if !o.hasClaims() {
		return nil, nil
	}
	if _, err := c.StartControllerManager("resourceclaim-controller"); err != nil {
		return nil, err
	}
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(o.limit); time.Now().Before(deadline); time.Sleep(time.Second) {
		claims, err := claimsNow(ctx, client, o)
		if err != nil || claims != nil {
			return claims, err
		}
	}
	return nil, fmt.Errorf("the pods' claims are not there after %v", o.limit)
}

// claimsNow gives none while a pod does not know its claim.
func claimsNow(ctx context.Context, client kubernetes.Interface, o options) ([]resourceapi.ResourceClaim, error) {
	pods, err := client.CoreV1().Pods(o.namespaceOf(0)).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	owners := map[string]*corev1.Pod{} // by claim
	for i, pod := range pods.Items {
		for _, status := range pod.Status.ResourceClaimStatuses {
			owners[*status.ResourceClaimName] = &pods.Items[i]
		}
	}
	if len(owners) < o.pods {
		return nil, nil
	}
	all, err := client.ResourceV1().ResourceClaims(o.namespaceOf(0)).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	claims := make([]resourceapi.ResourceClaim, o.pods)
	for _, claim := range all.Items {
		pod, i := owners[claim.Name], 0
		if _, err := fmt.Sscanf(pod.Name, "pod-%d", &i); err != nil {
			return nil, err
		}
		claim.Status.ReservedFor = []resourceapi.ResourceClaimConsumerReference{
			{Resource: "pods", Name: pod.Name, UID: pod.UID}}
		claims[i] = claim
	}
	return claims, nil
}

// claimWrites are what a scheduler writes of a claim before it binds the i-th pod: the finalizer, then the allocation of
// one device of the node's. They need no version: what the server does for them is the same.
func claimWrites(claim resourceapi.ResourceClaim, i int, o options) ([]write, error) {
	path := "/apis/resource.k8s.io/v1/namespaces/" + claim.Namespace + "/resourceclaims/" + claim.Name
	node, request := nodeName(i%o.nodes), claim.Spec.Devices.Requests[0].Name
	status := claim.Status
	claim.ResourceVersion, claim.Status = "", resourceapi.ResourceClaimStatus{}
	claim.Finalizers = append(claim.Finalizers, resourceapi.Finalizer)
	finalizer, err := encode(&claim, resourceapi.SchemeGroupVersion, "ResourceClaim")
	if err != nil {
		return nil, err
	}
	now := metav1.Now()
	status.Allocation = &resourceapi.AllocationResult{
		AllocationTimestamp: &now,
		Devices: resourceapi.DeviceAllocationResult{Results: []resourceapi.DeviceRequestAllocationResult{{
			Request: request, Driver: "gpu.example.com", Pool: node, Device: fmt.Sprintf("gpu-%d", i/o.nodes)}}},
		NodeSelector: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchFields: []corev1.NodeSelectorRequirement{
				{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}},
	}
	claim.Status = status
	allocation, err := encode(&claim, resourceapi.SchemeGroupVersion, "ResourceClaim")
	return []write{{http.MethodPut, path, finalizer}, {http.MethodPut, path + "/status", allocation}}, err
}

// checkClaims wants a device of its own for each of the pods, on its node.
func checkClaims(ctx context.Context, c *controlplane.Cluster, o options) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	pods, err := client.CoreV1().Pods(o.namespaceOf(0)).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	nodes := map[string]string{} // by pod
	for _, pod := range pods.Items {
		nodes[pod.Name] = pod.Spec.NodeName
	}
	claims, err := client.ResourceV1().ResourceClaims(o.namespaceOf(0)).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	given := map[string]bool{}
	for _, claim := range claims.Items {
		if claim.Status.Allocation == nil || len(claim.Status.ReservedFor) != 1 {
			return fmt.Errorf("claim %s is not allocated for one pod", claim.Name)
		}
		device := claim.Status.Allocation.Devices.Results[0]
		if owner := claim.Status.ReservedFor[0].Name; nodes[owner] != device.Pool {
			return fmt.Errorf("pod %s is on %s, its device on %s", owner, nodes[owner], device.Pool)
		}
		given[device.Pool+"/"+device.Device] = true
	}
	if len(given) != o.pods {
		return fmt.Errorf("%d devices are given to %d pods", len(given), o.pods)
	}
	return nil
}
