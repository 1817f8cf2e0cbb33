// Package controlplane runs a real Kubernetes control plane on loopback, from its own programs, for the live
// tests, the benchmark and `./dev cluster`.
package controlplane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Options of a cluster; the zero value is a plain API server with etcd.
type Options struct {
	Dir           string   // state, logs and kubeconfigs; it must be empty or absent
	Detached      bool     // the processes outlive this program
	Audit         bool     // write Dir/audit.log: metadata of the requests of the two schedulers
	APIServerArgs []string // further flags of kube-apiserver
	// The version of scheduling.k8s.io's pod groups that is switched on, in every program: "v1beta1" of
	// Kubernetes 1.37 or "v1alpha2" of 1.36; "" for none.
	Groups string
}

// groupFlags are of the server, of which groupGates is also the schedulers' and the controllers'.
var (
	groupGates = map[string]string{
		"v1beta1": "--feature-gates=GenericWorkload=true,TopologyAwareWorkloadScheduling=true,WorkloadWithJob=true",
		"v1alpha2": "--feature-gates=GenericWorkload=true,GangScheduling=true,TopologyAwareWorkloadScheduling=true," +
			"WorkloadAwarePreemption=true",
	}
	groupFlags = map[string][]string{
		"v1beta1": {groupGates["v1beta1"],
			"--runtime-config=scheduling.k8s.io/v1beta1=true,scheduling.k8s.io/v1alpha3=true"},
		"v1alpha2": {groupGates["v1alpha2"], "--runtime-config=scheduling.k8s.io/v1alpha2=true"},
	}
)

// Cluster is a running control plane.
type Cluster struct {
	Dir string
	URL string

	options       Options
	authority     *authority
	admin         keyPair
	etcdURL       string
	etcd          *Process
	apiServer     *Process
	apiServerArgs []string
	processes     []*Process // all that were ever started, for Stop
}

