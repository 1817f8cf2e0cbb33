package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	serializer "k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	controlplane "muster.dev/muster/test/control_plane"
)

const (
	namespace     = "bench"
	schedulerName = "muster" // in every case, so that all start from equal state
	writers       = 64
)

var listOne = metav1.ListOptions{Limit: 1}

// poster writes objects to the server, many at once, each encoded beforehand by its caller.
type poster struct {
	client   *http.Client
	base     string
	distinct bool // no two pods ask for the same
	gangs    gangs
	queues   int
}

func newPoster(c *controlplane.Cluster, o options) (*poster, error) {
	client, err := plainClient(c, writers)
	return &poster{client, c.URL, o.kind == "distinct", o.gangsOf(), o.queues}, err
}

func encode(object runtime.Object, version schema.GroupVersion, kind string) ([]byte, error) {
	object.GetObjectKind().SetGroupVersionKind(version.WithKind(kind))
	return runtime.Encode(serializer.NewSerializer(scheme.Scheme, scheme.Scheme), object)
}

// write is a request to the server.
type write struct {
	method, path string
	body         []byte
}

func (p *poster) post(path string, body []byte) error {
	return p.send(write{http.MethodPost, path, body})
}

func (p *poster) send(w write) error {
	request, err := http.NewRequest(w.method, p.base+w.path, bytes.NewReader(w.body))
	if err != nil {
		return err
	}
	request.Header["Content-Type"] = []string{protobuf}
	request.Header["Accept"] = []string{protobuf}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated && response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		return fmt.Errorf("%s %s: %s: %q", w.method, w.path, response.Status, text)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// inParallel runs fn for 0..n-1 on 64 writers and returns the first error.
func inParallel(n int, fn func(i int) error) error {
	work := make(chan int, writers)
	failures := make(chan error, writers)
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for i := range work {
				if err := fn(i); err != nil {
					select {
					case failures <- err:
					default:
					}
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	group.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

func makeNode(i int) *corev1.Node {
	room := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("32"),
		corev1.ResourceMemory: resource.MustParse("256Gi"),
		corev1.ResourcePods:   resource.MustParse("110"),
	}
	name := nodeName(i)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			"kubernetes.io/hostname":      name,
			"kubernetes.io/os":            "linux",
			"topology.kubernetes.io/zone": fmt.Sprintf("zone-%d", i%3),
		}},
		Status: corev1.NodeStatus{Capacity: room, Allocatable: room},
	}
}

// makePod asks for 100m and 128Mi, and for extraKi more; with a node it is bound from the start.
func makePod(name, node string, extraKi int) *corev1.Pod {
	requests := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("100m"),
		corev1.ResourceMemory: resource.MustParse(fmt.Sprintf("%dKi", 128<<10+extraKi)),
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"app": "bench"}},
		Spec: corev1.PodSpec{
			SchedulerName: schedulerName,
			NodeName:      node,
			Containers: []corev1.Container{{
				Name: "main", Image: "example.test/image:1", Resources: corev1.ResourceRequirements{Requests: requests},
			}},
		},
	}
}

func (p *poster) createNamespace() error {
	body, err := encode(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		corev1.SchemeGroupVersion, "Namespace")
	if err != nil {
		return err
	}
	return p.post("/api/v1/namespaces", body)
}

func (p *poster) createNodes(n int) error {
	return inParallel(n, func(i int) error {
		node := makeNode(i)
		p.gangs.equip(node, i)
		body, err := encode(node, corev1.SchemeGroupVersion, "Node")
		if err != nil {
			return err
		}
		return p.post("/api/v1/nodes", body)
	})
}

func (p *poster) createPod(number int, name, node string) error {
	extra := 0
	if p.distinct {
		extra = number
	}
	pod := makePod(name, node, extra)
	p.gangs.join(pod, number)
	charge(pod, number, p.queues)
	body, err := encode(pod, corev1.SchemeGroupVersion, "Pod")
	if err != nil {
		return err
	}
	return p.post("/api/v1/namespaces/"+namespace+"/pods", body)
}

func podName(i int) string { return fmt.Sprintf("pod-%d", i) }

func (p *poster) createPods(o options) error {
	if o.load != nil {
		return inParallel(o.pods, func(i int) error { return p.create(o.load.Measured[i]) })
	}
	return inParallel(o.pods, func(i int) error { return p.createPod(i, podName(i), "") })
}

// createBoundPods spreads n pods evenly over the nodes, no scheduler needed.
func (p *poster) createBoundPods(n, nodes int) error {
	return inParallel(n, func(i int) error { return p.createPod(i, fmt.Sprintf("bound-%d", i), nodeName(i%nodes)) })
}

// bindings are encoded before the clock starts: one pod each, over all nodes in turn, with what comes before it.
func bindings(o options, claims []resourceapi.ResourceClaim) ([][]write, error) {
	all := make([][]write, o.pods)
	for i := range all {
		body, err := encode(&corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: podName(i), Namespace: o.namespaceOf(i)},
			Target:     corev1.ObjectReference{Kind: "Node", Name: nodeName(i % o.nodes)},
		}, corev1.SchemeGroupVersion, "Binding")
		if err != nil {
			return nil, err
		}
		if claims != nil {
			if all[i], err = claimWrites(claims[i], i, o); err != nil {
				return nil, err
			}
		}
		path := "/api/v1/namespaces/" + o.namespaceOf(i) + "/pods/" + podName(i) + "/binding"
		all[i] = append(all[i], write{http.MethodPost, path, body})
	}
	return all, nil
}

// bind sends a pod's writes, one after the other.
func (p *poster) bind(writes []write) error {
	for _, w := range writes {
		if err := p.send(w); err != nil {
			return err
		}
	}
	return nil
}

// arrive creates n pods at an even rate, whatever the server takes for each, and returns when each was sent.
// done, if any, is called after each creation.
func (p *poster) arrive(ctx context.Context, n int, rate float64, done func(i int) error) ([]time.Time, error) {
	created := make([]time.Time, n)
	start := time.Now()
	work := make(chan int, n)
	failures := make(chan error, n)
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for i := range work {
				err := p.createPod(i, podName(i), "")
				if err == nil && done != nil {
					err = done(i)
				}
				if err != nil {
					failures <- err
				}
			}
		})
	}
	for i := range n {
		due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
		}
		// The plan's time, not the sender's: where the server cannot keep up, that wait counts too.
		created[i] = due
		work <- i
	}
	close(work)
	group.Wait()
	close(failures)
	return created, <-failures
}
