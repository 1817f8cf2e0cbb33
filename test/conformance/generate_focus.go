package main

import "fmt"

// focus is what a scenario with plain containers is about: the plugins that look at more than one node and one pod.
type focus struct{ spread, affinity, volumes, preemption, features bool }

func (f focus) any() bool { return f.spread || f.affinity || f.volumes || f.preemption || f.features }

// focus picks among what is compared: mostly one, so that not everything is against every node.
func (g *generator) focus() focus {
	main := g.Intn(5)
	pick := func(i, p int, plugins ...string) bool {
		return comparedPlugins.HasAny(plugins...) && (main == i || g.chance(p))
	}
	return focus{
		spread:     pick(0, 15, "PodTopologySpread"),
		affinity:   pick(1, 15, "InterPodAffinity"),
		volumes:    pick(2, 15, volumePlugins...) || pick(3, 0, volumePlugins...),
		preemption: pick(4, 30, "DefaultPreemption"),
		features:   pick(-1, 7, "NodeDeclaredFeatures"),
	}
}

var volumePlugins = []string{"VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone"}

func (g *generator) focused(f focus) Scenario {
	var s Scenario
	add := func(objects ...object) { s.objects = append(s.objects, objects...) }
	nodes := 1 + g.Intn(6)
	if g.chance(1) {
		nodes = 66 + g.Intn(30)
	}
	for _, name := range []string{"default", "team-a", "team-b"} {
		if g.chance(85) {
			add(g.namespace(name))
		}
	}
	if f.preemption {
		add(g.priorityClasses()...)
		add(g.budgets()...)
	}
	if f.spread {
		add(g.controllers()...)
	}
	for i := range nodes {
		add(g.focusNode(i, f))
	}
	if f.volumes {
		add(g.storage(nodes)...)
	}
	full := g.chance(85)                  // of pods that can be preempted
	alike := f.preemption && g.chance(30) // so that candidates are equal
	priority, cpu, start := g.of(-10, 0, 5), g.of("500m", "1"), g.of("2026-01-01T00:00:00Z", nil)
	for i := range nodes {
		pods := g.Intn(4)
		if f.preemption && full {
			pods = 2 + g.Intn(3)
		}
		for j := range pods {
			pod := g.focusPod(fmt.Sprintf("p%d-%d", i, j), f, nodes)
			spec, status := pod["spec"].(object), pod["status"].(object)
			spec["nodeName"] = nodeName(i)
			g.put(status, 80, "startTime", func() any { return g.of("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z") })
			g.terminate(pod, f)
			g.setClass(spec, f)
			if alike {
				delete(spec, "priorityClassName")
				spec["priority"] = priority
				spec["containers"].(list)[0].(object)["resources"] = object{"requests": object{"cpu": cpu}}
				if status["startTime"] = start; start == nil {
					delete(status, "startTime")
				}
			}
			add(pod)
		}
	}
	var waiting []object
	if f.preemption || g.chance(10) {
		for i := range g.Intn(3) {
			pod := g.focusPod(fmt.Sprintf("waiting-%d", i), f, nodes)
			g.put(pod["status"].(object), 85, "nominatedNodeName", func() any { return nodeName(g.Intn(nodes + 1)) })
			g.put(pod["spec"].(object), 6, "schedulerName", func() any { return "another" })
			g.setClass(pod["spec"].(object), f)
			add(pod)
			waiting = append(waiting, pod)
		}
	}
	subject := g.focusSubject(f, nodes)
	if !hasRequiredPodTerms(subject) {
		for _, pod := range waiting {
			dropRequiredAntiAffinity(pod)
		}
	}
	add(subject)
	if g.chance(55) {
		s.config = g.config()
	}
	return s
}

func (g *generator) namespace(name string) object {
	labels := object{}
	g.put(labels, 60, "team", func() any { return g.of("a", "b") })
	g.put(labels, 60, "env", func() any { return g.of("prod", "dev") })
	return object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": name, "labels": labels}}
}

