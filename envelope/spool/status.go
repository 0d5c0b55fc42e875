package spool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// Status is the store at one moment.
type Status struct {
	Destinations []DestinationStatus `json:"destinations"` // by name
	Messages     int                 `json:"messages"`     // envelopes that are kept
	Drafts       int                 `json:"drafts"`
	LastSequence uint64              `json:"last_sequence"`
	Bytes        int64               `json:"bytes"`     // database and WAL
	WALBytes     int64               `json:"wal_bytes"` // not yet folded into the database
	Schema       int                 `json:"schema"`
	AuditRows    uint64              `json:"audit_rows"`
	AuditHash    string              `json:"audit_hash"`           // head of the chain, hex
	PublicKey    string              `json:"public_key,omitempty"` // of this box, as FormatKey writes it
	Failure      string              `json:"failure,omitempty"`
	Damaged      int                 `json:"damaged"`               // messages whose checksum does not fit, or that of a delivery, as found since the start
	Pruned       uint64              `json:"pruned"`                // envelopes removed by keep_days, keep_size or for room, since the start
	OldestKept   uint64              `json:"oldest_kept,omitempty"` // sequence
	Overfull     string              `json:"overfull,omitempty"`    // why the store is above keep_size
	NoRoom       string              `json:"no_room,omitempty"`     // why nothing is taken in
	Sealed       []Sealed            `json:"sealed,omitempty"`      // stores that factory resets have set aside
}

// DestinationStatus is one destination at one moment.
type DestinationStatus struct {
	Name          string        `json:"name"`
	Active        bool          `json:"active"` // configured at the last start
	Held          string        `json:"held,omitempty"`
	Unread        string        `json:"unread,omitempty"` // why results are not read back until the next start
	Pending       int           `json:"pending"`          // with the held ones
	HeldPending   int           `json:"held_pending"`     // of these, shown as held: all, or none
	Parked        int           `json:"parked"`
	Delivered     int           `json:"delivered"`
	Dropped       int           `json:"dropped"`
	Confirmed     int           `json:"confirmed"`
	Unconfirmed   int           `json:"unconfirmed"`
	OldestPending uint64        `json:"oldest_pending,omitempty"` // sequence
	OldestAge     time.Duration `json:"oldest_age_ns,omitempty"`  // 0 also where it is not known
}

// counts keeps the number of deliveries in each state, so that asking for them
// every few seconds does not read the whole table.
type counts struct {
	mu           sync.Mutex
	messages     int
	destinations map[string]map[State]int
}

func newCounts() counts { return counts{destinations: map[string]map[State]int{}} }

func (c *counts) load(ctx context.Context, database *sql.DB) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := database.QueryRowContext(ctx, "SELECT count(*) FROM messages").Scan(&c.messages); err != nil {
		return err
	}
	rows, err := database.QueryContext(ctx, "SELECT destination, state, count(*) FROM deliveries GROUP BY destination, state")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var destination string
		var state State
		var n int
		if err := rows.Scan(&destination, &state, &n); err != nil {
			return err
		}
		c.of(destination)[state] = n
	}
	return rows.Err()
}

func (c *counts) of(destination string) map[State]int {
	states := c.destinations[destination]
	if states == nil {
		states = map[State]int{}
		c.destinations[destination] = states
	}
	return states
}

func (c *counts) add(messages int, moves []move) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages += messages
	for _, m := range moves {
		states := c.of(m.destination)
		if m.to != "" {
			states[m.to]++
		}
		if m.from != "" {
			states[m.from]--
		}
	}
}

// Count returns how many deliveries are in a state, at all destinations together.
// It waits neither for the card nor for the writer.
func (s *Spool) Count(state State) (n int) {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	for _, states := range s.counts.destinations {
		n += states[state]
	}
	return n
}

// Status returns the counts of every destination that was ever known, and the
// state of the store itself.
func (s *Spool) Status(ctx context.Context) (Status, error) {
	status := Status{Destinations: []DestinationStatus{}}
	err := s.destinationStatus(ctx, &status)
	if err == nil {
		err = s.storeStatus(ctx, &status)
	}
	if err != nil {
		return Status{}, fmt.Errorf("asking the store for its status: %w", err)
	}
	return status, nil
}

