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

// destinationDeadline is within how long a destination's loop must report that
// it moves: longer than any one request may take.
const destinationDeadline = 3 * time.Minute

// startDestinations delivers to every destination until ctx ends.
func (g *gateway) startDestinations(ctx context.Context, running *sync.WaitGroup, fail func(error)) error {
	for _, d := range g.config.Destinations {
		to, inFlight, err := d.open()
		if err != nil {
			return err // it names the destination
		}
		if d.Capture != nil {
			if err := to.Probe(ctx); err != nil {
				g.log.Error("captures cannot be written; messages wait until they can", "destination", d.Name, "error", err)
			}
		}
		part := "destination " + d.Name
		progress := g.health.Register(part, destinationDeadline)
		for _, result := range uplink.Results() {
			g.metrics.attempts.WithLabelValues(d.Name, result)
		}
		g.metrics.delivery.WithLabelValues(d.Name)
		running.Go(func() {
			defer g.health.Remove(part)
			err := uplink.Run(ctx, g.store, to, uplink.Options{
				InFlight: inFlight, Grace: g.config.ShutdownGrace,
				Log: g.log, Progress: progress, Observer: g.observe(d.Name),
			})
			if err != nil {
				fail(fmt.Errorf("destination %s: %w", d.Name, err))
			}
		})
		if from, readable := to.(uplink.Confirmer); readable && d.confirm() {
			g.startReadingBack(ctx, running, fail, d, from)
		}
	}
	return nil
}

// startReadingBack looks until ctx ends whether what was delivered stands there.
func (g *gateway) startReadingBack(ctx context.Context, running *sync.WaitGroup, fail func(error), d Destination, from uplink.Confirmer) {
	part := "reading back from " + d.Name
	progress := g.health.Register(part, destinationDeadline)
	running.Go(func() {
		defer g.health.Remove(part)
		err := uplink.ReadBack(ctx, g.store, d.Name, from, uplink.ReadBackOptions{
			After: d.SENAITE.Confirm.After, Log: g.log, Progress: progress,
		})
		if err != nil {
			fail(fmt.Errorf("reading back from %s: %w", d.Name, err))
		}
	})
}

// open makes the client of a destination.
func (d Destination) open() (to uplink.Destination, inFlight int, err error) {
	if d.Capture != nil {
		return capture.New(d.Name, *d.Capture), 1, nil
	}
	to, err = senaite.New(d.Name, d.SENAITE.Settings)
	return to, d.SENAITE.InFlight, err
}

func (g *gateway) observe(name string) uplink.Observer {
	return uplink.Observer{
		Attempt: func(result string) { g.metrics.attempts.WithLabelValues(name, result).Inc() },
		Delivered: func(_ envelope.Envelope, took time.Duration) {
			g.metrics.delivery.WithLabelValues(name).Observe(took.Seconds())
		},
	}
}
