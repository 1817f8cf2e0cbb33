package main

import "fmt"

var imageNames = []string{
	"nginx:latest", "nginx", "nginx:1.25", "docker.io/library/nginx:latest", "registry:5000/app:latest",
	"registry:5000/app:v1", "registry:5000/app", "app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	"app:latest", "app:v2@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
}

// pod makes a pod that may be bound or wait: containers, what they ask for, ports, images and status.
func (g *generator) pod(name string, t theme) object {
	spec := object{}
	containers := list{g.container("c0", t, false)}
	for i := 1; g.chance(25); i++ {
		containers = append(containers, g.container(fmt.Sprintf("c%d", i), t, false))
	}
	spec["containers"] = containers
	if g.chance(25) {
		init := list{}
		for i := range 1 + g.Intn(3) {
			init = append(init, g.container(fmt.Sprintf("i%d", i), t, true))
		}
		spec["initContainers"] = init
	}
	if t.resources && g.chance(20) {
		resources := g.resources(podLevelAmounts(t))
		if resources["limits"] != nil && g.chance(40) {
			delete(resources, "requests") // the server completes them
		}
		spec["resources"] = resources
	}
	g.put(spec, 15, "overhead", func() any { return g.amounts(overheadAmounts) })
	if t.images && g.chance(10) {
		spec["volumes"] = list{object{"name": "v", "image": object{"reference": g.word(imageNames...)}},
			object{"name": "w", "emptyDir": object{}}}
	}
	if t.ports && g.chance(20) {
		spec["hostNetwork"] = true
	}
	g.put(spec, 5, "priority", func() any { return g.of(0, 10, 1000) })
	metadata := object{"name": name, "namespace": subjectNamespace}
	if g.chance(5) {
		spec["schedulingGates"] = list{object{"name": "example.com/wait"}}
	}
	status := object{}
	g.put(status, 60, "phase", func() any { return g.of("Running", "Running", "Pending", "Succeeded", "Failed") })
	if t.status {
		g.status(spec, status, t)
	}
	if g.chance(4) {
		metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
		metadata["deletionGracePeriodSeconds"] = 30
	}
	return object{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}
}

// status is that of in-place resizes, at any moment of one.
func (g *generator) status(spec, status object, t theme) {
	for field, of := range map[string]string{"containerStatuses": "containers", "initContainerStatuses": "initContainers"} {
		containers, _ := spec[of].(list)
		statuses := list{}
		for _, c := range containers {
			if g.chance(25) {
				continue
			}
			name := c.(object)["name"]
			if g.chance(3) {
				name = "stranger"
			}
			one := object{"name": name, "image": "x", "imageID": "x", "ready": true, "restartCount": 0}
			g.put(one, 50, "resources", func() any {
				actual := object{}
				g.put(actual, 80, "requests", func() any { return g.amounts(containerAmounts(t)) })
				g.put(actual, 20, "limits", func() any { return g.amounts(containerAmounts(t)) })
				return actual
			})
			g.put(one, 50, "allocatedResources", func() any { return g.amounts(containerAmounts(t)) })
			statuses = append(statuses, one)
		}
		// Also where the spec has no such containers, in which case the list is empty.
		if len(statuses) > 0 {
			status[field] = statuses
		}
	}
	g.put(status, 20, "resources", func() any {
		actual := object{}
		g.put(actual, 80, "requests", func() any { return g.amounts(podLevelAmounts(t)) })
		return actual
	})
	g.put(status, 20, "allocatedResources", func() any { return g.amounts(podLevelAmounts(t)) })
	g.put(status, 40, "conditions", func() any {
		conditions := list{}
		if g.chance(80) {
			conditions = append(conditions, object{"type": "PodResizePending", "status": g.word("True", "True", "False"),
				"reason": g.word("Infeasible", "Infeasible", "Deferred")})
		}
		g.put(status, 20, "resize", func() any { return g.of("InProgress", "Infeasible") })
		if g.chance(30) {
			conditions = append(conditions, object{"type": "PodResizeInProgress", "status": "True"})
		}
		return conditions
	})
}

func (g *generator) container(name string, t theme, init bool) object {
	container := object{"name": name, "image": "x"}
	if t.images {
		container["image"] = g.word(imageNames...)
	}
	if init {
		g.put(container, 50, "restartPolicy", func() any { return "Always" })
	}
	if g.chance(75) {
		container["resources"] = g.resources(containerAmounts(t))
	}
	if t.ports {
		container["ports"] = g.times(2, func() any { return g.port() })
	}
	return container
}

