package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	clientscheme "k8s.io/client-go/kubernetes/scheme"

	"muster.dev/muster/test/conformance/tables/record"
)

// exporter makes a scenario of what a unit test asks a plugin. It adds only what the server demands of an object and
// the test leaves out; where that changes the answer, mismatch tells.
type exporter struct {
	question *record.Question
	objects  []object
	subject  string            // NAMESPACE/NAME
	nodes    map[string]string // names in the test: names in the scenario
	pods     sets.Set[string]
	renamed  map[string]string // names that the server does not take, wherever they are
}

func export(q *record.Question) (*exporter, Scenario, error) {
	e := &exporter{question: q, nodes: map[string]string{}, pods: sets.New[string](),
		renamed: map[string]string{}}
	subject := &v1.Pod{}
	if string(q.Pod) == "null" || q.Pod == nil {
		return nil, Scenario{}, fmt.Errorf("there is no pod")
	}
	if err := json.Unmarshal(q.Pod, subject); err != nil {
		return nil, Scenario{}, err
	}
	e.pod(subject)
	e.subject = podKey(subject)
	if len(q.Nodes) == 0 {
		q.Nodes = []record.Node{{}}
	}
	for i := range q.Nodes {
		if err := e.node(&q.Nodes[i]); err != nil {
			return nil, Scenario{}, err
		}
	}
	for _, text := range q.Others {
		o, _, err := clientscheme.Codecs.UniversalDeserializer().Decode(text, nil, nil)
		if err != nil {
			return nil, Scenario{}, err
		}
		e.other(o)
	}
	for _, text := range q.Nominated {
		pod := &v1.Pod{}
		if err := json.Unmarshal(text, pod); err != nil {
			return nil, Scenario{}, err
		}
		if pod.Name != subject.Name {
			e.pod(pod)
		}
	}
	config, err := e.config()
	for i := range e.objects {
		e.objects[i] = e.rename(e.objects[i]).(object)
	}
	return e, Scenario{objects: e.objects, config: config}, err
}

// proper is the name that an object gets: the server takes no "nodeA", and no "ns.1" for a namespace or a volume.
// Other things of that name, like a label's value, are renamed with it.
func (e *exporter) proper(name string, kind string) string {
	proper := strings.NewReplacer("_", "-", " ", "-", "/", "-", "(", "", ")", "").Replace(strings.ToLower(name))
	if kind == "Namespace" || kind == "Volume" {
		proper = strings.ReplaceAll(proper, ".", "-")
	}
	if proper != name {
		e.renamed[name] = proper
	}
	return proper
}

func (e *exporter) rename(value any) any {
	switch v := value.(type) {
	case object:
		for key, item := range v {
			v[key] = e.rename(item)
		}
	case list:
		for i, item := range v {
			v[i] = e.rename(item)
		}
	case string:
		if name, ok := e.renamed[v]; ok {
			return name
		}
	}
	return value
}

// sameReasons: those of the test may have names that the scenario has otherwise.
func (e *exporter) sameReasons(got, want []string) bool {
	var pairs []string
	for _, from := range slices.Sorted(maps.Keys(e.renamed)) {
		pairs = append(pairs, from, e.renamed[from])
	}
	replacer := strings.NewReplacer(pairs...)
	return slices.EqualFunc(got, sortReasons(want), func(got, want string) bool {
		return got == want || got == replacer.Replace(want)
	})
}

func (e *exporter) add(o runtime.Object) {
	kinds, _, err := clientscheme.Scheme.ObjectKinds(o)
	if err != nil {
		panic(err) // these are decoded with the same scheme
	}
	o.GetObjectKind().SetGroupVersionKind(kinds[0])
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	tree := object{}
	if err := json.Unmarshal(text, &tree); err != nil {
		panic(err)
	}
	e.objects = append(e.objects, tree)
}

