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

// startServers serves the admin endpoint and the console until ctx ends, whether
// the store is open or not.
func (d *daemon) startServers(ctx context.Context, running *sync.WaitGroup, fail func(error)) error {
	if err := d.startServer(ctx, running, adminServer, d.config.Admin.Listen, func(string) http.Handler {
		return adminHandler(d.health, d.metrics)
	}, fail); err != nil {
		return err
	}
	return d.startServer(ctx, running, consoleServer, d.config.Console.Listen, func(address string) http.Handler {
		host, _, _ := net.SplitHostPort(address)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g, away := d.standing.now()
			if g == nil {
				http.Error(w, away.Error(), http.StatusServiceUnavailable)
				return
			}
			g.console.of(g, host).ServeHTTP(w, r)
		})
	}, fail)
}

// consoleOnce is the console of one opened store, made when it is first asked
// for.
type consoleOnce struct {
	once    sync.Once
	console *console.Console
}

func (c *consoleOnce) of(g *gateway, host string) *console.Console {
	c.once.Do(func() {
		c.console = console.New(console.Options{
			Store: g.store, Instruments: g.instruments, Box: g.config.Box.Name, Version: version,
			Hosts: []string{host}, Log: g.log.With("part", "console"),
		})
	})
	return c.console
}

// startServer binds one HTTP server, unless a part of its protection keeps it
// closed.
func (d *daemon) startServer(ctx context.Context, running *sync.WaitGroup, name, address string, handler func(address string) http.Handler, fail func(error)) error {
	for _, part := range d.inactive {
		if part.Closes == name {
			return nil
		}
	}
	if address == "" {
		return nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	d.tell(name, listener.Addr())
	d.serve(ctx, running, listener, handler(listener.Addr().String()), fail)
	return nil
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

// instruments is what the console's overview shows of the lines.
func (d *daemon) instruments() []console.Instrument {
	var list []console.Instrument
	for _, i := range d.config.Instruments {
		state := d.metrics.state(i.Name)
		list = append(list, console.Instrument{
			Name: i.Name, Protocol: string(i.protocol()), Line: i.describeLine(),
			Up: state.up, Connections: state.connections, Messages: state.messages, LastMessage: state.last,
			Noisy: state.noisy,
		})
	}
	return list
}
