package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/uplink"
	"github.com/assaygate/assaygate/uplink/capture"
	"github.com/assaygate/assaygate/uplink/senaite"
)

// destinationMade is what of the configuration a destination is made of.
type destinationMade struct {
	Destination
	files string // digest of the files that it is made of
	grace time.Duration
}

func (d Destination) made(grace time.Duration) destinationMade {
	made := destinationMade{Destination: d, grace: grace}
	if d.SENAITE != nil {
		made.files = digestOf(d.SENAITE.PasswordFile, d.SENAITE.CA)
	}
	return made
}

func (c Config) destinationsMade() map[string]any {
	list := map[string]any{}
	for _, d := range c.live() {
		list[d.Name] = d.made(c.ShutdownGrace)
	}
	return list
}

// receiver is a destination's client, which does nothing yet.
type receiver struct {
	to       uplink.Destination
	inFlight int
	made     destinationMade
}

// openReceivers makes the clients of the destinations that do not run yet, or run
// with other settings.
func (g *gateway) openReceivers(c Config) (map[string]receiver, error) {
	list := map[string]receiver{}
	for _, d := range c.live() {
		made := d.made(c.ShutdownGrace)
		if g.destinations.is(d.Name, made) {
			continue
		}
		to, inFlight, err := d.open(g.clock.tls)
		if err != nil {
			return nil, err // it names the destination
		}
		list[d.Name] = receiver{to, inFlight, made}
	}
	return list, nil
}

// startDestinations delivers to those of the destinations that have a receiver.
func (g *gateway) startDestinations(c Config, receivers map[string]receiver) {
	for _, d := range c.live() {
		if r, waits := receivers[d.Name]; waits {
			g.startDestination(d, r)
		}
	}
}

func (g *gateway) startDestination(d Destination, r receiver) {
	for _, result := range uplink.Results() {
		g.metrics.attempts.WithLabelValues(d.Name, result)
	}
	g.metrics.delivery.WithLabelValues(d.Name)
	g.destinations.start(d.Name, r.made, func(ctx context.Context) {
		progress, ended := g.watch("destination "+d.Name, destinationDeadline)
		defer ended()
		if d.Capture != nil {
			if err := r.to.Probe(ctx); err != nil {
				g.log.Error("captures cannot be written; messages wait until they can", "destination", d.Name, "error", err)
			}
		}
		var reading sync.WaitGroup
		defer reading.Wait()
		if from, readable := r.to.(uplink.Confirmer); readable && d.confirm() {
			g.store.ReadAgain(d.Name)
			reading.Go(func() { g.readBack(ctx, d, from) })
		}
		err := uplink.Run(ctx, g.store, r.to, uplink.Options{
			InFlight: r.inFlight, Grace: r.made.grace,
			Log: g.log, Progress: progress, Observer: g.observe(d.Name),
		})
		if err != nil {
			g.fail(fmt.Errorf("destination %s: %w", d.Name, err))
		}
	})
}

// readBack looks until ctx ends whether what was delivered stands there.
func (g *gateway) readBack(ctx context.Context, d Destination, from uplink.Confirmer) {
	progress, ended := g.watch("reading back from "+d.Name, destinationDeadline)
	defer ended()
	err := uplink.ReadBack(ctx, g.store, d.Name, from, uplink.ReadBackOptions{
		After: d.SENAITE.Confirm.After, Log: g.log, Progress: progress,
	})
	if err != nil {
		g.fail(fmt.Errorf("reading back from %s: %w", d.Name, err))
	}
}

// open makes the client of a destination, which judges certificates by the clock.
func (d Destination) open(clock func() time.Time) (to uplink.Destination, inFlight int, err error) {
	if d.Capture != nil {
		return capture.New(d.Name, *d.Capture), 1, nil
	}
	client, err := senaite.New(d.Name, d.SENAITE.Settings)
	if err != nil {
		return nil, 0, err
	}
	client.Clock = clock
	return client, d.SENAITE.InFlight, nil
}

func (g *gateway) observe(name string) uplink.Observer {
	return uplink.Observer{
		Attempt: func(result string) {
			g.metrics.attempts.WithLabelValues(name, result).Inc()
			g.face.attempted(name, result)
			g.tally.attempted(name, result)
		},
		Delivered: func(_ envelope.Envelope, took time.Duration) {
			g.metrics.delivery.WithLabelValues(name).Observe(took.Seconds())
			g.tally.delivered(name)
		},
	}
}
