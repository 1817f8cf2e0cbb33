package main

import (
	"path/filepath"
	"testing"
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
