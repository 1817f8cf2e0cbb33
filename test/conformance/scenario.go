package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sort"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	_ "k8s.io/kubernetes/pkg/apis/scheduling/install"
	_ "k8s.io/kubernetes/pkg/apis/storage/install"
	"sigs.k8s.io/yaml"
)

// object is a Kubernetes object, or a part of one, as a user writes it.
type object = map[string]any
type list = []any

// The pod that generated and golden scenarios ask about.
const (
	subjectNamespace = "default"
	subjectName      = "subject"
	subjectKey       = subjectNamespace + "/" + subjectName
)

// Scenario is what both sides are given: manifests, and a KubeSchedulerConfiguration or nil.
type Scenario struct {
	objects []object
	config  object
}

func (s Scenario) manifests() []byte {
	var out bytes.Buffer
	for _, o := range s.objects {
		out.WriteString("---\n")
		out.Write(marshalYAML(o))
	}
	return out.Bytes()
}

func (s Scenario) configuration() []byte {
	if s.config == nil {
		return nil
	}
	return marshalYAML(s.config)
}

func marshalYAML(o object) []byte {
	text, err := yaml.Marshal(o)
	if err != nil {
		panic(err) // only made of maps, lists and scalars
	}
	return text
}

// cluster is a scenario as the API server stores it: with defaults, and the priority that admission gives.
type cluster struct {
	nodes   []*v1.Node // by name, the order in which a list of the server has them
	pods    []*v1.Pod  // by namespace and name
	classes []*schedulingv1.PriorityClass
	others  []stored // what else plugins look at
}

