package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/dynamic-resource-allocation/cel"
	"k8s.io/dynamic-resource-allocation/structured"

	"muster.dev/muster/test/conformance/devices/record"
)

// Upstream gets so long for a scenario; the few that take longer are left out.
const patience = 2 * time.Second

// generator draws small values, so that ties, limits and conflicts happen often.
type generator struct {
	*rand.Rand
	features structured.Features
	row      record.Row
	state    structured.AllocatedState
	sets     []string // counter sets of the pool in work
}

func (g *generator) one(of ...string) string { return of[g.Intn(len(of))] }
func (g *generator) chance(percent int) bool { return g.Intn(100) < percent }
func (g *generator) some(percent int, of ...string) []string {
	var picked []string
	for _, s := range of {
		if g.chance(percent) {
			picked = append(picked, s)
		}
	}
	return picked
}

// Scenario is the one of that seed, with upstream's answer; nil where that takes too long.
func Scenario(seed int64) (*record.Row, error) {
	g := &generator{Rand: rand.New(rand.NewSource(seed))}
	g.row.Name = fmt.Sprint("seed ", seed)
	g.drawFeatures()
	g.row.Node = &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{"zone": "a", "rack": "r1"}}}
	if g.chance(50) {
		g.row.Node.Status.DeclaredFeatures = []string{"DRAOptionalNodeOperations"}
	}
	for i := range 1 + g.Intn(3) {
		g.row.Classes = append(g.row.Classes, g.class(i))
	}
	g.drawSlices()
	g.drawAllocated()
	for i := range []int{1, 1, 1, 2, 2, 3}[g.Intn(6)] {
		g.row.Claims = append(g.row.Claims, g.claim(i))
	}
	// Both sides see what an API server would give them.
	line, err := json.Marshal(&g.row)
	if err != nil {
		return nil, err
	}
	row := &record.Row{}
	if err := json.Unmarshal(line, row); err != nil {
		return nil, err
	}
	row.Allocated = record.Uses(g.state)
	if inTime, err := g.ask(row); err != nil || !inTime {
		return nil, err
	}
	return row, nil
}

func (g *generator) ask(row *record.Row) (inTime bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cache := cel.NewCache(100, cel.Features{EnableConsumableCapacity: g.features.ConsumableCapacity,
		EnableListTypeAttributes: g.features.ListTypeAttributes})
	// The stable one, for clusters that turn the beta features off, tries pools in the order of a hash map.
	structured.EnableAllocators("incubating", "experimental")
	allocator, err := structured.NewAllocator(ctx, g.features, g.state, classes(row.Classes), row.Slices, cache)
	if err != nil {
		return false, err
	}
	results, err := allocator.Allocate(ctx, row.Node, row.Claims)
	row.Answer(results, err)
	return ctx.Err() == nil, nil
}

type classes []*resourceapi.DeviceClass

func (c classes) List() ([]*resourceapi.DeviceClass, error) { return c, nil }
func (c classes) Get(name string) (*resourceapi.DeviceClass, error) {
	for _, class := range c {
		if class.Name == name {
			return class, nil
		}
	}
	return nil, apierrors.NewNotFound(resourceapi.Resource("deviceclass"), name)
}

func (g *generator) drawFeatures() {
	g.features = structured.Features{AdminAccess: true, ConsumableCapacity: true, DeviceBindingAndStatus: true, DeviceTaints: true,
		FractionalCapacityRange: true, PartitionableDevices: true, PrioritizedList: true}
	if g.chance(40) { // with all that is alpha
		g.features.CompatibilityGroups, g.features.DerivedAttributes = true, true
		g.features.ListTypeAttributes, g.features.OptionalNodeOperations = true, true
	}
	if g.chance(25) {
		for _, feature := range []*bool{&g.features.AdminAccess, &g.features.ConsumableCapacity, &g.features.DeviceBindingAndStatus,
			&g.features.DeviceTaints, &g.features.FractionalCapacityRange, &g.features.PartitionableDevices,
			&g.features.PrioritizedList, &g.features.CompatibilityGroups, &g.features.DerivedAttributes,
			&g.features.ListTypeAttributes, &g.features.OptionalNodeOperations} {
			if g.chance(20) {
				*feature = !*feature
			}
		}
	}
	g.row.Features = sets.List(g.features.Set())
}

func (g *generator) config(percent int) []resourceapi.DeviceConfiguration {
	var all []resourceapi.DeviceConfiguration
	for g.chance(percent) && len(all) < 2 {
		parameters := fmt.Sprintf(`{"mode":%d}`, g.Intn(9))
		all = append(all, resourceapi.DeviceConfiguration{Opaque: &resourceapi.OpaqueDeviceConfiguration{Driver: g.driver(),
			Parameters: runtime.RawExtension{Raw: []byte(parameters)}}})
	}
	return all
}

