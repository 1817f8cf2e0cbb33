package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// queueLabel chooses among the queues that select the pod's namespace; without queues it means nothing.
const queueLabel = "muster.dev/queue"

func queueName(i int) string { return fmt.Sprintf("queue-%d", i) }

// charge gives the i-th pod its queue.
func charge(pod *corev1.Pod, i, queues int) {
	if queues > 0 {
		pod.Labels[queueLabel] = queueName(i % queues)
	}
}

// createQueues makes o.queues queues in a tree of depth 4: a root, a tenth of them below it, as many below these, then
// those that pods are charged to. Each has the quota for half of its pods, and the root what all others borrow.
func (p *poster) createQueues(o options) error {
	upper := max(1, o.queues/10)
	milli := o.pods * 100
	if err := p.createQueue("root", "", milli); err != nil {
		return err
	}
	for _, level := range []struct {
		name, parent string
		count        int
	}{{"division", "", upper}, {"department", "division", upper}, {"queue", "department", o.queues}} {
		err := inParallel(level.count, func(i int) error {
			parent, own := "root", 0
			if level.parent != "" {
				parent = fmt.Sprintf("%s-%d", level.parent, i%upper)
			}
			if level.name == "queue" {
				own = milli / o.queues / 2
			}
			return p.createQueue(fmt.Sprintf("%s-%d", level.name, i), parent, own)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// createQueue waits while the server does not serve the kind yet.
func (p *poster) createQueue(name, parent string, milli int) error {
	body := fmt.Sprintf(`{"apiVersion":"muster.dev/v1alpha1","kind":"Queue","metadata":{"name":%q},"spec":{"parent":%q,
		"namespaceSelector":{},"resources":[{"name":"cpu","nominalQuota":"%dm"}]}}`, name, parent, milli)
	if parent == "" {
		body = fmt.Sprintf(`{"apiVersion":"muster.dev/v1alpha1","kind":"Queue","metadata":{"name":%q},"spec":{
			"resources":[{"name":"cpu","nominalQuota":"%dm"}]}}`, name, milli)
	}
	const path = "/apis/muster.dev/v1alpha1/queues"
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		response, err := p.client.Post(p.base+path, "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			return err
		}
		text, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		response.Body.Close()
		if response.StatusCode == http.StatusCreated {
			return nil
		}
		if response.StatusCode != http.StatusNotFound || time.Now().After(deadline) {
			return fmt.Errorf("POST %s: %s: %q", path, response.Status, text)
		}
	}
}
