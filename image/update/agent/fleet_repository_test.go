package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
	"github.com/assaygate/assaygate/image/update/repository"
	"github.com/assaygate/assaygate/image/update/trust"
)

// fleetRepository is a repository as who makes releases has it, and a web server for its
// public files, in this process: boxes dial pipes.
type fleetRepository struct {
	t       *testing.T
	dir     string
	root    []byte // what boxes are flashed with
	server  *http.Server
	dialled chan net.Conn
	closed  chan struct{}
	away    atomic.Bool // it answers everything with 503
	traffic traffic
}

// One byte stands for a MiB of a bundle, and for one of update.rate: a download takes as
// long as that of a real bundle.
const (
	fleetBundle  = 42 // bytes
	fleetRate    = 1  // bytes a second, as is usual
	fleetAddress = "http://updates.example.org/assaygate"
)

func newFleetRepository(t *testing.T, dir string) *fleetRepository {
	r := &fleetRepository{t: t, dir: filepath.Join(dir, "repository"), dialled: make(chan net.Conn), closed: make(chan struct{})}
	if _, out, err := repository.Init(r.dir, repository.DefaultInit()); err != nil || len(out.Missing) > 0 {
		t.Fatalf("init: %+v, error %v", out, err)
	}
	public := filepath.Join(r.dir, "public")
	var err error
	if r.root, err = os.ReadFile(filepath.Join(public, "metadata", "1.root.json")); err != nil {
		t.Fatal(err)
	}
	files := http.FileServer(http.Dir(public))
	r.server = &http.Server{Handler: http.StripPrefix("/assaygate", http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.traffic.count(request.URL.Path)
		if r.away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		files.ServeHTTP(w, request)
	}))}
	return r
}

// change does what a command of `assaygate update repo` does.
func (r *fleetRepository) change(change func(*repository.Repository) (repository.Outcome, error)) {
	opened, err := repository.Open(r.dir)
	if err != nil {
		r.t.Error(err)
		return
	}
	defer opened.Close()
	if out, err := change(opened); err != nil || len(out.Missing) > 0 {
		r.t.Errorf("outcome %+v, error %v", out, err)
	}
}

// offer adds a version, with its waves. What its bundle begins with tells simulated boxes which it is.
func (r *fleetRepository) offer(version string, waves ...release.Wave) {
	bundle := filepath.Join(filepath.Dir(r.dir), version+bundleSuffix)
	content := version + " " + strings.Repeat("-", fleetBundle-len(version)-1)
	if err := os.WriteFile(bundle, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.change(func(r *repository.Repository) (repository.Outcome, error) {
		return r.Add([]repository.Bundle{{Path: bundle, Release: release.Release{Version: version, Boards: []string{boardName}}}})
	})
	r.wave(release.Waves{Version: version, Waves: waves})
}

func (r *fleetRepository) wave(w release.Waves) {
	r.change(func(r *repository.Repository) (repository.Outcome, error) { return r.Wave(w) })
}

// pause stops a version.
func (r *fleetRepository) pause(version, reason string) {
	r.change(func(r *repository.Repository) (repository.Outcome, error) {
		waves, is, err := r.Waves(version)
		if err != nil || !is {
			return repository.Outcome{}, fmt.Errorf("version %s has no waves (%w)", version, err)
		}
		waves.Paused = reason
		return r.Wave(waves)
	})
}

// cron renews the timestamp at 05:17 each day, until ctx ends.
func (r *fleetRepository) cron(ctx context.Context) {
	at := time.Now().Truncate(24 * time.Hour).Add(5*time.Hour + 17*time.Minute)
	for rest(ctx, time.Until(at)) {
		r.change(func(r *repository.Repository) (repository.Outcome, error) { return r.Refresh() })
		at = at.Add(24 * time.Hour)
	}
}

// asBoxSees is the repository for one box, with what that keeps of it in the directory:
// package trust, over HTTP. The second result closes connections that are left.
func (r *fleetRepository) asBoxSees(dir string) (Verified, func()) {
	transport := &http.Transport{DialContext: r.dial, ResponseHeaderTimeout: 2 * time.Minute, IdleConnTimeout: time.Minute}
	source, err := trust.HTTP(fleetAddress, &http.Client{Transport: transport})
	if err != nil {
		r.t.Fatal(err)
	}
	client := trust.New(filepath.Join(dir, "trust"), r.root, func() (time.Time, bool) { return time.Now(), true })
	return Verified{Client: client, Source: source, Rate: fleetRate}, transport.CloseIdleConnections
}

var errServerEnded = errors.New("the web server has ended")

func (r *fleetRepository) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	box, server := net.Pipe()
	select {
	case r.dialled <- server:
		return countedConn{box, &r.traffic}, nil
	case <-r.closed:
		return nil, errServerEnded
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, with Close and Addr, makes it the listener of its server.
func (r *fleetRepository) Accept() (net.Conn, error) {
	select {
	case conn := <-r.dialled:
		return conn, nil
	case <-r.closed:
		return nil, errServerEnded
	}
}

// Close implements net.Listener. The server calls it once.
func (r *fleetRepository) Close() error { close(r.closed); return nil }

// Addr implements net.Listener.
func (r *fleetRepository) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