func fill(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

func (e *exporter) pod(pod *v1.Pod) {
	fill(&pod.Name, "pod")
	fill(&pod.Namespace, "default")
	pod.Name, pod.Namespace = e.proper(pod.Name, "Pod"), e.proper(pod.Namespace, "Namespace")
	name := pod.Name
	for i := 2; e.pods.Has(podKey(pod)); i++ {
		pod.Name, pod.UID = fmt.Sprintf("%s-%d", name, i), ""
	}
	if pod.UID != "" && e.pods.Has(string(pod.UID)) {
		pod.UID = ""
	}
	fill((*string)(&pod.UID), podKey(pod))
	e.pods.Insert(podKey(pod), string(pod.UID))
	fillMeta(pod)
	if len(pod.Spec.Containers) == 0 {
		// Asks for nothing, as a pod without containers does: not for what scores count where there is no request.
		none := v1.ResourceList{v1.ResourceCPU: resource.Quantity{}, v1.ResourceMemory: resource.Quantity{}}
		pod.Spec.Containers = []v1.Container{{Resources: v1.ResourceRequirements{Requests: none}}}
	}
	for i, containers := range [][]v1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for j := range containers {
			fill(&containers[j].Name, fmt.Sprintf("container-%d-%d", i, j))
			fill(&containers[j].Image, "image")
			for k := range containers[j].Ports {
				if port := &containers[j].Ports[k]; port.ContainerPort == 0 {
					port.ContainerPort = max(port.HostPort, 1)
				}
			}
			fillLimits(&containers[j].Resources)
		}
	}
	if pod.Spec.Resources != nil {
		fillLimits(pod.Spec.Resources)
	}
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		fill(&volume.Name, fmt.Sprintf("volume-%d", i))
		volume.Name = e.proper(volume.Name, "Volume")
		fillVolume(&volume.VolumeSource)
	}
	e.terms(pod.Spec.Affinity)
	e.add(pod)
}

