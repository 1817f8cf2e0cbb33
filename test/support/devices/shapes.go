// Package devices stands in for drivers of devices: it publishes ResourceSlices and DeviceClasses of the shapes that
// real ones have, for the tests and to play with.
package devices

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// The drivers; each has a DeviceClass of its name.
const (
	GPUs       = "gpu.example.com"    // whole GPUs of boxes with NVLink
	NICs       = "nic.example.com"    // beside them
	Partitions = "mig.example.com"    // GPUs that can be cut in pieces
	Shared     = "shared.example.com" // GPUs whose memory and cores are shared
	TPUs       = "tpu.example.com"    // chips of several hosts that are used together
)

// PCIeRoot is the attribute that a GPU and a NIC near each other have in common.
const PCIeRoot = "resource.kubernetes.io/pcieRoot"

// Classes are of all drivers. A GPU can also be asked for as the extended resource example.com/gpu.
func Classes() []*resourceapi.DeviceClass {
	var all []*resourceapi.DeviceClass
	for _, driver := range []string{GPUs, NICs, Partitions, Shared, TPUs} {
		class := &resourceapi.DeviceClass{
			TypeMeta:   metav1.TypeMeta{APIVersion: "resource.k8s.io/v1", Kind: "DeviceClass"},
			ObjectMeta: metav1.ObjectMeta{Name: driver},
			Spec: resourceapi.DeviceClassSpec{Selectors: []resourceapi.DeviceSelector{
				{CEL: &resourceapi.CELDeviceSelector{Expression: fmt.Sprintf("device.driver == %q", driver)}},
			}},
		}
		if driver == GPUs {
			class.Spec.ExtendedResourceName = new(string)
			*class.Spec.ExtendedResourceName = "example.com/gpu"
			class.Spec.Config = []resourceapi.DeviceClassConfiguration{{
				DeviceConfiguration: resourceapi.DeviceConfiguration{Opaque: &resourceapi.OpaqueDeviceConfiguration{
					Driver:     driver,
					Parameters: runtime.RawExtension{Raw: []byte(`{"apiVersion":"example.com/v1","sharing":"none"}`)},
				}},
			}}
		}
		all = append(all, class)
	}
	return all
}

// NVLinkBox is a node with 8 GPUs, two NVLink groups of four, and 8 NICs; GPU and NIC i share PCIe root i.
func NVLinkBox(node string) []*resourceapi.ResourceSlice {
	var gpus, nics []resourceapi.Device
	for i := range 8 {
		root := attribute(fmt.Sprintf("pci0000:%02x", 0x10*i))
		gpus = append(gpus, resourceapi.Device{
			Name: fmt.Sprintf("gpu-%d", i),
			Attributes: attributes{
				PCIeRoot: root, "index": attribute(int64(i)), "nvlinkGroup": attribute(int64(i / 4)),
				"model": attribute("H100"), "ecc": attribute(true), "driverVersion": version("570.86.15"),
				"uuid": attribute(fmt.Sprintf("GPU-%s-%d", node, i)),
			},
			Capacity: capacities{"memory": whole("80Gi")},
		})
		nics = append(nics, resourceapi.Device{
			Name:       fmt.Sprintf("nic-%d", i),
			Attributes: attributes{PCIeRoot: root, "rdma": attribute(true), "numa": attribute(int64(i / 4))},
			Capacity:   capacities{"bandwidth": whole("400G")},
		})
	}
	return []*resourceapi.ResourceSlice{ofNode(GPUs, node, gpus), ofNode(NICs, node, nics)}
}

// profile is a size of piece of a GPU: how many of its 8 memory slices and 132 multiprocessors it takes, and from which
// memory slices on it can lie.
type profile struct {
	name           string
	slices         int
	processors     int
	memory         string
	firstPositions []int
}