// hasRequiredPodTerms: without them upstream's InterPodAffinity may skip, and then overlooks what nominated pods repel.
func hasRequiredPodTerms(pod object) bool {
	affinity, _ := pod["spec"].(object)["affinity"].(object)
	for _, kind := range []string{"podAffinity", "podAntiAffinity"} {
		if terms, _ := affinity[kind].(object); terms[requiredTerms] != nil {
			return true
		}
	}
	return false
}

func dropRequiredAntiAffinity(pod object) {
	affinity, _ := pod["spec"].(object)["affinity"].(object)
	terms, _ := affinity["podAntiAffinity"].(object)
	delete(terms, requiredTerms)
}

const requiredTerms = "requiredDuringSchedulingIgnoredDuringExecution"

// terminate lets some running pods be on their way out.
func (g *generator) terminate(pod object, f focus) {
	p := 8
	if f.preemption {
		p = 15
	}
	// A dry run of preemption takes terminating pods off PodTopologySpread's counts, in which upstream never had them.
	if f.preemption && f.spread || !g.chance(p) {
		return
	}
	metadata, status := pod["metadata"].(object), pod["status"].(object)
	metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"] = "2026-01-05T00:00:00Z", 30
	if g.chance(60) {
		status["conditions"] = list{object{"type": "DisruptionTarget", "status": g.word("True", "True", "False"),
			"reason": g.word("PreemptionByScheduler", "PreemptionByScheduler", "EvictionByEvictionAPI")}}
	}
}

// ---- Nodes and pods ------------------------------------------------------------------------------------------

func (g *generator) focusNode(i int, f focus) object {
	labels := object{}
	g.put(labels, 94, "kubernetes.io/hostname", func() any { return nodeName(i) })
	g.put(labels, 85, "zone", func() any { return g.of("a", "b", "c") })
	g.put(labels, 75, "topology.kubernetes.io/zone", func() any { return g.of("a", "b", "c") })
	g.put(labels, 60, "topology.kubernetes.io/region", func() any { return g.of("r1", "r2") })
	g.put(labels, 8, "failure-domain.beta.kubernetes.io/zone", func() any { return g.of("a", "b") })
	g.put(labels, 8, "failure-domain.beta.kubernetes.io/region", func() any { return g.of("r1", "r2") })
	g.put(labels, 40, "disk", func() any { return g.of("ssd", "hdd") })
	amounts := object{"pods": g.of("110", "110", "110", "4", "3"), "cpu": g.of("4", "8"), "memory": g.of("8Gi", "10G")}
	if f.preemption {
		amounts["pods"], amounts["cpu"] = g.of("110", "110", "5", "4", "3", "2"), g.of("1", "2", "2", "3", "1500m")
	}
	status, spec := object{"allocatable": amounts}, object{}
	g.put(spec, 4, "unschedulable", func() any { return true })
	if g.chance(15) {
		spec["taints"] = list{g.taint()}
	}
	if f.features {
		declared := list{}
		for _, name := range g.some(60, "AFeatureOfTomorrow", "RestartAllContainersOnContainerExits",
			"UserNamespacesHostNetworkSupport", "VolumeBindMountOptions") {
			declared = append(declared, name)
		}
		status["declaredFeatures"] = declared
	}
	return object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": nodeName(i), "labels": labels},
		"spec": spec, "status": status}
}

// focusPod makes a valid pod that may run or wait.
func (g *generator) focusPod(name string, f focus, nodes int) object {
	return g.valid(func() object {
		pod := g.plainPod(name, g.word("default", "default", "default", "team-a", "team-b"), f)
		spec := pod["spec"].(object)
		if f.preemption {
			spec["priority"] = g.of(-10, 0, 0, 5, 5, 10, 10, 100)
		}
		if f.affinity && g.chance(45) {
			spec["affinity"] = g.podAffinities(30)
		}
		if f.volumes && g.chance(65) {
			g.volumes(pod)
		}
		return pod
	})
}