func (s *Spool) destinationStatus(ctx context.Context, status *Status) error {
	err := s.read(ctx, func(scan func(...any) error) error {
		var d DestinationStatus
		var whole bool
		if err := scan(&d.Name, &d.Active, &d.Held, &whole); err != nil {
			return err
		}
		if whole {
			d.HeldPending = 1 // counted below
		}
		status.Destinations = append(status.Destinations, d)
		return nil
	}, `SELECT name, active, held, EXISTS (SELECT 1 FROM holds h WHERE h.destination = name AND h.scope = '')
		FROM destinations ORDER BY name`)
	if err != nil {
		return err
	}
	for i := range status.Destinations {
		d := &status.Destinations[i]
		heads, err := s.Heads(ctx, d.Name)
		if err != nil {
			return err
		}
		if len(heads) > 0 {
			d.OldestPending = heads[0].Sequence
			if d.OldestAge, err = s.age(ctx, heads[0].Sequence); err != nil {
				return err
			}
		}
		if why, unread := s.unread.Load(d.Name); unread {
			d.Unread = fmt.Sprint(why)
		}
		d.Active = d.Active && (s.writer == nil || s.configured.Load().has(d.Name))
	}
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	status.Messages = s.counts.messages
	for i := range status.Destinations {
		d := &status.Destinations[i]
		states := s.counts.destinations[d.Name]
		d.Pending, d.Parked, d.Delivered = states[Pending], states[Parked], states[Delivered]
		d.Dropped, d.Confirmed, d.Unconfirmed = states[Dropped], states[Confirmed], states[Unconfirmed]
		d.HeldPending *= d.Pending
	}
	return nil
}

// age returns how long ago a message came, as far as that is known.
func (s *Spool) age(ctx context.Context, seq uint64) (time.Duration, error) {
	var received int64
	var then stamp
	var boot string
	err := s.readers.QueryRowContext(ctx,
		"SELECT m.received_at, m.clock, m.monotonic, b.boot FROM messages m JOIN boots b ON b.id = m.boot WHERE m.seq = ?", seq).
		Scan(&received, &then.clock, &then.monotonic, &boot)
	if err != nil {
		return 0, s.closed(err)
	}
	now := s.clock.stamp()
	then.at, then.boot = time.UnixMicro(received), -1
	if boot == s.clock.boot {
		then.boot = now.boot
	}
	age, _ := now.age(then)
	return age, nil
}

func (s *Spool) storeStatus(ctx context.Context, status *Status) error {
	err := s.readers.QueryRowContext(ctx, `SELECT (SELECT ifnull(max(seq), 0) FROM messages), (SELECT count(*) FROM drafts),
		(SELECT ifnull(max(n), 0) FROM audit), ifnull((SELECT lower(hex(hash)) FROM audit ORDER BY n DESC LIMIT 1), ''),
		(SELECT user_version FROM pragma_user_version),
		(SELECT ifnull(min(seq), 0) FROM messages)`).
		Scan(&status.LastSequence, &status.Drafts, &status.AuditRows, &status.AuditHash, &status.Schema, &status.OldestKept)
	if err != nil {
		return s.closed(err)
	}
	if err := s.Err(); err != nil {
		status.Failure = err.Error()
	}
	status.Damaged = s.damagedSoFar()
	status.Pruned, status.Overfull = s.retention.pruned.Load(), s.retention.whyOverfull()
	status.PublicKey = FormatKey(s.Identity())
	if err := s.Room(); err != nil {
		status.NoRoom = err.Error()
	}
	if status.Sealed, err = ListSealed(s.directory); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(filepath.Join(s.directory, databaseFile+suffix))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		status.Bytes += info.Size()
		if suffix != "" {
			status.WALBytes = info.Size()
		}
	}
	return nil
}

// CountSince returns how many messages came since a time, by the configured name
// of their instrument.
func (s *Spool) CountSince(ctx context.Context, since time.Time) (map[string]int, error) {
	counts := map[string]int{}
	err := s.read(ctx, func(scan func(...any) error) error {
		var instrument string
		var n int
		if err := scan(&instrument, &n); err != nil {
			return err
		}
		counts[instrument] = n
		return nil
	}, `SELECT instrument, count(*) FROM messages INDEXED BY messages_time
		WHERE received_at >= ? AND part = 0 AND intake <> ? GROUP BY instrument`, since.UnixMicro(), string(envelope.Incomplete))
	if err != nil {
		return nil, fmt.Errorf("counting messages: %w", err)
	}
	return counts, nil
}
