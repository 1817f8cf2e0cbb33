package live

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	controlplane "muster.dev/muster/test/control_plane"
)

func needMuster(t *testing.T) {
	t.Helper()
	if standIn {
		t.Skip("this is about Muster's own command line, which the stand-in has not")
	}
}

// wantExit2 starts the daemon and wants it to end at once with code 2, naming each of the words.
func wantExit2(t *testing.T, m controlplane.Muster, words ...string) {
	t.Helper()
	d := launch(t, m)
	code, err := d.WaitExit(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
	wantInLog(t, d, words...)
}

func wantInLog(t *testing.T, d *daemon, words ...string) {
	t.Helper()
	for _, word := range words {
		if !poll(5*time.Second, func() bool { return strings.Contains(d.Log(), word) }) {
			t.Errorf("the log does not say %q:\n%s", word, d.LogTail(10))
		}
	}
}

func TestBadInput(t *testing.T) {
	needMuster(t)
	kubeconfig, err := os.ReadFile(filepath.Join(cluster.Dir, "muster.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	noContext := filepath.Join(cluster.Dir, "no-context.kubeconfig")
	text := strings.Replace(string(kubeconfig), "current-context: muster-test", "current-context: nowhere", 1)
	if err := os.WriteFile(noContext, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		muster controlplane.Muster
		words  []string
	}{
		{"context", controlplane.Muster{Config: config(noElection), Kubeconfig: noContext}, []string{"nowhere", noContext}},
		{"no kubeconfig", controlplane.Muster{Config: config(noElection), Kubeconfig: "/nonexistent/kubeconfig"},
			[]string{"/nonexistent/kubeconfig"}},
		{"broken YAML", controlplane.Muster{Config: config(noElection) + "  plugins: [\n"}, []string{".yaml:", ": not YAML: "}},
		{"unknown field", controlplane.Muster{Config: config(noElection) + "percentage: 3\n"}, []string{"percentage"}},
		{"unknown plugin", controlplane.Muster{Config: config(noElection) +
			"  plugins: {filter: {enabled: [{name: NoSuchPlugin}]}}\n"}, []string{"NoSuchPlugin"}},
		{"two profiles with one name", controlplane.Muster{Config: config(noElection) + "- schedulerName: muster\n"},
			[]string{"muster"}},
	} {
		t.Run(c.name, func(t *testing.T) { wantExit2(t, c.muster, c.words...) })
	}
}

// forward passes connections from a listener to the API server until the test ends.
func forward(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	target := strings.TrimPrefix(cluster.URL, "https://")
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				to, err := net.Dial("tcp", target)
				if err != nil {
					return
				}
				defer to.Close()
				go func() { _, _ = io.Copy(to, from) }()
				_, _ = io.Copy(from, to)
			}()
		}
	}()
}

func token(t *testing.T, account string) clientcmdapi.AuthInfo {
	t.Helper()
	token, err := cluster.Token(controlplane.MusterNamespace, account)
	if err != nil {
		t.Fatal(err)
	}
	return clientcmdapi.AuthInfo{Token: token}
}

func writeKubeconfig(t *testing.T, server string, ca []byte, user clientcmdapi.AuthInfo) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := controlplane.WriteKubeconfig(path, server, ca, user); err != nil {
		t.Fatal(err)
	}
	return path
}

// A server that does not answer is waited for: the daemon lives, is not ready, and needs no restart.
func TestUnreachableServer(t *testing.T) {
	needMuster(t)
	port, err := controlplane.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	kubeconfig := writeKubeconfig(t, "https://"+address, cluster.CA(), token(t, "muster"))
	s := newScene(t, node("unreachable-0", "4"))
	s.create(pods(1, "waiting", "1", schedulerName))
	d := launch(t, controlplane.Muster{Config: config(noElection), Kubeconfig: kubeconfig})
	d.waitStatus(t, "/livez", http.StatusOK, 10*time.Second)
	time.Sleep(time.Second)
	if status, _ := d.get("/readyz"); status == http.StatusOK {
		t.Error("/readyz says ok with no server")
	}
	wantInLog(t, d, address)
	forward(t, address)
	d.waitStatus(t, "/readyz", http.StatusOK, 30*time.Second)
	s.waitBound(1, 5*time.Second)
	noneForbidden(t, d)
}

func TestCertificateThatDoesNotVerify(t *testing.T) {
	needMuster(t)
	stranger, err := controlplane.StrangerCA()
	if err != nil {
		t.Fatal(err)
	}
	d := launch(t, controlplane.Muster{
		Config: config(noElection), Kubeconfig: writeKubeconfig(t, cluster.URL, stranger, token(t, "muster")),
	})
	wantInLog(t, d, "certificate")
	if status, _ := d.get("/readyz"); status == http.StatusOK {
		t.Error("/readyz says ok with a server that cannot be trusted")
	}
}

// A rule that is missing is named, and granting it is enough.
func TestMissingRule(t *testing.T) {
	needMuster(t)
	const name = "muster-limited"
	limited := metav1.ObjectMeta{Name: name}
	account := &corev1.ServiceAccount{ObjectMeta: limited}
	if _, err := client.CoreV1().ServiceAccounts(controlplane.MusterNamespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	grant := func(name, role string) {
		_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects: []rbacv1.Subject{{
				Kind: "ServiceAccount", Name: "muster-limited", Namespace: controlplane.MusterNamespace,
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: limited,
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"*"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	grant(name, name)
	d := launch(t, controlplane.Muster{
		Config: config(noElection), Kubeconfig: writeKubeconfig(t, cluster.URL, cluster.CA(), token(t, name)),
	})
	d.waitStatus(t, "/livez", http.StatusOK, 10*time.Second)
	wantInLog(t, d, "nodes", "forbidden")
	if status, _ := d.get("/readyz"); status == http.StatusOK {
		t.Error("/readyz says ok without the nodes")
	}
	grant(name+"-full", "muster")
	d.waitStatus(t, "/readyz", http.StatusOK, 40*time.Second)
}
