package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A message is finished when nothing is to be done for any of its parts at any
// destination, or no destination gets it. Only these states say so: one that
// this release does not know, or a flipped bit, keeps the message.
var (
	finishedStates = []State{Delivered, Confirmed, Dropped}
	// What nobody has put right in twice the time will not be put right.
	givenUpStates = append(slices.Clone(finishedStates), Unconfirmed)
)

// searchWindow is how many sequences are looked at in one query.
const searchWindow = 1024

// finding is a message that may go, as far as a query has shown.
type finding struct {
	first uint64 // sequence of its part 0
	rows  int
	bytes int64 // of raw
}

// search finds messages whose deliveries are all in one of its states, oldest
// first. It remembers how far it has looked, so that what is unfinished at the
// front is not read again each time; whoever finishes a message behind that
// point says so with settled. All but settled is for the goroutine that prunes.
type search struct {
	states []State
	query  string
	next   uint64    // what is before it was looked at
	found  []finding // before next, not yet taken
	young  uint64    // the first that was taken, but too young; 0: none

	mu   sync.Mutex
	back uint64 // the lowest sequence that was settled since; 0: none
}

func newSearch(states []State) search {
	// The gaps between what is unfinished are found in the narrow table, so that
	// 100 000 parked messages do not cost a read of each of their pages.
	const query = `
WITH unfinished (seq) AS (
	SELECT DISTINCT d.seq FROM deliveries d WHERE d.seq >= ?1 AND d.seq < ?2 AND (d.state NOT IN (%s)
		OR d.state = 'delivered' AND EXISTS (SELECT 1 FROM confirmations c WHERE c.destination = d.destination AND c.seq = d.seq))
), gap (low, high) AS (
	SELECT seq + 1, lead(seq, 1, ?2) OVER (ORDER BY seq)
	FROM (SELECT ?1 - 1 AS seq UNION ALL SELECT seq FROM unfinished)
)
SELECT m.seq, m.part, ifnull(length(m.raw), 0)
FROM gap CROSS JOIN messages m ON m.seq >= gap.low AND m.seq < gap.high
WHERE gap.low < gap.high ORDER BY m.seq`
	quoted := make([]string, len(states))
	for i, state := range states {
		quoted[i] = "'" + string(state) + "'"
	}
	return search{states: states, next: 1, query: fmt.Sprintf(query, strings.Join(quoted, ", "))}
}

// settled has the search look again from this sequence on.
func (f *search) settled(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.back == 0 || seq < f.back {
		f.back = seq
	}
}

// begin has the next takes find again what was too young before.
func (f *search) begin() {
	if f.young > 0 {
		f.settled(f.young)
	}
	f.young = 0
}

// tooYoung notes a message that was taken, but may only go later.
func (f *search) tooYoung(first uint64) {
	if f.young == 0 || first < f.young {
		f.young = first
	}
}

// take returns the next messages that may go, none with a sequence above until:
// a few, for they go in one transaction. None means that there are none.
func (f *search) take(ctx context.Context, s *Spool, until uint64, limit int) ([]finding, error) {
	if err := f.turnBack(ctx, s); err != nil {
		return nil, err
	}
	for len(f.found) == 0 && f.next <= until {
		last := f.next
		if err := f.look(ctx, s); err != nil {
			return nil, err
		}
		if f.next == last {
			return nil, nil // the end
		}
	}
	var rows int
	var bytes int64
	for i, m := range f.found {
		rows, bytes = rows+m.rows, bytes+m.bytes
		if m.first > until || i > 0 && (rows > limit || bytes > pruneBytes) {
			taken := f.found[:i]
			f.found = f.found[i:]
			return taken, nil
		}
	}
	taken := f.found
	f.found = nil
	return taken, nil
}

// turnBack goes back to the beginning of a message that was settled.
func (f *search) turnBack(ctx context.Context, s *Spool) error {
	f.mu.Lock()
	back := f.back
	f.back = 0
	f.mu.Unlock()
	if back == 0 || back >= f.next {
		return nil
	}
	var first uint64
	err := s.readRow(ctx, "SELECT ifnull((SELECT seq - part FROM messages WHERE seq >= ? ORDER BY seq LIMIT 1), 0)", []any{back}, &first)
	if err != nil {
		f.settled(back)
		return err
	}
	if first == 0 || first >= f.next {
		return nil
	}
	f.next = first
	if len(f.found) > 0 {
		f.next = min(f.next, f.found[0].first)
	}
	f.found = nil
	return nil
}

// look reads one window into found.
func (f *search) look(ctx context.Context, s *Spool) error {
	var low, last uint64
	err := s.readRow(ctx, "SELECT ifnull((SELECT min(seq) FROM messages WHERE seq >= ?), 0), ifnull((SELECT max(seq) FROM messages), 0)",
		[]any{f.next}, &low, &last)
	if err != nil || low == 0 {
		return err
	}
	high := low + searchWindow
	err = s.read(ctx, func(scan func(...any) error) error {
		var seq, part uint64
		var bytes int64
		if err := scan(&seq, &part, &bytes); err != nil {
			return err
		}
		n := len(f.found)
		switch {
		case part == 0:
			f.found = append(f.found, finding{first: seq, rows: 1, bytes: bytes})
		case n > 0 && f.found[n-1].first+part == seq:
			f.found[n-1].rows++
		} // else its first part is unfinished, or was found in the window before
		return nil
	}, f.query, low, high)
	if err != nil {
		f.found = nil
		return err
	}
	f.next = min(high, last+1) // what comes later may be finished from the start
	return nil
}

// readRow runs a query on a connection of its own and reads its first row, or
// gives sql.ErrNoRows.
func (s *Spool) readRow(ctx context.Context, query string, args []any, into ...any) error {
	return s.closed(s.readers.QueryRowContext(ctx, query, args...).Scan(into...))
}

// finished returns the rows of a message that is finished, and nil where it is
// not any more, or is not whole: what is damaged stays for a person to see.
func (t *tx) finished(first uint64, states []State) ([]record, error) {
	records, err := t.wholeMessage(first)
	if err != nil || records == nil {
		return nil, err
	}
	last := first + uint64(len(records)) - 1
	rows, err := t.query("SELECT "+deliveryColumns+`, EXISTS (SELECT 1 FROM confirmations c WHERE c.destination = d.destination AND c.seq = d.seq)
		FROM deliveries d WHERE d.seq >= ? AND d.seq <= ?`, first, last)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var awaited bool
		d, err := scanDelivery(func(into ...any) error { return rows.Scan(append(into, &awaited)...) })
		switch {
		case errors.Is(err, ErrDamaged):
			return nil, nil
		case err != nil:
			return nil, err
		case awaited || !slices.Contains(states, d.State):
			return nil, nil
		}
	}
	return records, rows.Err()
}

// wholeMessage reads the parts of a message, without their bodies.
func (t *tx) wholeMessage(first uint64) (records []record, err error) {
	rows, err := t.query("SELECT "+recordColumns+` FROM messages m INDEXED BY messages_message LEFT JOIN lanes l ON l.id = m.lane
		WHERE m.message_id = (SELECT message_id FROM messages WHERE seq = ?) ORDER BY m.seq`, first)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanRecord(rows.Scan)
		switch {
		case errors.Is(err, ErrDamaged):
			return nil, nil
		case err != nil:
			return nil, err
		case r.part != len(records) || r.sequence != first+uint64(r.part):
			return nil, nil
		}
		r.body, r.raw = nil, nil
		records = append(records, r)
	}
	return records, rows.Err()
}
