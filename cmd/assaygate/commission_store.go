package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/commission"
	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/protocols/vendor"
	"github.com/assaygate/assaygate/uplink/senaite"
)

// mostSeen is how many envelopes a check looks back; a message is one for each of
// its orders.
const mostSeen = 50

// clockPatience is how far the clock may be put back during a check. Which messages
// are new is known by their sequence; the time only spares a look at all others.
const clockPatience = 5 * time.Minute

// readMessage is what reading a message has told of it. It does not change, and a
// message may be megabytes.
type readMessage struct {
	messageID        string
	profile, problem string
	generic          bool
	bare             []string // its envelopes that hold nothing that is read back
}

// storeFacts are those of the store, and of the newest message in it that came since
// the check began.
func (d *daemon) storeFacts(ctx context.Context, f *commission.Facts, of checkOf, c check, i Instrument, destination string) {
	g, away := d.standing.now()
	if g == nil {
		f.Store.Away = away.Error()
		f.Closed = "the lines are closed while there is no store."
		return
	}
	f.Store.ReadOnly = d.card().ReadOnly
	if err := g.store.Room(); err != nil {
		f.Store.NoRoom = err.Error()
	}
	if err := d.metrics.refusal(); err != nil {
		f.Store.Failing = err.Error()
	}
	list, err := g.store.List(ctx, spool.Filter{Instrument: i.Name, Since: c.begun.Add(-clockPatience), Limit: mostSeen})
	if err != nil {
		f.Store.Failing = err.Error()
		return
	}
	list = slices.DeleteFunc(list, func(m spool.Summary) bool { return m.Sequence <= c.sequence })
	if len(list) == 0 {
		return
	}
	if c.read.messageID != list[0].MessageID {
		c.read = g.readMessage(ctx, list)
		d.checks.change(of, func(now *check) { now.read = c.read })
	}
	f.Newest = newest(list, destination, c.read.bare)
	f.Newest.Profile, f.Newest.Problem, f.Newest.Generic = c.read.profile, c.read.problem, c.read.generic
}

// newest is the first message of a list as a check sees it: of its envelopes what
// needs a person most. What is delivered of bare is not read back.
func newest(list []spool.Summary, destination string, bare []string) *commission.Message {
	first := list[0]
	m := &commission.Message{
		ID: first.ID, At: first.ReceivedAt, Sample: first.SampleID, Instrument: first.Instrument,
		Intake: intakeOf(first.Intake), Flaw: flawOf(first.Reason), Reason: first.Reason,
	}
	for _, one := range list {
		if one.MessageID != first.MessageID {
			continue
		}
		state := deliveryStateOf(one.States[destination])
		if state == commission.Delivered && slices.Contains(bare, one.ID) {
			state = commission.Bare
		}
		if urgency(state) > urgency(m.Delivery) {
			m.Delivery, m.Why = state, one.Reasons[destination]
		}
		if m.Sample == "" {
			m.Sample = one.SampleID
		}
	}
	return m
}

func intakeOf(is envelope.Intake) commission.Intake {
	switch is {
	case envelope.Parked:
		return commission.Parked
	case envelope.Incomplete:
		return commission.Incomplete
	case envelope.Rejected:
		return commission.Rejected
	}
	return commission.Accepted
}

// flawOf is what a message lacks that is parked for a reason.
func flawOf(reason string) commission.Flaw {
	switch {
	case reason == instrument.NoTerminator:
		return commission.NoEnd
	case reason == profile.NoHeader:
		return commission.NoHeader
	case strings.HasPrefix(reason, vendor.ErrSum.Error()):
		return commission.WrongSum
	}
	return commission.OtherFlaw
}

func deliveryStateOf(is spool.State) commission.State {
	switch is {
	case spool.Pending, spool.Held:
		return commission.Pending
	case spool.Parked:
		return commission.SetAside
	case spool.Delivered:
		return commission.Delivered
	case spool.Dropped:
		return commission.Dropped
	case spool.Confirmed:
		return commission.Confirmed
	case spool.Unconfirmed:
		return commission.Unconfirmed
	}
	return commission.NoDelivery
}

// urgency orders the states of one message's envelopes.
func urgency(of commission.State) int {
	return slices.Index([]commission.State{
		commission.NoDelivery, commission.Dropped, commission.Bare, commission.Confirmed,
		commission.Delivered, commission.Pending, commission.Unconfirmed, commission.SetAside,
	}, of)
}

// readMessage reads the envelopes of the first message of a list.
func (g *gateway) readMessage(ctx context.Context, list []spool.Summary) (m readMessage) {
	for _, one := range list {
		if one.MessageID != list[0].MessageID {
			break
		}
		detail, err := g.store.Show(ctx, one.ID)
		if err != nil {
			return readMessage{} // it is read again at the next look
		}
		if !senaite.ReadsBack(detail.Envelope) {
			m.bare = append(m.bare, one.ID)
		}
		if m.problem == "" {
			m.profile, m.problem = detail.Envelope.Profile, detail.Envelope.Problem
			m.generic = profile.Generic(m.profile)
		}
	}
	m.messageID = list[0].MessageID
	return m
}
