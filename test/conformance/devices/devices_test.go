package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// devices_compare beside the binary of MUSTER_BIN, else that of `./dev build`.
func compareBinary(t *testing.T) string {
	folder := "../../../build/release"
	if binary := os.Getenv("MUSTER_BIN"); binary != "" {
		folder = filepath.Dir(binary)
	}
	path, _ := filepath.Abs(filepath.Join(folder, "devices_compare"))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no devices_compare (run ./dev build, or set MUSTER_BIN): %v", err)
	}
	return path
}

// Fresh claims get the same devices, or the same error, from both sides.
func TestGeneratedClaimsAgree(t *testing.T) {
	seed := time.Now().UnixNano() % 1_000_000_007
	t.Logf("seed %d", seed)
	var rows bytes.Buffer
	for i := range int64(500) {
		row, err := Scenario(seed + i)
		if err != nil {
			t.Fatalf("seed %d: %v", seed+i, err)
		}
		if row == nil {
			continue // upstream takes too long
		}
		if err := row.Write(&rows); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(compareBinary(t))
	command.Stdin = &rows
	output, err := command.CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Error(err)
	}
}