func (g *generator) plainPod(name, namespace string, f focus) object {
	labels := object{}
	g.put(labels, 80, "app", func() any { return g.of("web", "web", "db") })
	g.put(labels, 60, "version", func() any { return g.of("1", "2") })
	g.put(labels, 20, "tier", func() any { return g.of("front", "back", "") })
	container := object{"name": "c0", "image": "x"}
	cpu := []any{"100m", "250m", "500m"}
	if f.preemption {
		cpu = []any{"250m", "500m", "500m", "1", "1"}
	}
	if g.chance(88) {
		container["resources"] = object{"requests": object{"cpu": g.of(cpu...)}}
	}
	if f.preemption && g.chance(12) {
		container["ports"] = list{g.port()}
	}
	return object{"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": name, "namespace": namespace, "uid": "uid-" + name, "labels": labels},
		"spec":     object{"containers": list{container}}, "status": object{}}
}

func (g *generator) focusSubject(f focus, nodes int) object {
	pod := g.valid(func() object {
		pod := g.plainPod(subjectName, subjectNamespace, f)
		spec, status := pod["spec"].(object), pod["status"].(object)
		if f.preemption {
			spec["priority"] = g.of(0, 5, 10, 10, 50, 100, 100, 1000)
			container := spec["containers"].(list)[0].(object)
			container["resources"] = object{"requests": object{"cpu": g.of("500m", "1", "1", "1500m", "1500m", "2")}}
			g.put(spec, 6, "preemptionPolicy", func() any { return g.of("Never", "PreemptLowerPriority") })
			g.put(status, 15, "nominatedNodeName", func() any { return nodeName(g.Intn(nodes + 1)) })
		}
		if f.spread && g.chance(75) {
			spec["topologySpreadConstraints"] = append(list{g.spreadConstraint(true)},
				g.times(2, func() any { return g.spreadConstraint(true) })...)
		}
		if f.spread && g.chance(50) {
			pod["metadata"].(object)["ownerReferences"] = list{g.owner()}
		}
		affinity := object{}
		if f.affinity {
			affinity = g.podAffinities(50)
		}
		if g.chance(15) {
			affinity["nodeAffinity"] = object{"requiredDuringSchedulingIgnoredDuringExecution": object{
				"nodeSelectorTerms": list{g.term(nodes, false)}}}
		}
		spec["affinity"] = affinity
		if f.volumes {
			g.volumes(pod)
		}
		if f.features {
			g.features(spec)
		}
		if g.chance(20) {
			spec["tolerations"] = list{g.toleration()}
		}
		if g.chance(8) {
			spec["nodeSelector"] = g.nodeSelector()
		}
		return pod
	})
	g.setClass(pod["spec"].(object), f)
	return pod
}

func (g *generator) features(spec object) {
	container := spec["containers"].(list)[0].(object)
	if g.chance(40) {
		container["restartPolicy"] = "Never"
		container["restartPolicyRules"] = list{object{"action": g.word("RestartAllContainers", "RestartAllContainers", "Restart"),
			"exitCodes": object{"operator": "In", "values": list{42}}}}
	}
	g.put(spec, 40, "hostNetwork", func() any { return true })
	g.put(spec, 50, "hostUsers", func() any { return g.of(true, false, false) })
	if g.chance(35) {
		spec["volumes"] = append(toList(spec["volumes"]), object{"name": "scratch", "emptyDir": object{}})
		container["volumeMounts"] = list{object{"name": "scratch", "mountPath": "/s", "bindMountOptions": list{"noexec"}}}
	}
}

func toList(value any) list {
	l, _ := value.(list)
	return l
}

// ---- Labels ---------------------------------------------------------------------------------------------------

