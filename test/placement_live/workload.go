package main

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"muster.dev/muster/test/workload"
)

// readWorkload takes the sizes from the file. Its measured pods are named pod-0, pod-1, ..., its nodes node-0, ...
func (o *options) readWorkload() (err error) {
	if o.load, err = workload.Read(o.workloadFile, o.scale); err != nil {
		return err
	}
	if o.rate > 0 || o.coldStart {
		return fmt.Errorf("-workload: its pods are all there from the start: no -rate and no -cold-start")
	}
	o.nodes, o.pods = o.load.Nodes, len(o.load.Measured)
	o.kind = strings.TrimSuffix(filepath.Base(o.workloadFile), ".yaml")
	for i, pod := range o.load.Measured {
		if pod.Name != podName(i) {
			return fmt.Errorf("%s: measured pod %d is named %s, want %s", o.workloadFile, i, pod.Name, podName(i))
		}
	}
	return nil
}

func (o options) namespaceOf(pod int) string {
	if o.load == nil {
		return namespace
	}
	return o.load.Measured[pod].Namespace
}

// pathOf is where objects of the kind are posted: "/apis/storage.k8s.io/v1/csinodes".
func pathOf(object runtime.Object) (string, error) {
	kinds, _, err := scheme.Scheme.ObjectKinds(object)
	if err != nil {
		return "", err
	}
	kind := kinds[0]
	plural := strings.ToLower(kind.Kind) + "s"
	if strings.HasSuffix(plural, "ss") {
		plural = strings.TrimSuffix(plural, "s") + "es"
	}
	prefix := "/apis/" + kind.Group
	if kind.Group == "" {
		prefix = "/api"
	}
	path := prefix + "/" + kind.Version
	if ns := object.(metav1.Object).GetNamespace(); ns != "" {
		path += "/namespaces/" + ns
	}
	return path + "/" + plural, nil
}

func (p *poster) create(object runtime.Object) error {
	path, err := pathOf(object)
	if err != nil {
		return err
	}
	kinds, _, err := scheme.Scheme.ObjectKinds(object)
	if err != nil {
		return err
	}
	body, err := encode(object, kinds[0].GroupVersion(), kinds[0].Kind)
	if err != nil {
		return err
	}
	return p.post(path, body)
}

func (p *poster) remove(object runtime.Object) error {
	path, err := pathOf(object)
	if err != nil {
		return err
	}
	path += "/" + object.(metav1.Object).GetName() + "?gracePeriodSeconds=0"
	request, err := http.NewRequest(http.MethodDelete, p.base+path, nil)
	if err != nil {
		return err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// createLoad makes all that is there before the measurement, one kind after the other, as the file orders them.
func (p *poster) createLoad(load *workload.Workload) error {
	before := slices.DeleteFunc(slices.Clone(load.Before), madeByController)
	for begin := 0; begin < len(before); {
		end := begin + 1
		for end < len(before) && reflect.TypeOf(before[end]) == reflect.TypeOf(before[begin]) {
			end++
		}
		batch := before[begin:end]
		if err := inParallel(len(batch), func(i int) error { return p.create(batch[i]) }); err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// churn makes what comes and goes, until the function that it returns is called.
func (p *poster) churn(o options) func() {
	stop := make(chan struct{})
	var group sync.WaitGroup
	if o.load == nil {
		return func() {}
	}
	for _, document := range o.load.Churn {
		group.Go(func() {
			for i := 0; ; i++ {
				object, err := document.Make(i)
				if err == nil {
					err = p.create(object)
				}
				if err != nil {
					progress("churn: %v", err)
				}
				select {
				case <-stop:
					return
				case <-time.After(document.Every):
				}
				if document.Recreate && err == nil {
					_ = p.remove(object)
				}
			}
		})
	}
	return func() {
		close(stop)
		group.Wait()
	}
}
