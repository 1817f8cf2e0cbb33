package main

import (
	"fmt"
	"math/rand"
)

// Generate makes the scenario of a seed: always the same one. Values come from small sets, so that ties, limits and
// conflicts happen often. All that the API server would refuse is made anew.
func Generate(seed int64) Scenario {
	for attempt := int64(0); ; attempt++ {
		g := &generator{rand.New(rand.NewSource(seed*1000 + attempt))}
		s := g.scenario()
		if c, err := readCluster(s.manifests()); err == nil && c.validate() == nil {
			return s
		}
	}
}

type generator struct{ *rand.Rand }

// chance is true in p of 100 cases.
func (g *generator) chance(p int) bool { return g.Intn(100) < p }

func (g *generator) of(values ...any) any { return values[g.Intn(len(values))] }

func (g *generator) word(words ...string) string { return words[g.Intn(len(words))] }

// some gives each of the values with a chance of p in 100.
func (g *generator) some(p int, values ...string) []string {
	var out []string
	for _, v := range values {
		if g.chance(p) {
			out = append(out, v)
		}
	}
	return out
}

// put sets the field in p of 100 cases.
func (g *generator) put(o object, p int, key string, value func() any) {
	if g.chance(p) {
		o[key] = value()
	}
}

func (g *generator) times(most int, make func() any) list {
	out := list{}
	for range g.Intn(most + 1) {
		out = append(out, make())
	}
	return out
}

// ---- The whole -----------------------------------------------------------------------------------------------

func (g *generator) scenario() Scenario {
	if f := g.focus(); f.any() && g.chance(75) {
		return g.focused(f)
	}
	var s Scenario
	nodes := 1 + g.Intn(6)
	if g.chance(2) {
		nodes = 60 + g.Intn(75) // more than one word of 64
	}
	if g.chance(1) {
		nodes = 0
	}
	// What a scenario is about: a subject that asks for everything fits nowhere.
	theme := theme{
		resources: g.chance(60), exotic: g.chance(40), taints: g.chance(40), affinity: g.chance(50),
		ports: g.chance(35), images: g.chance(40), status: g.chance(40), huge: g.chance(6), roomy: g.chance(65),
	}
	for i := range nodes {
		s.objects = append(s.objects, g.node(i, theme))
	}
	for i := range nodes {
		for j := range g.Intn(4) {
			pod := g.valid(func() object { return g.pod(fmt.Sprintf("p%d-%d", i, j), theme) })
			pod["spec"].(object)["nodeName"] = nodeName(i)
			delete(pod["spec"].(object), "schedulingGates")
			s.objects = append(s.objects, pod)
		}
	}
	if g.chance(15) {
		pending := g.valid(func() object { return g.pod("pending", theme) })
		s.objects = append(s.objects, pending)
	}
	s.objects = append(s.objects, g.valid(func() object { return g.subject(theme, nodes) }))
	if g.chance(60) {
		s.config = g.config()
	}
	return s
}

type theme struct{ resources, exotic, taints, affinity, ports, images, status, huge, roomy bool }

// valid makes pods until the API server would take one.
func (g *generator) valid(make func() object) object {
	for {
		pod := make()
		c, err := readCluster(marshalYAML(pod))
		if err == nil && c.validate() == nil {
			return pod
		}
	}
}

func nodeName(i int) string { return fmt.Sprintf("n%d", i) }

// ---- Nodes ---------------------------------------------------------------------------------------------------

