package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// cpuSeconds is what a process has used so far, in user and system mode.
func cpuSeconds(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in brackets, may hold anything; after it comes field 3. utime and stime are 14 and 15.
	rest := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	ticks := 0.0
	for _, at := range []int{14 - 3, 15 - 3} {
		n, err := strconv.ParseFloat(rest[at], 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return ticks / 100, nil // USER_HZ is 100 on every Linux that Go runs on
}

// memoryMB reads VmHWM (the peak) or VmRSS (now) in units of 10^6 bytes.
func memoryMB(pid int, field string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kilobytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kilobytes * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("no %s of process %d", field, pid)
}

// awaitQuiet returns the CPU seconds of a process once it has used next to nothing for a second: what it
// does after its last bind (events, mostly) is then counted too.
func awaitQuiet(pid int, limit time.Duration) (float64, error) {
	last, err := cpuSeconds(pid)
	for deadline := time.Now().Add(limit); err == nil && time.Now().Before(deadline); {
		time.Sleep(time.Second)
		var now float64
		if now, err = cpuSeconds(pid); now-last <= 0.02 {
			return now, err
		}
		last = now
	}
	return last, err
}

var pages = &http.Client{
	Timeout: 5 * time.Second,
	// kube-scheduler serves on loopback with a certificate that it signs itself.
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
}

func page(url string) (int, []byte, error) {
	response, err := pages.Get(url)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

func awaitReady(baseURL string, limit time.Duration) error {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if status, _, err := page(baseURL + "/readyz"); err == nil && status == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("%s is not ready after %v", baseURL, limit)
}

// histogram is a Prometheus histogram without labels.
type histogram struct {
	bounds []float64
	counts []float64 // cumulative
}

func readHistogram(baseURL, name string) (histogram, error) {
	status, body, err := page(baseURL + "/metrics")
	if err != nil {
		return histogram{}, err
	}
	if status != http.StatusOK {
		return histogram{}, fmt.Errorf("%s/metrics: status %d", baseURL, status)
	}
	var h histogram
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		bound, found := strings.CutPrefix(lines.Text(), name+`_bucket{le="`)
		if !found {
			continue
		}
		bound, count, _ := strings.Cut(bound, `"} `)
		le, err := strconv.ParseFloat(bound, 64) // it knows "+Inf"
		if err != nil {
			return h, err
		}
		n, err := strconv.ParseFloat(count, 64)
		if err != nil {
			return h, err
		}
		h.bounds, h.counts = append(h.bounds, le), append(h.counts, n)
	}
	return h, lines.Err()
}

// quantile is the upper bound, in seconds, of the bucket that holds the q-quantile.
func (h histogram) quantile(q float64) float64 {
	if len(h.counts) == 0 {
		return 0
	}
	wanted := q * h.counts[len(h.counts)-1]
	for i, count := range h.counts {
		if count >= wanted {
			if i == len(h.counts)-1 && i > 0 { // "+Inf"
				return h.bounds[i-1]
			}
			return h.bounds[i]
		}
	}
	return 0
}

// machineSeconds is the time that all CPUs together were busy.
func machineSeconds() (float64, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	busy := 0.0
	for i, word := range strings.Fields(line)[1:] {
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return 0, err
		}
		// Idle and waiting for the disk are not busy; guests' time is in user's already.
		if i != 3 && i != 4 && i < 8 {
			busy += n
		}
	}
	return busy / 100, nil
}