func (g *generator) port() object {
	number := g.of(80, 81, 443)
	port := object{"containerPort": number}
	g.put(port, 75, "hostPort", func() any { return number })
	g.put(port, 50, "protocol", func() any { return g.of("TCP", "TCP", "UDP", "SCTP") })
	g.put(port, 60, "hostIP", func() any {
		return g.of("", "0.0.0.0", "127.0.0.1", "10.0.0.1", "::", "::1")
	})
	return port
}

// ---- Amounts -------------------------------------------------------------------------------------------------

// An amount table: name, how often in 100, values.
type amountChoice struct {
	name   string
	often  int
	values []any
}

var (
	cpuValues    = []any{"100m", "250m", "500m", 1, "1", "2", "0", 0.1, "1500m", "0.3", "333m", "1m", "0.5m"}
	memoryValues = []any{"100Mi", "200Mi", "256Mi", "500M", "1Gi", "0", "0.5Gi", 1000000, "1e8", "1", "333333333", "100m"}

	overheadAmounts = []amountChoice{
		{"cpu", 70, []any{"10m", "100m", "250m"}}, {"memory", 70, []any{"10Mi", "100Mi"}},
		{"ephemeral-storage", 10, []any{"1Mi"}}, {"example.com/gpu", 3, []any{"1"}},
	}
)

func containerAmounts(t theme) []amountChoice {
	choices := []amountChoice{{"cpu", 60, cpuValues}, {"memory", 60, memoryValues}}
	if !t.resources {
		choices[0].often, choices[1].often = 15, 15
	}
	choices = append(choices, amountChoice{"ephemeral-storage", 12, []any{"1Gi", "100Mi", "0", 1000}})
	if t.exotic {
		choices = append(choices, amountChoice{"example.com/gpu", 25, []any{"1", 2, "4", "0"}},
			amountChoice{"other.io/nic", 15, []any{"1", "2"}},
			amountChoice{"hugepages-2Mi", 25, []any{"2Mi", "4Mi", "6Mi"}},
			amountChoice{"hugepages-1Gi", 5, []any{"1Gi"}},
			amountChoice{"foo.kubernetes.io/native", 5, []any{"1"}},
			amountChoice{"example.com/other", 5, []any{"1"}},
			amountChoice{"requests.example.com/x", 1, []any{"1"}})
	}
	if t.huge {
		choices = append(choices, amountChoice{"memory", 20, []any{"30Pi", "45P", "4Pi", "9007199254740993", "60Ti"}},
			amountChoice{"cpu", 10, []any{"30T", "9007199254740"}}, amountChoice{"example.com/gpu", 10, []any{"40P", "4P"}})
	}
	return choices
}

func podLevelAmounts(t theme) []amountChoice {
	choices := []amountChoice{{"cpu", 60, []any{"500m", "1", 2, "0", "3"}},
		{"memory", 60, []any{"500Mi", "1Gi", "0", "700M", "2Gi"}}}
	if t.exotic {
		choices = append(choices, amountChoice{"hugepages-2Mi", 50, []any{"4Mi", "8Mi", "16Mi"}})
	}
	return choices
}

func (g *generator) amounts(choices []amountChoice) object {
	amounts := object{}
	for _, c := range choices {
		g.put(amounts, c.often, c.name, func() any { return g.of(c.values...) })
	}
	return amounts
}

// resources makes requests and limits: the one, the other, both alike, or both (then often refused and made anew).
func (g *generator) resources(choices []amountChoice) object {
	amounts := g.amounts(choices)
	switch g.Intn(6) {
	case 0:
		return object{"limits": amounts}
	case 1:
		return object{"limits": amounts, "requests": clone(amounts)}
	case 2:
		return object{"limits": amounts, "requests": g.amounts(choices)}
	}
	resources := object{"requests": amounts}
	limits := object{}
	for name, amount := range amounts {
		if name != "cpu" && name != "memory" && name != "ephemeral-storage" {
			limits[name] = amount // may not be overcommitted
		}
	}
	if len(limits) > 0 {
		resources["limits"] = limits
	}
	return resources
}