var profiles = []profile{
	{"1g.10gb", 1, 16, "10Gi", []int{0, 1, 2, 3, 4, 5, 6}},
	{"2g.20gb", 2, 32, "20Gi", []int{0, 2, 4}},
	{"3g.40gb", 4, 60, "40Gi", []int{0, 4}},
	{"7g.80gb", 8, 132, "80Gi", []int{0}},
}

// PartitionedGPUs is a node with 4 GPUs, each of which offers 13 pieces that overlap: what they take of its memory
// slices and processors is counted.
func PartitionedGPUs(node string) []*resourceapi.ResourceSlice {
	counters := ofNode(Partitions, node, nil)
	counters.Name += "-counters"
	pieces := ofNode(Partitions, node, nil)
	for gpu := range 4 {
		set := resourceapi.CounterSet{Name: fmt.Sprintf("gpu-%d", gpu), Counters: map[string]resourceapi.Counter{
			"processors": counter("132"), "memory": counter("80Gi"),
		}}
		for i := range 8 {
			set.Counters[fmt.Sprintf("memory-slice-%d", i)] = counter("1")
		}
		counters.Spec.SharedCounters = append(counters.Spec.SharedCounters, set)
		for _, p := range profiles {
			for _, first := range p.firstPositions {
				takes := map[string]resourceapi.Counter{
					"processors": counter(fmt.Sprint(p.processors)), "memory": counter(p.memory),
				}
				for i := first; i < first+p.slices; i++ {
					takes[fmt.Sprintf("memory-slice-%d", i)] = counter("1")
				}
				pieces.Spec.Devices = append(pieces.Spec.Devices, resourceapi.Device{
					Name: fmt.Sprintf("gpu-%d-%dg-%d", gpu, p.slices, first),
					Attributes: attributes{
						"profile": attribute(p.name), "parent": attribute(int64(gpu)), "model": attribute("H100"),
					},
					Capacity: capacities{"memory": whole(p.memory)},
					ConsumesCounters: []resourceapi.DeviceCounterConsumption{
						{CounterSet: set.Name, Counters: takes},
					},
				})
			}
		}
	}
	for _, slice := range []*resourceapi.ResourceSlice{counters, pieces} {
		slice.Spec.Pool.ResourceSliceCount = 2
	}
	return []*resourceapi.ResourceSlice{counters, pieces}
}

// SharedGPUs is a node with 2 GPUs that many claims can use at once, each a part of their memory and cores.
func SharedGPUs(node string) []*resourceapi.ResourceSlice {
	var all []resourceapi.Device
	for i := range 2 {
		all = append(all, resourceapi.Device{
			Name:                     fmt.Sprintf("gpu-%d", i),
			AllowMultipleAllocations: pointer(true),
			Attributes:               attributes{"model": attribute("L40S")},
			Capacity: capacities{
				"memory": {Value: amount("48Gi"), RequestPolicy: &resourceapi.CapacityRequestPolicy{
					Default:    pointer(amount("1Gi")),
					ValidRange: &resourceapi.CapacityRequestPolicyRange{Min: pointer(amount("1Gi")), Step: pointer(amount("512Mi"))},
				}},
				"cores": {Value: amount("100"), RequestPolicy: &resourceapi.CapacityRequestPolicy{
					Default:     pointer(amount("10")),
					ValidValues: []resource.Quantity{amount("10"), amount("25"), amount("50"), amount("100")},
				}},
			},
		})
	}
	return []*resourceapi.ResourceSlice{ofNode(Shared, node, all)}
}

