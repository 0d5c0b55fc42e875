package spool

import (
	"slices"
	"strings"
	"testing"
	"time"
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
