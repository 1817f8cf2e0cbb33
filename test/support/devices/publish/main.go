// Command publish gives nodes of a cluster devices, to play with (after `./dev cluster up`):
//
//	go run ./support/devices/publish --boxes n1,n2 --partitions n3 --shared n4 --tpus h0,h1,h2,h3
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"muster.dev/muster/test/support/devices"
)

func main() {
	kubeconfig := flag.String("kubeconfig", os.Getenv("KUBECONFIG"), "how to reach the cluster")
	boxes := flag.String("boxes", "", "nodes with 8 GPUs and 8 NICs")
	partitions := flag.String("partitions", "", "nodes with 4 GPUs that can be cut in pieces")
	shared := flag.String("shared", "", "nodes with 2 GPUs that are shared")
	tpus := flag.String("tpus", "", "hosts of one pool of TPUs, an even number")
	withdraw := flag.Bool("withdraw", false, "instead: delete all that was published")
	flag.Parse()
	if err := run(*kubeconfig, *boxes, *partitions, *shared, *tpus, *withdraw); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

func run(kubeconfig, boxes, partitions, shared, tpus string, withdraw bool) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if withdraw {
		return devices.Withdraw(ctx, client)
	}
	var all []*resourceapi.ResourceSlice
	each := func(nodes string, make func(string) []*resourceapi.ResourceSlice) {
		for node := range strings.SplitSeq(nodes, ",") {
			if node != "" {
				all = slices.Concat(all, make(node))
			}
		}
	}
	each(boxes, devices.NVLinkBox)
	each(partitions, devices.PartitionedGPUs)
	each(shared, devices.SharedGPUs)
	if tpus != "" {
		all = slices.Concat(all, devices.TPUSlice("tpu-slice-0", strings.Split(tpus, ",")))
	}
	if err := devices.PublishClasses(ctx, client, devices.Classes()); err != nil {
		return err
	}
	return devices.Publish(ctx, client, all)
}