func (g *generator) driver() string { return g.one("a.example", "a.example", "b.example") }

func (g *generator) selector() resourceapi.DeviceSelector {
	expression := g.one(
		`device.driver == "a.example"`, `device.driver == "b.example"`, `true`, `true`, `true`,
		`device.attributes["a.example"].?model.orValue("") == "x"`,
		`device.attributes["a.example"].?index.orValue(0) < 4`,
		`device.attributes["shared.example"].?group.orValue("g1") == "g1"`,
		`device.capacity["a.example"].?memory.orValue(quantity("0")).compareTo(quantity("4Gi")) >= 0`,
		`device.attributes["shared.example"].?version.orValue(semver("0.0.1")).compareTo(semver("1.1.0-rc.1")) != 0`,
		`device.attributes["shared.example"].?flag.orValue(true) || device.attributes["a.example"].?model.orValue("z").matches("^[x-z]$")`,
		`device.capacity["a.example"].all(name, device.capacity["a.example"][name].isGreaterThan(quantity("1500m")))`,
		`size(device.attributes) < 3 || has(device.attributes["a.example"].index)`,
		`device.allowMultipleAllocations`, `!device.allowMultipleAllocations`)
	if g.chance(2) {
		expression = g.one(`device.attributes["a.example"].missing == 1`, `nonsense(`, `device.driver`, `device.attribute.x`,
			`device.attributes["a.example"].numa < 2`, `"g1" in device.attributes["shared.example"].group`,
			`device.attributes["shared.example"].group.includes("g1")`, `device.attributes["shared.example"].?group.orValue(true)`)
	}
	return resourceapi.DeviceSelector{CEL: &resourceapi.CELDeviceSelector{Expression: expression}}
}

func (g *generator) class(i int) *resourceapi.DeviceClass {
	class := &resourceapi.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("class-", i)}}
	for g.chance(25) && len(class.Spec.Selectors) < 2 {
		class.Spec.Selectors = append(class.Spec.Selectors, g.selector())
	}
	for _, config := range g.config(30) {
		class.Spec.Config = append(class.Spec.Config, resourceapi.DeviceClassConfiguration{DeviceConfiguration: config})
	}
	return class
}

func (g *generator) amount(of ...string) resource.Quantity { return resource.MustParse(g.one(of...)) }
func (g *generator) amountPointer(of ...string) *resource.Quantity {
	q := g.amount(of...)
	return &q
}

// ---- claims ------------------------------------------------------------------------------------------------

func (g *generator) claim(i int) *resourceapi.ResourceClaim {
	claim := &resourceapi.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("claim-", i)}}
	devices := &claim.Spec.Devices
	var names []string
	for r := range []int{1, 1, 2, 2, 3}[g.Intn(5)] {
		name := fmt.Sprint("req-", r)
		names = append(names, name)
		request := resourceapi.DeviceRequest{Name: name}
		if g.chance(30) {
			for s := range 1 + g.Intn(3) {
				sub := fmt.Sprint("sub-", s)
				names = append(names, name+"/"+sub)
				exact := g.request()
				request.FirstAvailable = append(request.FirstAvailable, resourceapi.DeviceSubRequest{Name: sub,
					DeviceClassName: exact.DeviceClassName, Selectors: exact.Selectors, AllocationMode: exact.AllocationMode,
					Count: exact.Count, Tolerations: exact.Tolerations, Capacity: exact.Capacity,
					DerivedAttributes: exact.DerivedAttributes})
			}
		} else {
			request.Exactly = g.request()
			if g.chance(8) {
				admin := g.chance(90)
				request.Exactly.AdminAccess = &admin
			}
		}
		devices.Requests = append(devices.Requests, request)
	}
	for g.chance(30) && len(devices.Constraints) < 3 {
		constraint := resourceapi.DeviceConstraint{}
		if g.chance(60) {
			constraint.Requests = g.some(50, names...)
		}
		attribute := resourceapi.FullyQualifiedName(g.one("a.example/index", "a.example/model", "a.example/numa", "b.example/numa",
			"shared.example/group", "shared.example/group", "shared.example/version", "shared.example/flag", "derived.example/value"))
		if g.chance(65) {
			constraint.MatchAttribute = &attribute
		} else if g.chance(98) {
			constraint.DistinctAttribute = &attribute
		}
		devices.Constraints = append(devices.Constraints, constraint)
	}
	for _, config := range g.config(35) {
		devices.Config = append(devices.Config, resourceapi.DeviceClaimConfiguration{Requests: g.some(50, names...),
			DeviceConfiguration: config})
	}
	return claim
}

