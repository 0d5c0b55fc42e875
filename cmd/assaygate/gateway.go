package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope/spool"
)

// gateway is what lives as long as one opened store: a configuration brought to
// life, lines on one side, destinations on the other, the store between them.
type gateway struct {
	*daemon
	store     *spool.Spool
	service   *instrument.Service
	made      serviceMade // what service was made of
	listeners listenerSet // bound, and not served yet
	control   net.Listener

	lines, destinations, traces *parts
	fail                        func(error) // ends the gateway
}

// open opens the store, and what can fail before an instrument can connect. The
// caller runs the gateway or closes it.
func (d *daemon) open(ctx context.Context) (_ *gateway, err error) {
	defer d.within("opening the store", openingDeadline)()
	g := &gateway{daemon: d}
	c := d.config()
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	if err := d.standing.expect(c.Spool.Directory); err != nil {
		return nil, err
	}
	if err := d.lostStore(); err != nil {
		return nil, err
	}
	if g.store, err = g.openStore(ctx, c); err != nil {
		return nil, err
	}
	g.made = c.serviceMade(0)
	if g.service, err = g.newService(c); err != nil {
		return nil, err
	}
	if g.listeners, err = g.bind(ctx, c); err != nil {
		return nil, err
	}
	if g.control, err = listenControl(controlSocket(c.Spool.Directory)); err != nil {
		return nil, err
	}
	return g, nil
}

// close closes what open has opened. It is safe on nil and on part of a gateway.
func (g *gateway) close() (err error) {
	if g == nil {
		return nil
	}
	err = g.listeners.close()
	if g.control != nil {
		err = errors.Join(err, g.control.Close())
	}
	if g.store != nil {
		err = errors.Join(err, g.store.Close())
	}
	return err
}

// run serves until ctx ends, the store fails or is to be closed, then stops in
// the order that loses nothing: first the lines, which may finish the message
// they are at; then the destinations; then the store. It calls begun once
// instruments can connect. An error that the store is lost for is a lostStore.
func (g *gateway) run(ctx context.Context, begun func()) (asked *reopening, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	var tending, control sync.WaitGroup
	delivering, stopDelivering := context.WithCancel(context.WithoutCancel(ctx))
	controlled, stopControl := context.WithCancelCause(context.WithoutCancel(ctx))
	g.lines, g.destinations, g.traces = newParts(ctx), newParts(delivering), newParts(delivering)
	defer func() {
		defer g.within("stopping the gateway", g.config().ShutdownGrace+lineDeadline)()
		stop(nil)
		g.lines.wait()
		tending.Wait()
		stopDelivering()
		g.destinations.wait()
		g.traces.wait()
		stopControl(nil)
		control.Wait()
		err = g.end(err)
	}()
	g.fail = func(err error) { stop(err) }
	c := g.config()
	receivers, err := g.openReceivers(c)
	if err != nil {
		return nil, errors.Join(err, g.listeners.close(), g.control.Close())
	}
	g.startDestinations(c, receivers)
	g.startTaps(g.service, c.traced())
	g.serve(controlled, &control, httpServer{name: "control socket", handler: g.withPorts(api.Control(g.store, api.ControlOptions{
		From: g.origin, Reopen: g.Reopen,
	}))}, g.questioned("control socket", g.control), g.fail)
	g.metrics.setRefusing(nil)
	g.standing.opened(g)
	g.startLines(c, g.listeners)
	g.listeners = nil
	tending.Go(func() { g.store.Tend(ctx) })
	begun()
	g.log.Info("gateway ready", "version", version, "box", c.Box.Name)
	return g.serveUntil(ctx, func() { stopControl(errAsked) })
}

// origin names this box in what it exports.
func (g *gateway) origin() spool.Origin { return g.config().origin() }

// serveUntil returns when the gateway is to end: because ctx has, the store has
// failed, or it is to be closed for a while. Meanwhile it goes over to other
// configurations.
func (g *gateway) serveUntil(ctx context.Context, stopControl func()) (asked *reopening, err error) {
	closing := func(asked *reopening, why string) (*reopening, error) {
		g.log.Info("the store is closed for a while, " + why)
		g.standing.closed()
		stopControl()
		return asked, nil
	}
	progress, ended := g.watch("gateway", promptDeadline)
	defer func() { ended() }()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			progress()
		case <-ctx.Done():
			if err := cause(ctx); err != nil {
				return nil, err
			}
			g.log.Info("stopping", "grace", g.config().ShutdownGrace.String())
			return nil, nil
		case <-g.store.Failed():
			return nil, g.store.Err()
		case asked := <-g.reopenings:
			return closing(asked, "as was asked for")
		case t := <-g.transitions:
			if t.to.Spool != g.config().Spool {
				return closing(t.reopening(g.daemon), "its settings have changed")
			}
			ended() // it takes the grace period, and is watched by itself
			err := g.turn(ctx, t.to)
			if err != nil && ctx.Err() != nil {
				err = spool.ErrClosed // the end of the process says nothing of the configuration
			}
			t.done <- err
			progress, ended = g.watch("gateway", promptDeadline)
		}
	}
}

// end closes the store. Where that has failed, whatever stopped the gateway was
// an outcome of it.
func (g *gateway) end(err error) error {
	closing := g.store.Close()
	if failure := g.store.Err(); failure != nil {
		return lostStore{failure}
	}
	return errors.Join(err, closing)
}

func (g *gateway) openStore(ctx context.Context, c Config) (*spool.Spool, error) {
	store, err := spool.Open(ctx, c.Spool, spool.Options{
		Destinations: c.spoolDestinations(), Log: g.log.With("part", "spool"), ClockSet: g.clock.set, Moved: g.moved, Watch: g.watchStore,
	})
	if err != nil {
		return nil, err // it names the directory
	}
	return store, nil
}

// moved counts what became of messages at a LIMS.
func (g *gateway) moved(destination string, to spool.State) {
	for _, d := range g.config().Destinations {
		switch {
		case d.Name != destination || d.SENAITE == nil:
		case to == spool.Delivered:
			g.metrics.senaite.WithLabelValues(outcomeForwarded).Inc()
		case to == spool.Dropped:
			g.metrics.senaite.WithLabelValues(outcomeDropped).Inc()
		}
	}
}

// serviceMade is what all lines have in common: where that changes, each of them
// is another line.
type serviceMade struct {
	Turn     int // counts the changes
	Box      string
	Profiles string // digest of the own ones
	Privacy  PrivacySettings
	Traced   map[string]string
}

func (c Config) serviceMade(turn int) serviceMade {
	return serviceMade{turn, c.Box.Name, digestOf(profileFiles(c.Profiles)...), c.Privacy, c.traced()}
}

// newService makes what all lines need.
func (g *gateway) newService(c Config) (*instrument.Service, error) {
	profiles, err := loadProfiles(c, g.store.Key(), g.log)
	if err != nil {
		return nil, err
	}
	return &instrument.Service{
		Profiles: profiles, Spool: g.store, Clock: g.clock.word,
		Grace: func() time.Duration { return g.config().ShutdownGrace },
		Log:   g.log, Observer: g.noise, Trouble: g.tally.trouble, Watch: g.watchConnection,
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
