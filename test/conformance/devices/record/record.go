// Package record writes down what upstream's device allocator was asked and what it answered, one JSON line each. It
// needs nothing of this module, so that it can be built inside of upstream's, too.
package record

import (
	"context"
	"encoding/json"
	"io"
	"sort"

	v1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/dynamic-resource-allocation/cel"
	"k8s.io/dynamic-resource-allocation/structured/schedulerapi"
)

// Row is one question and its answer.
type Row struct {
	Name      string                         `json:"name"`
	Features  []string                       `json:"features"`
	Node      *v1.Node                       `json:"node"`
	Claims    []*resourceapi.ResourceClaim   `json:"claims"`
	Classes   []*resourceapi.DeviceClass     `json:"classes"`
	Slices    []*resourceapi.ResourceSlice   `json:"slices"`
	Allocated []Use                          `json:"allocated"`
	Selectors map[string][]Answer            `json:"selectors"` // by expression: one for each device of each slice
	Derived   map[string][]Answer            `json:"derived"`   // likewise, of derived attributes
	Results   []resourceapi.AllocationResult `json:"results"`
	Error     string                         `json:"error,omitempty"`
	Lost      bool                           `json:"lost,omitempty"`   // JSON does not say it all: 10^21 is written as 1, an empty list not at all
	Rounds    int64                          `json:"rounds,omitempty"` // NumAllocateOneInvocations, where known
}

// Use is what of a device was allocated before.
type Use struct {
	Driver    string            `json:"driver"`
	Pool      string            `json:"pool"`
	Device    string            `json:"device"`
	Exclusive bool              `json:"exclusive,omitempty"`
	Shared    bool              `json:"shared,omitempty"`
	Capacity  map[string]string `json:"capacity"` // null: not an entry
}

// Answer is what an expression says of a device.
type Answer struct {
	Match     bool                         `json:"match,omitempty"`
	Attribute *resourceapi.DeviceAttribute `json:"attribute,omitempty"`
	Compile   string                       `json:"compile,omitempty"` // errors
	Runtime   string                       `json:"runtime,omitempty"`
}

// ShareID stands for all share IDs, which are random.
const ShareID = types.UID("share")

// Answer fills in what was answered, and what each expression says of each device.
func (r *Row) Answer(results []resourceapi.AllocationResult, err error) {
	for i := range results {
		for j := range results[i].Devices.Results {
			if device := &results[i].Devices.Results[j]; device.ShareID != nil {
				id := ShareID
				device.ShareID = &id
			}
		}
	}
	r.Results = results
	if err != nil {
		r.Error = err.Error()
	}
	features := sets.New(r.Features...)
	cache := cel.NewCache(100, cel.Features{EnableConsumableCapacity: features.Has("DRAConsumableCapacity"),
		EnableListTypeAttributes: features.Has("DRAListTypeAttributes")})
	r.Selectors, r.Derived = map[string][]Answer{}, map[string][]Answer{}
	selectors := func(all []resourceapi.DeviceSelector) {
		for _, selector := range all {
			if selector.CEL != nil && r.Selectors[selector.CEL.Expression] == nil {
				r.Selectors[selector.CEL.Expression] = r.ask(func(device cel.Device) Answer {
					return match(cache, selector.CEL.Expression, device)
				})
			}
		}
	}
	derived := func(all []resourceapi.DeviceDerivedAttribute) {
		for _, attribute := range all {
			if r.Derived[attribute.Expression] == nil {
				r.Derived[attribute.Expression] = r.ask(func(device cel.Device) Answer {
					return derive(cache, attribute.Expression, device)
				})
			}
		}
	}
	for _, class := range r.Classes {
		selectors(class.Spec.Selectors)
	}
	for _, claim := range r.Claims {
		for _, request := range claim.Spec.Devices.Requests {
			if request.Exactly != nil {
				selectors(request.Exactly.Selectors)
				derived(request.Exactly.DerivedAttributes)
			}
			for _, sub := range request.FirstAvailable {
				selectors(sub.Selectors)
				derived(sub.DerivedAttributes)
			}
		}
	}
}

func (r *Row) ask(answer func(cel.Device) Answer) []Answer {
	answers := []Answer{}
	for _, slice := range r.Slices {
		for _, device := range slice.Spec.Devices {
			answers = append(answers, answer(cel.Device{Driver: slice.Spec.Driver, Attributes: device.Attributes,
				Capacity: device.Capacity, AllowMultipleAllocations: device.AllowMultipleAllocations}))
		}
	}
	return answers
}

func match(cache *cel.Cache, expression string, device cel.Device) Answer {
	program := cache.GetOrCompile(expression)
	if program.Error != nil {
		return Answer{Compile: program.Error.Error()}
	}
	matches, _, err := program.DeviceMatches(context.Background(), device)
	if err != nil {
		return Answer{Runtime: cel.EnhanceRuntimeError(err).Error()}
	}
	return Answer{Match: matches}
}

func derive(cache *cel.Cache, expression string, device cel.Device) Answer {
	program := cache.GetOrCompileDerivedAttribute(expression)
	if program.Error != nil {
		return Answer{Compile: program.Error.Error()}
	}
	attribute, _, err := program.EvaluateDerivedAttribute(context.Background(), device)
	if err != nil {
		return Answer{Runtime: err.Error()}
	}
	return Answer{Attribute: attribute}
}

// Uses reads what is allocated, in an order that does not change.
func Uses(state schedulerapi.AllocatedState) []Use {
	all := map[schedulerapi.DeviceID]*Use{}
	of := func(id schedulerapi.DeviceID) *Use {
		if all[id] == nil {
			all[id] = &Use{Driver: id.Driver.String(), Pool: id.Pool.String(), Device: id.Device.String()}
		}
		return all[id]
	}
	for id := range state.AllocatedDevices {
		of(id).Exclusive = true
	}
	for id := range state.AllocatedSharedDeviceIDs {
		of(id.GetDeviceID()).Shared = true
	}
	for id, capacity := range state.AggregatedCapacity {
		use := of(id)
		use.Capacity = map[string]string{}
		for name, amount := range capacity {
			use.Capacity[string(name)] = amount.String()
		}
	}
	uses := []Use{}
	for _, use := range all {
		uses = append(uses, *use)
	}
	sort.Slice(uses, func(i, j int) bool {
		a, b := uses[i], uses[j]
		return a.Driver+"/"+a.Pool+"/"+a.Device < b.Driver+"/"+b.Pool+"/"+b.Device
	})
	return uses
}

// Write adds the row as a line.
func (r *Row) Write(out io.Writer) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var read Row
	if err := json.Unmarshal(line, &read); err != nil {
		return err
	}
	read.Answer(nil, nil) // an attribute that is an empty list is none once read
	if !equality.Semantic.DeepEqual(r.Claims, read.Claims) || !equality.Semantic.DeepEqual(r.Slices, read.Slices) ||
		!equality.Semantic.DeepEqual(r.Selectors, read.Selectors) {
		r.Lost = true
		if line, err = json.Marshal(r); err != nil {
			return err
		}
	}
	_, err = out.Write(append(line, '\n'))
	return err
}
