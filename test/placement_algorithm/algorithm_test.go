package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"muster.dev/muster/test/workload"
)

// Every workload can be read, and kube-scheduler places its pods.
func TestWorkloads(t *testing.T) {
	files, err := filepath.Glob("../../bench/placement/workload/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no workloads: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			times, err := run(file, 4, 5) // 20 nodes
			if err != nil {
				t.Fatal(err)
			}
			if len(times) != 5 {
				t.Errorf("%d pods were placed, want 5", len(times))
			}
		})
	}
}

// What was decided of a claim is known to the next pod: the devices of one node of the two are there for 10 of 11 pods.
func TestDevicesAreGivenOnce(t *testing.T) {
	load, err := workload.Read("../../bench/placement/workload/devices.yaml", 4)
	if err != nil {
		t.Fatal(err)
	}
	load.Before = slices.DeleteFunc(load.Before, func(object runtime.Object) bool {
		slice, ok := object.(*resourceapi.ResourceSlice)
		return ok && slice.Name == "node-1"
	})
	if _, err = placeAll(load, 11); err == nil || !strings.HasPrefix(err.Error(), "pod-10: ") {
		t.Errorf("%v, want no device for the eleventh pod", err)
	}
}