// terms: an empty namespace in a list is that of pods without one.
func (e *exporter) terms(affinity *v1.Affinity) {
	if affinity == nil {
		return
	}
	term := func(t *v1.PodAffinityTerm) {
		for i := range t.Namespaces {
			fill(&t.Namespaces[i], "default")
			t.Namespaces[i] = e.proper(t.Namespaces[i], "Namespace")
		}
	}
	each := func(required []v1.PodAffinityTerm, preferred []v1.WeightedPodAffinityTerm) {
		for i := range required {
			term(&required[i])
		}
		for i := range preferred {
			term(&preferred[i].PodAffinityTerm)
		}
	}
	if a := affinity.PodAffinity; a != nil {
		each(a.RequiredDuringSchedulingIgnoredDuringExecution, a.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if a := affinity.PodAntiAffinity; a != nil {
		each(a.RequiredDuringSchedulingIgnoredDuringExecution, a.PreferredDuringSchedulingIgnoredDuringExecution)
	}
}

func fillMeta(meta metav1.Object) {
	meta.SetResourceVersion("")
	owners := meta.GetOwnerReferences()
	for i := range owners {
		fill(&owners[i].APIVersion, "v1")
		fill(&owners[i].Kind, "Owner")
		fill(&owners[i].Name, "owner")
		fill((*string)(&owners[i].UID), meta.GetNamespace()+"/"+owners[i].Name) // that of a pod
	}
	meta.SetOwnerReferences(owners)
}

// fillLimits: what cannot be overcommitted has a limit, and it is what is requested.
func fillLimits(of *v1.ResourceRequirements) {
	if pods := of.Requests[v1.ResourcePods]; pods.IsZero() {
		delete(of.Requests, v1.ResourcePods)
	}
	for name, quantity := range of.Requests {
		if name != v1.ResourceCPU && name != v1.ResourceMemory && name != v1.ResourceEphemeralStorage {
			if of.Limits == nil {
				of.Limits = v1.ResourceList{}
			}
			of.Limits[name] = quantity
		}
	}
}

func fillVolume(of *v1.VolumeSource) {
	if of.ConfigMap != nil {
		fill(&of.ConfigMap.Name, "config")
	}
	if of.Secret != nil {
		fill(&of.Secret.SecretName, "secret")
	}
	if of.Ephemeral != nil && of.Ephemeral.VolumeClaimTemplate == nil {
		of.Ephemeral.VolumeClaimTemplate = &v1.PersistentVolumeClaimTemplate{}
		fillClaim(&of.Ephemeral.VolumeClaimTemplate.Spec)
	}
	if of.ISCSI != nil {
		fill(&of.ISCSI.IQN, "iqn.2026-01.com.example:target")
		fill(&of.ISCSI.TargetPortal, "10.0.0.1")
	}
	if of.CSI != nil {
		fill(&of.CSI.Driver, "driver")
	}
}

func fillClaim(claim *v1.PersistentVolumeClaimSpec) {
	if len(claim.AccessModes) == 0 {
		claim.AccessModes = []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce}
	}
	if len(claim.Resources.Requests) == 0 {
		claim.Resources.Requests = v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")}
	}
}

func (e *exporter) node(recorded *record.Node) error {
	node := &v1.Node{}
	if recorded.Node != nil {
		if err := json.Unmarshal(recorded.Node, node); err != nil {
			return err
		}
	}
	name := node.Name
	fill(&node.Name, "node")
	node.Name, node.Namespace, node.ResourceVersion = e.proper(node.Name, "Node"), "", ""
	e.nodes[name] = node.Name
	if node.Status.Allocatable == nil {
		node.Status.Capacity = nil // else it would become what is allocatable
	}
	if e.asks("PreScore", "Score") && !e.asks("PreFilter", "Filter") && !e.scored(name) {
		node.Spec.Unschedulable = true
	}
	e.add(node)
	for _, text := range recorded.Pods {
		pod := &v1.Pod{}
		if err := json.Unmarshal(text, pod); err != nil {
			return err
		}
		pod.Spec.NodeName = node.Name
		e.pod(pod)
	}
	return nil
}

func (e *exporter) asks(methods ...string) bool {
	return slices.ContainsFunc(e.question.Calls, func(c *record.Call) bool { return slices.Contains(methods, c.Method) })
}

// filtered: the plugin rejects the node.
func (e *exporter) filtered(name string) bool {
	return slices.ContainsFunc(e.question.Calls, func(c *record.Call) bool {
		return c.Method == "Filter" && c.Node == name && strings.HasPrefix(c.Code, "Unschedulable")
	})
}

// scored: the test takes the node for one that passed the filters.
func (e *exporter) scored(name string) bool {
	return slices.ContainsFunc(e.question.Calls, func(c *record.Call) bool {
		return c.Method == "Score" && c.Node == name || slices.Contains(c.Nodes, name)
	})
}

func (e *exporter) other(o runtime.Object) {
	meta := o.(metav1.Object)
	kind := o.GetObjectKind().GroupVersionKind().Kind
	if meta.GetName() == "" {
		meta.SetName(fmt.Sprintf("unnamed-%d", len(e.objects)))
	}
	meta.SetName(e.proper(meta.GetName(), kind))
	switch kind {
	case "PersistentVolume", "StorageClass", "CSINode", "CSIDriver", "VolumeAttachment", "Namespace":
		meta.SetNamespace("")
	default:
		if meta.GetNamespace() == "" {
			meta.SetNamespace("default")
		}
		meta.SetNamespace(e.proper(meta.GetNamespace(), "Namespace"))
	}
	fillMeta(meta)
	switch o := o.(type) {
	case *v1.PersistentVolumeClaim:
		fillClaim(&o.Spec)
		if class := o.Spec.StorageClassName; class != nil {
			e.proper(*class, "StorageClass")
		}
		e.proper(o.Spec.VolumeName, "PersistentVolume")
	case *v1.PersistentVolume:
		e.proper(o.Spec.StorageClassName, "StorageClass")
		if len(o.Spec.AccessModes) == 0 {
			o.Spec.AccessModes = []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce}
		}
		if len(o.Spec.Capacity) == 0 {
			o.Spec.Capacity = v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")}
		}
		if o.Spec.PersistentVolumeSource == (v1.PersistentVolumeSource{}) {
			o.Spec.NFS = &v1.NFSVolumeSource{Server: "server", Path: "/"}
		}
		if source := o.Spec.CSI; source != nil {
			fill(&source.Driver, "driver")
			fill(&source.VolumeHandle, o.Name)
		}
	case *storagev1.StorageClass:
		fill(&o.Provisioner, "kubernetes.io/no-provisioner")
	case *storagev1.CSINode:
		o.Spec.Drivers = slices.DeleteFunc(o.Spec.Drivers, func(d storagev1.CSINodeDriver) bool {
			return strings.Contains(d.Name, "/") // the name of a plugin in the tree: no driver has such a one
		})
		for i := range o.Spec.Drivers {
			fill(&o.Spec.Drivers[i].NodeID, o.Name)
		}
	case *storagev1.VolumeAttachment:
		fill(&o.Spec.Attacher, "driver")
		fill(&o.Spec.NodeName, "node")
	}
	e.add(o)
}

