package main

import "slices"

// config makes a KubeSchedulerConfiguration of one profile.
func (g *generator) config() object {
	profile := object{"schedulerName": musterName}
	arguments := list{}
	add := func(p int, name string, make func() object) {
		if g.chance(p) {
			args := make()
			args["apiVersion"], args["kind"] = "kubescheduler.config.k8s.io/v1", name+"Args"
			arguments = append(arguments, object{"name": name, "args": args})
		}
	}
	add(60, "NodeResourcesFit", g.fitArgs)
	add(30, "NodeResourcesBalancedAllocation", func() object {
		args := object{}
		g.put(args, 80, "resources", func() any { return g.weightedResources(false) })
		return args
	})
	add(30, "NodeAffinity", func() object {
		args := object{}
		added := object{}
		g.put(added, 35, "requiredDuringSchedulingIgnoredDuringExecution", func() any {
			return object{"nodeSelectorTerms": append(list{g.term(3, false)}, g.times(1, func() any { return g.term(3, false) })...)}
		})
		g.put(added, 60, "preferredDuringSchedulingIgnoredDuringExecution", func() any { return g.preferred(3) })
		g.put(args, 90, "addedAffinity", func() any { return added })
		return args
	})
	addCompared := func(p int, name string, make func() object) {
		if comparedPlugins.Has(name) {
			add(p, name, make)
		}
	}
	addCompared(40, "PodTopologySpread", func() object {
		if g.chance(40) {
			return object{"defaultingType": "System"}
		}
		return object{"defaultingType": "List", "defaultConstraints": g.times(2, func() any { return g.spreadConstraint(false) })}
	})
	addCompared(40, "InterPodAffinity", func() object {
		args := object{}
		g.put(args, 80, "hardPodAffinityWeight", func() any { return g.of(0, 1, 5, 100) })
		g.put(args, 40, "ignorePreferredTermsOfExistingPods", func() any { return g.of(true, false) })
		return args
	})
	addCompared(30, "VolumeBinding", func() object {
		args := object{}
		g.put(args, 80, "shape", func() any { return g.shape() })
		return args
	})
	addCompared(10, "DefaultPreemption", func() object {
		return object{"minCandidateNodesPercentage": g.of(0, 10, 100), "minCandidateNodesAbsolute": g.of(1, 100)}
	})
	if len(arguments) > 0 {
		profile["pluginConfig"] = arguments
	}
	if g.chance(35) {
		profile["plugins"] = g.plugins()
	}
	return object{"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
		"profiles": list{profile}}
}

func (g *generator) fitArgs() object {
	args := object{}
	g.put(args, 15, "ignoredResources", func() any { return g.of(list{"example.com/gpu"}, list{"example.com/gpu", "other.io/nic"}) })
	g.put(args, 15, "ignoredResourceGroups", func() any { return g.of(list{"example.com"}, list{"other.io"}) })
	g.put(args, 85, "scoringStrategy", func() any {
		strategy := object{"type": g.word("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio")}
		g.put(strategy, 75, "resources", func() any { return g.weightedResources(true) })
		if strategy["type"] == "RequestedToCapacityRatio" {
			strategy["requestedToCapacityRatio"] = object{"shape": g.shape()}
		}
		return strategy
	})
	return args
}

func (g *generator) shape() list {
	shape := list{}
	at := -1
	for range 1 + g.Intn(4) {
		at += 1 + g.Intn(40)
		if at > 100 {
			break
		}
		shape = append(shape, object{"utilization": at, "score": g.Intn(11)})
	}
	return shape
}

func (g *generator) weightedResources(weighted bool) list {
	resources := list{}
	for _, name := range []string{"cpu", "memory", "ephemeral-storage", "example.com/gpu", "other.io/nic",
		"hugepages-2Mi", "unknown.io/thing"} {
		if g.chance(45) {
			weight := 1
			if weighted {
				weight = g.of(1, 1, 2, 3, 5, 100).(int)
			}
			resources = append(resources, object{"name": name, "weight": weight})
		}
	}
	g.Shuffle(len(resources), func(i, j int) { resources[i], resources[j] = resources[j], resources[i] })
	return resources
}

func (g *generator) plugins() object {
	plugins := object{}
	scored := []string{"TaintToleration", "NodeAffinity", "NodeResourcesFit", "NodeResourcesBalancedAllocation", "ImageLocality"}
	for _, name := range []string{"PodTopologySpread", "InterPodAffinity", "VolumeBinding"} {
		if comparedPlugins.Has(name) {
			scored = append(scored, name)
		}
	}
	filters := []string{"NodeName", "NodeUnschedulable", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit"}
	set := func(p int, point string, names []string, weighted bool) {
		if !g.chance(p) {
			return
		}
		disabled, enabled := list{}, list{}
		// Muster's NodePorts and NodeResourcesFit filter without their PreFilter; upstream's fail.
		if point != "preFilter" && g.chance(30) {
			disabled = append(disabled, object{"name": "*"})
		}
		for _, name := range g.some(40, names...) {
			if g.chance(50) && len(disabled) < 4 && !(len(disabled) == 1 && disabled[0].(object)["name"] == "*") {
				disabled = append(disabled, object{"name": name})
			}
			plugin := object{"name": name}
			if weighted {
				g.put(plugin, 80, "weight", func() any { return g.of(1, 2, 7, 100) })
			}
			if g.chance(50) {
				enabled = append(enabled, plugin)
			}
		}
		plugins[point] = object{"disabled": disabled, "enabled": enabled}
	}
	set(60, "score", scored, true)
	set(15, "preScore", scored[:4], false)
	set(30, "filter", filters, false)
	set(15, "preFilter", []string{"NodeAffinity", "NodeName", "TaintToleration", "NodeUnschedulable"}, false)
	set(30, "multiPoint", scored, true)
	if comparedPlugins.Has("DefaultPreemption") && g.chance(4) {
		plugins["postFilter"] = object{"disabled": list{object{"name": g.of("*", "DefaultPreemption")}}}
	}
	if _, ok := plugins["multiPoint"]; ok {
		delete(plugins, "filter") // see above
	}
	g.without(plugins)
	if multi, ok := plugins["multiPoint"].(object); ok && len(toList(multi["disabled"])) > 0 &&
		multi["disabled"].(list)[0].(object)["name"] == "*" {
		enabled := list{object{"name": "PrioritySort"}, object{"name": "DefaultBinder"}}
		multi["enabled"] = append(enabled, toList(multi["enabled"])...)
	}
	return plugins
}

// without disables a plugin or two as a whole, so that the next one's answer is seen.
func (g *generator) without(plugins object) {
	if !g.chance(40) || plugins["multiPoint"] != nil {
		return
	}
	disabled := list{}
	for range 1 + g.Intn(2) {
		// Not NodeResourcesFit, whose filter may be enabled by itself.
		name := g.word(append(volumePlugins, "PodTopologySpread", "InterPodAffinity")...)
		if comparedPlugins.Has(name) && !slices.ContainsFunc(disabled, func(o any) bool { return o.(object)["name"] == name }) {
			disabled = append(disabled, object{"name": name})
		}
	}
	plugins["multiPoint"] = object{"disabled": disabled}
}
