// Command cluster starts and stops a control plane that outlives it: what `./dev cluster up|down` runs.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	controlplane "muster.dev/muster/test/control_plane"
)

var (
	dir               = flag.String("dir", "", "folder of the cluster's state")
	manifests         = flag.String("manifests", "", "kustomize base that installs Muster")
	withScheduler     = flag.Bool("with-scheduler", false, "also run kube-scheduler (default-scheduler)")
	controllers       = flag.String("controllers", "", "also run kube-controller-manager with these controllers")
	withControllerMgr = flag.Bool("with-controller-manager", false, "the same with a set that suits batch work")
)

const batchControllers = "job-controller,deployment-controller,replicaset-controller," +
	"garbage-collector-controller,resourceclaim-controller,namespace-controller"

func main() {
	flag.Parse()
	var err error
	switch flag.Arg(0) {
	case "up":
		err = up(flag.Args()[1:])
	case "down":
		err = down()
	default:
		err = fmt.Errorf("want up or down, not %q", flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func pidFile() string { return filepath.Join(*dir, "pids.json") }

func readPIDs() map[string]int {
	pids := map[string]int{}
	if text, err := os.ReadFile(pidFile()); err == nil {
		_ = json.Unmarshal(text, &pids)
	}
	for name, pid := range pids {
		if !ours(pid) {
			delete(pids, name)
		}
	}
	return pids
}

// ours says whether pid is still a process of this cluster: every one of them has the folder in its arguments,
// so a number that the system gave to another process since is left alone.
func ours(pid int) bool {
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.Contains(string(arguments), *dir)
}

func up(apiServerArgs []string) error {
	if pids := readPIDs(); len(pids) > 0 {
		fmt.Println("already up:", pids)
		return nil
	}
	if err := os.RemoveAll(*dir); err != nil {
		return err
	}
	c, err := controlplane.Start(controlplane.Options{Dir: *dir, Detached: true, APIServerArgs: apiServerArgs})
	if err != nil {
		return err
	}
	if err := equip(c); err != nil {
		c.Stop()
		return err
	}
	text, err := json.Marshal(c.PIDs())
	if err != nil {
		return err
	}
	fmt.Printf("up at %s\n  admin:            export KUBECONFIG=%s/kubeconfig\n  Muster's account: %s/muster.kubeconfig\n",
		c.URL, *dir, *dir)
	return os.WriteFile(pidFile(), text, 0o644)
}

func equip(c *controlplane.Cluster) error {
	if err := c.InstallMuster(*manifests); err != nil {
		return err
	}
	if *withScheduler {
		if _, err := c.StartKubeScheduler("default-scheduler", ""); err != nil {
			return err
		}
	}
	if *withControllerMgr && *controllers == "" {
		*controllers = batchControllers
	}
	if *controllers != "" {
		if _, err := c.StartControllerManager(*controllers); err != nil {
			return err
		}
	}
	return nil
}

func down() error {
	pids := readPIDs()
	for name, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("%s (%d): %w", name, pid, err)
		}
	}
	fmt.Printf("down: %d processes ended\n", len(pids))
	return os.RemoveAll(*dir)
}