func readCluster(manifests []byte) (*cluster, error) {
	c := &cluster{}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := c.add(document); err != nil {
			return nil, err
		}
	}
	sort.Slice(c.nodes, func(i, j int) bool { return c.nodes[i].Name < c.nodes[j].Name })
	sort.SliceStable(c.pods, func(i, j int) bool { return podKey(c.pods[i]) < podKey(c.pods[j]) })
	c.addNamespaces()
	for i, pod := range c.pods {
		if err := c.admit(pod); err != nil {
			return nil, err
		}
		var err error
		if c.pods[i], err = store(pod); err != nil {
			return nil, err
		}
	}
	for _, node := range c.nodes {
		if err := asWatched(node); err != nil {
			return nil, err
		}
	}
	for _, other := range c.others {
		if err := asWatched(other); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func podKey(pod *v1.Pod) string { return pod.Namespace + "/" + pod.Name }

// addNamespaces: a namespace that an object is in exists, also where the manifests do not say so.
func (c *cluster) addNamespaces() {
	known := sets.New[string]()
	for _, o := range c.others {
		if ns, ok := o.(*v1.Namespace); ok {
			known.Insert(ns.Name)
		}
	}
	for _, pod := range c.pods {
		if !known.Has(pod.Namespace) {
			known.Insert(pod.Namespace)
			ns := &v1.Namespace{}
			ns.Name = pod.Namespace
			legacyscheme.Scheme.Default(ns)
			c.others = append(c.others, ns)
		}
	}
}

// store does what a server does to a new pod besides its defaults.
func store(pod *v1.Pod) (*v1.Pod, error) {
	mergeLabelKeys(pod)
	internal := &core.Pod{}
	if err := convert(pod, internal); err != nil {
		return nil, err
	}
	podutil.DefaultPodLevelResources(internal)
	stored := &v1.Pod{}
	if err := convert(internal, stored); err != nil {
		return nil, err
	}
	return stored, asWatched(stored)
}

// mergeLabelKeys does what the server does to matchLabelKeys and mismatchLabelKeys, where it is not done yet.
func mergeLabelKeys(pod *v1.Pod) {
	merge := func(selector *metav1.LabelSelector, keys []string, operator metav1.LabelSelectorOperator) {
		if selector == nil {
			return
		}
		for _, key := range keys {
			value, ok := pod.Labels[key]
			requirement := metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: []string{value}}
			same := func(r metav1.LabelSelectorRequirement) bool { return reflect.DeepEqual(r, requirement) }
			if ok && !slices.ContainsFunc(selector.MatchExpressions, same) {
				selector.MatchExpressions = append(selector.MatchExpressions, requirement)
			}
		}
	}
	mergeTerm := func(term *v1.PodAffinityTerm) {
		merge(term.LabelSelector, term.MatchLabelKeys, metav1.LabelSelectorOpIn)
		merge(term.LabelSelector, term.MismatchLabelKeys, metav1.LabelSelectorOpNotIn)
	}
	for i := range pod.Spec.TopologySpreadConstraints {
		constraint := &pod.Spec.TopologySpreadConstraints[i]
		merge(constraint.LabelSelector, constraint.MatchLabelKeys, metav1.LabelSelectorOpIn)
	}
	if pod.Spec.Affinity == nil {
		return
	}
	mergeAll := func(required []v1.PodAffinityTerm, preferred []v1.WeightedPodAffinityTerm) {
		for i := range required {
			mergeTerm(&required[i])
		}
		for i := range preferred {
			mergeTerm(&preferred[i].PodAffinityTerm)
		}
	}
	if a := pod.Spec.Affinity.PodAffinity; a != nil {
		mergeAll(a.RequiredDuringSchedulingIgnoredDuringExecution, a.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if a := pod.Spec.Affinity.PodAntiAffinity; a != nil {
		mergeAll(a.RequiredDuringSchedulingIgnoredDuringExecution, a.PreferredDuringSchedulingIgnoredDuringExecution)
	}
}

// asWatched takes an object through storage: protobuf does not tell an empty list from none, and what is read from it
// gets defaults again.
func asWatched(o stored) error {
	bytes, err := o.Marshal()
	if err != nil {
		return err
	}
	o.Reset()
	if err := o.Unmarshal(bytes); err != nil {
		return err
	}
	legacyscheme.Scheme.Default(o)
	return nil
}

func (c *cluster) add(document []byte) error {
	text, err := yaml.YAMLToJSON(document)
	if err != nil {
		return err
	}
	if string(bytes.TrimSpace(text)) == "null" {
		return nil
	}
	decoded, kind, err := legacyscheme.Codecs.UniversalDeserializer().Decode(text, nil, nil)
	if err != nil {
		return err
	}
	legacyscheme.Scheme.Default(decoded)
	switch o := decoded.(type) {
	case *v1.Node:
		c.nodes = append(c.nodes, o)
	case *v1.Pod:
		if o.Namespace == "" {
			o.Namespace = "default"
		}
		if o.UID == "" {
			o.UID = types.UID(o.Namespace + "/" + o.Name)
		}
		c.pods = append(c.pods, o)
	case *schedulingv1.PriorityClass:
		c.classes = append(c.classes, o)
	case *v1.List:
		for _, item := range o.Items {
			if err := c.add(item.Raw); err != nil {
				return err
			}
		}
	case *v1.Namespace, *v1.PersistentVolume, *storagev1.StorageClass, *storagev1.CSINode, *storagev1.CSIDriver,
		*storagev1.VolumeAttachment:
		c.others = append(c.others, o.(stored))
	case *v1.Service, *v1.ReplicationController, *v1.PersistentVolumeClaim, *appsv1.ReplicaSet, *appsv1.StatefulSet,
		*policyv1.PodDisruptionBudget, *storagev1.CSIStorageCapacity:
		if namespaced := o.(metav1.Object); namespaced.GetNamespace() == "" {
			namespaced.SetNamespace("default")
		}
		c.others = append(c.others, o.(stored))
	default:
		return fmt.Errorf("no use for a %s", kind)
	}
	return nil
}

// stored is an object that goes through storage.
type stored interface {
	runtime.Object
	metav1.Object
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
	Reset()
}

// admit does what the Priority admission plugin does to a pod, and the server to its scheduler name.
func (c *cluster) admit(pod *v1.Pod) error {
	if pod.Spec.SchedulerName == "" || pod.Spec.SchedulerName == v1.DefaultSchedulerName {
		pod.Spec.SchedulerName = musterName
	}
	if pod.Spec.Priority != nil {
		return nil
	}
	builtIn := []*schedulingv1.PriorityClass{{Value: 2000000000}, {Value: 2000001000}}
	builtIn[0].Name, builtIn[1].Name = "system-cluster-critical", "system-node-critical"
	priority := int32(0)
	policy := v1.PreemptLowerPriority
	found := pod.Spec.PriorityClassName == ""
	for _, class := range append(builtIn, c.classes...) {
		if class.Name == pod.Spec.PriorityClassName || pod.Spec.PriorityClassName == "" && class.GlobalDefault {
			found, priority = true, class.Value
			if class.PreemptionPolicy != nil {
				policy = *class.PreemptionPolicy
			}
		}
	}
	if !found {
		return fmt.Errorf("pod %s: no PriorityClass %q", pod.Name, pod.Spec.PriorityClassName)
	}
	pod.Spec.Priority = &priority
	if pod.Spec.PreemptionPolicy == nil {
		pod.Spec.PreemptionPolicy = &policy
	}
	return nil
}

func convert(from runtime.Object, to runtime.Object) error {
	return legacyscheme.Scheme.Convert(from.DeepCopyObject(), to, nil)
}

// clone copies a tree of maps, lists and scalars.
func clone(value any) any {
	switch v := value.(type) {
	case object:
		out := make(object, len(v))
		for key, item := range v {
			out[key] = clone(item)
		}
		return out
	case list:
		out := make(list, len(v))
		for i, item := range v {
			out[i] = clone(item)
		}
		return out
	}
	return value
}

func canonicalJSON(value any) string {
	text, err := json.MarshalIndent(value, "", "  ") // sorts the keys
	if err != nil {
		panic(err)
	}
	return string(text)
}
