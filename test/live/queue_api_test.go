package live

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

var (
	queues  = schema.GroupVersionResource{Group: "muster.dev", Version: "v1alpha1", Resource: "queues"}
	flavors = schema.GroupVersionResource{Group: "muster.dev", Version: "v1alpha1", Resource: "resourceflavors"}
)

// create makes a Queue or a ResourceFlavor of a spec in YAML, and removes it when the test ends.
func create(t *testing.T, resource schema.GroupVersionResource, name, spec string) (*unstructured.Unstructured, error) {
	t.Helper()
	kind := map[string]string{"queues": "Queue", "resourceflavors": "ResourceFlavor"}[resource.Resource]
	text := fmt.Sprintf("apiVersion: muster.dev/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec: %s", kind, name, spec)
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	of := dynamicClient(t).Resource(resource)
	made, err := of.Create(ctx, object, metav1.CreateOptions{FieldValidation: "Strict"})
	if err == nil {
		t.Cleanup(func() { _ = of.Delete(ctx, name, metav1.DeleteOptions{}) })
	}
	return made, err
}

// What the definitions refuse, and what they say about it.
func TestQueueAPIRefuses(t *testing.T) {
	waitQueues(t)
	const (
		number   = "must be a quantity such as 16, 250m or 64Gi, not negative"
		duration = "must be a duration such as 30s or 1h30m"
		resource = "must be the name of a resource"
		flavor   = "must be the name of a ResourceFlavor"
		twice    = "a resource must not be there twice in the same flavor"
		rootless = "a queue without parent has none to borrow from"
		words    = "supported values"
		missing  = "Required value"
		first    = "spec.resources[0]."
		selector = "spec.namespaceSelector.matchExpressions[0]"
		cpu      = "{resources: [{name: cpu, nominalQuota: "
	)
	for _, row := range []struct{ spec, field, want string }{
		{"{parent: q}", "spec.parent", "a queue must not be its own parent"},
		{"{parent: Research}", "spec.parent", "must be the name of a Queue"},
		{"{parent: ''}", "spec.parent", "should be at least 1 chars long"},
		{"{weight: -1}", "spec.weight", "greater than or equal to 0"},
		{"{weight: heavy}", "spec.weight", "must be of type integer"},
		{"{weights: 1}", "spec.weights", "unknown field"},
		{"{order: FIFO}", "spec.order", words},
		{"{stopPolicy: Drain}", "spec.stopPolicy", words},
		{"{usageHalfLife: 0s}", "spec.usageHalfLife", duration},
		{"{usageHalfLife: 1 week}", "spec.usageHalfLife", duration},
		{"{usageHalfLife: -1h}", "spec.usageHalfLife", duration},
		{"{resources: [{name: cpu}]}", first + "nominalQuota", missing},
		{"{resources: [{nominalQuota: 1}]}", first + "name", missing},
		{"{resources: [{name: a b, nominalQuota: 1}]}", first + "name", resource},
		{"{resources: [{name: a/b/c, nominalQuota: 1}]}", first + "name", resource},
		{cpu + "'-1'}]}", first + "nominalQuota", number},
		{cpu + "-1}]}", first + "nominalQuota", number},
		{cpu + "many}]}", first + "nominalQuota", number},
		{cpu + "1, flavor: A_B}]}", first + "flavor", flavor},
		{cpu + "1}, {name: cpu, nominalQuota: 2}]}", "spec.resources", twice},
		{cpu + "1, flavor: a}, {name: cpu, nominalQuota: 1, flavor: a}]}", "spec.resources", twice},
		{cpu + "1, borrowingLimit: 1}]}", "spec.resources", rootless},
		{cpu + "1, borrowingLimit: '-1'}], parent: p}", first + "borrowingLimit", number},
		{cpu + "1, lendingLimit: x}]}", first + "lendingLimit", number},
		{"{namespaceSelector: {matchExpressions: [{key: a, operator: In}]}}", selector, "In and NotIn need values"},
		{"{namespaceSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}", selector, "take none"},
		{"{namespaceSelector: {matchExpressions: [{key: a, operator: Is}]}}", selector + ".operator", words},
		{"{namespaceSelector: {matchLabel: {a: b}}}", "spec.namespaceSelector.matchLabel", "unknown field"},
		{"{preemption: {withinQueue: Any}}", "spec.preemption.withinQueue", words},
		{"{preemption: {reclaim: Always}}", "spec.preemption.reclaim", words},
		{"{preemption: {borrowing: Any}}", "spec.preemption.borrowing", words},
		{"{preemption: {minRuntime: 10}}", "spec.preemption.minRuntime", "must be of type string"},
		{"{preemption: {minRuntime: '10'}}", "spec.preemption.minRuntime", duration},
		{"{preemption: {evictionsPerHour: -1}}", "spec.preemption.evictionsPerHour", "greater than or equal to 0"},
		{"{burst: {maxPodRuntime: 5m, resources: {cpu: 1}}}", "spec.burst.refill", missing},
		{"{burst: {maxPodRuntime: 5m, refill: 1m}}", "spec.burst.resources", missing},
		{"{burst: {maxPodRuntime: 5m, resources: {}, refill: 1m}}", "spec.burst.resources", "at least 1 properties"},
		{"{burst: {maxPodRuntime: 5m, resources: {cpu: '-1'}, refill: 1m}}", "spec.burst.resources[cpu]", number},
		{"{burst: {maxPodRuntime: 5m, resources: {c u: 1}, refill: 1m}}", "spec.burst.resources", "names of resources"},
		{"{burst: {maxPodRuntime: 0s, resources: {cpu: 1}, refill: 1m}}", "spec.burst.maxPodRuntime", duration},
		{"{burst: {maxPodRuntime: 5m, resources: {cpu: 1}, refill: 0m}}", "spec.burst.refill", duration},
		{"{budget: {resource: cpu, window: 24h}}", "spec.budget.seconds", missing},
		{"{budget: {resource: cpu, seconds: -5, window: 24h}}", "spec.budget.seconds", number},
		{"{budget: {resource: '', seconds: 5, window: 24h}}", "spec.budget.resource", "should be at least 1 chars long"},
		{"{budget: {resource: cpu, seconds: 5, window: 0h}}", "spec.budget.window", duration},
		{"{budget: {resource: cpu, seconds: 5, window: 1h, beyond: Wait}}", "spec.budget.beyond", words},
	} {
		refuses(t, queues, row.spec, row.field, row.want)
	}
	for _, row := range []struct{ spec, field, want string }{
		{"{}", "spec.nodeLabels", missing},
		{"{nodeLabels: {}}", "spec.nodeLabels", "at least 1 properties"},
		{"{nodeLabels: {a b: c}}", "spec.nodeLabels", "must be keys of node labels"},
		{"{nodeLabels: {a: b c}}", "spec.nodeLabels.a", "should match"},
		{"{nodeLabels: {a: 1}}", "spec.nodeLabels.a", "must be of type string"},
	} {
		refuses(t, flavors, row.spec, row.field, row.want)
	}
}

