package controlplane

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// The users that the two schedulers are known by.
const (
	MusterNamespace   = "muster-system"
	MusterUser        = "system:serviceaccount:" + MusterNamespace + ":muster"
	KubeSchedulerUser = "system:kube-scheduler"
)

// InstallMuster applies the kustomize base in manifests and writes Dir/muster.kubeconfig, which speaks with the
// token of Muster's own ServiceAccount.
func (c *Cluster) InstallMuster(manifests string) error {
	if err := c.Kubectl("apply", "--server-side", "-k", manifests); err != nil {
		return err
	}
	return c.WriteTokenKubeconfig("muster.kubeconfig", MusterNamespace, "muster")
}

// Kubectl runs kubectl as the cluster's admin.
func (c *Cluster) Kubectl(args ...string) error {
	kubectl, err := program("kubectl")
	if err != nil {
		return err
	}
	args = append([]string{"--kubeconfig", filepath.Join(c.Dir, "kubeconfig")}, args...)
	if output, err := exec.Command(kubectl, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %q: %w\n%s", args, err, output)
	}
	return nil
}

// WriteTokenKubeconfig writes Dir/name with a fresh token of a ServiceAccount.
func (c *Cluster) WriteTokenKubeconfig(name, namespace, account string) error {
	token, err := c.Token(namespace, account)
	if err != nil {
		return err
	}
	return c.WriteKubeconfig(name, clientcmdapi.AuthInfo{Token: token})
}

// Token asks the server for a token of a ServiceAccount, good for a day.
func (c *Cluster) Token(namespace, account string) (string, error) {
	client, err := c.Client()
	if err != nil {
		return "", err
	}
	seconds := int64(24 * 3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	answer, err := client.CoreV1().ServiceAccounts(namespace).
		CreateToken(context.Background(), account, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("token for %s/%s: %w", namespace, account, err)
	}
	return answer.Status.Token, nil
}

// PluginSet is the profile part that gives kube-scheduler the plugins that Muster has, and no others.
const PluginSet = `  plugins:
    multiPoint:
      disabled: [{name: "*"}]
      enabled:
      - {name: SchedulingGates}
      - {name: PrioritySort}
      - {name: NodeName}
      - {name: NodeUnschedulable}
      - {name: TaintToleration, weight: 3}
      - {name: NodeAffinity, weight: 2}
      - {name: NodePorts}
      - {name: NodeResourcesFit, weight: 1}
      - {name: VolumeRestrictions}
      - {name: NodeVolumeLimits}
      - {name: VolumeBinding}
      - {name: VolumeZone}
      - {name: PodTopologySpread, weight: 2}
      - {name: InterPodAffinity, weight: 2}
      - {name: DynamicResources, weight: 2}
      - {name: DefaultPreemption}
      - {name: NodeResourcesBalancedAllocation, weight: 1}
      - {name: ImageLocality, weight: 1}
      - {name: DefaultBinder}
      - {name: NodeDeclaredFeatures}
`

// GroupPluginSet is PluginSet and what kube-scheduler has for groups of pods (Options.Groups).
const GroupPluginSet = PluginSet + `      - {name: GangScheduling}
      - {name: TopologyPlacementGenerator}
      - {name: PodGroupPodsCount, weight: 1}
`

// KubeScheduler is one kube-scheduler; Port serves its endpoints over HTTPS.
type KubeScheduler struct {
	*Process
	Port int
}

// StartKubeScheduler runs kube-scheduler for the pods of one scheduler name. profile is what follows
// schedulerName in the profile (indented by two), for example PluginSet; empty means its defaults.
func (c *Cluster) StartKubeScheduler(schedulerName, profile string) (*KubeScheduler, error) {
	path, err := program("kube-scheduler")
	if err != nil {
		return nil, err
	}
	pair, err := c.authority.issue(KubeSchedulerUser)
	if err != nil {
		return nil, err
	}
	name := "kube-scheduler-" + schedulerName
	kubeconfig := filepath.Join(c.Dir, name+".kubeconfig")
	user := clientcmdapi.AuthInfo{ClientCertificateData: pair.Cert, ClientKeyData: pair.Key}
	if err := c.WriteKubeconfig(name+".kubeconfig", user); err != nil {
		return nil, err
	}
	config := filepath.Join(c.Dir, name+".yaml")
	text := fmt.Sprintf(`apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: %q, qps: 5000, burst: 5000}
leaderElection: {leaderElect: false}
profiles:
- schedulerName: %s
%s`, kubeconfig, schedulerName, profile)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	args := []string{"--config=" + config, "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port), "--authorization-always-allow-paths=/*"}
	if c.options.Groups != "" {
		args = append(args, groupGates[c.options.Groups])
	}
	p, err := c.run(name, path, args...)
	return &KubeScheduler{Process: p, Port: port}, err
}

// StartControllerManager runs the named controllers of kube-controller-manager, comma separated.
func (c *Cluster) StartControllerManager(controllers string) (*Process, error) {
	path, err := program("kube-controller-manager")
	if err != nil {
		return nil, err
	}
	args := []string{"--kubeconfig=" + filepath.Join(c.Dir, "kubeconfig"),
		"--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=0",
		"--service-account-private-key-file=" + filepath.Join(c.Dir, "service-account.key"),
		"--controllers=" + controllers, "--kube-api-qps=5000", "--kube-api-burst=5000"}
	if c.options.Groups != "" {
		args = append(args, groupGates[c.options.Groups])
	}
	return c.run("kube-controller-manager", path, args...)
}

// Muster says how one daemon is run.
type Muster struct {
	Name       string   // of the log and the configuration file
	Config     string   // the KubeSchedulerConfiguration's text
	Kubeconfig string   // default: the ServiceAccount's, Dir/muster.kubeconfig
	Args       []string // further flags
}

// Daemon is one running `muster scheduler`; BaseURL serves its endpoints.
type Daemon struct {
	*Process
	BaseURL string
}

// StartMuster runs $MUSTER_BIN scheduler on a free port; it does not wait until the daemon is ready.
func (c *Cluster) StartMuster(m Muster) (*Daemon, error) {
	bin := os.Getenv("MUSTER_BIN")
	if bin == "" {
		return nil, fmt.Errorf("MUSTER_BIN names no muster binary")
	}
	config := filepath.Join(c.Dir, m.Name+".yaml")
	if err := os.WriteFile(config, []byte(m.Config), 0o644); err != nil {
		return nil, err
	}
	if m.Kubeconfig == "" {
		m.Kubeconfig = filepath.Join(c.Dir, "muster.kubeconfig")
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	args := append([]string{"scheduler", "--config=" + config, "--kubeconfig=" + m.Kubeconfig,
		fmt.Sprintf("--port=%d", port)}, m.Args...)
	p, err := c.run(m.Name, bin, args...)
	return &Daemon{Process: p, BaseURL: fmt.Sprintf("http://127.0.0.1:%d", port)}, err
}
