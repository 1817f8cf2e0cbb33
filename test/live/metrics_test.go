package live

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Dashboards that were made for kube-scheduler find their series: its stable metrics, with its labels.
func TestMetrics(t *testing.T) {
	s := newScene(t, node("metrics-0", "2"), node("metrics-1", "2"))
	d := muster(t, noElection)
	s.create(pods(1, "fits", "1", schedulerName))
	s.waitBound(1, 5*time.Second)
	s.create(pods(1, "large", "8", schedulerName))
	s.waitUnschedulable("large-0")
	for _, c := range []struct{ series, labels string }{
		{"scheduler_schedule_attempts_total", `profile="muster",result="scheduled"`},
		{"scheduler_schedule_attempts_total", `profile="muster",result="unschedulable"`},
		{"scheduler_scheduling_attempt_duration_seconds_bucket", `profile="muster",result="scheduled",le="0.001"`},
		{"scheduler_scheduling_attempt_duration_seconds_count", `profile="muster",result="unschedulable"`},
		{"scheduler_pod_scheduling_sli_duration_seconds_count", `attempts="1"`},
		{"scheduler_pod_scheduling_attempts_bucket", `le="1"`},
		{"scheduler_framework_extension_point_duration_seconds_count",
			`extension_point="Filter",profile="muster",status="Success"`},
		{"scheduler_framework_extension_point_duration_seconds_count",
			`extension_point="Score",profile="muster",status="Success"`},
		{"scheduler_pending_pods", `queue="active"`},
		{"scheduler_pending_pods", `queue="backoff"`},
		{"scheduler_pending_pods", `queue="unschedulable"`},
		{"scheduler_pending_pods", `queue="gated"`},
		{"scheduler_queue_incoming_pods_total", `event="UnscheduledPodAdd",queue="active"`},
		{"scheduler_queue_incoming_pods_total", `event="ScheduleAttemptFailure",queue="unschedulable"`},
		{"scheduler_preemption_attempts_total", ""},
		{"scheduler_preemption_victims_bucket", `le="1"`},
	} {
		t.Run(c.series+"{"+c.labels+"}", func(t *testing.T) {
			// Some are counted just after the pod's binding is seen.
			var body string
			if !poll(2*time.Second, func() bool { _, body = d.get("/metrics"); return hasSeries(body, c.series, c.labels) }) {
				var near []string
				for _, line := range strings.Split(body, "\n") {
					if strings.HasPrefix(line, c.series) {
						near = append(near, line)
					}
				}
				t.Errorf("missing; there is:\n%s", strings.Join(near, "\n"))
			}
		})
	}
}

// hasSeries looks for a line of that name which has all the labels, in any order.
func hasSeries(body, series, labels string) bool {
lines:
	for _, line := range strings.Split(body, "\n") {
		if !strings.HasPrefix(line, series+"{") && !strings.HasPrefix(line, series+" ") {
			continue
		}
		for _, label := range strings.Split(labels, ",") {
			if !strings.Contains(line, label) {
				continue lines
			}
		}
		return true
	}
	return false
}

func TestEndpoints(t *testing.T) {
	newScene(t)
	d := muster(t, noElection)
	for _, path := range []string{"/healthz", "/livez", "/readyz"} {
		if status, body := d.get(path); status != http.StatusOK || !strings.HasPrefix(body, "ok") {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	status, body := d.get("/configz")
	if status != http.StatusOK || !strings.Contains(body, "schedulerName") {
		t.Errorf("/configz: %d %.200s", status, body)
	}
	if status, _ := d.get("/nothing-here"); status != http.StatusNotFound {
		t.Errorf("/nothing-here: %d, want 404", status)
	}
}