// Start brings up etcd and kube-apiserver and waits until the server is ready (about five seconds).
func Start(options Options) (*Cluster, error) {
	c := &Cluster{Dir: options.Dir, options: options}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := c.start(); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start() error {
	if err := c.prepareFiles(); err != nil {
		return err
	}
	if err := c.startEtcd(); err != nil {
		return err
	}
	port, err := FreePort()
	if err != nil {
		return err
	}
	c.URL = fmt.Sprintf("https://127.0.0.1:%d", port)
	file := func(name string) string { return filepath.Join(c.Dir, name) }
	c.apiServerArgs = []string{
		"--etcd-servers=" + c.etcdURL,
		fmt.Sprintf("--secure-port=%d", port),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		// 1.37 refuses to publish a loopback address as the service's endpoint.
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + file("server.crt"), "--tls-private-key-file=" + file("server.key"),
		"--client-ca-file=" + file("ca.crt"),
		"--service-account-key-file=" + file("service-account.key"),
		"--service-account-signing-key-file=" + file("service-account.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-cluster-ip-range=10.0.0.0/16",
		"--authorization-mode=RBAC",
		// With no kubelet and no controller manager these would taint every node and refuse every pod.
		"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
	}
	if c.options.Audit {
		c.apiServerArgs = append(c.apiServerArgs,
			"--audit-policy-file="+file("audit-policy.yaml"), "--audit-log-path="+file("audit.log"))
	}
	c.apiServerArgs = append(c.apiServerArgs, groupFlags[c.options.Groups]...)
	c.apiServerArgs = append(c.apiServerArgs, c.options.APIServerArgs...)
	if err := c.StartAPIServer(); err != nil {
		return err
	}
	return c.WriteKubeconfig("kubeconfig", clientcmdapi.AuthInfo{
		ClientCertificateData: c.admin.Cert, ClientKeyData: c.admin.Key,
	})
}

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
  users: ["` + MusterUser + `", "` + KubeSchedulerUser + `"]
- level: None
`

func (c *Cluster) prepareFiles() (err error) {
	if c.authority, err = newAuthority(); err != nil {
		return err
	}
	server, err := c.authority.issue("kube-apiserver")
	if err != nil {
		return err
	}
	if c.admin, err = c.authority.issue("admin", "system:masters"); err != nil {
		return err
	}
	accounts, err := serviceAccountKey()
	if err != nil {
		return err
	}
	return writeFiles(c.Dir, map[string][]byte{
		"ca.crt": c.authority.PEM, "server.crt": server.Cert, "server.key": server.Key,
		"service-account.key": accounts, "audit-policy.yaml": []byte(auditPolicy),
	})
}

func (c *Cluster) startEtcd() error {
	path, err := program("etcd")
	if err != nil {
		return err
	}
	client, err := FreePort()
	if err != nil {
		return err
	}
	peer, err := FreePort()
	if err != nil {
		return err
	}
	c.etcdURL = fmt.Sprintf("http://127.0.0.1:%d", client)
	peerURL := fmt.Sprintf("http://127.0.0.1:%d", peer)
	c.etcd, err = c.run("etcd", path,
		"--data-dir="+filepath.Join(c.Dir, "etcd"),
		"--listen-client-urls="+c.etcdURL, "--advertise-client-urls="+c.etcdURL,
		"--listen-peer-urls="+peerURL, "--initial-advertise-peer-urls="+peerURL,
		"--initial-cluster=default="+peerURL,
		"--log-level=warn",
		// The data is thrown away with the cluster; what a killed process wrote, the kernel still has.
		"--unsafe-no-fsync", "--quota-backend-bytes=8589934592")
	return err
}

func (c *Cluster) run(name, path string, args ...string) (*Process, error) {
	p, err := startProcess(name, c.Dir, c.options.Detached, path, args...)
	if err == nil {
		c.processes = append(c.processes, p)
	}
	return p, err
}

// StartAPIServer starts kube-apiserver (again), on the same port each time, and waits until it is ready.
func (c *Cluster) StartAPIServer() error {
	path, err := program("kube-apiserver")
	if err != nil {
		return err
	}
	if c.apiServer, err = c.run("kube-apiserver", path, c.apiServerArgs...); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(c.AdminConfig())
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if c.apiServer.Exited() {
			return fmt.Errorf("kube-apiserver ended:\n%s", c.apiServer.LogTail(15))
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err = client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		cancel()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("kube-apiserver is not ready: %w\n%s", err, c.apiServer.LogTail(15))
}

// KillAPIServer is kill -9 of kube-apiserver; etcd goes on.
func (c *Cluster) KillAPIServer() { c.apiServer.Kill() }

// Stop kills all that this cluster started. The data is thrown away, so nothing needs a graceful end.
func (c *Cluster) Stop() {
	for i := len(c.processes) - 1; i >= 0; i-- {
		c.processes[i].Kill()
	}
}

// CompactEtcd drops the history before now, so that a watch from an older version is answered by 410 Gone.
func (c *Cluster) CompactEtcd() error {
	var status struct {
		Header struct{ Revision string }
	}
	if err := c.etcdCall("/v3/kv/range", `{"key":"AA=="}`, &status); err != nil {
		return err
	}
	return c.etcdCall("/v3/kv/compaction", fmt.Sprintf(`{"revision":%q,"physical":true}`, status.Header.Revision), nil)
}

func (c *Cluster) etcdCall(path, body string, answer any) error {
	response, err := http.Post(c.etcdURL+path, "application/json", bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd %s: %s: %s", path, response.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// AdminConfig is a client configuration that may do anything, in protobuf, as fast as the server allows.
func (c *Cluster) AdminConfig() *rest.Config {
	config := &rest.Config{Host: c.URL, QPS: -1}
	config.TLSClientConfig = rest.TLSClientConfig{
		CAData: c.authority.PEM, CertData: c.admin.Cert, KeyData: c.admin.Key,
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return config
}

// Client is a typed client with AdminConfig.
func (c *Cluster) Client() (*kubernetes.Clientset, error) {
	return kubernetes.NewForConfig(c.AdminConfig())
}

// ServerCertificate names the files of a certificate that the cluster's clients trust, for a server on loopback, and of
// its key.
func (c *Cluster) ServerCertificate() (certificate, key string) {
	return filepath.Join(c.Dir, "server.crt"), filepath.Join(c.Dir, "server.key")
}

// CA is the certificate authority that signed the server's certificate, in PEM.
func (c *Cluster) CA() []byte { return c.authority.PEM }

// WriteKubeconfig writes Dir/name for the given user and this cluster.
func (c *Cluster) WriteKubeconfig(name string, user clientcmdapi.AuthInfo) error {
	return WriteKubeconfig(filepath.Join(c.Dir, name), c.URL, c.authority.PEM, user)
}

// WriteKubeconfig writes a kubeconfig with one cluster, one user and one context, all called "muster-test".
func WriteKubeconfig(path, server string, ca []byte, user clientcmdapi.AuthInfo) error {
	const name = "muster-test"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[name] = &user
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.WriteToFile(*config, path)
}

// PIDs names the processes that run.
func (c *Cluster) PIDs() map[string]int {
	pids := map[string]int{}
	for _, p := range c.processes {
		if !p.Exited() {
			pids[p.Name] = p.PID()
		}
	}
	return pids
}
