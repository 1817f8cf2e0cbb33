package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"

	v1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const schedulerName = "muster"

// workload is a file of bench/placement/workload, made into objects.
type workload struct {
	before   []runtime.Object // what is there when the measurement begins
	measured []*v1.Pod
}

type header struct {
	Documents []struct {
		Count    int    `json:"count"`
		Measured bool   `json:"measured"`
		Every    string `json:"every"`
		Recreate bool   `json:"recreate"`
	} `json:"documents"`
}

var placeholder = regexp.MustCompile(`\$\(i(?:%(\w+))?\)`)

func readWorkload(file string, scale int) (*workload, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	parts := bytes.Split(text, []byte("\n---\n"))
	var head header
	if err := yaml.UnmarshalStrict(parts[0], &head); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(head.Documents)+1 != len(parts) {
		return nil, fmt.Errorf("%s: documents: must have an entry for each document after it", file)
	}
	load := &workload{}
	nodes := 1
	priorities := map[string]int32{}
	for d, document := range head.Documents {
		count := document.Count
		if count > 1 {
			count = max(2, count*scale/1000)
		}
		if bytes.Contains(parts[d+1], []byte("kind: Node\n")) && document.Every == "" {
			nodes = count
		}
		for i := range count {
			filled := placeholder.ReplaceAllFunc(parts[d+1], func(match []byte) []byte {
				by := string(placeholder.FindSubmatch(match)[1])
				divisor, _ := strconv.Atoi(by)
				switch {
				case by == "nodes":
					return []byte(strconv.Itoa(i % nodes))
				case divisor > 0:
					return []byte(strconv.Itoa(i % divisor))
				}
				return []byte(strconv.Itoa(i))
			})
			object, _, err := scheme.Codecs.UniversalDeserializer().Decode(filled, nil, nil)
			if err != nil {
				return nil, fmt.Errorf("%s: document %d: %w", file, d+1, err)
			}
			complete(object, priorities)
			if pod, ok := object.(*v1.Pod); ok && document.Measured {
				load.measured = append(load.measured, pod)
			} else {
				load.before = append(load.before, object)
			}
		}
	}
	return load, nil
}

// complete fills in what the server would, as far as the scheduler reads it here.
func complete(object runtime.Object, priorities map[string]int32) {
	meta := object.(metav1.Object)
	meta.SetUID(types.UID(fmt.Sprintf("%T/%s/%s", object, meta.GetNamespace(), meta.GetName())))
	switch typed := object.(type) {
	case *v1.Node:
		typed.Status.Capacity = typed.Status.Allocatable
	case *v1.Namespace:
		typed.Labels = map[string]string{"kubernetes.io/metadata.name": typed.Name}
	case *v1.PersistentVolume:
		typed.Spec.ClaimRef.UID = types.UID(fmt.Sprintf("%T/%s/%s", &v1.PersistentVolumeClaim{},
			typed.Spec.ClaimRef.Namespace, typed.Spec.ClaimRef.Name))
	case *schedulingv1.PriorityClass:
		priorities[typed.Name] = typed.Value
	case *v1.Pod:
		if class := typed.Spec.PriorityClassName; class != "" {
			value := priorities[class]
			typed.Spec.Priority = &value
		}
	}
}
