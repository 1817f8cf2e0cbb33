package record

import (
	"encoding/json"
	"reflect"
	"strings"
	"unsafe"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
	configv1 "k8s.io/kube-scheduler/config/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"
)

// looker goes through a plugin's fields for everything that it can read of a cluster.
type looker struct {
	q    *Question
	seen map[string]bool // objects
	been map[uintptr]bool
}

func look(q *Question, plugin any) *looker {
	l := &looker{q, map[string]bool{}, map[uintptr]bool{}}
	l.value(reflect.ValueOf(plugin), 0)
	return l
}

func (l *looker) value(v reflect.Value, depth int) {
	if !v.IsValid() || depth > 8 {
		return
	}
	switch v.Kind() {
	case reflect.Interface:
		l.value(v.Elem(), depth)
		return
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return
		}
	}
	if v.Kind() == reflect.Pointer {
		if l.been[v.Pointer()] {
			return
		}
		l.been[v.Pointer()] = true
	}
	if l.known(v.Interface()) || l.lister(v) {
		return
	}
	if v.Kind() == reflect.Pointer {
		l.value(v.Elem(), depth+1)
		return
	}
	if v.Kind() != reflect.Struct || !strings.Contains(v.Type().PkgPath(), "/scheduler/framework") {
		return
	}
	if !v.CanAddr() {
		copied := reflect.New(v.Type()).Elem()
		copied.Set(v)
		v = copied
	}
	for i := range v.NumField() {
		field := v.Field(i)
		// Makes a field readable that is not exported.
		l.value(reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem(), depth+1)
	}
}

// known takes a snapshot, a framework, an informer or its store.
func (l *looker) known(o any) bool {
	defer func() { _ = recover() }() // a framework may have no snapshot
	if handle, ok := o.(fwk.Handle); ok {
		if snapshot := handle.SnapshotSharedLister(); snapshot != nil {
			l.snapshot(snapshot)
		}
		if l.q.Plugin == "DefaultPreemption" {
			l.preemption(handle)
		}
		return true
	}
	switch o := o.(type) {
	case fwk.SharedLister:
		l.snapshot(o)
	case cache.SharedInformer:
		l.objects(o.GetStore().List())
	case cache.Store:
		l.objects(o.List())
	default:
		return false
	}
	return true
}

func (l *looker) preemption(handle fwk.Handle) {
	if framework, ok := handle.(interface{ ListPlugins() *config.Plugins }); ok {
		for _, plugin := range framework.ListPlugins().Filter.Enabled {
			l.q.Filters = append(l.q.Filters, plugin.Name)
		}
	}
	for _, node := range l.q.Nodes {
		for _, nominated := range handle.NominatedPodsForNode(node.name) {
			l.q.Nominated = append(l.q.Nominated, encode(nominated.GetPod()))
		}
	}
}

func (l *looker) snapshot(s fwk.SharedLister) {
	infos, _ := s.NodeInfos().List()
	for _, info := range infos {
		l.q.addNode(info)
	}
}

// lister takes what has List(labels.Selector), and the fakes, which are slices and do not have it at heart.
func (l *looker) lister(v reflect.Value) bool {
	list := v.MethodByName("List")
	if !list.IsValid() || list.Type().NumIn() != 1 || list.Type().In(0) != reflect.TypeFor[labels.Selector]() {
		return false
	}
	items := v
	if v.Kind() != reflect.Slice {
		results := list.Call([]reflect.Value{reflect.ValueOf(labels.Everything())})
		if !results[1].IsNil() {
			return false
		}
		items = results[0]
	}
	for i := range items.Len() {
		item := items.Index(i)
		if item.Kind() == reflect.Struct {
			item = item.Addr()
		}
		l.objects([]any{item.Interface()})
	}
	return true
}

func (l *looker) objects(all []any) {
	for _, o := range all {
		switch o := o.(type) {
		case *v1.Pod:
		case *v1.Node:
			l.node(o)
		case runtime.Object:
			if text := encode(o); text != nil && !l.seen[string(text)] {
				l.seen[string(text)] = true
				l.q.Others = append(l.q.Others, text)
			}
		}
	}
}

// node adds one that no snapshot has.
func (l *looker) node(node *v1.Node) {
	for i := range l.q.Nodes {
		if l.q.Nodes[i].name == node.Name {
			return
		}
	}
	l.q.Nodes = append(l.q.Nodes, Node{name: node.Name, Node: encode(node)})
}

// encode writes an object with its kind; nil where there is none.
func encode(o runtime.Object) json.RawMessage {
	if v := reflect.ValueOf(o); !v.IsValid() || v.IsNil() {
		return nil
	}
	kinds, _, err := clientscheme.Scheme.ObjectKinds(o)
	if err != nil {
		return nil
	}
	o = o.DeepCopyObject()
	o.GetObjectKind().SetGroupVersionKind(kinds[0])
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return text
}

func encodeArgs(args runtime.Object) json.RawMessage {
	if v := reflect.ValueOf(args); !v.IsValid() || v.IsNil() {
		return nil
	}
	versioned, err := scheme.Scheme.ConvertToVersion(args, configv1.SchemeGroupVersion)
	if err != nil {
		return nil
	}
	text, err := json.Marshal(versioned)
	if err != nil {
		panic(err)
	}
	return text
}
