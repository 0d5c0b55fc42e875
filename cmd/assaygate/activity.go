package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// activity is what of the gateway must not be interrupted, counted beside the
// metrics of the same meaning.
type activity struct{ sessions, commits atomic.Int64 }

// activityAnswer is the answer to whoever asks whether analysers are at work:
//
//	{"sessions": 0, "commits": 0}
type activityAnswer struct {
	Sessions int64 `json:"sessions"` // messages being received
	Commits  int64 `json:"commits"`  // messages on their way to the card
}

// serveActivity answers on a unix socket until ctx ends. Everybody on the host may
// ask: two numbers give nothing away, and the update agent, which is a user of its
// own, gets into nothing else of the gateway's. Without the socket the gateway
// goes on: who asks then takes it for idle.
func (d *daemon) serveActivity(ctx context.Context, running *sync.WaitGroup, path string) {
	if path == "" {
		return
	}
	listener, err := listenControl(path)
	if err == nil {
		err = os.Chmod(path, 0o666)
	}
	if err != nil {
		d.log.Warn("whether analysers are at work cannot be asked: an update may interrupt one", "error", err)
		return
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(activityAnswer{d.metrics.now.sessions.Load(), d.metrics.now.commits.Load()}) // whoever has gone needs no answer
	})
	d.serve(ctx, running, httpServer{name: "activity socket", handler: steadily(handler)}, listener, func(err error) {
		d.log.Warn("whether analysers are at work cannot be asked any more", "error", err)
	})
}

// askUnix sends a request to a server on a unix socket, and returns its answer, of
// which at most so many bytes count. An answer that is none of success is an error
// in the server's words.
func askUnix(ctx context.Context, socket, method, path string, body io.Reader, most int64) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://box"+path, body)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(oneLine(errors.New(strings.TrimSpace(string(answer)))))
	}
	return answer, err
}
