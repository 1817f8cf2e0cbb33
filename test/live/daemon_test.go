package live

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	controlplane "muster.dev/muster/test/control_plane"
)

// daemon is the scheduler under test: Muster, or kube-scheduler standing in for it.
type daemon struct {
	*controlplane.Process
	baseURL string
}

func config(leaderElection string) string {
	return fmt.Sprintf(`apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: %s
profiles:
- schedulerName: %s
`, leaderElection, schedulerName)
}

const (
	noElection = "{leaderElect: false}"
	// Short, so that a test need not wait the usual fifteen seconds for a dead leader's lease.
	fastElection = "{leaderElect: true, resourceName: muster, resourceNamespace: muster-system, " +
		"leaseDuration: 4s, renewDeadline: 3s, retryPeriod: 500ms}"
)

var daemonCount int

// launch starts a daemon and stops it at the test's end, where its log must show no refused request.
func launch(t *testing.T, m controlplane.Muster) *daemon {
	t.Helper()
	daemonCount++
	m.Name = fmt.Sprintf("muster-%d-%s", daemonCount, strings.ReplaceAll(t.Name(), "/", "-"))
	d, err := start(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stopCleanly(t, d)
		if t.Failed() {
			t.Logf("last lines of %s:\n%s", d.LogPath, d.LogTail(25))
		}
	})
	return d
}

func start(m controlplane.Muster) (*daemon, error) {
	if standIn {
		k, err := cluster.StartKubeScheduler(schedulerName, plugins)
		if err != nil {
			return nil, err
		}
		return &daemon{k.Process, fmt.Sprintf("https://127.0.0.1:%d", k.Port)}, nil
	}
	d, err := cluster.StartMuster(m)
	if err != nil {
		return nil, err
	}
	return &daemon{d.Process, d.BaseURL}, nil
}

// stopCleanly ends a daemon that still runs by SIGTERM and wants exit code 0 of it.
func stopCleanly(t *testing.T, d *daemon) {
	t.Helper()
	if d.Exited() {
		return
	}
	_ = d.Signal(syscall.SIGCONT)
	_ = d.Signal(syscall.SIGTERM)
	code, err := d.WaitExit(15 * time.Second)
	if err != nil {
		t.Errorf("after SIGTERM: %v", err)
		d.Kill()
	} else if code != 0 && !standIn { // kube-scheduler ends with 1 where it had no lease to release
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
}

// noneForbidden is for tests that run with the full rules: any refusal is a missing rule.
func noneForbidden(t *testing.T, d *daemon) {
	t.Helper()
	for _, line := range strings.Split(d.Log(), "\n") {
		if !standIn && strings.Contains(strings.ToLower(line), "forbidden") {
			t.Errorf("a rule is missing: %s", line)
		}
	}
}

// muster starts the daemon with the full rules and waits until it is ready.
func muster(t *testing.T, leaderElection string) *daemon {
	t.Helper()
	d := launch(t, controlplane.Muster{Config: config(leaderElection)})
	t.Cleanup(func() { noneForbidden(t, d) })
	d.waitReady(t)
	return d
}

var insecure = loopbackClient()

// get returns the status and body of one of the daemon's endpoints; status 0 where nothing answers.
func (d *daemon) get(path string) (int, string) {
	response, err := insecure.Get(d.baseURL + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

func (d *daemon) waitReady(t *testing.T) {
	t.Helper()
	d.waitStatus(t, "/readyz", http.StatusOK, 20*time.Second)
}

func (d *daemon) waitStatus(t *testing.T, path string, want int, limit time.Duration) {
	t.Helper()
	var status int
	var body string
	ok := poll(limit, func() bool {
		if d.Exited() {
			return true
		}
		status, body = d.get(path)
		return status == want
	})
	if d.Exited() {
		t.Fatalf("the daemon ended:\n%s", d.LogTail(25))
	}
	if !ok {
		t.Fatalf("%s answers %d after %v, want %d: %s", path, status, limit, want, body)
	}
}

// poll asks every 20 ms until the answer is yes; false when the limit passes first.
func poll(limit time.Duration, yes func() bool) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if yes() {
			return true
		}
	}
	return yes()
}
