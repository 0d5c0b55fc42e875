package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/health"
	"github.com/assaygate/assaygate/envelope/spool"
)

// heartbeat is how often a loop of the gateway reports that has nothing to do.
const heartbeat = 10 * time.Second

// The deadlines of the loops, each with its longest honest silence and much room:
// a false alarm costs a restart. docs/operation.md has them as a table.
const (
	// promptDeadline is for loops that wait for nobody and report every 10 s: the
	// accept loops, the servers, the gateway's own, the status line.
	promptDeadline = 2 * time.Minute
	// writerDeadline is for the store's writer: it waits for the card alone. One
	// that takes longer for a commit is broken, and no restart mends it.
	writerDeadline = 2 * time.Minute
	// lineDeadline is for lines and connections, which may wait for the writer and
	// each other, so that of both the writer is the first to be named; and take a
	// message of 16 MiB apart.
	lineDeadline = 5 * time.Minute
	// destinationDeadline is for destinations and reading back. They report while
	// a request is on its way, for as long as one may take.
	destinationDeadline = 5 * time.Minute
	// upkeepDeadline is for the upkeep of the store: one look through a large store
	// on a slow card takes minutes, and nothing waits for it.
	upkeepDeadline = 15 * time.Minute
	// openingDeadline is for the opening of the store, which may have to fold,
	// migrate or take over gigabytes.
	openingDeadline = time.Hour
)

// watch begins the watch over a part of the gateway: see health.Registry.Watch.
func (d *daemon) watch(name string, deadline time.Duration) (progress, ended func()) {
	if d.watching != nil {
		return d.watching(name, deadline)
	}
	return d.health.Watch(name, deadline)
}

// within begins the watch over something that ends by itself, within so long.
func (d *daemon) within(name string, deadline time.Duration) (ended func()) {
	_, ended = d.watch(name, deadline)
	return ended
}

// watchStore begins the watch over a loop of the store.
func (d *daemon) watchStore(loop string) (progress, ended func()) {
	deadline := writerDeadline
	if loop != "writer" {
		deadline = upkeepDeadline
	}
	return d.watch("spool "+loop, deadline)
}

// watchConnection begins the watch over an accepted connection.
func (d *daemon) watchConnection(instrument, remote string) (progress, ended func()) {
	return d.watch("connection of "+instrument+" from "+remote, lineDeadline)
}

// startHealth speaks to systemd from now on, until the function that it returns is
// called. When ctx ends systemd is told that the process stops.
func (d *daemon) startHealth(ctx context.Context, fail func(error)) (end func()) {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	stopping := context.AfterFunc(ctx, func() { d.health.Stopping(d.log) })
	var loops sync.WaitGroup
	loops.Go(func() {
		if err := d.health.Run(running, health.Options{Log: d.log, Dump: os.Stderr}); err != nil {
			fail(err)
		}
	})
	loops.Go(func() {
		progress, ended := d.watch("status line", promptDeadline)
		defer ended()
		d.health.Tell(running, d.log, d.statusLine, progress)
	})
	return func() {
		stopping()
		stop()
		loops.Wait()
	}
}

// statusOpen is how the status line ends while the store takes everything in.
const statusOpen = "store open"

// statusLine is what `systemctl status` shows of the gateway.
func (d *daemon) statusLine() string {
	g, away := d.standing.now()
	lines, up := d.instruments(), 0
	for _, line := range lines {
		if line.Up {
			up++
		}
	}
	text := fmt.Sprintf("%d of %d lines up", up, len(lines))
	switch {
	case errors.Is(away, errAsked), g == nil && away == nil:
		return text + ", the store is not open yet"
	case away != nil:
		return text + ", " + away.Error()
	}
	if err := g.store.Room(); err != nil {
		return text + ", " + err.Error()
	}
	return fmt.Sprintf("%s, %d pending, %s", text, g.store.Count(spool.Pending), statusOpen)
}