// config has the plugin alone, with its arguments, where the test asks it: to filter, to score or both.
func (e *exporter) config() (object, error) {
	q := e.question
	named := func(names ...string) object {
		enabled := list{}
		for _, name := range names {
			enabled = append(enabled, object{"name": name})
		}
		return object{"enabled": enabled}
	}
	plugins := object{"multiPoint": object{"disabled": list{object{"name": "*"}}},
		"queueSort": named("PrioritySort"), "bind": named("DefaultBinder")}
	filters := []string{"NodeUnschedulable"}
	for _, point := range q.Points {
		switch point {
		case "preFilter", "preScore":
			if half := strings.TrimPrefix(point, "pre"); e.asks("Pre"+half, half) {
				plugins[point] = named(q.Plugin)
			}
		case "filter":
			if e.asks("PreFilter", "Filter") {
				filters = []string{q.Plugin}
			}
		case "score":
			if e.asks("PreScore", "Score") {
				plugins[point] = named(q.Plugin)
			}
		}
	}
	if q.Plugin == "DefaultPreemption" {
		filters = nil
		for _, name := range q.Filters {
			if comparedPlugins.Has(name) {
				filters = append(filters, name)
			}
		}
		plugins["preFilter"], plugins["postFilter"] = named(filters...), named(q.Plugin)
	}
	plugins["filter"] = named(filters...)
	profile := object{"schedulerName": musterName, "plugins": plugins}
	if q.Args != nil {
		args := object{}
		if err := json.Unmarshal(q.Args, &args); err != nil {
			return nil, err
		}
		if args["kind"] == q.Plugin+"Args" { // else a test that passes another plugin's, of which this one takes none
			profile["pluginConfig"] = list{object{"name": q.Plugin, "args": args}}
		}
	}
	return object{"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
		"profiles": list{profile}}, nil
}

// mismatch says where the verdict is not what the plugin answered in the unit test; "": it is.
func (e *exporter) mismatch(v Verdict) string {
	normalised := map[string]int64{}
	hasNormalised := false
	for _, call := range e.question.Calls {
		if call.Method == "NormalizeScore" {
			hasNormalised = true
			for _, score := range call.Scores {
				normalised[score.Name] = score.Score
			}
		}
	}
	for _, call := range e.question.Calls {
		node, known := v.Nodes[e.nodes[call.Node]]
		rejected := call.Code == "Unschedulable" || call.Code == "UnschedulableAndUnresolvable"
		switch {
		case call.Code == "Error":
			if v.Error == "" {
				return "an error there: " + strings.Join(call.Reasons, ", ")
			}
		case call.Code == "Skip":
		case call.Method == "DryRunPreemption":
			if difference := e.preempts(call, v.Preemption); difference != "" {
				return difference
			}
		case v.Error != "":
			if slices.ContainsFunc(e.question.Calls, func(c *record.Call) bool { return c.Code == "Error" }) {
				continue // that of a later call
			}
			return "an error here: " + v.Error
		case call.Method == "PreFilter":
			if rejected != (v.PreFilter != nil) || rejected && !e.sameReasons(v.PreFilter.Reasons, call.Reasons) {
				return fmt.Sprintf("PreFilter: %s %v there, %v here", call.Code, call.Reasons, v.PreFilter)
			}
		case call.Method == "Filter":
			narrowed := fmt.Sprintf("node(s) didn't satisfy plugin(s) [%s]", e.question.Plugin) // before Filter is asked
			if v.PreFilter != nil || !known || node.Feasible == rejected || rejected &&
				!slices.Equal(node.Reasons, []string{narrowed}) && !e.sameReasons(node.Reasons, call.Reasons) {
				return fmt.Sprintf("Filter: %s %v there, %v here", call.Code, call.Reasons, node)
			}
		case call.Method == "Score":
			want := call.Score
			if hasNormalised {
				want = normalised[call.Node]
			}
			if e.filtered(call.Node) {
				continue // a test may score a node that it has seen rejected
			}
			if got, ok := node.Scores[e.question.Plugin]; !node.Feasible || got != want || !ok && want != 0 {
				return fmt.Sprintf("Score of %q: %d there, %v here", call.Node, want, node)
			}
		}
	}
	return ""
}

// preempts: the choice must be one of the test's candidates.
func (e *exporter) preempts(call *record.Call, choice *Preemption) string {
	if choice == nil {
		if len(call.Victims) == 0 {
			return ""
		}
		return fmt.Sprintf("preemption: %v there, none here", call.Victims)
	}
	got := sets.New(choice.Victims...)
	for _, candidate := range call.Victims {
		want := sets.New[string]()
		for _, pod := range candidate.Pods {
			namespace, name, _ := strings.Cut(pod, "/")
			fill(&namespace, "default")
			want.Insert(e.proper(namespace, "Namespace") + "/" + e.proper(name, "Pod"))
		}
		if e.nodes[candidate.Node] == choice.Node && want.Equal(got) {
			return ""
		}
	}
	return fmt.Sprintf("preemption: %v there, %v here", call.Victims, *choice)
}
