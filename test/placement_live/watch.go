package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"k8s.io/client-go/rest"

	controlplane "muster.dev/muster/test/control_plane"
)

const protobuf = "application/vnd.kubernetes.protobuf"

// plainClient speaks HTTP/1.1 over up to `connections` kept connections: per request it costs less than
// client-go's HTTP/2, and the harness shares the machine with what it measures.
func plainClient(c *controlplane.Cluster, connections int) (*http.Client, error) {
	tlsConfig, err := rest.TLSConfigFor(c.AdminConfig())
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:     tlsConfig,
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxIdleConns:        connections,
		MaxIdleConnsPerHost: connections,
	}}, nil
}

// watcher sees pods become bound. It reads the protobuf frames itself and decodes three fields of each, so that
// it takes little from what it measures; the same one watches in every case.
type watcher struct {
	client  *http.Client
	url     string
	prefix  string
	version []byte // the last resource version seen; the reading goroutine's

	all   chan struct{} // closed when every pod is bound
	ended chan struct{} // closed when no watch can be had any more

	mutex    sync.Mutex
	bound    []time.Time // by pod number; zero: not yet
	left     int
	restarts int
	err      error // why it ended
}

// watchPods watches all pods from now on and waits for `count` that are called prefix0, prefix1, ...
func watchPods(ctx context.Context, c *controlplane.Cluster, prefix string, count int) (*watcher, error) {
	client, err := plainClient(c, 1)
	if err != nil {
		return nil, err
	}
	admin, err := c.Client()
	if err != nil {
		return nil, err
	}
	now, err := admin.CoreV1().Pods("").List(ctx, listOne)
	if err != nil {
		return nil, err
	}
	w := &watcher{
		client: client, url: c.URL, prefix: prefix, version: []byte(now.ResourceVersion),
		all: make(chan struct{}), ended: make(chan struct{}),
		bound: make([]time.Time, count), left: count,
	}
	stream, err := w.open(ctx)
	if err != nil {
		return nil, err
	}
	go w.follow(ctx, stream)
	return w, nil
}

func (w *watcher) open(ctx context.Context) (io.ReadCloser, error) {
	url := w.url + "/api/v1/pods?watch=true&resourceVersion=" + string(w.version)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", protobuf+";stream=watch")
	response, err := w.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("watch pods: %s", response.Status)
	}
	return response.Body, nil
}

// follow goes on from the last version where a stream ends: a server that is short of CPU ends those that it
// could not write to for a moment.
func (w *watcher) follow(ctx context.Context, stream io.ReadCloser) {
	defer close(w.ended)
	for {
		err := w.read(bufio.NewReaderSize(stream, 256<<10))
		stream.Close()
		if err == io.EOF && ctx.Err() == nil {
			stream, err = w.open(ctx)
		}
		w.mutex.Lock()
		w.restarts++
		w.err = err
		w.mutex.Unlock()
		if err != nil {
			return
		}
	}
}

func (w *watcher) read(stream io.Reader) error {
	var frame []byte
	for {
		var head [4]byte
		if _, err := io.ReadFull(stream, head[:]); err != nil {
			return err
		}
		length := int(binary.BigEndian.Uint32(head[:]))
		if cap(frame) < length {
			frame = make([]byte, length)
		}
		frame = frame[:length]
		if _, err := io.ReadFull(stream, frame); err != nil {
			return err
		}
		if string(field(frame, 1)) == "ERROR" {
			return fmt.Errorf("watch pods: error frame %q", frame)
		}
		seen, err := podOf(frame)
		if err != nil {
			return err
		}
		w.version = append(w.version[:0], seen.version...)
		if len(seen.node) == 0 || !bytes.HasPrefix(seen.name, []byte(w.prefix)) {
			continue
		}
		number, err := strconv.Atoi(string(seen.name[len(w.prefix):]))
		if err != nil || number >= len(w.bound) {
			return fmt.Errorf("watch pods: unexpected pod %q", seen.name)
		}
		w.mark(number, time.Now())
	}
}

func (w *watcher) mark(number int, at time.Time) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if !w.bound[number].IsZero() {
		return
	}
	w.bound[number] = at
	if w.left--; w.left == 0 {
		close(w.all)
	}
}

// wait returns when all pods are bound, with the time of each.
func (w *watcher) wait(limit time.Duration) ([]time.Time, error) {
	select {
	case <-w.all:
	case <-w.ended:
		return nil, fmt.Errorf("the measuring watch ended: %w", w.err)
	case <-time.After(limit):
		w.mutex.Lock()
		defer w.mutex.Unlock()
		return nil, fmt.Errorf("%d of %d pods are not bound after %v", w.left, len(w.bound), limit)
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.bound, nil
}

// podView points into a frame.
type podView struct{ name, version, node []byte }

// podOf finds metadata.name, metadata.resourceVersion and spec.nodeName in a watch frame: meta/v1
// WatchEvent{object=2}, in it runtime.RawExtension{raw=1}, in it the four magic bytes and runtime.Unknown{raw=2},
// in it the pod.
func podOf(frame []byte) (podView, error) {
	envelope := field(field(frame, 2), 1)
	if len(envelope) < 4 {
		return podView{}, fmt.Errorf("watch pods: a frame without an object: %q", frame)
	}
	pod := field(envelope[4:], 2)
	metadata := field(pod, 1)
	return podView{name: field(metadata, 1), version: field(metadata, 6), node: field(field(pod, 2), 10)}, nil
}

// field returns the first value of that number that is bytes; nil if there is none.
func field(message []byte, number protowire.Number) []byte {
	for len(message) > 0 {
		found, kind, head := protowire.ConsumeTag(message)
		if head < 0 {
			return nil
		}
		size := protowire.ConsumeFieldValue(found, kind, message[head:])
		if size < 0 {
			return nil
		}
		if found == number && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message[head:])
			return value
		}
		message = message[head+size:]
	}
	return nil
}

// readList times how long the server takes to hand out all pods, and how many bytes they are.
func readList(c *controlplane.Cluster) (time.Duration, int64, error) {
	client, err := plainClient(c, 1)
	if err != nil {
		return 0, 0, err
	}
	request, err := http.NewRequest(http.MethodGet, c.URL+"/api/v1/pods", nil)
	if err != nil {
		return 0, 0, err
	}
	request.Header.Set("Accept", protobuf)
	request.Header.Set("Accept-Encoding", "identity")
	start := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	size, err := io.Copy(io.Discard, response.Body)
	if err == nil && !strings.HasPrefix(response.Status, "200") {
		err = fmt.Errorf("list pods: %s", response.Status)
	}
	return time.Since(start), size, err
}
