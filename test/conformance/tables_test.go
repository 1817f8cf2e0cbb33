package main

import (
	"encoding/json"
	"strings"
	"testing"

	"muster.dev/muster/test/conformance/tables/record"
)

// What a unit test asked becomes a scenario with the same answer; and another answer is noticed.
func TestRecordedQuestionBecomesScenario(t *testing.T) {
	comparer, err := NewComparer(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	filter := []string{"preFilter", "filter"}
	tainted := `{"metadata": {"name": "nodeA"}, "spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}}`
	for _, row := range []struct {
		name, plugin string
		points       []string
		pod, node    string
		others       []string
		call         record.Call
		same         bool
	}{
		{"rejected", "TaintToleration", filter, `{}`, tainted, nil,
			record.Call{Method: "Filter", Node: "nodeA", Code: "UnschedulableAndUnresolvable",
				Reasons: []string{"node(s) had untolerated taint(s)"}}, true},
		{"another reason", "TaintToleration", filter, `{}`, tainted, nil,
			record.Call{Method: "Filter", Node: "nodeA", Code: "UnschedulableAndUnresolvable", Reasons: []string{"other"}}, false},
		{"let through", "TaintToleration", filter, `{}`, tainted, nil,
			record.Call{Method: "Filter", Node: "nodeA", Code: "Success"}, false},
		{"no node", "NodePorts", filter, `{"metadata": {"name": "m", "namespace": "NS"}}`, `null`, nil,
			record.Call{Method: "Filter", Code: "Success"}, true},
		{"score", "TaintToleration", []string{"preScore", "score"}, `{}`, tainted, nil,
			record.Call{Method: "Score", Node: "nodeA", Score: 100, Code: "Success"}, true},
		{"another score", "TaintToleration", []string{"preScore", "score"}, `{}`, tainted, nil,
			record.Call{Method: "Score", Node: "nodeA", Score: 99, Code: "Success"}, false},
		{"claim", "VolumeBinding", filter,
			`{"spec": {"volumes": [{"name": "Vol", "persistentVolumeClaim": {"claimName": "Claim_1"}}]}}`, `null`,
			[]string{`{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "Claim_1"}}`},
			record.Call{Method: "PreFilter", Code: "UnschedulableAndUnresolvable",
				Reasons: []string{"pod has unbound immediate PersistentVolumeClaims"}}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			q := &record.Question{Plugin: row.plugin, Points: row.points, Pod: json.RawMessage(row.pod),
				Nodes: []record.Node{{Node: json.RawMessage(row.node)}}, Calls: []*record.Call{&row.call}}
			for _, other := range row.others {
				q.Others = append(q.Others, json.RawMessage(other))
			}
			e, scenario, err := export(q)
			if err != nil {
				t.Fatal(err)
			}
			if err := comparer.usable(scenario, e.subject); err != nil {
				t.Fatal(err)
			}
			asker := *comparer
			asker.pod = e.subject
			answer := asker.ask(scenario)
			if got := e.mismatch(answer.verdict); (got == "") != row.same {
				t.Errorf("same answer: %q, want %v: %s", got, row.same, answer.upstream)
			}
		})
	}
}

func TestLeftOutReasons(t *testing.T) {
	comparer, err := NewComparer(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	tolerations := `{"spec": {"tolerations": [{"key": "k", "operator": "Gt", "value": "1", "effect": "NoSchedule"}]}}`
	for _, row := range []struct{ name, pod, other, reason string }{
		{"feature", tolerations, "", "feature gate"},
		{"refused", `{"spec": {"nodeSelector": {"a b": "c"}}}`, "", "API server refuses"},
		{"devices", `{}`, `{"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": {"name": "c"}}`, "devices"},
	} {
		t.Run(row.name, func(t *testing.T) {
			q := &record.Question{Plugin: "NodeName", Pod: json.RawMessage(row.pod)}
			if row.other != "" {
				q.Others = []json.RawMessage{json.RawMessage(row.other)}
			}
			e, scenario, err := export(q)
			if err != nil {
				t.Fatal(err)
			}
			err = comparer.usable(scenario, e.subject)
			if err == nil || !strings.Contains(leftOut(err), row.reason) {
				t.Errorf("left out: %v, want %q", err, row.reason)
			}
		})
	}
}