func refuses(t *testing.T, resource schema.GroupVersionResource, spec, field, want string) {
	t.Helper()
	_, err := create(t, resource, "q", spec)
	if err == nil {
		t.Errorf("%s %s is accepted", resource.Resource, spec)
		_ = dynamicClient(t).Resource(resource).Delete(ctx, "q", metav1.DeleteOptions{})
		return
	}
	// Of some objects more than one thing is wrong; the one meant must be told, beside its field.
	for _, line := range strings.Split(err.Error(), ", spec") {
		if strings.Contains("spec"+line, field) && strings.Contains(line, want) {
			return
		}
	}
	t.Errorf("%s %s: the error is\n  %v\nwant %s: ... %s", resource.Resource, spec, err, field, want)
}

// waitQueues waits until the definitions are served.
func waitQueues(t *testing.T) {
	t.Helper()
	for _, resource := range []schema.GroupVersionResource{queues, flavors} {
		var err error
		if !poll(20*time.Second, func() bool {
			_, err = dynamicClient(t).Resource(resource).List(ctx, metav1.ListOptions{Limit: 1})
			return err == nil
		}) {
			t.Fatal(err)
		}
	}
}

const wholeQueue = `
  parent: research
  namespaceSelector: {matchLabels: {team: a}, matchExpressions: [{key: tier, operator: NotIn, values: [dev]}]}
  weight: 2
  order: Backfill
  usageHalfLife: 168h
  resources:
  - {name: nvidia.com/gpu, flavor: h100, nominalQuota: "16", borrowingLimit: "8", lendingLimit: "4"}
  - {name: nvidia.com/gpu, flavor: a100, nominalQuota: 16}
  - {name: nvidia.com/gpu, nominalQuota: 0}
  - {name: deviceclass/gpu.example.com, nominalQuota: 3}
  - {name: cpu, nominalQuota: 2500m}
  - {name: memory, nominalQuota: 1.5Gi}
  preemption: {withinQueue: LowerPriority, reclaim: Any, borrowing: Never, minRuntime: 10m, evictionsPerHour: 20}
  burst: {maxPodRuntime: 5m, resources: {cpu: "64", nvidia.com/gpu: 1}, refill: 1m}
  budget: {resource: nvidia.com/gpu, seconds: "864000", window: 24h, beyond: NoBorrowing}
  stopPolicy: None
`

