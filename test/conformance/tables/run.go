package tables

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"muster.dev/muster/test/conformance/tables/record"
)

// Packages are those of the default plugins, under pkg/scheduler/framework/plugins.
var Packages = []string{"nodename", "nodeunschedulable", "tainttoleration", "nodeaffinity", "nodeports", "noderesources",
	"imagelocality", "podtopologyspread", "interpodaffinity", "volumerestrictions", "nodevolumelimits", "volumebinding",
	"volumezone", "nodedeclaredfeatures", "defaultpreemption"}

const (
	pluginsFolder    = "pkg/scheduler/framework/plugins"
	preemptionFolder = "pkg/scheduler/framework/preemption"
)

// Record runs the tests of packages, which write their rows to a folder in work. module is the folder with the go.mod
// that names the version of k8s.io/kubernetes; a copy of that, edited, stays in work for the next run.
func Record(module, work string, packages []string) error {
	work, err := filepath.Abs(work)
	if err != nil {
		return err
	}
	modfile, err := prepare(module, work)
	if err != nil {
		return err
	}
	rows := filepath.Join(work, "rows")
	if err := os.RemoveAll(rows); err != nil {
		return err
	}
	if err := os.MkdirAll(rows, 0o755); err != nil {
		return err
	}
	args := []string{"test", "-modfile", modfile, "-vet=off", "-count=1", "-p=1", "-parallel=1", "-timeout=10m"}
	for _, name := range packages {
		args = append(args, "k8s.io/kubernetes/"+pluginsFolder+"/"+name)
	}
	test := exec.Command("go", args...)
	test.Dir = module
	test.Env = append(os.Environ(), record.Folder+"="+rows)
	if out, err := test.CombinedOutput(); err != nil {
		return fmt.Errorf("upstream's own tests, edited: %w\n%s", err, out)
	}
	return nil
}

// Rows reads what Record has left in work.
func Rows(work string) ([]record.Row, error) {
	files, err := filepath.Glob(filepath.Join(work, "rows", "*.json"))
	if err != nil {
		return nil, err
	}
	var all []record.Row
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var row record.Row
		if err := json.Unmarshal(text, &row); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, row)
	}
	return all, nil
}

// prepare copies upstream's module, edits the copy, and returns a go.mod that builds with it.
func prepare(module, work string) (string, error) {
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes")
	list.Dir = module
	out, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	original := strings.TrimSpace(string(out))
	upstream := filepath.Join(work, filepath.Base(original))
	if _, err := os.Stat(upstream); err != nil {
		partial := upstream + ".partial"
		if err := os.RemoveAll(partial); err != nil {
			return "", err
		}
		if err := os.CopyFS(partial, os.DirFS(original)); err != nil {
			return "", err
		}
		if err := os.Rename(partial, upstream); err != nil {
			return "", err
		}
	}
	folders := []string{preemptionFolder}
	for _, name := range Packages {
		folders = append(folders, filepath.Join(pluginsFolder, name))
	}
	for _, folder := range folders {
		if err := editPackage(filepath.Join(original, folder), filepath.Join(upstream, folder)); err != nil {
			return "", err
		}
	}
	return modfileWith(module, work, upstream)
}

func editPackage(from, to string) error {
	files, err := filepath.Glob(filepath.Join(from, "*.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		edit := editPlugin
		if strings.HasSuffix(file, "_test.go") {
			edit = editTest
		}
		edited, err := edit(file, source)
		if err != nil {
			return err
		}
		target := filepath.Join(to, filepath.Base(file))
		if edited == nil {
			edited = source
		}
		if old, err := os.ReadFile(target); err == nil && string(old) == string(edited) {
			continue
		}
		os.Remove(target) // the module cache is read-only, and so is a copy
		if err := os.WriteFile(target, edited, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func modfileWith(module, work, upstream string) (string, error) {
	text, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", err
	}
	text = append(text, fmt.Sprintf("\nreplace k8s.io/kubernetes => %s\n", upstream)...)
	modfile := filepath.Join(work, "go.mod")
	if err := os.WriteFile(modfile, text, 0o644); err != nil {
		return "", err
	}
	sums, err := os.ReadFile(filepath.Join(module, "go.sum"))
	if err != nil {
		return "", err
	}
	return modfile, os.WriteFile(filepath.Join(work, "go.sum"), sums, 0o644)
}
