package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"

	v1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	_ "k8s.io/kubernetes/pkg/apis/scheduling/install"
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
	pods    []*v1.Pod
	classes []*schedulingv1.PriorityClass
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
	return c, nil
}

// store does what a server does to a new pod besides its defaults.
func store(pod *v1.Pod) (*v1.Pod, error) {
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

// asWatched takes an object through storage: protobuf does not tell an empty list from none, and what is read from it
// gets defaults again.
func asWatched(o interface {
	runtime.Object
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
	Reset()
}) error {
	stored, err := o.Marshal()
	if err != nil {
		return err
	}
	o.Reset()
	if err := o.Unmarshal(stored); err != nil {
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
	case *v1.Namespace:
	case *v1.List:
		for _, item := range o.Items {
			if err := c.add(item.Raw); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("no use for a %s", kind)
	}
	return nil
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

// validate says why the API server would not store this. What it would take only because an older object has it
// already is let through.
func (c *cluster) validate() error {
	for _, node := range c.nodes {
		internal := &core.Node{}
		if err := convert(node, internal); err != nil {
			return err
		}
		if errs := validation.ValidateNode(internal); len(errs) > 0 {
			return errs.ToAggregate()
		}
	}
	for _, pod := range c.pods {
		if err := validatePod(pod); err != nil {
			return fmt.Errorf("pod %s: %w", pod.Name, err)
		}
	}
	return nil
}

func validatePod(pod *v1.Pod) error {
	internal := &core.Pod{}
	if err := convert(pod, internal); err != nil {
		return err
	}
	internal.ResourceVersion = ""
	options := podutil.GetValidationOptionsFromPodSpecAndMeta(&internal.Spec, nil, &internal.ObjectMeta, nil)
	options.ResourceIsPod = true
	options.AllowInvalidLabelValueInRequiredNodeAffinity = true
	return validation.ValidatePodCreate(internal, options).ToAggregate()
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
