package spool

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// TestQueriesUseTheirIndexes asks SQLite how it would run what must stay fast
// in a large store: no plan may read a whole table.
func TestQueriesUseTheirIndexes(t *testing.T) {
	s := open(t, settings(t), lims)
	queries := map[string]string{
		"heads": headQuery, "duplicate": duplicateQuery,
		"show": "SELECT min(seq) FROM messages WHERE id = ?1 OR message_id = ?1",
	}
	arguments := map[string][]any{"heads": {"lims"}, "duplicate": {"digest", 1, 0}, "show": {"id"}}
	for name, f := range map[string]Filter{
		"all":     {},
		"sample":  {SampleID: "S"},
		"sampled": {SampleID: "S", Instrument: "xn", Since: time.Now(), State: Parked},
		"message": {MessageID: "M"},
		"pending": {State: Pending, Destination: "lims"},
		"parked":  {State: Parked},
		"times":   {Since: time.Now(), Until: time.Now(), Instrument: "xn"},
	} {
		queries[name], arguments[name] = f.query()
	}
	harmless := []string{
		"SCAN lane", "SCAN found", // as many rows as lanes, or as are shown
		"all: SCAN m", // newest first, and ends at the limit
		"pending: SCAN deliveries USING COVERING INDEX deliveries_pending",
	}
	for name, query := range queries {
		err := s.read(t.Context(), func(scan func(...any) error) error {
			var id, parent, unused int
			var plan string
			if err := scan(&id, &parent, &unused, &plan); err != nil {
				return err
			}
			if strings.HasPrefix(plan, "SCAN") && !slices.Contains(harmless, name+": "+plan) && !slices.Contains(harmless, plan) {
				t.Errorf("%s: %s", name, plan)
			}
			return nil
		}, "EXPLAIN QUERY PLAN "+query, arguments[name]...)
		if err != nil {
			t.Error(err)
		}
	}
}

// TestListFilters finds each message by each thing that sets it apart.
func TestListFilters(t *testing.T) {
	s := open(t, settings(t), lims, Destination{Name: "files", Everything: true})
	change := func(name string, change func(*envelope.Envelope)) uint64 {
		e := message("a", name)
		change(&e)
		return put(t, s, e).Sequence
	}
	plain := change("1", func(*envelope.Envelope) {})
	control := change("2", func(e *envelope.Envelope) { e.Kind = envelope.KindQC })
	parked := change("3", func(e *envelope.Envelope) { e.Intake, e.Reason = envelope.Parked, "no terminator record" })
	rejected := change("4", func(e *envelope.Envelope) { e.Intake, e.Reason = envelope.Rejected, "Not a Message" })
	failing := change("5", func(e *envelope.Envelope) { e.Instrument = "other" })
	if err := s.Attempted(t.Context(), "lims", failing, true, "500 for 0197-ab: no sample"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delivered(t.Context(), "lims", plain, "possibly repeated"); err != nil {
		t.Fatal(err)
	}
	if err := s.Park(t.Context(), "files", control, "500 for the disk"); err != nil {
		t.Fatal(err)
	}
	find := func(f Filter) (found []uint64) {
		list, err := s.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			found = append(found, m.Sequence)
		}
		return found
	}
	for name, c := range map[string]struct {
		filter Filter
		want   []uint64
	}{
		"kind":                   {Filter{Kind: envelope.KindQC}, []uint64{control}},
		"intake":                 {Filter{Intake: envelope.Rejected}, []uint64{rejected}},
		"reason":                 {Filter{Reason: "500 FOR"}, []uint64{failing, control}},
		"reason of the intake":   {Filter{Reason: "not a message"}, []uint64{rejected}},
		"reason and state":       {Filter{Reason: "500 for", State: Parked}, []uint64{control}},
		"reason and pending":     {Filter{Reason: "500 for", State: Pending}, []uint64{failing}},
		"reason and destination": {Filter{Reason: "500", Destination: "files"}, []uint64{control}},
		"of another destination": {Filter{Reason: "500", Destination: "lims", State: Parked}, nil},
		"reason of a delivered":  {Filter{Reason: "repeated", State: Delivered}, []uint64{plain}},
		"held by none":           {Filter{State: Held}, nil},
		"parked at lims":         {Filter{State: Parked, Destination: "lims"}, []uint64{parked}},
	} {
		if have := find(c.filter); !slices.Equal(have, c.want) {
			t.Errorf("%s: %v, want %v", name, have, c.want)
		}
	}
	list, err := s.List(t.Context(), Filter{Instrument: "other"})
	if err != nil || list[0].Reasons["lims"] != "500 for 0197-ab: no sample" || len(list[0].Reasons) != 1 {
		t.Errorf("reasons: %+v, %v", list, err)
	}
	if err := s.SetHeld(t.Context(), "lims", Hold{Reason: "401: wrong password"}); err != nil {
		t.Fatal(err)
	}
	if have := find(Filter{State: Held, Reason: "Wrong"}); !slices.Equal(have, []uint64{failing, control}) {
		t.Errorf("held are %v", have)
	}
	if have := find(Filter{State: Held, Reason: "500"}); have != nil {
		t.Errorf("held for another reason are %v", have)
	}
	list, err = s.List(t.Context(), Filter{Instrument: "other"})
	if err != nil || list[0].States["lims"] != Held || list[0].Reasons["lims"] != "401: wrong password" {
		t.Errorf("held: %+v, %v", list, err)
	}
	status, err := s.Status(t.Context())
	if err != nil || status.Destinations[1].Name != "lims" || status.Destinations[1].HeldPending != 2 || status.Destinations[1].Pending != 2 || status.Destinations[0].HeldPending != 0 {
		t.Errorf("status: %+v, %v", status, err)
	}
}

