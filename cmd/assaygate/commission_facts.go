package main

import (
	"context"
	"time"

	"github.com/assaygate/assaygate/device/commission"
	"github.com/assaygate/assaygate/device/live"
	"github.com/assaygate/assaygate/envelope"
)

// facts gathers what a check judges: the line, the store, and the destination of
// that name, "" for none.
func (d *daemon) facts(ctx context.Context, of checkOf, i Instrument, destination string) commission.Facts {
	now, own := d.checks.look(of, func() check { return d.beginCheck(ctx, i.Name) }), d.tally.line(i.Name)
	line, _ := d.live.Line(i.Name)
	f := commission.Facts{
		Language: languageOf(i, own.protocol), Profile: i.Profile, Running: time.Since(now.begun),
		Traffic: trafficSince(now, line),
	}
	if !now.sent.IsZero() {
		f.Sent = time.Since(now.sent)
	}
	first := i.Name
	for n, name := range line.Instruments {
		if n == 0 {
			first = name
		}
		if name != i.Name {
			f.Shared = append(f.Shared, name)
			f.Others += now.since(d.tally.line(name), name, countWhole).All
		}
	}
	whole := d.tally.line(first)
	f.Whole = now.since(own, i.Name, countWhole).All
	f.Queries = now.since(own, i.Name, countQuery).All
	f.Refused = refusedSince(now, i.Name, own, first, whole)
	d.lineFacts(&f, now, i, first, whole)
	d.storeFacts(ctx, &f, of, now, i, destination)
	d.limsFacts(ctx, &f, now, destination)
	return f
}

// languageOf is what is spoken on the line. The packets of makers other than the
// Emerald's come over lines for ASTM.
func languageOf(i Instrument, spoken envelope.Protocol) commission.Language {
	switch {
	case i.emerald():
		return commission.Packets
	case spoken == envelope.HL7, spoken == "" && i.protocol() == envelope.HL7:
		return commission.HL7
	}
	return commission.ASTM
}

// since is how often something happened since the check began, and of that since
// the newest whole message.
func (c check) since(l lineTally, name, what string) commission.Count {
	now, begun, whole := l.counts[what], c.counts[name][what], l.atWhole[what]
	if now < begun { // counted anew: the instrument had left the configuration
		begun = 0
	}
	return commission.Count{All: int(now - begun), Now: int(now - min(now, max(begun, whole)))}
}

// refusedSince adds up what was refused of the line, and of this instrument.
func refusedSince(c check, name string, own lineTally, first string, line lineTally) (r commission.Refused) {
	add := func(to *commission.Count, reasons ...string) {
		for _, reason := range reasons {
			one := c.since(own, name, refusedPrefix+reason)
			to.All, to.Now = to.All+one.All, to.Now+one.Now
			if first != name {
				one = c.since(line, first, refusedPrefix+reason)
				to.All, to.Now = to.All+one.All, to.Now+one.Now
			}
		}
	}
	add(&r.Checksum, "checksum")
	add(&r.Number, "frame_number")
	add(&r.Malformed, "malformed")
	add(&r.Long, "frame_too_long", "message_too_long")
	add(&r.Junk, "junk")
	add(&r.Time, "session")
	add(&r.Rejected, "rejected")
	add(&r.Store, "store")
	return r
}

// trafficSince is what went over the line since the check began.
func trafficSince(c check, line live.Status) commission.Traffic {
	now, begun := line.Counters, c.traffic
	if !now.Since.Equal(begun.Since) { // counted anew
		begun = live.Counters{}
	}
	in, was := now.Received, begun.Received
	t := commission.Traffic{
		Known: !now.Since.IsZero(), Received: int(in.Bytes - was.Bytes), Sent: int(now.Sent.Bytes - begun.Sent.Bytes),
		ENQ: int(in.ENQ - was.ENQ), STX: int(in.STX - was.STX), EOT: int(in.EOT - was.EOT),
		Start: int(in.VT - was.VT), End: int(in.FS - was.FS), Odd: int(in.Odd - was.Odd),
	}
	if t.Received > 0 {
		t.Quiet = time.Since(in.Last)
	}
	return t
}
