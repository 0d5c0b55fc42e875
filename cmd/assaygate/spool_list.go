package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

type spoolList struct {
	State       string `help:"Only messages in this state: ${enum}. Held ones are pending too." enum:"pending,held,delivered,confirmed,unconfirmed,parked,dropped,any" default:"any"`
	Intake      string `help:"Only messages that were taken in like this: ${enum}." enum:"accepted,parked,incomplete,rejected,any" default:"any"`
	Destination string `help:"Only messages of this destination." placeholder:"NAME"`
	Instrument  string `help:"Only messages of this instrument." placeholder:"NAME"`
	Sample      string `help:"Only messages of this sample." placeholder:"ID"`
	Kind        string `help:"Only messages of this kind: ${enum}." enum:"result,qc,calibration,test,any" default:"any"`
	Reason      string `help:"Only messages with this in their reason, such as why they are parked." placeholder:"TEXT"`
	Since       moment `help:"Only messages received since: so long ago (24h, 7d), or a time (2026-03-01, \"2026-03-01 14:30\")." placeholder:"WHEN"`
	Until       moment `help:"Only messages received before that, likewise." placeholder:"WHEN"`
	Limit       int    `help:"How many at most, 1 to 10000 (default: ${default})." default:"100"`
}

// Run implements a kong command.
func (l *spoolList) Run(c *spoolCommand, s *streams) error {
	if l.Limit < 1 || l.Limit > api.ListLimit {
		return usageError{fmt.Errorf("--limit: %d is not 1 to %d", l.Limit, api.ListLimit)}
	}
	filter := spool.Filter{
		Destination: l.Destination, Instrument: l.Instrument, SampleID: l.Sample, Reason: l.Reason,
		Since: l.Since.Time, Until: l.Until.Time, Limit: l.Limit,
	}
	if l.State != "any" {
		filter.State = spool.State(l.State)
	}
	if l.Intake != "any" {
		filter.Intake = envelope.Intake(l.Intake)
	}
	if l.Kind != "any" {
		filter.Kind = envelope.Kind(l.Kind)
	}
	return c.read(func(ctx context.Context, client *api.Client) error {
		messages, err := client.List(ctx, filter)
		if err != nil {
			return err
		}
		if messages == nil {
			messages = []spool.Summary{}
		}
		return c.print(s.out, messages, func(w io.Writer) {
			fmt.Fprintln(w, "ID\tINSTRUMENT\tRECEIVED\tKIND\tSAMPLE\tSTATES\tREASON")
			for _, m := range messages {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, cell(m.Instrument), shownTime(m.ReceivedAt, m.Clock),
					m.Kind, cell(m.SampleID), cell(states(m)), cell(reasons(m)))
			}
		})
	})
}

// states shows where a message stands, in one cell.
func states(m spool.Summary) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m.States)) {
		parts = append(parts, fmt.Sprintf("%s %s", name, m.States[name]))
	}
	if m.Intake != envelope.Accepted && m.Intake != "" {
		parts = append(parts, string(m.Intake))
	}
	return strings.Join(parts, ", ")
}

// reasons shows why it stands there. One that holds everywhere is said once.
func reasons(m spool.Summary) string {
	var parts []string
	if m.Reason != "" {
		parts = append(parts, m.Reason)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Reasons)) {
		if reason := m.Reasons[name]; reason != m.Reason {
			parts = append(parts, name+": "+reason)
		}
	}
	return strings.Join(parts, "; ")
}

// moment is a time on the command line: so long ago, or a time of day or a day
// of this machine's time zone.
type moment struct{ time.Time }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *moment) UnmarshalText(text []byte) error {
	if days, is := strings.CutSuffix(string(text), "d"); is {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			m.Time = time.Now().AddDate(0, 0, -int(n))
			return nil
		}
	}
	if ago, err := time.ParseDuration(string(text)); err == nil && ago >= 0 {
		m.Time = time.Now().Add(-ago)
		return nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, string(text), time.Local); err == nil {
			m.Time = at
			return nil
		}
	}
	return fmt.Errorf("%q is no time; say how long ago (24h, 7d), or when (2026-03-01, \"2026-03-01 14:30\")", text)
}