func (g *generator) request() *resourceapi.ExactDeviceRequest {
	request := &resourceapi.ExactDeviceRequest{DeviceClassName: g.row.Classes[g.Intn(len(g.row.Classes))].Name,
		AllocationMode: resourceapi.DeviceAllocationModeExactCount, Count: 1}
	switch {
	case g.Intn(300) == 0:
		request.DeviceClassName = "nowhere"
	case g.chance(8):
		request.AllocationMode, request.Count = resourceapi.DeviceAllocationModeAll, 0
	case g.chance(40):
		request.Count = int64(1 + g.Intn(4))
	case g.chance(2):
		request.Count = int64(20 + g.Intn(14))
	}
	for g.chance(20) && len(request.Selectors) < 2 {
		request.Selectors = append(request.Selectors, g.selector())
	}
	for g.chance(25) && len(request.Tolerations) < 2 {
		request.Tolerations = append(request.Tolerations, resourceapi.DeviceToleration{Key: g.one("", "bad", "old"),
			Operator: resourceapi.DeviceTolerationOperator(g.one("", "Equal", "Exists", "Exists")), Value: g.one("", "v"),
			Effect: resourceapi.DeviceTaintEffect(g.one("", "NoSchedule", "NoExecute"))})
	}
	if (g.features.ConsumableCapacity || g.chance(5)) && g.chance(30) {
		request.Capacity = &resourceapi.CapacityRequirements{Requests: map[resourceapi.QualifiedName]resource.Quantity{}}
		for _, name := range g.some(60, "memory", "cores") {
			request.Capacity.Requests[resourceapi.QualifiedName(name)] = g.amount("0", "1", "1", "2", "3", "5", "500m", "1Gi", "1536Mi",
				"3Gi", "8Gi", "2500m", "1e3", "150m")
		}
		if g.chance(1) {
			request.Capacity.Requests["memory"] = g.amount("9223372036854775807", "-1", "18446744073709551616")
		}
	}
	if g.features.DerivedAttributes && g.chance(20) {
		request.DerivedAttributes = append(request.DerivedAttributes, resourceapi.DeviceDerivedAttribute{
			Name: resourceapi.FullyQualifiedName(g.one("derived.example/value", "shared.example/group")),
			Expression: g.one(`device.attributes["shared.example"].?group.orValue("none")`, `device.driver`,
				`device.attributes["a.example"].?index.orValue(0) % 2`, `device.attributes["a.example"].index`,
				`device.attributes["shared.example"].?version.orValue(semver("1.0.0-a+b"))`, `device.attributes["shared.example"].?flag`,
				`[device.attributes["a.example"].?index.orValue(0) % 2 == 0]`, `device.attributes["shared.example"].?group.orValue([])`,
				`[device.driver, "b.example"].map(name, name.split(".")[0])`, `device.capacity`)})
	}
	return request
}

// ---- slices ------------------------------------------------------------------------------------------------

func (g *generator) nodes(name **string, all **bool, selector **v1.NodeSelector) {
	yes := true
	switch n := g.Intn(10); {
	case n < 5:
		node := g.one("node-1", "node-1", "node-1", "node-1", "node-1", "node-1", "node-2")
		*name = &node
	case n < 7:
		*all = &yes
	default:
		term := v1.NodeSelectorTerm{}
		for g.chance(60) || len(term.MatchExpressions) == 0 {
			requirement := v1.NodeSelectorRequirement{Key: g.one("zone", "zone", "rack", "none"),
				Operator: v1.NodeSelectorOperator(g.one("In", "In", "In", "NotIn", "Exists", "DoesNotExist"))}
			if requirement.Operator == v1.NodeSelectorOpIn || requirement.Operator == v1.NodeSelectorOpNotIn {
				requirement.Values = append(g.some(50, "b", "r2"), g.one("a", "a", "r1"))
			}
			term.MatchExpressions = append(term.MatchExpressions, requirement)
		}
		if g.chance(15) {
			term.MatchFields = []v1.NodeSelectorRequirement{{Key: "metadata.name", Operator: v1.NodeSelectorOpIn, Values: []string{"node-1"}}}
		}
		*selector = &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{term}}
		if g.chance(1) {
			(*selector).NodeSelectorTerms = append((*selector).NodeSelectorTerms, term)
		}
	}
}