// TPUSlice is one pool over several hosts of 4 chips each: a device a host, one for each half of them, and the whole.
// Hosts have the labels tpu-slice=NAME, tpu-half=0 or 1 and kubernetes.io/hostname.
func TPUSlice(name string, hosts []string) []*resourceapi.ResourceSlice {
	slice := func(part string) *resourceapi.ResourceSlice {
		made := ofNode(TPUs, name, nil)
		made.Name += part
		made.Spec.NodeName = nil
		made.Spec.Pool.ResourceSliceCount = 2
		return made
	}
	counters, chips := slice("-counters"), slice("")
	counters.Spec.NodeSelector = labelled("tpu-slice", name)
	chips.Spec.PerDeviceNodeSelection = pointer(true)
	set := resourceapi.CounterSet{Name: "chips", Counters: map[string]resourceapi.Counter{}}
	device := func(name, shape string, hosts []string) resourceapi.Device {
		takes := map[string]resourceapi.Counter{}
		for _, host := range hosts {
			takes[host] = counter("4")
		}
		return resourceapi.Device{
			Name:             name,
			Attributes:       attributes{"topology": attribute(shape), "hosts": attribute(int64(len(hosts)))},
			Capacity:         capacities{"chips": whole(fmt.Sprint(4 * len(hosts)))},
			ConsumesCounters: []resourceapi.DeviceCounterConsumption{{CounterSet: set.Name, Counters: takes}},
		}
	}
	for i, host := range hosts {
		set.Counters[host] = counter("4")
		one := device(fmt.Sprintf("host-%d", i), "2x2", hosts[i:i+1])
		one.NodeName = &hosts[i]
		chips.Spec.Devices = append(chips.Spec.Devices, one)
	}
	for i := range 2 {
		half := device(fmt.Sprintf("half-%d", i), "2x4", hosts[i*len(hosts)/2:(i+1)*len(hosts)/2])
		half.NodeSelector = labelled("tpu-slice", name)
		terms := half.NodeSelector.NodeSelectorTerms
		terms[0].MatchExpressions = append(terms[0].MatchExpressions, in("tpu-half", fmt.Sprint(i)))
		chips.Spec.Devices = append(chips.Spec.Devices, half)
	}
	all := device("all", "4x4", hosts)
	all.NodeSelector = labelled("tpu-slice", name)
	chips.Spec.Devices = append(chips.Spec.Devices, all)
	counters.Spec.SharedCounters = []resourceapi.CounterSet{set}
	return []*resourceapi.ResourceSlice{counters, chips}
}

type (
	attributes = map[resourceapi.QualifiedName]resourceapi.DeviceAttribute
	capacities = map[resourceapi.QualifiedName]resourceapi.DeviceCapacity
)

func ofNode(driver, node string, all []resourceapi.Device) *resourceapi.ResourceSlice {
	return &resourceapi.ResourceSlice{
		TypeMeta:   metav1.TypeMeta{APIVersion: "resource.k8s.io/v1", Kind: "ResourceSlice"},
		ObjectMeta: metav1.ObjectMeta{Name: node + "-" + driver},
		Spec: resourceapi.ResourceSliceSpec{
			Driver:   driver,
			Pool:     resourceapi.ResourcePool{Name: node, Generation: 1, ResourceSliceCount: 1},
			NodeName: &node,
			Devices:  all,
		},
	}
}

func attribute(value any) resourceapi.DeviceAttribute {
	switch v := value.(type) {
	case int64:
		return resourceapi.DeviceAttribute{IntValue: &v}
	case bool:
		return resourceapi.DeviceAttribute{BoolValue: &v}
	default:
		return resourceapi.DeviceAttribute{StringValue: pointer(value.(string))}
	}
}

func version(text string) resourceapi.DeviceAttribute {
	return resourceapi.DeviceAttribute{VersionValue: &text}
}

func amount(text string) resource.Quantity { return resource.MustParse(text) }

func whole(text string) resourceapi.DeviceCapacity {
	return resourceapi.DeviceCapacity{Value: amount(text)}
}

func counter(text string) resourceapi.Counter { return resourceapi.Counter{Value: amount(text)} }

func in(key, value string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}
}

func labelled(key, value string) *corev1.NodeSelector {
	return &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
		{MatchExpressions: []corev1.NodeSelectorRequirement{in(key, value)}},
	}}
}

func pointer[T any](value T) *T { return &value }
