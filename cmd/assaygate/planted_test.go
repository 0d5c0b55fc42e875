package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// plantedPart makes the test binary a gateway in which the part of that name, or
// the first whose name begins so, stands still.
const plantedPart = "ASSAYGATE_TEST_PLANT"

// slowOpening is a part with which no part stands still, but the store takes its
// time to open.
const (
	slowOpening = "slow"
	opensSlowly = 12 * time.Second
)

// runPlanted is `assaygate run --config FILE` with a deadlock in a part.
func runPlanted(part, file string) error {
	d, err := prepare(flags{Config: file}, os.Stderr)
	if err != nil {
		return err
	}
	d.watching = func(name string, deadline time.Duration) (progress, ended func()) {
		if part == slowOpening && name == "opening the store" {
			time.Sleep(opensSlowly)
		}
		if !strings.HasPrefix(name, part) {
			return d.health.Watch(name, deadline)
		}
		const soon = time.Second // nobody wants to wait for minutes
		switch part {
		case "opening the store", "stopping the gateway", "changing the configuration": // they end by themselves
			d.health.Watch(name, soon)
			plantedDeadlock()
		case "spool writer", "gateway": // without them nothing becomes ready
			report, ended := d.health.Watch(name, heartbeat+soon)
			return func() {
				report()
				if d.health.Ready() == nil {
					plantedDeadlock()
				}
			}, ended
		}
		_, ended = d.health.Watch(name, soon)
		return plantedDeadlock, ended
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return d.run(ctx)
}

// plantedDeadlock waits for a lock that nobody gives back.
//
//go:noinline
func plantedDeadlock() {
	var lock sync.Mutex
	lock.Lock()
	lock.Lock()
}
