package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/console"
)

// The names under which a part of its protection that is not active keeps a
// server closed.
const (
	adminServer   = "admin"
	consoleServer = "console"
)

// serverMade is what of the configuration a server is made of.
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
		list[consoleServer] = serverMade{console: c.Console}
	}
	for _, part := range c.inactive() {
		delete(list, part.Closes)
	}
	return list
}

// startServers starts the admin endpoint and the console where they do not run
// yet, whether the store is open or not. fail is told when one of them ends by
// itself.
func (d *daemon) startServers(ctx context.Context, fail func(error)) error {
	c := d.config()
	wanted := c.serversMade()
	for _, one := range []struct {
		name, address string
		handler       http.Handler
	}{
		{adminServer, c.Admin.Listen, adminHandler(d.health, d.metrics)},
		{consoleServer, c.Console.Listen, d.console},
	} {
		made, is := wanted[one.name]
		if !is || d.servers.is(one.name, made) {
			continue
		}
		if err := d.startServer(ctx, one.name, one.address, made, one.handler, fail); err != nil {
			return err
		}
	}
	return nil
}

// startServer starts one HTTP server. That it cannot be bound is an error at the
// start of the process; later it is bound when it can be.
func (d *daemon) startServer(ctx context.Context, name, address string, made any, handler http.Handler, fail func(error)) error {
	listener, err := d.tryServer(ctx, name, address)
	if err != nil && !d.forgiving.Load() {
		return err
	}
	d.servers.start(name, made, func(ctx context.Context) {
		defer d.doors.forget(name)
		for listener == nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(knockAgain):
			}
			listener, _ = d.tryServer(ctx, name, address) // it has said why
		}
		var serving sync.WaitGroup
		d.serve(ctx, &serving, d.questioned(name, listener), handler, fail)
		serving.Wait()
	})
	return nil
}

// tryServer binds the address of a server, or notes and logs why it cannot.
func (d *daemon) tryServer(ctx context.Context, name, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		if d.doors.keep(name, err.Error(), false) && d.forgiving.Load() {
			d.log.Error("the server cannot be opened; trying on", "for", name, "address", address, "error", err)
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d.doors.forget(name)
	d.tell(name, listener.Addr())
	return listener, nil
}

// serve runs one HTTP server until ctx ends. Requests then have a second left;
// if it was for one of them that the store is closed, as long as they take.
func (d *daemon) serve(ctx context.Context, running *sync.WaitGroup, listener net.Listener, handler http.Handler, fail func(error)) {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
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
