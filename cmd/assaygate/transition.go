package main

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/assaygate/assaygate/envelope/spool"
)

// transition is somebody's wish that the gateway go over to another
// configuration.
type transition struct {
	to   Config
	done chan error // of capacity 1: nobody waits for who wished it
}

// goOver has the gateway go over to another configuration: what is the same in
// both goes on, what is not is drained, stopped and started. It returns when that
// is done; listeners that cannot be opened yet are tried on. An error says why the
// configuration of before goes on. Where the process ends before, that is
// spool.ErrClosed.
func (d *daemon) goOver(ctx context.Context, to Config) error {
	t := &transition{to: to, done: make(chan error, 1)}
	select {
	case d.transitions <- t:
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ended:
		return spool.ErrClosed
	}
	select {
	case err := <-t.done:
		return err
	case <-d.ended:
		return spool.ErrClosed
	}
}

// reopening is the wish as one that the store be closed and opened again.
func (t *transition) reopening(d *daemon) *reopening {
	return &reopening{meanwhile: func() error {
		d.useWithServers(t.to)
		return nil
	}, done: t.done}
}

// useWithServers is use, and goes over to other servers where they are. What does
// not run yet is left out: it is not wanted any more, or it waits for the store.
func (d *daemon) useWithServers(to Config) {
	before := d.config()
	_, stopped := d.servers.keepOnly(to.serversMade())
	stopped()
	d.use(to)
	// Its addresses are tried until they can be had: there is no error.
	_ = d.startServers(d.servers.ctx, d.fail)
	d.forgetGone(before, to)
}

// turn goes over to another configuration of the same store. An error means that
// the one of before goes on.
//
// First all that goes is drained, at the same time and within the grace period;
// then what comes is started. So an address or a port may go from one to another.
func (g *gateway) turn(ctx context.Context, to Config) error {
	from := g.config()
	defer g.within("changing the configuration", from.ShutdownGrace+lineDeadline)()
	receivers, err := g.openReceivers(to)
	if err != nil {
		return err
	}
	made := to.serviceMade(g.made.Turn)
	remade := !reflect.DeepEqual(made, g.made)
	if remade {
		made.Turn++
	}
	linesGone, linesEnded := g.lines.keepOnly(to.linesMade(made))
	destinationsGone, destinationsEnded := g.destinations.keepOnly(to.destinationsMade())
	if gone := slices.Sorted(slices.Values(append(linesGone, destinationsGone...))); len(gone) > 0 {
		g.log.Info("draining what has changed", "parts", gone, "grace", from.ShutdownGrace.String())
	}
	linesEnded()
	destinationsEnded()
	if err := g.settle(ctx, to, made, remade); err != nil {
		return errors.Join(err, g.resume(ctx, from))
	}
	g.useWithServers(to)
	g.startDestinations(to, receivers)
	g.startMissingLines(ctx, to)
	g.log.Info("gone over to another configuration", "stopped", len(linesGone)+len(destinationsGone))
	return nil
}

// settle changes what lines and destinations share, once those that change have
// ended.
func (g *gateway) settle(ctx context.Context, to Config, made serviceMade, remade bool) error {
	service := g.service
	if remade {
		var err error
		if service, err = g.newService(to); err != nil {
			return err
		}
	}
	if err := g.store.SetDestinations(ctx, to.spoolDestinations()); err != nil {
		return err // it says what it is about
	}
	if remade {
		_, ended := g.traces.keepOnly(nil)
		ended()
		g.startTaps(service, to.traced())
		g.service, g.made = service, made
	}
	return nil
}

// resume starts again what was stopped for a configuration that cannot be gone
// over to.
func (g *gateway) resume(ctx context.Context, c Config) error {
	receivers, err := g.openReceivers(c)
	if err != nil {
		return err
	}
	g.startDestinations(c, receivers)
	g.startMissingLines(ctx, c)
	return nil
}

// startMissingLines starts the lines that do not run yet.
func (g *gateway) startMissingLines(ctx context.Context, c Config) {
	var set listenerSet
	for _, l := range c.listeners() {
		if !g.lines.is(l.key(), lineMade{l.instruments, g.made}) {
			_ = g.tryListener(ctx, &l) // it has said why, and is tried on
			set = append(set, l)
		}
	}
	g.startLines(c, set)
}

// forgetGone removes what is counted of instruments and destinations that there
// are no longer: a line that is down for ever would be an alert for ever.
func (d *daemon) forgetGone(before, now Config) {
	for _, old := range before.Instruments {
		if !slices.ContainsFunc(now.Instruments, func(i Instrument) bool { return i.Name == old.Name }) {
			d.noise.Forget(old.Name)
			d.secured.Delete(old.Name)
			d.metrics.forget(old.Name)
			d.tally.forget(old.Name)
		}
	}
	for _, old := range before.Destinations {
		if !slices.ContainsFunc(now.Destinations, func(d Destination) bool { return d.Name == old.Name }) {
			d.metrics.forgetDestination(old.Name)
			d.tally.forgetDestination(old.Name)
		}
	}
}
