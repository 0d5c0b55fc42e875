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

// startServers serves the admin endpoint, the console and the store's control
// socket until ctx ends.
func (g *gateway) startServers(ctx context.Context, running *sync.WaitGroup, fail func(error)) error {
	control, err := listenControl(controlSocket(g.config.Spool.Directory))
	if err != nil {
		return err
	}
	g.serve(ctx, running, control, console.API(g.store, nil), fail)
	if err := g.startServer(ctx, running, adminServer, g.config.Admin.Listen, func(string) http.Handler {
		return adminHandler(g.health, g.metrics)
	}, fail); err != nil {
		return err
	}
	return g.startServer(ctx, running, consoleServer, g.config.Console.Listen, func(address string) http.Handler {
		host, _, _ := net.SplitHostPort(address)
		return console.New(console.Options{
			Store: g.store, Instruments: g.instruments, Box: g.config.Box.Name, Version: version,
			Hosts: []string{host}, Log: g.log.With("part", "console"),
		})
	}, fail)
}

// startServer binds one HTTP server, unless a part of its protection keeps it
// closed.
func (g *gateway) startServer(ctx context.Context, running *sync.WaitGroup, name, address string, handler func(address string) http.Handler, fail func(error)) error {
	for _, part := range g.inactive {
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
	g.tell(name, listener.Addr())
	g.serve(ctx, running, listener, handler(listener.Addr().String()), fail)
	return nil
}

// serve runs one HTTP server until ctx ends.
func (g *gateway) serve(ctx context.Context, running *sync.WaitGroup, listener net.Listener, handler http.Handler, fail func(error)) {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelWarn),
	}
	running.Go(func() {
		stop := context.AfterFunc(ctx, func() {
			patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
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
func (g *gateway) instruments() []console.Instrument {
	var list []console.Instrument
	for _, i := range g.config.Instruments {
		state := g.metrics.state(i.Name)
		list = append(list, console.Instrument{
			Name: i.Name, Protocol: string(i.protocol()), Line: i.describeLine(),
			Up: state.up, Connections: state.connections, Messages: state.messages, LastMessage: state.last,
			Noisy: state.noisy,
		})
	}
	return list
}
