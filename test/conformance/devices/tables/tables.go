// Package tables has upstream's own unit tests of the device allocators write down their tables: in a copy of upstream's
// module, which is removed afterwards.
package tables

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed export.go.txt
var export string

// Variants are upstream's allocators, each of which runs the rows that it has the features for. The stable one, which
// serves clusters that turn the beta features off, is left out: it tries pools in the order of a hash map.
var Variants = []string{"incubating", "experimental"}

// Record writes VARIANT.jsonl into rows. module is the folder of k8s.io/dynamic-resource-allocation, recorder the source
// of package record, work an empty folder.
func Record(module string, recorder []byte, work, rows string) error {
	rows, err := filepath.Abs(rows)
	if err != nil {
		return err
	}
	if err := os.CopyFS(work, os.DirFS(module)); err != nil {
		return err
	}
	internal := filepath.Join(work, "structured", "internal")
	files := map[string]string{"record/record.go": string(recorder)}
	for _, variant := range Variants {
		files[variant+"/muster_rows_test.go"] = strings.ReplaceAll(export, "VARIANT", variant)
	}
	for name, text := range files {
		file := filepath.Join(internal, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	test := exec.Command("go", "test", "-mod=mod", "-vet=off", "-count=1", "-run", "TestMusterRows",
		"./structured/internal/incubating", "./structured/internal/experimental")
	test.Dir = work
	test.Env = append(os.Environ(), "MUSTER_ROWS="+rows)
	if out, err := test.CombinedOutput(); err != nil {
		return fmt.Errorf("upstream's own tests, recorded: %w\n%s", err, out)
	}
	return nil
}
