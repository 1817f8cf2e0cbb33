package main

import "fmt"

const (
	driver = "csi.example.com"
	gceCSI = "pd.csi.storage.gke.io"
	ebsCSI = "ebs.csi.aws.com"
)

var classNames = []string{"fast", "fast", "fast", "fast", "local", "local", "local", "slow", "gce"}

// storage makes everything that volume plugins look at beside the pods.
func (g *generator) storage(nodes int) []object {
	var out []object
	out = append(out, g.classes()...)
	volumes := 2 + g.Intn(6)
	var pvs []object
	for i := range volumes {
		pvs = append(pvs, g.volume(i, nodes))
	}
	for i := range claimCount {
		out = append(out, g.claim(fmt.Sprintf("c%d", i), "default", pvs, nodes))
	}
	if g.chance(50) {
		out = append(out, g.claim("c0", "team-a", pvs, nodes))
	}
	for _, name := range []string{subjectName, "p0-0"} { // of their ephemeral volumes
		if g.chance(85) {
			claim := g.claim(name+"-eph", "default", pvs, nodes)
			if g.chance(90) {
				claim["metadata"].(object)["ownerReferences"] = list{object{"apiVersion": "v1", "kind": "Pod", "name": name,
					"uid": "uid-" + name, "controller": true}}
			}
			out = append(out, claim)
		}
	}
	out = append(out, pvs...)
	for i := range nodes {
		if g.chance(75) {
			out = append(out, g.csiNode(i))
		}
	}
	if g.chance(60) {
		spec := object{}
		g.put(spec, 60, "storageCapacity", func() any { return g.of(true, true, false) })
		g.put(spec, 40, "preventPodSchedulingIfMissing", func() any { return g.of(true, true, false) })
		out = append(out, object{"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": object{"name": driver}, "spec": spec})
	}
	for i := range g.Intn(5) {
		capacity := object{"apiVersion": "storage.k8s.io/v1", "kind": "CSIStorageCapacity",
			"metadata":         object{"name": fmt.Sprintf("cap%d", i), "namespace": g.of("default", "team-a")},
			"storageClassName": g.word("fast", "fast", "slow", "gce")}
		g.put(capacity, 90, "nodeTopology", func() any {
			return g.of(object{}, object{"matchLabels": object{"topology.kubernetes.io/zone": g.of("a", "b", "c")}},
				object{"matchLabels": object{"kubernetes.io/hostname": nodeName(g.Intn(nodes))}},
				object{"matchExpressions": list{object{"key": "zone", "operator": "In", "values": list{"a", "b"}}}})
		})
		g.put(capacity, 90, "capacity", func() any { return g.of("1Gi", "5Gi", "10Gi", "100Gi", "0") })
		g.put(capacity, 25, "maximumVolumeSize", func() any { return g.of("1Gi", "4Gi", "20Gi") })
		out = append(out, capacity)
	}
	for i := range g.Intn(3) {
		out = append(out, object{"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment",
			"metadata": object{"name": fmt.Sprintf("va%d", i)}, "status": object{"attached": true},
			"spec": object{"attacher": g.word(driver, driver, gceCSI), "nodeName": nodeName(g.Intn(nodes)),
				"source": object{"persistentVolumeName": fmt.Sprintf("pv%d", g.Intn(volumes+1))}}})
	}
	return out
}

const claimCount = 4

func (g *generator) classes() []object {
	var out []object
	class := func(name, provisioner, mode string) {
		if g.chance(8) {
			return
		}
		o := object{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": object{"name": name},
			"provisioner": provisioner}
		if mode != "" {
			o["volumeBindingMode"] = mode
		}
		g.put(o, 25, "allowedTopologies", func() any {
			return g.times(2, func() any {
				values := g.of(list{"a"}, list{"a", "b"}, list{"c"})
				return object{"matchLabelExpressions": list{object{"key": g.word("topology.kubernetes.io/zone", "zone"), "values": values}}}
			})
		})
		out = append(out, o)
	}
	class("fast", driver, "WaitForFirstConsumer")
	class("local", "kubernetes.io/no-provisioner", "WaitForFirstConsumer")
	class("slow", driver, g.word("Immediate", ""))
	class("gce", "kubernetes.io/gce-pd", "WaitForFirstConsumer")
	return out
}