func (g *generator) selector() object {
	if g.chance(4) {
		return object{}
	}
	selector := object{}
	g.put(selector, 75, "matchLabels", func() any {
		labels := object{"app": g.of("web", "web", "db")}
		g.put(labels, 12, "tier", func() any { return g.of("front", "") })
		return labels
	})
	if selector["matchLabels"] == nil || g.chance(20) {
		requirement := object{"key": g.of("app", "tier", "absent"), "operator": g.word("In", "NotIn", "Exists", "DoesNotExist")}
		if requirement["operator"] == "In" || requirement["operator"] == "NotIn" {
			requirement["values"] = append(list{g.of("web", "db", "front")}, g.times(1, func() any { return g.of("db", "back") })...)
		}
		selector["matchExpressions"] = list{requirement}
	}
	return selector
}

// labelKeys adds matchLabelKeys (and mismatchLabelKeys), as a user writes them or also merged into the selector.
func (g *generator) labelKeys(term object, mismatch bool) {
	g.put(term, 15, "matchLabelKeys", func() any { return g.of(list{"version"}, list{"version"}, list{"absent"}, list{"version", "tier"}) })
	if mismatch {
		g.put(term, 12, "mismatchLabelKeys", func() any { return g.of(list{"version"}, list{"tier"}, list{"app"}) })
	}
}

var topologyKeys = []string{"kubernetes.io/hostname", "kubernetes.io/hostname", "zone", "zone", "topology.kubernetes.io/zone",
	"topology.kubernetes.io/region", "disk", "absent"}

// ---- Spreading ------------------------------------------------------------------------------------------------

func (g *generator) spreadConstraint(selector bool) object {
	constraint := object{"maxSkew": g.of(1, 1, 1, 2, 3, 5), "topologyKey": g.word(topologyKeys...),
		"whenUnsatisfiable": g.word("DoNotSchedule", "DoNotSchedule", "ScheduleAnyway")}
	if selector {
		g.put(constraint, 96, "labelSelector", func() any { return g.selector() })
		// Upstream counts nominated pods and victims for an empty selector, and running pods not.
		if empty, is := constraint["labelSelector"].(object); is && len(empty) == 0 && constraint["whenUnsatisfiable"] == "DoNotSchedule" {
			delete(constraint, "labelSelector")
		}
		if constraint["labelSelector"] != nil {
			g.labelKeys(constraint, false)
		}
		if constraint["whenUnsatisfiable"] == "DoNotSchedule" {
			g.put(constraint, 30, "minDomains", func() any { return g.of(1, 2, 3, 4) })
		}
		g.put(constraint, 30, "nodeAffinityPolicy", func() any { return g.of("Honor", "Ignore") })
		g.put(constraint, 30, "nodeTaintsPolicy", func() any { return g.of("Honor", "Ignore") })
	}
	return constraint
}

// controllers are what default constraints take their selector from.
func (g *generator) controllers() []object {
	var out []object
	for i := range g.Intn(3) {
		spec := object{"ports": list{object{"port": 80}}}
		g.put(spec, 90, "selector", func() any {
			selector := object{}
			g.put(selector, 80, "app", func() any { return g.of("web", "db") })
			g.put(selector, 30, "version", func() any { return g.of("1", "2") })
			return selector
		})
		out = append(out, object{"apiVersion": "v1", "kind": "Service", "spec": spec,
			"metadata": object{"name": fmt.Sprintf("s%d", i), "namespace": g.of("default", "default", "team-a")}})
	}
	for _, kind := range ownerKinds {
		if !g.chance(60) {
			continue
		}
		labels := object{"app": g.of("web", "db")}
		g.put(labels, 30, "version", func() any { return g.of("1", "2") })
		spec := object{"replicas": 0, "template": object{"metadata": object{"labels": labels},
			"spec": object{"containers": list{object{"name": "c", "image": "x"}}}}}
		if kind[1] == "ReplicationController" {
			spec["selector"] = clone(labels)
		} else {
			spec["selector"] = object{"matchLabels": clone(labels)}
			if g.chance(20) {
				spec["selector"] = g.selector()
			}
		}
		if kind[1] == "StatefulSet" {
			spec["serviceName"] = "s0"
		}
		out = append(out, object{"apiVersion": kind[0], "kind": kind[1], "spec": spec,
			"metadata": object{"name": "owner", "namespace": "default"}})
	}
	return out
}