func (g *generator) drawSlices() {
	number := 0
	for p := range 1 + g.Intn(4) {
		driver, pool := g.driver(), fmt.Sprint("pool-", g.Intn(3))
		generation, count := int64(1+g.Intn(2)), 1+g.Intn(2)
		perDevice := g.chance(20)
		template := resourceapi.ResourceSliceSpec{}
		if perDevice {
			template.PerDeviceNodeSelection = &perDevice
		} else {
			g.nodes(&template.NodeName, &template.AllNodes, &template.NodeSelector)
		}
		g.sets = nil
		withCounters := g.chance(35)
		slices := count
		if withCounters {
			slices++
		}
		stated := int64(slices)
		if g.chance(6) {
			stated += int64(g.Intn(3) - 1)
		}
		add := func(fill func(*resourceapi.ResourceSliceSpec)) {
			// Names do not follow the order of the list.
			number++
			slice := &resourceapi.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("slice-%c%d", 'a'+g.Intn(26), number)}}
			template.DeepCopyInto(&slice.Spec)
			slice.Spec.Driver = driver
			slice.Spec.Pool = resourceapi.ResourcePool{Name: pool, Generation: generation, ResourceSliceCount: stated}
			if g.chance(10) && !perDevice { // of another node
				slice.Spec.NodeName, slice.Spec.AllNodes, slice.Spec.NodeSelector = nil, nil, nil
				g.nodes(&slice.Spec.NodeName, &slice.Spec.AllNodes, &slice.Spec.NodeSelector)
			}
			fill(&slice.Spec)
			g.row.Slices = append(g.row.Slices, slice)
		}
		if withCounters {
			add(func(spec *resourceapi.ResourceSliceSpec) {
				for s := range 1 + g.Intn(2) {
					name := fmt.Sprint("set-", s)
					g.sets = append(g.sets, name)
					spec.SharedCounters = append(spec.SharedCounters, resourceapi.CounterSet{Name: name,
						Counters: map[string]resourceapi.Counter{"memory": {Value: g.amount("4Gi", "8Gi", "6Gi")}, "slots": {Value: g.amount("2", "4", "7")}}})
				}
			})
		}
		device := 0
		for range count {
			add(func(spec *resourceapi.ResourceSliceSpec) {
				for range 1 + g.Intn(6) {
					spec.Devices = append(spec.Devices, g.device(p, device, perDevice))
					device++
				}
				if g.chance(6) && (g.features.OptionalNodeOperations || g.chance(20)) {
					spec.SkipNodeOperations = []resourceapi.SkipNodeOperation{"NodePrepareResources"}
				}
			})
		}
	}
	g.Shuffle(len(g.row.Slices), func(i, j int) { g.row.Slices[i], g.row.Slices[j] = g.row.Slices[j], g.row.Slices[i] })
}

func (g *generator) device(pool, index int, perDevice bool) resourceapi.Device {
	device := resourceapi.Device{Name: fmt.Sprint("dev-", index)}
	if g.chance(1) {
		device.Name = "dev-0"
	}
	attributes := map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{}
	add := func(name string, attribute resourceapi.DeviceAttribute) {
		if g.chance(80) {
			attributes[resourceapi.QualifiedName(name)] = attribute
		}
	}
	number, numa, text := int64(index), int64(g.Intn(3)), g.one("x", "y")
	add("index", resourceapi.DeviceAttribute{IntValue: &number})
	add(g.one("numa", "a.example/numa"), resourceapi.DeviceAttribute{IntValue: &numa})
	add("model", resourceapi.DeviceAttribute{StringValue: &text})
	group, version, flag := g.one("g1", "g2"), g.one("1.0.0", "1.2.0"), g.chance(50)
	if g.chance(1) {
		version = "1.2"
	}
	switch n := g.Intn(10); {
	case n < 6:
		add("shared.example/group", resourceapi.DeviceAttribute{StringValue: &group})
	case n < 7:
		add("shared.example/group", resourceapi.DeviceAttribute{IntValue: &numa})
	case n < 9 && (g.features.ListTypeAttributes || g.chance(10)):
		add("shared.example/group", resourceapi.DeviceAttribute{StringValues: append(g.some(50, "g1", "g2"), g.one("g3", "g1"))})
	}
	add("shared.example/version", resourceapi.DeviceAttribute{VersionValue: &version})
	add("shared.example/flag", resourceapi.DeviceAttribute{BoolValue: &flag})
	if len(attributes) > 0 {
		device.Attributes = attributes
	}
	g.capacity(&device)
	for _, set := range g.sets {
		if g.chance(60) {
			consumption := resourceapi.DeviceCounterConsumption{CounterSet: set, Counters: map[string]resourceapi.Counter{
				"memory": {Value: g.amount("1Gi", "2Gi", "4Gi", "3Gi")}}}
			if g.chance(60) {
				consumption.Counters["slots"] = resourceapi.Counter{Value: g.amount("1", "2", "4")}
			}
			if g.features.CompatibilityGroups && g.chance(50) || g.chance(1) {
				consumption.CompatibilityGroups = append(g.some(50, "c1"), g.one("c2", "c3"))
			}
			device.ConsumesCounters = append(device.ConsumesCounters, consumption)
		}
	}
	if g.chance(1) {
		device.ConsumesCounters = append(device.ConsumesCounters, resourceapi.DeviceCounterConsumption{CounterSet: g.one("set-0", "lost"),
			Counters: map[string]resourceapi.Counter{g.one("memory", "lost"): {Value: g.amount("1")}}})
	}
	if perDevice {
		g.nodes(&device.NodeName, &device.AllNodes, &device.NodeSelector)
	}
	for g.chance(8) && len(device.Taints) < 2 {
		device.Taints = append(device.Taints, resourceapi.DeviceTaint{Key: g.one("bad", "old"), Value: g.one("", "v"),
			Effect: resourceapi.DeviceTaintEffect(g.one("NoSchedule", "NoExecute", "None", "Other"))})
	}
	yes := true
	if g.chance(5) {
		device.BindsToNode = &yes
	}
	if g.chance(5) {
		device.BindingConditions = []string{"ready"}
		device.BindingFailureConditions = g.some(50, "broken")
	}
	return device
}

