package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/port"
)

// The names under which a part of its protection that is not active keeps a
// server closed.
const (
	adminServer   = "admin"
	consoleServer = "console"
)

// serverMade is what of the configuration a server is made of. The console's users
// are read anew at each request.
type serverMade struct {
	admin   AdminSettings
	console console.Settings
}

// serversMade are the servers that the configuration asks for, but for those that
// a part of their protection keeps closed.
func (c Config) serversMade() map[string]any {
	list := map[string]any{}
	if c.Admin.Listen != "" {
		list[adminServer] = serverMade{admin: c.Admin}
	}
	if c.Console.Listen != "" {
		list[consoleServer] = serverMade{console: console.Settings{Listen: c.Console.Listen, TLS: c.Console.TLS}}
	}
	for _, part := range c.inactive() {
		delete(list, part.Closes)
	}
	return list
}

// httpServer is one of the HTTP servers of a gateway.
type httpServer struct {
	name, address string
	handler       http.Handler
	from          []Network // who may connect; nil: everybody
	secure        bool      // it speaks TLS
	files         port.TLSFiles
}

// httpServers are those of the configuration that runs.
func (d *daemon) httpServers() []httpServer {
	c := d.config()
	a, at := c.Admin, c.Console
	admin := httpServer{
		name: adminServer, address: a.Listen, handler: steadily(d.tellReadiness(adminHandler(d.health, d.metrics))), from: a.AllowFrom,
		secure: a.TLS != (TLSSettings{}), files: port.TLSFiles{Certificate: a.TLS.Certificate, Key: a.TLS.Key, ClientCA: a.TLS.ClientCA},
	}
	if a.TokenFile != "" {
		admin.handler = d.askingToken(a.TokenFile, admin.handler)
	}
	return []httpServer{admin, {
		name: consoleServer, address: at.Listen, handler: steadily(d.console),
		secure: at.Secure(), files: port.TLSFiles{Certificate: at.TLS.Certificate, Key: at.TLS.Key},
	}}
}

// startServers starts the admin endpoint and the console where they do not run
// yet, whether the store is open or not. fail is told when one of them ends by
// itself.
func (d *daemon) startServers(ctx context.Context, fail func(error)) error {
	wanted := d.config().serversMade()
	for _, one := range d.httpServers() {
		made, is := wanted[one.name]
		if !is || d.servers.is(one.name, made) {
			continue
		}
		if err := d.startServer(ctx, one, made, fail); err != nil {
			return err
		}
	}
	return nil
}

// startServer starts one HTTP server. That it cannot be bound is an error at the
// start of the process; later it is bound when it can be, and so it is where its
// TLS files cannot be used.
func (d *daemon) startServer(ctx context.Context, one httpServer, made any, fail func(error)) error {
	listener, err := d.tryServer(ctx, one)
	if err != nil && !d.forgiving.Load() && !errors.As(err, &unusableTLS{}) {
		return err
	}
	d.servers.start(one.name, made, func(ctx context.Context) {
		defer d.doors.forget(one.name)
		for listener == nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(knockAgain):
			}
			listener, _ = d.tryServer(ctx, one) // it has said why
		}
		var serving sync.WaitGroup
		d.serve(ctx, &serving, one, listener, fail)
		serving.Wait()
	})
	return nil
}

// unusableTLS says that a server has no certificate that it could show.
type unusableTLS struct{ error }

// Unwrap returns why.
func (u unusableTLS) Unwrap() error { return u.error }

// tryServer binds the address of a server, or notes and logs why it cannot.
func (d *daemon) tryServer(ctx context.Context, one httpServer) (net.Listener, error) {
	config, err := d.tlsOf(one)
	if err != nil {
		if d.doors.keep(one.name, err, true) {
			d.log.Error("the server stays closed until its TLS files can be used", "for", one.name, "address", one.address, "error", err)
		}
		return nil, unusableTLS{fmt.Errorf("%s: %w", one.name, err)}
	}
	var plain net.ListenConfig
	listener, err := plain.Listen(ctx, "tcp", one.address)
	if err != nil {
		if d.doors.keep(one.name, err, false) && d.forgiving.Load() {
			d.log.Error("the server cannot be opened; trying on", "for", one.name, "address", one.address, "error", err)
		}
		return nil, fmt.Errorf("%s: %w", one.name, err)
	}
	d.doors.forget(one.name)
	d.tell(one.name, listener.Addr())
	gate := &serverGate{Listener: d.questioned(one.name, listener), from: one.from, refuse: func(reason, address string) {
		d.refused(one.name, reason, address)
	}}
	if config == nil {
		return gate, nil
	}
	return secureListener{gate, config}, nil
}

// serve runs one HTTP server until ctx ends. Requests then have a second left;
// if it was for one of them that the store is closed, as long as they take.
func (d *daemon) serve(ctx context.Context, running *sync.WaitGroup, one httpServer, listener net.Listener, fail func(error)) {
	server := &http.Server{
		Handler: one.handler,
		// There is no time-out for a whole request or answer: a page may listen to
		// what goes on for hours. Each step has its own: see steadily and gated.
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          d.serverLog(one.name),
		BaseContext: func(net.Listener) context.Context {
			return console.WithClosing(context.Background(), ctx)
		},
	}
	running.Go(func() {
		stop := context.AfterFunc(ctx, func() {
			left := time.Second
			if errors.Is(context.Cause(ctx), errAsked) {
				left = time.Hour
			}
			patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), left)
			defer cancel()
			if server.Shutdown(patience) != nil {
				server.Close()
			}
		})
		defer stop()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serving %s: %w", listener.Addr(), err))
		}
	})
}

// listenControl opens the unix socket beside the store. The store is locked by
// this process, so a socket that is there is a dead one's.
func listenControl(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), listener.Close())
	}
	return listener, nil
}
