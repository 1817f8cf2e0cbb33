// Package workload reads the workloads of the placement harnesses, bench/placement/workload: a first document that
// tells how many of each of the others there are, then templates of objects.
package workload

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// Document is one template.
type Document struct {
	Count    int           // objects made before the measurement, or measured
	Measured bool          // the pods that are placed and timed
	Every    time.Duration // above zero: one more object each time, while these are placed
	Recreate bool          // then the one before it is deleted

	text  []byte
	nodes int
}

// Workload is a file, made into objects.
type Workload struct {
	Before   []runtime.Object // what is there when the measurement begins
	Measured []*corev1.Pod
	Churn    []Document
	Nodes    int
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

// Make makes the document's i-th object.
func (d Document) Make(i int) (runtime.Object, error) {
	filled := placeholder.ReplaceAllFunc(d.text, func(match []byte) []byte {
		by := string(placeholder.FindSubmatch(match)[1])
		divisor, _ := strconv.Atoi(by)
		switch {
		case by == "nodes":
			return []byte(strconv.Itoa(i % d.nodes))
		case divisor > 0:
			return []byte(strconv.Itoa(i % divisor))
		}
		return []byte(strconv.Itoa(i))
	})
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(filled, nil, nil)
	return object, err
}

// Read reads a file; counts over 1 are multiplied by thousandths of scale, and are at least 2.
func Read(file string, scale int) (*Workload, error) {
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
	load := &Workload{Nodes: 1}
	for i, entry := range head.Documents {
		d := Document{Count: entry.Count, Measured: entry.Measured, Recreate: entry.Recreate, text: parts[i+1]}
		if d.Count > 1 {
			d.Count = max(2, d.Count*scale/1000)
		}
		if entry.Every != "" {
			if d.Every, err = time.ParseDuration(entry.Every); err != nil {
				return nil, fmt.Errorf("%s: documents[%d].every: %w", file, i, err)
			}
		} else if bytes.Contains(d.text, []byte("kind: Node\n")) {
			load.Nodes = d.Count
		}
		d.nodes = load.Nodes
		if d.Every > 0 {
			load.Churn = append(load.Churn, d)
			continue
		}
		for n := range d.Count {
			object, err := d.Make(n)
			if err != nil {
				return nil, fmt.Errorf("%s: document %d: %w", file, i+1, err)
			}
			if pod, ok := object.(*corev1.Pod); ok && d.Measured {
				load.Measured = append(load.Measured, pod)
			} else {
				load.Before = append(load.Before, object)
			}
		}
	}
	return load, nil
}
