package main

import (
	"context"
	"slices"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/live"
)

// consoleLive is what the console shows of what goes over the lines.
func (d *daemon) consoleLive() console.Live {
	return console.Live{
		Lines: func() []console.LiveLine {
			var list []console.LiveLine
			for _, status := range d.live.Lines() {
				list = append(list, d.liveLine(status))
			}
			return list
		},
		Line: func(instrument string) (console.LiveLine, bool) {
			status, known := d.live.Line(instrument)
			if !known {
				return console.LiveLine{}, false
			}
			return d.liveLine(status), true
		},
		Backlog: func(instrument string) []console.LiveEntry { return liveEntries(d.live.Backlog(instrument)) },
		Watch:   d.watchLive,
	}
}

func (d *daemon) watchLive(instrument, after string) (console.LiveWatch, error) {
	subscription, err := d.live.Subscribe(instrument, after)
	if err != nil {
		return console.LiveWatch{}, err
	}
	return console.LiveWatch{Close: subscription.Close, Next: func(ctx context.Context) ([]console.LiveEntry, uint64, error) {
		list, lost, err := subscription.Next(ctx)
		return liveEntries(list), lost, err
	}}, nil
}

// liveLine is how a line stands, with what the configuration and the metrics know
// of its first instrument.
func (d *daemon) liveLine(s live.Status) console.LiveLine {
	c := s.Counters
	line := console.LiveLine{
		Instruments: s.Instruments, Up: d.metrics.state(s.Instruments[0]).up,
		Since: c.Since, Opened: c.Opened,
		LastOpened: console.LiveMoment{At: c.LastOpened, Remote: c.OpenedBy}, LastEnded: console.LiveMoment{At: c.LastEnded, Remote: c.EndedBy},
	}
	for _, o := range s.Open {
		line.Open = append(line.Open, console.LiveOpen(o))
	}
	instruments := d.config().Instruments
	if at := slices.IndexFunc(instruments, func(i Instrument) bool { return i.Name == s.Instruments[0] }); at >= 0 {
		line.Protocol, line.Where = string(instruments[at].protocol()), instruments[at].describeLine()
	}
	line.Received, line.Sent = liveTraffic(line.Protocol, c.Received), liveTraffic(line.Protocol, c.Sent)
	return line
}

// liveTraffic counts the characters that the protocol has.
func liveTraffic(protocol string, t live.Traffic) console.LiveTraffic {
	traffic := console.LiveTraffic{Bytes: t.Bytes, Last: t.Last, Controls: []console.LiveControl{
		{Name: "ENQ", Count: t.ENQ},
		{Name: "STX", Count: t.STX},
		{Name: "ETB", Count: t.ETB},
		{Name: "ETX", Count: t.ETX},
		{Name: "EOT", Count: t.EOT},
		{Name: "ACK", Count: t.ACK},
		{Name: "NAK", Count: t.NAK},
	}}
	if protocol == "hl7" {
		traffic.Controls = []console.LiveControl{{Name: "VT", Count: t.VT}, {Name: "FS", Count: t.FS}}
	}
	return traffic
}

func liveEntries(list []live.Entry) []console.LiveEntry {
	shown := make([]console.LiveEntry, 0, len(list))
	for _, e := range list {
		entry := console.LiveEntry{
			Mark: e.Mark(), At: e.At, Kind: string(e.Kind), Opening: e.Opening, Remote: e.Remote, Text: e.Text, Cut: e.Cut,
		}
		for _, p := range e.Pieces {
			entry.Pieces = append(entry.Pieces, console.LivePiece(p))
		}
		shown = append(shown, entry)
	}
	return shown
}
