//go:build unix

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// examined is a server that is asked all the time.
type examined struct {
	*questioned
	answers atomic.Int64
	ended   atomic.Bool
}

func newExamined(t *testing.T, handler http.HandlerFunc) *examined {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &examined{}
	a.questioned = &questioned{
		Listener: listener, timed: listener.(*net.TCPListener), every: time.Millisecond,
		progress: func() { a.answers.Add(1) }, ended: func() { a.ended.Store(true) },
	}
	server := &http.Server{Handler: handler}
	done := make(chan error)
	go func() { done <- server.Serve(a.questioned) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Error(err)
		}
		if !a.ended.Load() {
			t.Error("the server is watched after its end")
		}
	})
	return a
}

// get asks the server as others do.
func (a *examined) get(t *testing.T) {
	t.Helper()
	response, err := http.Get("http://" + a.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

// Whatever the answer is, it is one, also while other clients keep their
// connections and say nothing.
func TestAServerThatAnswersIsAlive(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusNotFound, http.StatusServiceUnavailable} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			a := newExamined(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				fmt.Fprintln(w, r.Host)
			})
			for range 50 {
				dial(t, a.Addr().String())
			}
			before := a.answers.Load()
			eventually(t, "it goes on answering", func() bool { return a.answers.Load() >= before+10 })
			a.get(t)
		})
	}
}

// A handler that stands still is no answer, though the server accepts and serves
// others; and it is not asked again and again, so that nothing piles up.
func TestAServerWhoseHandlerStandsStillIsSilent(t *testing.T) {
	var lock sync.Mutex
	var handled atomic.Int64
	lock.Lock()
	a := newExamined(t, func(_ http.ResponseWriter, r *http.Request) {
		handled.Add(1)
		if r.URL.Path == "/healthz" {
			lock.Lock()
			defer lock.Unlock()
		}
	})
	eventually(t, "it is asked", func() bool { return handled.Load() == 1 })
	const others = 20
	for range others {
		a.get(t)
	}
	if n := handled.Load(); n != 1+others {
		t.Errorf("it has handled %d requests, want %d", n, 1+others)
	}
	if n := a.answers.Load(); n != 0 {
		t.Errorf("it has answered %d times", n)
	}
	lock.Unlock()
	eventually(t, "it answers again", func() bool { return a.answers.Load() >= 3 })
}

// A server that speaks TLS answers too: it says that it does.
func TestAServerWithTLSIsAlive(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var answers atomic.Int64
	asked := &questioned{
		Listener: listener, timed: listener.(*net.TCPListener), every: time.Millisecond,
		progress: func() { answers.Add(1) }, ended: func() {},
	}
	gate := &serverGate{Listener: asked, from: []Network{}, refuse: func(reason, address string) { t.Errorf("%s is refused: %s", address, reason) }}
	server := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error)
	go func() { done <- server.Serve(secureListener{gate, &tls.Config{MinVersion: tls.VersionTLS12}}) }()
	eventually(t, "it has answered often", func() bool { return answers.Load() > 10 })
	server.Close()
	if err := <-done; err != http.ErrServerClosed {
		t.Error(err)
	}
}