// What is sound is stored as it is, with defaults, and shown in columns with its status.
func TestQueueAPIStores(t *testing.T) {
	waitQueues(t)
	if _, err := create(t, flavors, "h100", "{nodeLabels: {gpu.example.com/model: H100, empty: ''}}"); err != nil {
		t.Fatal(err)
	}
	for _, spec := range []string{"{}", "{namespaceSelector: {}}", "{weight: 0}", "{resources: []}",
		"{preemption: {minRuntime: 0s}}", "{usageHalfLife: 1h30m}",
		"{resources: [{name: cpu, nominalQuota: 1, lendingLimit: 0}]}",
		"{burst: {maxPodRuntime: 1.5h, resources: {memory: 1e3}, refill: 500ms}}"} {
		if _, err := create(t, queues, "small", spec); err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		if err := dynamicClient(t).Resource(queues).Delete(ctx, "small", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	made, err := create(t, queues, "team-a", wholeQueue)
	if err != nil {
		t.Fatal(err)
	}
	var sent, stored any
	if err := yaml.Unmarshal([]byte(wholeQueue), &sent); err != nil {
		t.Fatal(err)
	}
	stored = made.Object["spec"]
	if got, want := toJSON(t, stored), toJSON(t, sent); got != want {
		t.Errorf("stored is\n%s\nwant\n%s", got, want)
	}
	plain, err := create(t, queues, "plain", "{preemption: {}, budget: {resource: cpu, seconds: 1, window: 1h}}")
	if err != nil {
		t.Fatal(err)
	}
	const defaults = `{"budget":{"beyond":"NoBorrowing","resource":"cpu","seconds":1,"window":"1h"},` +
		`"order":"BestEffortFIFO","preemption":{"borrowing":"Never","reclaim":"Any","withinQueue":"LowerPriority"},` +
		`"stopPolicy":"None","weight":1}`
	if got := toJSON(t, plain.Object["spec"]); got != defaults {
		t.Errorf("the defaults are %s\nwant %s", got, defaults)
	}

	// As the daemon writes it.
	const status = `{"conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "",
	  "observedGeneration": 1, "lastTransitionTime": "2026-01-31T12:00:00Z"}],
	 "pendingGroups": 2, "pendingPods": 40, "runningPods": 16, "share": "0.125",
	 "usage": [{"resource": "nvidia.com/gpu", "flavor": "h100", "used": "18", "borrowed": "2"},
	           {"resource": "cpu", "used": "2500m", "borrowed": "0"}],
	 "pending": [{"group": "a/PodGroup/train", "position": 1, "pods": 32, "waitingFor": "quota",
	              "estimatedStart": "2026-01-31T13:00:00Z", "assumption": "run times hold"}]}`
	of := dynamicClient(t).Resource(queues)
	patch := func(uid types.UID) (*unstructured.Unstructured, error) {
		const test = `[{"op": "test", "path": "/metadata/uid", "value": "%s"},
		  {"op": "add", "path": "/status", "value": %s}]`
		return of.Patch(ctx, "team-a", types.JSONPatchType, fmt.Appendf(nil, test, uid, status), metav1.PatchOptions{},
			"status")
	}
	var patched *unstructured.Unstructured
	for range 2 { // the second replaces the first
		if patched, err = patch(made.GetUID()); err != nil {
			t.Fatal(err)
		}
	}
	var want any
	if err := json.Unmarshal([]byte(status), &want); err != nil {
		t.Fatal(err)
	}
	if got, want := toJSON(t, patched.Object["status"]), toJSON(t, want); got != want {
		t.Errorf("the status is\n%s\nwant\n%s", got, want)
	}
	if patched.GetGeneration() != made.GetGeneration() {
		t.Error("a new status made a new generation")
	}
	if _, err := patch("another"); !apierrors.IsInvalid(err) {
		t.Errorf("the status of another queue of this name: %v", err)
	}
	const table = "Name|Parent|Weight|Order|Pending|Running|Share|Ready|Age\n" +
		"plain||1|BestEffortFIFO|||||*\nteam-a|research|2|Backfill|40|16|0.125|True|*"
	if got := tableOf(t, "queues"); got != table {
		t.Errorf("the columns are\n%s\nwant\n%s", got, table)
	}
	const flavorTable = "Name|Node Labels|Age\n" + `h100|{"empty":"","gpu.example.com/model":"H100"}|*`
	if got := tableOf(t, "resourceflavors"); got != flavorTable {
		t.Errorf("the columns are\n%s\nwant\n%s", got, flavorTable)
	}
}

func toJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tableOf is what kubectl get shows, ages as "*".
func tableOf(t *testing.T, resource string) string {
	t.Helper()
	body, err := client.RESTClient().Get().AbsPath("/apis/muster.dev/v1alpha1/"+resource).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := json.Unmarshal(body, &table); err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, column := range table.ColumnDefinitions {
		columns = append(columns, column.Name)
	}
	rows := []string{strings.Join(columns, "|")}
	for _, row := range table.Rows {
		var cells []string
		for i, cell := range row.Cells {
			switch {
			case columns[i] == "Age":
				cells = append(cells, "*")
			case cell == nil:
				cells = append(cells, "")
			default:
				cells = append(cells, fmt.Sprint(cell))
			}
		}
		rows = append(rows, strings.Join(cells, "|"))
	}
	return strings.Join(rows, "\n")
}
