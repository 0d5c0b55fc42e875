package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/health"
	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// gateway is a configuration brought to life: lines on one side, destinations
// on the other, the store between them.
type gateway struct {
	config   Config
	inactive []inactive
	log      *slog.Logger
	metrics  *metrics
	health   *health.Registry
	store    *spool.Spool
	service  *instrument.Service
	noise    *instrument.Noise
	gate     *port.Gate
	bound    chan bound // addresses as they were bound, for the demo and tests; may be nil
}

// bound is an address that a listener got.
type bound struct{ name, address string }

// run serves until ctx ends, then stops in the order that loses nothing: first
// the lines, which may finish the message they are at; then the destinations;
// then the store.
func (g *gateway) run(ctx context.Context) (err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	storeOpen := g.health.Expect("spool")
	if g.store, err = g.openStore(ctx); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, g.store.Close())
		g.log.Info("stopped")
	}()
	if g.service, err = g.newService(); err != nil {
		return err
	}
	g.metrics.registry.MustRegister(newStoreMetrics(g.store, func() (float64, bool) { return diskFree(g.config.Spool.Directory) }, clockSet))

	var destinations, lines, servers sync.WaitGroup
	delivering, stopDelivering := context.WithCancel(context.WithoutCancel(ctx))
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		lines.Wait()
		stopDelivering()
		destinations.Wait()
		stopServing()
		servers.Wait()
	}()

	// What can fail is done before an instrument can connect.
	fail := func(err error) { stop(err) }
	if err := g.startDestinations(delivering, &destinations, fail); err != nil {
		stop(err)
		return err
	}
	g.startTraces(delivering, &destinations)
	listeners, err := g.bind(ctx)
	if err != nil {
		stop(err)
		return err
	}
	storeOpen()
	if err := g.startServers(serving, &servers, fail); err != nil {
		stop(err)
		return errors.Join(err, listeners.close())
	}
	servers.Go(func() { g.noise.Run(serving) })
	g.startLines(ctx, &lines, listeners, fail)
	servers.Go(func() {
		if err := g.health.Run(serving, g.log); err != nil {
			stop(err)
		}
	})
	g.log.Info("gateway ready", "version", version, "box", g.config.Box.Name)

	select {
	case <-ctx.Done():
		g.log.Info("stopping", "grace", g.config.ShutdownGrace.String())
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			return cause
		}
		return nil
	case <-g.store.Failed():
		return fmt.Errorf("the store has failed, so nothing can be acknowledged: %w", g.store.Err())
	}
}

func (g *gateway) openStore(ctx context.Context) (*spool.Spool, error) {
	store, err := spool.Open(ctx, g.config.Spool, spool.Options{
		Destinations: g.config.spoolDestinations(), Log: g.log.With("part", "spool"), ClockSet: clockSet, Moved: g.moved,
	})
	if err != nil {
		return nil, err // it names the directory
	}
	return store, nil
}

// moved counts what became of messages at a LIMS.
func (g *gateway) moved(destination string, to spool.State) {
	for _, d := range g.config.Destinations {
		switch {
		case d.Name != destination || d.SENAITE == nil:
		case to == spool.Delivered:
			g.metrics.senaite.WithLabelValues(outcomeForwarded).Inc()
		case to == spool.Dropped:
			g.metrics.senaite.WithLabelValues(outcomeDropped).Inc()
		}
	}
}

func (g *gateway) newService() (*instrument.Service, error) {
	profiles, err := loadProfiles(g.config, g.store.Key(), g.log)
	if err != nil {
		return nil, err
	}
	g.noise = &instrument.Noise{Observer: g.metrics, Log: g.log, Noisy: g.metrics.Noisy}
	return &instrument.Service{
		Profiles: profiles, Spool: g.store, Clock: clockWord, Grace: g.config.ShutdownGrace,
		Log: g.log, Observer: g.noise,
	}, nil
}

// loadProfiles makes the profiles of a box whose digests have the key.
func loadProfiles(c Config, key []byte, log *slog.Logger) (*profile.Set, error) {
	options := profile.Options{Directory: c.Profiles, Box: c.Box.Name, Key: key, Allow: c.Privacy.Allowlist()}
	profiles, err := profile.Load(options)
	if errors.Is(err, fs.ErrNotExist) {
		log.Error("no own profiles: their directory is missing", "error", err)
		options.Directory = ""
		profiles, err = profile.Load(options)
	}
	return profiles, err
}

// oldestClock is before any box of ours was made: a clock that says less was
// never set.
var oldestClock = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)

func clockSet() bool { return time.Now().After(oldestClock) }

func clockWord() string {
	if clockSet() {
		return envelope.ClockSet
	}
	return envelope.ClockUnset
}
