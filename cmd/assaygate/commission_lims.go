package main

import (
	"context"
	"slices"

	"github.com/assaygate/assaygate/device/commission"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink"
)

// limsFacts are those of the destination.
func (d *daemon) limsFacts(ctx context.Context, f *commission.Facts, c check, name string) {
	config := d.config()
	at := slices.IndexFunc(config.Destinations, func(one Destination) bool { return one.Name == name })
	if at < 0 {
		return
	}
	to := config.Destinations[at]
	tally := d.tally.destination(name)
	l := commission.LIMS{
		Kind: commission.Files, Name: name, Last: attemptOf(tally.last), Taken: int(tally.taken - min(tally.taken, c.taken[name])),
		Probe: d.checks.prober.of(ctx, to, to.made(config.ShutdownGrace), d.clock.tls),
	}
	if to.SENAITE != nil {
		l.Kind, l.Reads, l.After = commission.SENAITE, to.confirm(), to.SENAITE.Confirm.After
		l.Consumers = to.SENAITE.Consumer.ASTM
		if f.Language == commission.HL7 {
			l.Consumers = to.SENAITE.Consumer.HL7
		}
	}
	if store, err := d.openedStore(); err == nil {
		limsStanding(ctx, &l, store)
	}
	f.LIMS = l
}

func attemptOf(result string) commission.Attempt {
	switch uplink.Kind(result) {
	case "":
		return commission.NoAttempt
	case uplink.Refusal, uplink.Invalid:
		return commission.Refusal
	case uplink.Transient, uplink.Unknown, uplink.Hold:
		return commission.Unreached
	}
	return commission.Took
}

// limsStanding adds what the store knows of the destination.
func limsStanding(ctx context.Context, l *commission.LIMS, store *spool.Spool) {
	holds, err := store.Holds(ctx, l.Name)
	if err != nil {
		return
	}
	for _, hold := range holds {
		switch hold.Scope {
		case "":
			l.Held = hold.Reason
		case l.Consumers:
			l.Unknown = hold.Scope
		}
	}
	status, err := store.Status(ctx)
	if err != nil {
		return
	}
	for _, one := range status.Destinations {
		if one.Name == l.Name {
			l.Unread = one.Unread
		}
	}
}