func (g *generator) volume(i, nodes int) object {
	labels := object{}
	zoned := g.chance(35)
	if zoned {
		g.put(labels, 70, "topology.kubernetes.io/zone", func() any { return g.of("a", "b", "a__b", "b__c") })
		g.put(labels, 25, "failure-domain.beta.kubernetes.io/zone", func() any { return g.of("a", "b__c", "a__a", "__") })
	}
	g.put(labels, 10, "topology.kubernetes.io/region", func() any { return g.of("r1", "r2") })
	g.put(labels, 5, "failure-domain.beta.kubernetes.io/region", func() any { return g.of("r1") })
	g.put(labels, 50, "kind", func() any { return g.of("x", "y") })
	spec := object{"capacity": object{"storage": g.of("1Gi", "2Gi", "2Gi", "5Gi", "10Gi")}, "accessModes": g.accessModes(),
		"persistentVolumeReclaimPolicy": "Retain"}
	g.put(spec, 95, "storageClassName", func() any { return g.word(append(classNames, "")...) })
	g.put(spec, 12, "volumeMode", func() any { return g.of("Block", "Filesystem") })
	g.put(spec, 4, "volumeAttributesClassName", func() any { return "gold" })
	if !zoned || g.chance(30) {
		g.put(spec, 55, "nodeAffinity", func() any { return g.volumeAffinity(nodes) })
	}
	switch g.Intn(12) {
	case 0:
		spec["gcePersistentDisk"] = object{"pdName": g.of("d0", "d1")}
	case 1:
		spec["awsElasticBlockStore"] = object{"volumeID": g.of("vol-0", "aws://us-east-1a/vol-1", "bad/id/x")}
	case 2:
		spec["nfs"] = object{"server": "s", "path": "/"}
	case 3:
		spec["local"] = object{"path": "/l"}
		if spec["nodeAffinity"] == nil {
			spec["nodeAffinity"] = g.volumeAffinity(nodes)
		}
	case 4:
		if g.chance(50) {
			spec["azureDisk"] = object{"diskName": "a", "diskURI": "/subscriptions/x"}
		} else {
			spec["cinder"] = object{"volumeID": "z"}
		}
	default:
		spec["csi"] = object{"driver": g.word(driver, driver, driver, gceCSI, "other.example.com"),
			"volumeHandle": fmt.Sprintf("h%d", g.Intn(4))}
	}
	metadata := object{"name": fmt.Sprintf("pv%d", i), "labels": labels, "uid": fmt.Sprintf("uid-pv%d", i)}
	g.put(metadata, 3, "deletionTimestamp", func() any { return "2026-01-05T00:00:00Z" })
	if spec["storageClassName"] == "fast" && g.chance(4) {
		delete(spec, "storageClassName")
		metadata["annotations"] = object{"volume.beta.kubernetes.io/storage-class": "fast"}
	}
	status := object{"phase": g.of("Available", "Available", "Available", "Available", "Available", "Available", "Released", "Pending")}
	return object{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec, "status": status}
}

func (g *generator) accessModes() list {
	if g.chance(12) {
		return list{"ReadWriteOncePod"}
	}
	modes := list{}
	for _, mode := range g.some(40, "ReadOnlyMany", "ReadWriteMany") {
		modes = append(modes, mode)
	}
	if len(modes) == 0 || g.chance(80) {
		modes = append(modes, "ReadWriteOnce")
	}
	return modes
}

func (g *generator) volumeAffinity(nodes int) object {
	term := func() any {
		term := object{"matchExpressions": list{g.of(
			object{"key": "topology.kubernetes.io/zone", "operator": "In", "values": list{g.of("a", "b", "c")}},
			object{"key": "zone", "operator": "In", "values": list{g.of("a", "b"), "c"}},
			object{"key": "kubernetes.io/hostname", "operator": "In", "values": list{nodeName(g.Intn(nodes)), "n0"}},
			object{"key": "disk", "operator": g.word("Exists", "DoesNotExist")},
			object{"key": "topology.gke.io/zone", "operator": "In", "values": list{"a"}},
		)}}
		if g.chance(5) {
			term = object{"matchFields": list{object{"key": "metadata.name", "operator": "In", "values": list{nodeName(g.Intn(nodes))}}}}
		}
		return term
	}
	return object{"required": object{"nodeSelectorTerms": append(list{term()}, g.times(1, term)...)}}
}

// claim makes one that is bound (then mostly the volume knows), bound before its time, or waiting.
func (g *generator) claim(name, namespace string, pvs []object, nodes int) object {
	annotations := object{}
	metadata := object{"name": name, "namespace": namespace, "uid": "uid-" + namespace + "-" + name, "annotations": annotations}
	spec := object{"accessModes": list{"ReadWriteOnce"}, "resources": object{"requests": object{"storage": g.of("1Gi", "1Gi", "2Gi", "3Gi", "8Gi")}}}
	status := object{"phase": "Pending"}
	g.put(spec, 30, "accessModes", func() any { return g.accessModes() })
	g.put(spec, 97, "storageClassName", func() any { return g.word(append(classNames, append(classNames, "", "gone")...)...) })
	g.put(spec, 8, "volumeMode", func() any { return g.of("Block", "Filesystem") })
	g.put(spec, 3, "volumeAttributesClassName", func() any { return "gold" })
	g.put(spec, 18, "selector", func() any {
		return g.of(object{"matchLabels": object{"kind": "x"}}, object{"matchExpressions": list{object{"key": "kind", "operator": "NotIn", "values": list{"x"}}}}, object{})
	})
	pv := pvs[g.Intn(len(pvs))]
	pvSpec, pvName := pv["spec"].(object), pv["metadata"].(object)["name"]
	reference := object{"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": namespace, "name": name}
	g.put(reference, 85, "uid", func() any {
		return g.of(metadata["uid"], metadata["uid"], metadata["uid"], metadata["uid"], "uid-stranger")
	})
	switch g.Intn(10) {
	case 0, 1, 2, 3:
		if pvSpec["claimRef"] != nil && g.chance(90) {
			break
		}
		spec["volumeName"] = pvName
		status["phase"] = g.of("Bound", "Bound", "Bound", "Bound", "Bound", "Bound", "Bound", "Bound", "Bound", "Bound", "Lost", "Pending")
		g.put(annotations, 97, "pv.kubernetes.io/bind-completed", func() any { return "yes" })
		if g.chance(5) {
			spec["volumeName"] = "pv-gone"
		} else if g.chance(90) {
			pvSpec["claimRef"], pv["status"] = reference, object{"phase": "Bound"}
		}
	case 5:
		if pvSpec["claimRef"] == nil {
			pvSpec["claimRef"] = reference // prebound by a user
			g.put(spec, 80, "storageClassName", func() any { return pvSpec["storageClassName"] })
		}
	case 6:
		annotations["volume.kubernetes.io/selected-node"] = nodeName(g.Intn(nodes + 1))
	}
	g.put(metadata, 2, "deletionTimestamp", func() any { return "2026-01-05T00:00:00Z" })
	if g.chance(3) {
		delete(spec, "storageClassName")
		annotations["volume.beta.kubernetes.io/storage-class"] = "fast"
	}
	return object{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec, "status": status}
}

