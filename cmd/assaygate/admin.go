package main

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/assaygate/assaygate/device/health"
)

// adminHandler is the admin endpoint: liveness, readiness and counters. It
// shows no message content and changes nothing.
func adminHandler(h *health.Registry, m *metrics) http.Handler {
	mux := http.NewServeMux()
	// When the store cannot be asked, the rest is still told: that is when it matters.
	prometheus := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	mux.Handle("GET /healthz", h.Healthz())
	mux.Handle("GET /readyz", h.Readyz())
	mux.Handle("GET /metrics", prometheus)
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "application/json") {
			m.writeStats(w)
			return
		}
		prometheus.ServeHTTP(w, r)
	})
	return mux
}

// writeStats answers as senaite.astm before 2.0 did.
func (m *metrics) writeStats(w http.ResponseWriter) {
	stats := struct {
		Uptime     float64  `json:"uptime_seconds"`
		Sessions   int      `json:"active_sessions"`
		Dispatched uint64   `json:"frames_dispatched"`
		Last       *float64 `json:"last_dispatch_at"`
	}{
		Uptime: math.Round(time.Since(m.started).Seconds()*100) / 100,
	}
	m.mu.Lock()
	for _, line := range m.lines {
		stats.Sessions += line.connections
		stats.Dispatched += line.messages
		if last := unixSeconds(line.last); !line.last.IsZero() && (stats.Last == nil || last > *stats.Last) {
			stats.Last = &last
		}
	}
	m.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(stats) // a failure means that the reader left
}
