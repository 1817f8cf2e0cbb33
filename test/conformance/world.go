package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/informers"
	storageinformers "k8s.io/client-go/informers/storage/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	internalcache "k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// world is what the plugins see of a scenario: what a scheduler that just started knows.
type world struct {
	subject   *v1.Pod
	snapshot  *internalcache.Snapshot
	informers informers.SharedInformerFactory // never started: their stores are filled by hand
	nominated nominations
}

// Pods that have not started count as started now; now is one moment, later than all times in scenarios.
var now = metav1.NewTime(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))

func (u *Upstream) world(ctx context.Context, c *cluster, cfg *config.KubeSchedulerConfiguration, key string) (*world, error) {
	logger := klog.FromContext(ctx)
	w := &world{snapshot: internalcache.NewEmptySnapshot(), informers: informers.NewSharedInformerFactory(u.client, 0),
		nominated: nominations{}}
	w.informers.InformerFor(&storagev1.CSIStorageCapacity{}, capacitiesInOrder)
	known, profiles := sets.New[string](), sets.New[string]()
	for i := range cfg.Profiles {
		profiles.Insert(cfg.Profiles[i].SchedulerName)
	}
	cache := internalcache.New(ctx, nil, false, false)
	for _, node := range c.nodes {
		known.Insert(node.Name)
		cache.AddNode(logger, node)
	}
	for _, pod := range c.pods {
		switch {
		case podKey(pod) == key:
			w.subject = pod
		case pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed:
		case pod.Spec.NodeName == "":
			if profiles.Has(pod.Spec.SchedulerName) && pod.Status.NominatedNodeName != "" {
				if err := w.nominated.add(pod); err != nil {
					return nil, err
				}
			}
		case known.Has(pod.Spec.NodeName):
			if pod.Status.StartTime == nil {
				pod.Status.StartTime = now.DeepCopy()
			}
			if err := cache.AddPod(logger, pod); err != nil {
				return nil, err
			}
		}
	}
	if w.subject == nil {
		return nil, fmt.Errorf("no pod %s in the manifests", key)
	}
	return w, cache.UpdateSnapshot(logger, w.snapshot)
}

// inOrder lists what it holds by namespace and name. Of the capacities that a node reaches, upstream takes the first in the
// order of a hash map, for each node anew: this is one of its answers, and the same every time.
type inOrder struct{ cache.SharedIndexInformer }

func (i inOrder) GetIndexer() cache.Indexer {
	return indexerInOrder{i.SharedIndexInformer.GetIndexer()}
}

type indexerInOrder struct{ cache.Indexer }

func (i indexerInOrder) List() []any {
	all := i.Indexer.List()
	slices.SortFunc(all, func(a, b any) int {
		x, y := a.(metav1.Object), b.(metav1.Object)
		return cmp.Or(cmp.Compare(x.GetNamespace(), y.GetNamespace()), cmp.Compare(x.GetName(), y.GetName()))
	})
	return all
}

func capacitiesInOrder(client kubernetes.Interface, resync time.Duration) cache.SharedIndexInformer {
	return inOrder{storageinformers.NewCSIStorageCapacityInformer(client, metav1.NamespaceAll, resync,
		cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})}
}

// fillInformers comes after the plugins are made, which add their indices.
func (w *world) fillInformers(c *cluster) {
	add := func(informer cache.SharedIndexInformer, o any) {
		if err := informer.GetIndexer().Add(o); err != nil {
			panic(err) // only for objects without metadata
		}
	}
	core, apps, storage := w.informers.Core().V1(), w.informers.Apps().V1(), w.informers.Storage().V1()
	for _, node := range c.nodes {
		add(core.Nodes().Informer(), node)
	}
	for _, pod := range c.pods {
		add(core.Pods().Informer(), pod)
	}
	for _, o := range c.others {
		switch o.(type) {
		case *v1.Namespace:
			add(core.Namespaces().Informer(), o)
		case *v1.Service:
			add(core.Services().Informer(), o)
		case *v1.ReplicationController:
			add(core.ReplicationControllers().Informer(), o)
		case *v1.PersistentVolume:
			add(core.PersistentVolumes().Informer(), o)
		case *v1.PersistentVolumeClaim:
			add(core.PersistentVolumeClaims().Informer(), o)
		case *appsv1.ReplicaSet:
			add(apps.ReplicaSets().Informer(), o)
		case *appsv1.StatefulSet:
			add(apps.StatefulSets().Informer(), o)
		case *policyv1.PodDisruptionBudget:
			add(w.informers.Policy().V1().PodDisruptionBudgets().Informer(), o)
		case *storagev1.StorageClass:
			add(storage.StorageClasses().Informer(), o)
		case *storagev1.CSINode:
			add(storage.CSINodes().Informer(), o)
		case *storagev1.CSIDriver:
			add(storage.CSIDrivers().Informer(), o)
		case *storagev1.CSIStorageCapacity:
			add(storage.CSIStorageCapacities().Informer(), o)
		case *storagev1.VolumeAttachment:
			add(storage.VolumeAttachments().Informer(), o)
		default:
			panic(fmt.Sprintf("no informer for %T", o))
		}
	}
}

// nominations are the pods of the queue that have a nominated node, by that.
type nominations map[string][]fwk.PodInfo

func (n nominations) add(pod *v1.Pod) error {
	info, err := framework.NewPodInfo(pod)
	node := pod.Status.NominatedNodeName
	n[node] = append(n[node], info)
	return err
}

func (n nominations) NominatedPodsForNode(node string) []fwk.PodInfo              { return n[node] }
func (nominations) AddNominatedPod(klog.Logger, fwk.PodInfo, *fwk.NominatingInfo) {}
func (nominations) DeleteNominatedPodIfExists(*v1.Pod)                            {}
func (nominations) UpdateNominatedPod(klog.Logger, *v1.Pod, fwk.PodInfo)          {}