func (g *generator) csiNode(i int) object {
	metadata := object{"name": nodeName(i)}
	if g.chance(60) {
		metadata["annotations"] = object{"storage.alpha.kubernetes.io/migrated-plugins": g.of(
			"kubernetes.io/aws-ebs,kubernetes.io/gce-pd", "kubernetes.io/aws-ebs,kubernetes.io/gce-pd,kubernetes.io/azure-disk,kubernetes.io/cinder",
			"kubernetes.io/gce-pd", "kubernetes.io/aws-ebs", "")}
	}
	drivers := list{}
	for _, name := range g.some(75, driver, gceCSI, ebsCSI, "disk.csi.azure.com") {
		one := object{"name": name, "nodeID": nodeName(i)}
		g.put(one, 75, "allocatable", func() any {
			allocatable := object{}
			g.put(allocatable, 90, "count", func() any { return g.of(0, 1, 1, 2, 2, 3) })
			return allocatable
		})
		drivers = append(drivers, one)
	}
	return object{"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": metadata, "spec": object{"drivers": drivers}}
}

// volumes gives a pod one to three.
func (g *generator) volumes(pod object) {
	metadata, spec := pod["metadata"].(object), pod["spec"].(object)
	volumes := toList(spec["volumes"])
	add := func(name string, volume object) {
		volume["name"] = name
		volumes = append(volumes, volume)
	}
	for i := range 1 + g.Intn(3) {
		name := fmt.Sprintf("v%d", i)
		switch g.Intn(14) {
		case 0:
			disk := object{"pdName": g.of("d0", "d1")}
			g.put(disk, 50, "readOnly", func() any { return true })
			add(name, object{"gcePersistentDisk": disk})
		case 1:
			disk := object{"volumeID": g.of("vol-0", "vol-1", "aws://us-east-1a/vol-1", "odd/id")}
			g.put(disk, 40, "readOnly", func() any { return true })
			add(name, object{"awsElasticBlockStore": disk})
		case 2:
			disk := object{"targetPortal": g.of("1.2.3.4:1", "1.2.3.5:1"), "iqn": g.of("iqn.2026-01.a:b", "iqn.2026-01.c:d"), "lun": g.of(0, 1)}
			g.put(disk, 50, "readOnly", func() any { return true })
			add(name, object{"iscsi": disk})
		case 3:
			disk := object{"monitors": g.of(list{"m0"}, list{"m1", "m0"}, list{"m2"}), "image": g.of("i0", "i1")}
			g.put(disk, 40, "pool", func() any { return g.of("rbd", "p1") })
			g.put(disk, 50, "readOnly", func() any { return true })
			add(name, object{"rbd": disk})
		case 4:
			add(name, g.of(object{"csi": object{"driver": driver}}, object{"azureDisk": object{"diskName": "a", "diskURI": "/subscriptions/x"}},
				object{"cinder": object{"volumeID": "z"}}, object{"emptyDir": object{}}, object{"nfs": object{"server": "s", "path": "/"}}).(object))
		case 5:
			if n := metadata["name"]; i == 0 && (n == subjectName || n == "p0-0") {
				add("eph", object{"ephemeral": object{"volumeClaimTemplate": object{"spec": object{"accessModes": list{"ReadWriteOnce"},
					"storageClassName": "fast", "resources": object{"requests": object{"storage": "1Gi"}}}}}})
			}
		default:
			claim := fmt.Sprintf("c%d", g.Intn(claimCount))
			if g.chance(3) {
				claim = "c9"
			}
			source := object{"claimName": claim}
			g.put(source, 10, "readOnly", func() any { return true })
			add(name, object{"persistentVolumeClaim": source})
		}
	}
	spec["volumes"] = volumes
}