func (g *generator) capacity(device *resourceapi.Device) {
	if g.chance(35) {
		shared := g.chance(90)
		device.AllowMultipleAllocations = &shared
	}
	for _, name := range g.some(50, "memory", "cores") {
		capacity := resourceapi.DeviceCapacity{Value: g.amount("2", "4", "10", "4Gi", "8Gi", "8Gi", "1500m")}
		if g.chance(50) {
			policy := &resourceapi.CapacityRequestPolicy{Default: g.amountPointer("1", "2", "1Gi", "250m")}
			switch g.Intn(3) {
			case 0:
				policy.ValidValues = []resource.Quantity{*policy.Default, g.amount("3", "4", "2Gi"), g.amount("5Gi", "8Gi")}
			case 1:
				policy.ValidRange = &resourceapi.CapacityRequestPolicyRange{Min: g.amountPointer("1", "500m", "1Gi", "0")}
				if g.chance(60) {
					policy.ValidRange.Max = g.amountPointer("3", "8Gi", "2500m", "10")
				}
				if g.chance(60) {
					policy.ValidRange.Step = g.amountPointer("1", "2", "500m", "250m", "512Mi", "1u")
				}
			}
			capacity.RequestPolicy = policy
		}
		if device.Capacity == nil {
			device.Capacity = map[resourceapi.QualifiedName]resourceapi.DeviceCapacity{}
		}
		device.Capacity[resourceapi.QualifiedName(name)] = capacity
	}
}

// ---- what is allocated -------------------------------------------------------------------------------------

func (g *generator) drawAllocated() {
	g.state = structured.AllocatedState{AllocatedDevices: sets.New[structured.DeviceID](),
		AllocatedSharedDeviceIDs: sets.New[structured.SharedDeviceID](), AggregatedCapacity: structured.NewConsumedCapacityCollection()}
	share := 0
	for _, slice := range g.row.Slices {
		for _, device := range slice.Spec.Devices {
			id := structured.MakeDeviceID(slice.Spec.Driver, slice.Spec.Pool.Name, device.Name)
			if device.AllowMultipleAllocations == nil || !*device.AllowMultipleAllocations || !g.features.ConsumableCapacity {
				if g.chance(15) {
					g.state.AllocatedDevices.Insert(id)
				}
				continue
			}
			if !g.chance(30) {
				continue
			}
			share++
			uid := types.UID(fmt.Sprint("share-", share))
			g.state.AllocatedSharedDeviceIDs.Insert(structured.MakeSharedDeviceID(id, &uid))
			consumed := map[resourceapi.QualifiedName]resource.Quantity{}
			for name := range device.Capacity {
				// One order of drawing, whatever the map's.
				if strings.HasPrefix(string(name), "memory") {
					consumed[name] = resource.MustParse([]string{"1", "1Gi", "512Mi"}[share%3])
				} else {
					consumed[name] = resource.MustParse([]string{"1", "2", "500m"}[share%3])
				}
			}
			if len(consumed) > 0 {
				g.state.AggregatedCapacity.Insert(structured.NewDeviceConsumedCapacity(id, consumed))
			}
		}
	}
}
