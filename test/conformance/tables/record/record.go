// Package record writes down what kube-scheduler's own unit tests ask its plugins, and what these answer. The tests
// call it after conformance/tables has edited a copy of them.
package record

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// Folder names the variable of the environment with the folder to write rows to. Without it nothing is recorded.
const Folder = "CONFORMANCE_TABLES"

// Row is one case of a test's table, or a test without a table.
type Row struct {
	Package, Test string
	Questions     []*Question // none: the row asks no plugin to filter or to score
}

// Question is a pod, what a plugin knows of the cluster, and its answers.
type Question struct {
	Plugin string
	Points []string        // the extension points that the plugin has, of those that are recorded
	Args   json.RawMessage // of version v1, or nil
	Pod    json.RawMessage
	Nodes  []Node
	Others []json.RawMessage // with apiVersion and kind
	Calls  []*Call

	// Of preemption: the plugins that filter, and pods that have a nominated node.
	Filters   []string          `json:",omitempty"`
	Nominated []json.RawMessage `json:",omitempty"`

	plugin any
	pod    *v1.Pod
}

// Node is a node, "null" where the test has none, and the pods on it.
type Node struct {
	Node json.RawMessage
	Pods []json.RawMessage

	name string
}

// Call is one call of a plugin's method, and its answer.
type Call struct {
	Method  string
	Node    string   `json:",omitempty"`
	Nodes   []string `json:",omitempty"` // of PreScore
	Code    string
	Reasons []string        `json:",omitempty"`
	Score   int64           `json:",omitempty"`
	Scores  []fwk.NodeScore `json:",omitempty"` // of NormalizeScore
	Victims []Victims       `json:",omitempty"` // of DryRunPreemption, those of every candidate
}

// Victims are pods, as NAMESPACE/NAME, on a node.
type Victims struct {
	Node string
	Pods []string
}

type testing interface {
	Name() string
	Cleanup(func())
}

type running struct {
	Row
	rows int // in it
}

var (
	mu    sync.Mutex
	stack []*running
	made  = map[any]runtime.Object{}
	files int
	deep  int // calls that are under way: one that another makes is not the test's
)

// Start begins a row, which ends with t. Within a row it begins one of its own.
func Start(t testing) {
	mu.Lock()
	defer mu.Unlock()
	if os.Getenv(Folder) == "" || len(stack) > 0 && stack[len(stack)-1].Test == t.Name() {
		return
	}
	stack = append(stack, &running{Row: Row{Package: testedPackage(), Test: t.Name()}})
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		last := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if last.rows == 0 || len(last.Questions) > 0 {
			last.write()
			last.rows++
		}
		if len(stack) > 0 {
			stack[len(stack)-1].rows += last.rows
		}
	})
}

// Next begins the next row of a table that a test goes through by itself.
func Next() {
	mu.Lock()
	defer mu.Unlock()
	if len(stack) == 0 {
		return
	}
	if last := stack[len(stack)-1]; len(last.Questions) > 0 {
		last.write()
		last.Questions = nil
		last.rows++
	}
}

func (r *running) write() {
	text, err := json.Marshal(r.Row)
	if err != nil {
		panic(err)
	}
	files++
	name := filepath.Join(os.Getenv(Folder), fmt.Sprintf("%s-%05d.json", r.Package, files))
	if err := os.WriteFile(name, text, 0o644); err != nil {
		panic(err)
	}
}

// testedPackage: tests run in the folder of their package.
func testedPackage() string {
	dir, _ := os.Getwd()
	return filepath.Base(dir)
}

// Made notes the arguments of a plugin.
func Made(plugin any, args runtime.Object) {
	mu.Lock()
	defer mu.Unlock()
	if v := reflect.ValueOf(plugin); v.Kind() == reflect.Pointer && !v.IsNil() {
		made[plugin] = args
	}
}

// Asked notes a call before it is made. What it returns takes the answer.
func Asked(method string, plugin any, parameters ...any) func(results ...any) {
	mu.Lock()
	defer mu.Unlock()
	of := reflect.TypeOf(plugin).Elem().PkgPath()
	if len(stack) == 0 || deep > 0 || !strings.HasSuffix(of, "/"+testedPackage()) && method != "DryRunPreemption" {
		return func(...any) {}
	}
	deep++
	call := &Call{Method: method}
	q := question(plugin, call, parameters)
	q.Calls = append(q.Calls, call)
	return func(results ...any) {
		mu.Lock()
		defer mu.Unlock()
		deep--
		call.answer(append(results, parameters...))
	}
}

