// Package live runs the daemon against a real API server, with its own ServiceAccount and RBAC on.
//
// One cluster is shared by all tests; each makes its own nodes and pods, starts its own daemon, and removes both.
// The tests of groups use another, on which the server knows groups of pods (see groups_test.go).
// With MUSTER_STAND_IN=1 kube-scheduler plays Muster, which proves the tests themselves.
package live

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/kubernetes"

	controlplane "muster.dev/muster/test/control_plane"
)

const schedulerName = "muster"

var (
	// Where the running test is, and the plugins of a kube-scheduler there.
	cluster *controlplane.Cluster
	client  *kubernetes.Clientset
	plugins = controlplane.PluginSet

	clusters []*controlplane.Cluster // all that were started
	standIn  = os.Getenv("MUSTER_STAND_IN") != ""
)

func TestMain(m *testing.M) {
	if os.Getenv("MUSTER_LIVE") == "off" {
		fmt.Println("the live tests are switched off by MUSTER_LIVE=off: nothing was checked")
		return
	}
	code, err := runWithCluster(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "live tests:", err)
		code = 1
	}
	os.Exit(code)
}

func runWithCluster(m *testing.M) (int, error) {
	if os.Getenv("MUSTER_BIN") == "" {
		bin, err := filepath.Abs("../../build/release/muster")
		if err != nil {
			return 0, err
		}
		os.Setenv("MUSTER_BIN", bin)
	}
	dir, err := os.MkdirTemp("", "muster-live-")
	if err != nil {
		return 0, err
	}
	defer func() {
		for _, c := range clusters {
			c.Stop()
		}
	}()
	if err := startCluster(controlplane.Options{Dir: dir, Audit: true}); err != nil {
		return 0, err
	}
	if version, err := client.Discovery().ServerVersion(); err == nil {
		fmt.Println("kube-apiserver", version.GitVersion, "state in", dir)
	}
	code := m.Run()
	if code == 0 {
		defer os.RemoveAll(dir) // kept after a failure: it holds the logs
	}
	return code, nil
}

// startCluster starts one with Muster's rules installed and makes it the current one.
func startCluster(options controlplane.Options) error {
	manifests, err := filepath.Abs("../../manifests")
	if err != nil {
		return err
	}
	started, err := controlplane.Start(options)
	if err != nil {
		return err
	}
	clusters = append(clusters, started)
	if err := started.InstallMuster(manifests); err != nil {
		return err
	}
	cluster = started
	client, err = cluster.Client()
	return err
}
