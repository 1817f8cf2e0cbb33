package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// cel_compare beside the binary of MUSTER_BIN, else that of `./dev build`.
func compareBinary(t *testing.T) string {
	folder := "../../../build/release"
	if binary := os.Getenv("MUSTER_BIN"); binary != "" {
		folder = filepath.Dir(binary)
	}
	path, _ := filepath.Abs(filepath.Join(folder, "cel_compare"))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no cel_compare (run ./dev build, or set MUSTER_BIN): %v", err)
	}
	return path
}

func compare(t *testing.T, rows []byte) {
	file := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(file, rows, 0o644); err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command(compareBinary(t), file).CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Error(err)
	}
}

// Fresh expressions have the same value or error from both sides.
func TestGeneratedExpressionsAgree(t *testing.T) {
	seed := time.Now().UnixNano() % 1_000_000_007
	t.Logf("seed %d", seed)
	var rows bytes.Buffer
	generate(seed, 1000, func(a answer) { a.write(&rows) })
	compare(t, rows.Bytes())
}

// Upstream still says what topology_cel_test takes for its answers, what depends on the order of a map aside.
func TestStoredAnswersAreUpstreams(t *testing.T) {
	for _, name := range []string{"conformance", "generated"} {
		stored, err := os.ReadFile("../../topology/cel/testdata/" + name + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Split(stored, []byte("\n"))
		err = askAgain(bytes.NewReader(stored), func(now answer) {
			var then answer
			if err := json.Unmarshal(lines[0], &then); err != nil {
				t.Fatal(err)
			}
			lines = lines[1:]
			if strings.Contains(now.Expr, "{") {
				now.Cost, now.Message = then.Cost, then.Message // a map's entries are visited in any order
			}
			if !reflect.DeepEqual(then, now) {
				t.Errorf("%s: stored\n%+v\nnow\n%+v", name, then, now)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
