package health

import (
	"fmt"
	"net/http"
)

// Healthz answers 200 "ok" while the registry is healthy, else 503 and which
// part is silent.
func (r *Registry) Healthz() http.Handler { return answer(r.Healthy) }

// Readyz answers 200 "ok" while the registry is ready, else 503 and what it
// waits for or lacks.
func (r *Registry) Readyz() http.Handler { return answer(r.Ready) }

func answer(state func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := state(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	})
}