var ownerKinds = [][2]string{{"apps/v1", "ReplicaSet"}, {"apps/v1", "StatefulSet"}, {"v1", "ReplicationController"}}

func (g *generator) owner() object {
	kind := ownerKinds[g.Intn(len(ownerKinds))]
	owner := object{"apiVersion": kind[0], "kind": kind[1], "name": g.word("owner", "owner", "owner", "gone"), "uid": "uid-owner"}
	g.put(owner, 90, "controller", func() any { return true })
	return owner
}

// ---- Pod affinity ---------------------------------------------------------------------------------------------

func (g *generator) podAffinities(p int) object {
	affinity := object{}
	for _, kind := range []string{"podAffinity", "podAntiAffinity"} {
		terms := object{}
		g.put(terms, p*3/4, "requiredDuringSchedulingIgnoredDuringExecution", func() any {
			return append(list{g.podTerm()}, g.times(1, func() any { return g.podTerm() })...)
		})
		g.put(terms, p, "preferredDuringSchedulingIgnoredDuringExecution", func() any {
			return g.times(3, func() any { return object{"weight": g.of(1, 2, 10, 50, 100), "podAffinityTerm": g.podTerm()} })
		})
		if len(terms) > 0 {
			affinity[kind] = terms
		}
	}
	return affinity
}

func (g *generator) podTerm() object {
	term := object{"topologyKey": g.word(topologyKeys...)}
	g.put(term, 95, "labelSelector", func() any { return g.selector() })
	if g.chance(20) {
		namespaces := list{}
		for _, name := range g.some(50, "default", "team-a", "team-b", "elsewhere") {
			namespaces = append(namespaces, name)
		}
		term["namespaces"] = namespaces
	}
	g.put(term, 20, "namespaceSelector", func() any {
		return g.of(object{}, object{"matchLabels": object{"team": "a"}}, object{"matchLabels": object{"env": "prod"}},
			object{"matchLabels": object{"kubernetes.io/metadata.name": "team-b"}},
			object{"matchExpressions": list{object{"key": "team", "operator": "NotIn", "values": list{"a"}}}})
	})
	if term["labelSelector"] != nil {
		g.labelKeys(term, true)
	}
	return term
}

// ---- Preemption -----------------------------------------------------------------------------------------------

func (g *generator) priorityClasses() []object {
	var out []object
	class := func(name string, value int, more object) {
		more["apiVersion"], more["kind"], more["metadata"], more["value"] = "scheduling.k8s.io/v1", "PriorityClass", object{"name": name}, value
		out = append(out, more)
	}
	class("high", 100, object{})
	class("low", -5, object{})
	class("polite", 100, object{"preemptionPolicy": "Never"})
	if g.chance(8) {
		class("usual", 10, object{"globalDefault": true})
	}
	return out
}

func (g *generator) setClass(spec object, f focus) {
	if !f.preemption || !g.chance(12) {
		return
	}
	spec["priorityClassName"] = g.word("high", "high", "low", "low", "polite", "system-node-critical")
	delete(spec, "priority")
	delete(spec, "preemptionPolicy")
}

func (g *generator) budgets() []object {
	var out []object
	for i := range g.Intn(4) {
		status := object{"disruptionsAllowed": g.of(0, 0, 1, 1, 2), "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}
		g.put(status, 40, "disruptedPods", func() any {
			pods := object{}
			for range 4 {
				pods[fmt.Sprintf("p%d-%d", g.Intn(3), g.Intn(3))] = "2026-01-04T00:00:00Z"
			}
			return pods
		})
		spec := object{"minAvailable": 1}
		g.put(spec, 95, "selector", func() any { return g.selector() })
		out = append(out, object{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": spec, "status": status,
			"metadata": object{"name": fmt.Sprintf("b%d", i), "namespace": g.word("default", "default", "team-a")}})
	}
	return out
}
