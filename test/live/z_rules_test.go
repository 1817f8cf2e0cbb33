package live

import (
	"flag"
	"fmt"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	controlplane "muster.dev/muster/test/control_plane"
)

// fallback are the rules that this server's abilities make needless, and another server's do not.
var fallback = map[string]string{
	"list pods":  "a server that cannot stream its lists through a watch",
	"list nodes": "a server that cannot stream its lists through a watch",

	"list devicetaintrules.resource.k8s.io":  "a server of 1.37; older ones have them behind a gate",
	"watch devicetaintrules.resource.k8s.io": "a server of 1.37; older ones have them behind a gate",

	"get resourceclaims.resource.k8s.io":            "a claim that others change at the same time",
	"patch resourceclaims/status.resource.k8s.io":   "a pod that is not bound after its claims were reserved",
	"update resourceclaims/binding.resource.k8s.io": "asked of the authorizer, which the audit log does not tell",
	"patch resourceclaims/binding.resource.k8s.io":  "asked of the authorizer, which the audit log does not tell",

	"list topologies.kueue.x-k8s.io":  "a cluster that has Kueue",
	"watch topologies.kueue.x-k8s.io": "a cluster that has Kueue",
}

// The rules in manifests/rbac are just what the daemon used in all the tests before this one (the files run in
// the order of their names).
func TestEveryRuleIsUsed(t *testing.T) {
	if standIn {
		t.Skip("the stand-in speaks as another user")
	}
	if flag.Lookup("test.run").Value.String() != "" {
		t.Skip("only some tests were run, so that some rules had no occasion")
	}
	used, refused := map[string]bool{}, map[string]int{}
	var all []request
	for _, c := range clusters {
		all = append(all, auditLog(t, c)...)
	}
	for _, r := range all {
		if r.User.Username != controlplane.MusterUser || r.ObjectRef.Resource == "" {
			continue
		}
		resource := r.ObjectRef.Resource
		if r.ObjectRef.Subresource != "" {
			resource += "/" + r.ObjectRef.Subresource
		}
		asked := ask(r.Verb, r.ObjectRef.APIGroup, resource)
		if r.Annotations["authorization.k8s.io/decision"] == "forbid" {
			refused[asked]++
		} else {
			used[asked] = true
		}
	}
	for asked, n := range refused {
		// A server that has just started refuses what it will allow once it has read the rules.
		if !used[asked] {
			t.Errorf("no rule allows %s, which was asked for %d times", asked, n)
		}
	}
	for _, rule := range musterRules(t) {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					asked := ask(verb, group, resource)
					if !used[asked] && fallback[asked] == "" {
						t.Errorf("the rule for %s is superfluous: nothing used it", asked)
					}
				}
			}
		}
	}
}

func ask(verb, group, resource string) string {
	if group != "" {
		resource += "." + group
	}
	return fmt.Sprintf("%s %s", verb, resource)
}

func musterRules(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	clusterRole, err := client.RbacV1().ClusterRoles().Get(ctx, "muster", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	role, err := client.RbacV1().Roles(controlplane.MusterNamespace).Get(ctx, "muster", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(clusterRole.Rules, role.Rules)
}