func (g *generator) node(i int, t theme) object {
	labels := object{"kubernetes.io/hostname": nodeName(i)}
	g.put(labels, 60, "zone", func() any { return g.of("a", "b", "c") })
	g.put(labels, 50, "disk", func() any { return g.of("ssd", "hdd", "") })
	g.put(labels, 60, "num", func() any {
		return g.of("1", "2", "3", "10", "1", "2", "3", "10", "007", "-3", "x", "", "9223372036854775807", "9223372036854775808", "1.5")
	})
	g.put(labels, 30, "example.com/tier", func() any { return g.of("gold", "iron") })
	status := object{}
	amounts := g.allocatable(t)
	switch g.Intn(12) {
	case 0:
		status["capacity"] = amounts
	case 1:
		status["allocatable"], status["capacity"] = amounts, g.allocatable(t)
	case 2:
	default:
		status["allocatable"] = amounts
	}
	if t.images {
		status["images"] = g.times(4, func() any {
			names := list{}
			for _, name := range g.some(25, imageNames...) {
				names = append(names, name)
			}
			image := object{"names": names}
			g.put(image, 90, "sizeBytes", func() any {
				return g.of(0, 10<<20, 23<<20, 24<<20, 100<<20, 333333333, 500<<20, 1000<<20, 1001<<20, 3000<<20, 1<<40)
			})
			return image
		})
	}
	spec := object{}
	g.put(spec, 7, "unschedulable", func() any { return true })
	if t.taints {
		taken := map[string]bool{}
		taints := list{}
		for range g.Intn(4) {
			taint := g.taint()
			id := fmt.Sprint(taint["key"], taint["effect"])
			if !taken[id] {
				taken[id] = true
				taints = append(taints, taint)
			}
		}
		spec["taints"] = taints
	}
	if spec["unschedulable"] == true && g.chance(30) {
		taints, _ := spec["taints"].(list)
		spec["taints"] = append(taints, object{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
	}
	return object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": nodeName(i), "labels": labels},
		"spec": spec, "status": status}
}

var taintKeys = []string{"dedicated", "gpu", "example.com/spot"}

func (g *generator) taint() object {
	taint := object{"key": g.word(taintKeys...), "effect": g.word("NoSchedule", "NoExecute", "PreferNoSchedule",
		"PreferNoSchedule", "PreferNoSchedule", "PreferNoSchedule")}
	g.put(taint, 70, "value", func() any { return g.of("a", "b", "1", "5", "") })
	return taint
}

func (g *generator) allocatable(t theme) object {
	amounts := g.tightAmounts(t)
	if t.roomy {
		amounts = g.roomyAmounts(t)
	}
	if t.huge {
		g.put(amounts, 60, "memory", func() any {
			return g.of("9007199254740993", "8Pi", "64Ti", "100Ti", "1P", "90P", "70368744177663", "70368744177664")
		})
		g.put(amounts, 40, "cpu", func() any { return g.of("9007199254740", "90T", "70368744177") })
		g.put(amounts, 40, "example.com/gpu", func() any { return g.of("80P", "90P", "9007199254740993") })
	}
	return amounts
}

func (g *generator) roomyAmounts(t theme) object {
	amounts := object{"pods": "110", "cpu": g.of("4", "8", 16, "7500m", "10"),
		"memory": g.of("4Gi", "8Gi", "10G", "7G"), "ephemeral-storage": g.of("10Gi", "20Gi", "100G")}
	if t.exotic {
		g.put(amounts, 85, "example.com/gpu", func() any { return g.of("8", "16", "5") })
		g.put(amounts, 85, "other.io/nic", func() any { return g.of("10", "7") })
		g.put(amounts, 85, "hugepages-2Mi", func() any { return g.of("64Mi", "100Mi") })
	}
	return amounts
}

func (g *generator) tightAmounts(t theme) object {
	amounts := object{}
	g.put(amounts, 93, "pods", func() any { return g.of("110", "110", "110", 5, "3", "2", "1", "0") })
	g.put(amounts, 93, "cpu", func() any {
		return g.of("1", "2", 4, "1500m", "250m", "100m", "0", 0.5, "3", "999m", "1.0001", "32")
	})
	g.put(amounts, 93, "memory", func() any {
		return g.of("1Gi", "2Gi", "500Mi", "200Mi", "1G", "0", "3221225472", "1e9", "64Gi", "1.5Gi", "1048576Ki")
	})
	g.put(amounts, 40, "ephemeral-storage", func() any { return g.of("1Gi", "10Gi", "0", "5G", 1000) })
	if t.exotic {
		g.put(amounts, 60, "example.com/gpu", func() any { return g.of("0", "1", 2, "4", "8") })
		g.put(amounts, 40, "other.io/nic", func() any { return g.of("1", "3", "10k") })
		g.put(amounts, 40, "hugepages-2Mi", func() any { return g.of("0", "4Mi", "8Mi", "1Gi") })
		g.put(amounts, 20, "hugepages-1Gi", func() any { return g.of("1Gi", "2Gi") })
		g.put(amounts, 20, "attachable-volumes-csi-x", func() any { return g.of("1", "25") })
		g.put(amounts, 20, "foo.kubernetes.io/native", func() any { return g.of("1", "2") })
		g.put(amounts, 10, "example.com/other", func() any { return g.of("1", "2") })
		g.put(amounts, 10, "plain", func() any { return g.of("1", "2") })
	}
	return amounts
}

// ---- The pod in question -------------------------------------------------------------------------------------

func (g *generator) subject(t theme, nodes int) object {
	pod := g.pod(subjectName, t)
	spec, status := pod["spec"].(object), pod["status"].(object)
	if g.chance(85) {
		delete(status, "phase")
	}
	if g.chance(5) {
		spec["nodeName"] = nodeName(g.Intn(nodes + 1))
		delete(spec, "schedulingGates")
	}
	if g.chance(8) {
		spec["nodeSelector"] = g.nodeSelector()
	}
	if t.affinity {
		affinity := object{}
		g.put(affinity, 40, "requiredDuringSchedulingIgnoredDuringExecution", func() any {
			return object{"nodeSelectorTerms": append(list{g.term(nodes, true)}, g.times(2, func() any { return g.term(nodes, true) })...)}
		})
		g.put(affinity, 60, "preferredDuringSchedulingIgnoredDuringExecution", func() any { return g.preferred(nodes) })
		spec["affinity"] = object{"nodeAffinity": affinity}
	}
	if t.taints || g.chance(15) {
		spec["tolerations"] = g.times(4, func() any { return g.toleration() })
	}
	return pod
}

func (g *generator) nodeSelector() object {
	selector := object{}
	g.put(selector, 50, "zone", func() any { return g.of("a", "b") })
	g.put(selector, 30, "disk", func() any { return g.of("ssd", "") })
	g.put(selector, 10, "absent", func() any { return g.of("x", "") })
	return selector
}

func (g *generator) preferred(nodes int) list {
	return g.times(4, func() any {
		return object{"weight": g.of(1, 2, 3, 10, 33, 50, 100), "preference": g.term(nodes, false)}
	})
}

// term: required terms may hold values that are no label values, as old objects do.
func (g *generator) term(nodes int, required bool) object {
	term := object{}
	g.put(term, 75, "matchExpressions", func() any { return g.times(2, func() any { return g.expression(required) }) })
	g.put(term, 25, "matchFields", func() any {
		return g.times(2, func() any {
			return object{"key": "metadata.name", "operator": g.word("In", "In", "NotIn"),
				"values": list{nodeName(g.Intn(nodes + 1))}}
		})
	})
	return term
}

func (g *generator) expression(required bool) object {
	key := g.word("zone", "disk", "num", "num", "example.com/tier", "absent", "kubernetes.io/hostname")
	pool := map[string]list{
		"zone": {"a", "b", "c", "d"}, "disk": {"ssd", "hdd", ""}, "num": {"1", "2", "3", "10", "7", "x", "", "-3"},
		"example.com/tier": {"gold", "iron"}, "absent": {"x", ""}, "kubernetes.io/hostname": {"n0", "n1", "n2", "n9"},
	}[key]
	operator := g.word("In", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
	expression := object{"key": key, "operator": operator}
	switch operator {
	case "In", "NotIn":
		values := append(list{g.of(pool...)}, g.times(2, func() any { return g.of(pool...) })...)
		if g.chance(5) {
			values = append(g.times(3, func() any { return g.of("n0", "n1", "a", "b", "1", "x") }), values...)
		}
		if g.chance(12) { // so many that they are looked up in a table
			expression["key"] = "kubernetes.io/hostname"
			for i := range 12 {
				if g.chance(60) {
					values = append(values, nodeName(i))
				}
			}
		}
		if required && g.chance(4) {
			values = append(values, g.of("not a label", "-x", "x_", `quo"te`))
		}
		expression["values"] = values
	case "Gt", "Lt":
		if g.chance(80) {
			expression["key"] = "num"
		}
		value := g.of("1", "2", "3", "10", "0", "1", "2", "3", "10", "7", "007", "9223372036854775806", "9223372036854775807")
		if required && g.chance(10) {
			value = g.of("-5", "+2")
		}
		if g.chance(4) {
			value = g.of("x", "", "1.5", "9223372036854775808", "0x10", "1_000")
		}
		expression["values"] = list{value}
	}
	return expression
}

func (g *generator) toleration() object {
	toleration := object{}
	g.put(toleration, 85, "key", func() any {
		return g.word(append([]string{"node.kubernetes.io/unschedulable"}, taintKeys...)...)
	})
	g.put(toleration, 70, "operator", func() any { return g.of("Equal", "Exists") })
	if toleration["operator"] != "Exists" {
		g.put(toleration, 70, "value", func() any { return g.of("a", "b", "1", "5", "") })
	}
	g.put(toleration, 70, "effect", func() any { return g.of("NoSchedule", "PreferNoSchedule", "NoExecute", "") })
	if toleration["effect"] == "NoExecute" {
		g.put(toleration, 50, "tolerationSeconds", func() any { return g.of(0, 300, -1) })
	}
	return toleration
}