// answer takes what is known of results; scores are normalised in place.
func (c *Call) answer(results []any) {
	fill := func(code string, reasons []string) { c.Code, c.Reasons = code, reasons }
	for _, result := range results {
		switch r := result.(type) {
		case *fwk.Status:
			fill(r.Code().String(), nil)
			if r != nil {
				c.Reasons = r.Reasons()
			}
		case int64:
			c.Score = r
		case error:
			fill("Error", []string{r.Error()})
		case fwk.NodeScoreList:
			c.Scores = append([]fwk.NodeScore(nil), r...)
		default:
			v := reflect.ValueOf(result)
			if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String { // reasons of the volume binder
				fill(fwk.Success.String(), nil)
				for i := range v.Len() {
					fill(fwk.UnschedulableAndUnresolvable.String(), append(c.Reasons, v.Index(i).String()))
				}
			}
			if v.Kind() == reflect.Slice && c.Method == "DryRunPreemption" {
				for i := range v.Len() {
					c.candidate(v.Index(i).Interface())
				}
			}
		}
	}
}

func (c *Call) candidate(of any) {
	candidate, ok := of.(interface {
		Name() string
		Victims() *extenderv1.Victims
	})
	if !ok {
		return
	}
	victims := Victims{Node: candidate.Name()}
	for _, pod := range candidate.Victims().Pods {
		victims.Pods = append(victims.Pods, pod.Namespace+"/"+pod.Name)
	}
	c.Victims = append(c.Victims, victims)
}

// question finds the one that a call belongs to: the last one, or a new one where that has an answer to it already.
func question(plugin any, call *Call, parameters []any) *Question {
	var pod *v1.Pod
	var infos []fwk.NodeInfo
	var node *v1.Node
	var budgets []any
	for _, parameter := range parameters {
		switch p := parameter.(type) {
		case *v1.Pod:
			pod = p
		case fwk.NodeInfo:
			infos = append(infos, p)
			call.Node = nodeName(p)
		case *v1.Node:
			node = p
			call.Node = p.Name
		case []fwk.NodeInfo:
			infos = append(infos, p...)
			for _, info := range p {
				call.Nodes = append(call.Nodes, nodeName(info))
			}
		case []*policyv1.PodDisruptionBudget:
			for _, budget := range p {
				budgets = append(budgets, budget)
			}
		}
	}
	row := stack[len(stack)-1]
	if n := len(row.Questions); n > 0 {
		last := row.Questions[n-1]
		again := last.plugin != plugin || last.pod != pod
		for _, c := range last.Calls {
			again = again || c.Method == call.Method && c.Node == call.Node || call.Method == "PreFilter"
		}
		if !again {
			last.see(infos, call.Method)
			return last
		}
	}
	q := &Question{plugin: plugin, pod: pod, Pod: encode(pod), Args: encodeArgs(made[plugin])}
	q.name()
	l := look(q, plugin)
	l.objects(budgets)
	if node != nil {
		l.node(node)
	}
	q.see(infos, call.Method)
	row.Questions = append(row.Questions, q)
	return q
}

// see takes what a call shows. PreScore may be shown nodes without their pods, and gets these from the snapshot.
func (q *Question) see(infos []fwk.NodeInfo, method string) {
	for _, info := range infos {
		known := slices.ContainsFunc(q.Nodes, func(n Node) bool { return n.name == nodeName(info) })
		if !known || method == "Filter" {
			q.addNode(info)
		}
	}
}

func (q *Question) name() {
	named, ok := q.plugin.(fwk.Plugin)
	if !ok {
		switch reflect.TypeOf(q.plugin).Elem().Name() {
		case "volumeBinder":
			q.Plugin, q.Points = "VolumeBinding", []string{"preFilter", "filter"}
		case "Evaluator":
			q.Plugin = "DefaultPreemption"
		}
		return
	}
	q.Plugin = named.Name()
	if _, ok := named.(fwk.PreFilterPlugin); ok {
		q.Points = append(q.Points, "preFilter")
	}
	if _, ok := named.(fwk.FilterPlugin); ok {
		q.Points = append(q.Points, "filter")
	}
	if _, ok := named.(fwk.PreScorePlugin); ok {
		q.Points = append(q.Points, "preScore")
	}
	if _, ok := named.(fwk.ScorePlugin); ok {
		q.Points = append(q.Points, "score")
	}
}

func nodeName(info fwk.NodeInfo) string {
	if info == nil || info.Node() == nil {
		return ""
	}
	return info.Node().Name
}

// addNode takes a node as a test shows it to the plugin, in place of what the snapshot says.
func (q *Question) addNode(info fwk.NodeInfo) {
	if v := reflect.ValueOf(info); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return
	}
	node := Node{name: nodeName(info), Node: encode(info.Node())}
	for _, pod := range info.GetPods() {
		node.Pods = append(node.Pods, encode(pod.GetPod()))
	}
	for i := range q.Nodes {
		if q.Nodes[i].name == node.name {
			q.Nodes[i] = node
			return
		}
	}
	q.Nodes = append(q.Nodes, node)
}