// What a search can say, a retry of all that it selects can say too.
func TestSelectionsNarrowAsFiltersDo(t *testing.T) {
	s := open(t, settings(t), lims)
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var ids []string
	for i := range 4 {
		e := kilobyte("lane", uint64(i+1))
		e.Intake, e.Reason = envelope.Parked, "no terminator record"
		e.SampleID, e.ReceivedAt, e.Clock = fmt.Sprint("S-", i%2), day.AddDate(0, 0, i), envelope.ClockSet
		e.Instrument = "lab"
		if i == 3 {
			e.Kind = envelope.KindQC
		}
		if _, err := s.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	for name, test := range map[string]struct {
		which Selection
		want  int
	}{
		"all":     {Selection{}, 4},
		"sample":  {Selection{SampleID: "S-1"}, 2},
		"kind":    {Selection{Kind: envelope.KindQC}, 1},
		"since":   {Selection{Since: day.AddDate(0, 0, 1)}, 3},
		"until":   {Selection{Until: day.AddDate(0, 0, 1)}, 1},
		"several": {Selection{SampleID: "S-1", Since: day, Until: day.AddDate(0, 0, 2), Instrument: "lab", State: Parked, Destination: lims.Name, Reason: "TERMINATOR"}, 1},
		"intake":  {Selection{Intake: envelope.Incomplete}, 0},
	} {
		if n, err := s.Selected(t.Context(), test.which); err != nil || n != test.want {
			t.Errorf("%s: %d, %v; want %d", name, n, err, test.want)
		}
	}
	if n, err := s.RetryAll(t.Context(), Selection{SampleID: "S-1", Until: day.AddDate(0, 0, 2)}, "anna"); err != nil || n != 1 {
		t.Errorf("retried %d, %v", n, err)
	}
	found, err := s.List(t.Context(), Filter{MessageID: ids[2]})
	if err != nil || len(found) != 1 || found[0].ID != ids[2] {
		t.Errorf("by its message: %+v, %v", found, err)
	}
}
