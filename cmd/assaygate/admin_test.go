package main

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/health"
	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/envelope"
)

// announced is what senaite.astm 2.0 shows at /stats: dashboards and HealthWatch
// set-ups read these lines, with other figures.
const announced = `# HELP senaite_astm_messages_total Messages by outcome
# TYPE senaite_astm_messages_total counter
senaite_astm_messages_total{outcome="forwarded"} 14823
senaite_astm_uptime_seconds 432119
`

func get(t *testing.T, handler http.Handler, path, accept string) (status int, body string) {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, nil)
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	text, err := io.ReadAll(recorder.Body)
	if err != nil {
		t.Fatal(err)
	}
	return recorder.Code, string(text)
}

func TestStatsAreAsAnnounced(t *testing.T) {
	m := newMetrics()
	_, body := get(t, adminHandler(&health.Registry{}, m), "/stats", "")
	figure := regexp.MustCompile(` \d+$`)
	have := map[string]bool{}
	for line := range strings.Lines(body) {
		have[figure.ReplaceAllString(strings.TrimSpace(line), " N")] = true
	}
	for line := range strings.Lines(announced) {
		if line = figure.ReplaceAllString(strings.TrimSpace(line), " N"); !have[line] {
			t.Errorf("no line %q in\n%s", line, body)
		}
	}
}

// Every outcome is there before it has happened, and every metric says what it
// is.
func TestClosedLabelSetsStartAtZero(t *testing.T) {
	m := newMetrics()
	m.expect("xn", envelope.ASTM)
	_, body := get(t, adminHandler(&health.Registry{}, m), "/metrics", "")
	for _, want := range []string{
		`senaite_astm_messages_total{outcome="received"} 0`,
		`senaite_astm_messages_total{outcome="parsed"} 0`,
		`senaite_astm_messages_total{outcome="forwarded"} 0`,
		`senaite_astm_messages_total{outcome="dropped"} 0`,
		`senaite_astm_messages_total{outcome="rejected"} 0`,
		`assaygate_messages_total{instrument="xn",outcome="received",protocol="astm"} 0`,
		`assaygate_messages_total{instrument="xn",outcome="incomplete",protocol="astm"} 0`,
		`assaygate_negative_acks_total{instrument="xn",reason="checksum"} 0`,
		`assaygate_line_up{instrument="xn"} 0`,
		`assaygate_line_noisy{instrument="xn"} 0`,
		`assaygate_connections{instrument="xn"} 0`,
		`assaygate_sessions_open 0`,
		`assaygate_commits_in_flight 0`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no line %q in\n%s", want, body)
		}
	}
}

// A card that fails must not silence the alarm about it.
func TestMetricsAreToldWithoutTheStore(t *testing.T) {
	config, err := parseConfig([]byte("version: 1\nspool: {directory: "+t.TempDir()+"}\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	d := newDaemon(config, slog.New(slog.DiscardHandler))
	d.metrics.registry.MustRegister(newStoreMetrics(d))
	d.standing.lose(errors.New("the card is broken"), causeCard)
	status, body := get(t, adminHandler(d.health, d.metrics), "/metrics", "")
	for _, want := range []string{"assaygate_store_failed 1", "assaygate_disk_free_bytes ", `senaite_astm_messages_total{outcome="received"} 0`} {
		if status != http.StatusOK || !strings.Contains(body, "\n"+want) {
			t.Errorf("status %d, no line %q in\n%s", status, want, body)
		}
	}
	if strings.Contains(body, "assaygate_spool_bytes ") {
		t.Errorf("a closed store has answered:\n%s", body)
	}
}

func TestStatsAsJSON(t *testing.T) {
	m := newMetrics()
	fields := func() map[string]any {
		_, body := get(t, adminHandler(&health.Registry{}, m), "/stats", "application/json")
		var v map[string]any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatalf("%v in %q", err, body)
		}
		if len(v) != 4 || v["uptime_seconds"] == nil {
			t.Errorf("fields %v", v)
		}
		return v
	}
	if v := fields(); v["last_dispatch_at"] != nil || v["frames_dispatched"] != 0.0 {
		t.Errorf("before the first message: %v", v)
	}
	m.Connections("xn", 1)
	m.Message("xn", envelope.ASTM, instrument.Received)
	if v := fields(); v["last_dispatch_at"] == nil || v["frames_dispatched"] != 1.0 || v["active_sessions"] != 1.0 {
		t.Errorf("after a message: %v", v)
	}
}

func TestAdminHasNoOtherPages(t *testing.T) {
	handler := adminHandler(&health.Registry{}, newMetrics())
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 404, "/debug/pprof/": 404} {
		if status, _ := get(t, handler, path, ""); status != want {
			t.Errorf("%s answers %d, want %d", path, status, want)
		}
	}
}
