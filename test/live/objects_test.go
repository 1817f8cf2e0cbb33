package live

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

var ctx = context.Background()

func loopbackClient() *http.Client {
	return &http.Client{
		Timeout: 2 * time.Second,
		// kube-scheduler, when it stands in, serves on loopback with a certificate that it signs itself.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
}

// node has room for cpu cores (and 110 pods).
func node(name, cpu string) *corev1.Node {
	room := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse(cpu),
		corev1.ResourceMemory: resource.MustParse("64Gi"),
		corev1.ResourcePods:   resource.MustParse("110"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}},
		Status:     corev1.NodeStatus{Capacity: room, Allocatable: room},
	}
}

// pod asks for cpu and one scheduler.
func pod(name, cpu, scheduler string) *corev1.Pod {
	requests := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Mi"),
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			SchedulerName: scheduler,
			Containers: []corev1.Container{{
				Name: "c", Image: "example.test/image", Resources: corev1.ResourceRequirements{Requests: requests},
			}},
		},
	}
}

func pods(n int, prefix, cpu, scheduler string) []*corev1.Pod {
	all := make([]*corev1.Pod, n)
	for i := range all {
		all[i] = pod(fmt.Sprintf("%s-%d", prefix, i), cpu, scheduler)
	}
	return all
}

// scene is what one test owns: a namespace, and nodes that are removed with its pods at the end.
type scene struct {
	t         *testing.T
	namespace string
	nodes     []string
}

var sceneCount int

func newScene(t *testing.T, nodes ...*corev1.Node) *scene {
	t.Helper()
	sceneCount++
	s := &scene{t: t, namespace: fmt.Sprintf("scene-%d", sceneCount)}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	_, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	s.must(err)
	t.Cleanup(s.clear)
	for _, n := range nodes {
		s.addNode(n)
	}
	return s
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) clear() {
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	err := client.CoreV1().Pods(s.namespace).DeleteCollection(ctx, now, metav1.ListOptions{})
	if err != nil {
		s.t.Error(err)
	}
	for _, name := range s.nodes {
		if err := client.CoreV1().Nodes().Delete(ctx, name, now); err != nil && !errors.IsNotFound(err) {
			s.t.Error(err)
		}
	}
}

func (s *scene) addNode(n *corev1.Node) {
	s.t.Helper()
	_, err := client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
	s.must(err)
	s.nodes = append(s.nodes, n.Name)
}

func (s *scene) addNodes(n int, cpu string) {
	s.t.Helper()
	for i := range n {
		s.addNode(node(fmt.Sprintf("%s-node-%d", s.namespace, i), cpu))
	}
}

// inParallel runs fn for 0..n-1 with many in flight and returns the first error.
func inParallel(n int, fn func(i int) error) error {
	work := make(chan int)
	failures := make(chan error, n)
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			for i := range work {
				if err := fn(i); err != nil {
					failures <- err
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	group.Wait()
	close(failures)
	return <-failures // nil from the closed channel where nothing failed
}

func (s *scene) create(all []*corev1.Pod) {
	s.t.Helper()
	s.must(inParallel(len(all), func(i int) error {
		_, err := client.CoreV1().Pods(s.namespace).Create(ctx, all[i], metav1.CreateOptions{})
		return err
	}))
}

// createThrough goes on over an API server that is killed under it.
func (s *scene) createThrough(all []*corev1.Pod) error {
	return inParallel(len(all), func(i int) error {
		var err error
		poll(60*time.Second, func() bool {
			_, err = client.CoreV1().Pods(s.namespace).Create(ctx, all[i], metav1.CreateOptions{})
			if errors.IsAlreadyExists(err) { // the answer to an earlier try was lost
				err = nil
			}
			return err == nil
		})
		return err
	})
}

func (s *scene) remove(name string) {
	s.t.Helper()
	s.must(client.CoreV1().Pods(s.namespace).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
}

// bind places a pod past all schedulers, as another scheduler would.
func (s *scene) bind(podName, nodeName string) error {
	return client.CoreV1().Pods(s.namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: podName},
		Target:     corev1.ObjectReference{Kind: "Node", Name: nodeName},
	}, metav1.CreateOptions{})
}

func (s *scene) get(name string) *corev1.Pod {
	s.t.Helper()
	p, err := client.CoreV1().Pods(s.namespace).Get(ctx, name, metav1.GetOptions{})
	s.must(err)
	return p
}

func (s *scene) list() []corev1.Pod {
	s.t.Helper()
	list, err := client.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{})
	s.must(err)
	return list.Items
}

// bound counts the scene's pods that have a node; it is 0 while the server does not answer.
func (s *scene) bound() int {
	list, err := client.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0
	}
	n := 0
	for i := range list.Items {
		if list.Items[i].Spec.NodeName != "" {
			n++
		}
	}
	return n
}

// waitBound wants at least n pods bound within the limit.
func (s *scene) waitBound(n int, limit time.Duration) {
	s.t.Helper()
	start := time.Now()
	if !poll(limit, func() bool { return s.bound() >= n }) {
		s.t.Fatalf("%d pods are bound after %v, want %d", s.bound(), limit, n)
	}
	s.t.Logf("%d pods bound after %v", n, time.Since(start).Round(time.Millisecond))
}

// checkRoom wants no node over its allocatable, and returns how many pods each node holds.
func (s *scene) checkRoom() map[string]int {
	s.t.Helper()
	used := map[string]corev1.ResourceList{}
	count := map[string]int{}
	for _, p := range s.list() {
		if p.Spec.NodeName == "" {
			continue
		}
		count[p.Spec.NodeName]++
		sum := used[p.Spec.NodeName]
		if sum == nil {
			sum = corev1.ResourceList{}
			used[p.Spec.NodeName] = sum
		}
		for name, want := range p.Spec.Containers[0].Resources.Requests {
			total := sum[name]
			total.Add(want)
			sum[name] = total
		}
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	s.must(err)
	for _, n := range nodes.Items {
		for name, total := range used[n.Name] {
			if room := n.Status.Allocatable[name]; total.Cmp(room) > 0 {
				s.t.Errorf("node %s holds %s of %s, has %s", n.Name, total.String(), name, room.String())
			}
		}
		if room := n.Status.Allocatable[corev1.ResourcePods]; int64(count[n.Name]) > room.Value() {
			s.t.Errorf("node %s holds %d pods, has room for %s", n.Name, count[n.Name], room.String())
		}
	}
	return count
}

// account makes a kubeconfig of an account that may do this and nothing else.
func (s *scene) account(name string, rules ...rbacv1.PolicyRule) string {
	s.t.Helper()
	name = s.namespace + "-" + name
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := client.CoreV1().ServiceAccounts(s.namespace).Create(ctx, account, metav1.CreateOptions{})
	s.must(err)
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	_, err = client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{})
	s.must(err)
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: s.namespace}},
	}
	_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	s.must(err)
	s.t.Cleanup(func() {
		_ = client.RbacV1().ClusterRoleBindings().Delete(ctx, name, metav1.DeleteOptions{})
		_ = client.RbacV1().ClusterRoles().Delete(ctx, name, metav1.DeleteOptions{})
	})
	token, err := client.CoreV1().ServiceAccounts(s.namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	s.must(err)
	file := "kubeconfig-" + name
	s.must(cluster.WriteKubeconfig(file, clientcmdapi.AuthInfo{Token: token.Status.Token}))
	return filepath.Join(cluster.Dir, file)
}
