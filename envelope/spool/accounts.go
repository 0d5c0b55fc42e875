package spool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/envelope"
)

// acceptedFor stands before the destinations in the row of the audit trail that
// says that a message was accepted. An earlier release did not name them.
const acceptedFor = "for "

// acceptedDetail says how a message was taken in, where that is not the rule, and
// which destinations have a delivery of it.
func acceptedDetail(intake envelope.Intake, destinations []string) string {
	var words []string
	if intake != envelope.Accepted {
		words = append(words, string(intake))
	}
	if len(destinations) > 0 {
		words = append(words, acceptedFor+strings.Join(destinations, ", "))
	}
	return strings.Join(words, "; ")
}

// destinations returns those that the row of an accepted message names; none
// where it names none, or was written by an earlier release.
func (a *AuditRow) destinations() []string {
	if _, list, found := strings.Cut(a.Detail, acceptedFor); found {
		return strings.Split(list, ", ")
	}
	return nil
}

// sets returns the states of which the row leaves its delivery in one; none
// where it says nothing of a state.
func (a *AuditRow) sets() []State {
	switch a.What {
	case auditRetried:
		return []State{Pending}
	case auditDamaged: // see mendDelivery
		return []State{Pending, Parked}
	case auditDelivered, auditParked, auditDropped, auditConfirmed, auditUnconfirmed:
		return []State{State(a.What)}
	}
	return nil
}

// account is what the audit trail says of one message.
type account struct {
	accepted bool
	named    []string           // destinations; none: the trail does not tell
	states   map[string][]State // by destination, after its newest row
}

func (a *account) add(row *AuditRow) {
	if row.What == auditAccepted {
		*a = account{accepted: true, named: row.destinations()}
	}
	if states := row.sets(); states != nil && row.Destination != "" {
		if a.states == nil {
			a.states = map[string][]State{}
		}
		a.states[row.Destination] = states
	}
}

// expected returns the states that a delivery may be in; none where that is not
// known.
func (a *account) expected(destination string) []State {
	if states := a.states[destination]; states != nil || !a.accepted {
		return states
	}
	return []State{Pending} // nothing was written of it since
}

// standing is one delivery as it is stored.
type standing struct {
	destination string
	state       State
	damaged     bool
}

// accounts compares messages and deliveries with what the audit trail says of
// them: every message was accepted, every delivery is there, and in the state
// that the newest row left it in.
func (v *verifier) accounts(ctx context.Context) error {
	var untold []span
	for last := uint64(0); last < math.MaxInt64; {
		c, err := v.spool.chunkAfter(ctx, last)
		if err != nil {
			return err
		}
		for _, seq := range c.orphans {
			v.report.problem("deliveries of message %d are there and the message is not", seq)
		}
		for _, seq := range c.messages {
			told := c.told[seq]
			if told == nil {
				told = &account{}
			}
			if n := len(untold); !told.accepted && n > 0 && untold[n-1].last+1 == seq {
				untold[n-1].last = seq
			} else if !told.accepted {
				untold = append(untold, span{seq, seq})
			}
			v.compare(seq, told, c.stored[seq])
		}
		last = c.last
	}
	for _, s := range untold {
		v.report.problem("messages %d to %d are not in the audit trail: no row says that they were accepted", s.first, s.last)
	}
	return nil
}

func (v *verifier) compare(seq uint64, told *account, stored []standing) {
	for _, name := range told.named {
		if !slices.ContainsFunc(stored, func(d standing) bool { return d.destination == name }) {
			v.report.problem("delivery of message %d to %s is missing: the audit trail names it", seq, name)
		}
	}
	for _, d := range stored {
		if len(told.named) > 0 && !slices.Contains(told.named, d.destination) {
			v.report.problem("delivery of message %d to %s is not in the audit trail", seq, d.destination)
			continue
		}
		// Of a damaged one it was said already that nobody knows its state.
		if want := told.expected(d.destination); !d.damaged && want != nil && !slices.Contains(want, d.state) {
			v.report.problem("delivery of message %d to %s is %q: the audit trail says %s", seq, d.destination, d.state, want[0])
		}
	}
}

// accountChunk is some messages, what is stored of their deliveries, and what
// the audit trail says of them.
type accountChunk struct {
	last     uint64 // of the sequences that were looked at
	messages []uint64
	orphans  []uint64 // sequences that have deliveries and no message
	stored   map[uint64][]standing
	told     map[uint64]*account
}

// chunkAfter reads all of it in one transaction, so that what is written and
// pruned meanwhile does not make it contradict itself.
func (s *Spool) chunkAfter(ctx context.Context, after uint64) (c accountChunk, err error) {
	snapshot, end, err := s.snapshot(ctx)
	if err != nil {
		return c, err
	}
	defer end()
	each := func(use func(scan func(...any) error) error, query string, args ...any) error {
		return s.readIn(ctx, snapshot, use, query, args...)
	}
	err = each(func(scan func(...any) error) error {
		err := scan(&c.last)
		c.messages = append(c.messages, c.last)
		return err
	}, "SELECT seq FROM messages WHERE seq > ? ORDER BY seq LIMIT ?", after, verifyChunk)
	if err != nil {
		return c, err
	}
	if len(c.messages) < verifyChunk {
		c.last = math.MaxInt64 // and there may be deliveries behind the last message
	}
	c.stored, c.told = map[uint64][]standing{}, map[uint64]*account{}
	err = each(func(scan func(...any) error) error {
		d, err := scanDelivery(scan)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		if _, there := slices.BinarySearch(c.messages, d.sequence); there {
			c.stored[d.sequence] = append(c.stored[d.sequence], standing{d.Destination, d.State, err != nil})
		} else if n := len(c.orphans); n == 0 || c.orphans[n-1] != d.sequence {
			c.orphans = append(c.orphans, d.sequence)
		}
		return nil
	}, "SELECT "+deliveryColumns+" FROM deliveries d WHERE d.seq > ? AND d.seq <= ? ORDER BY d.seq, d.destination", after, c.last)
	if err != nil || len(c.messages) == 0 {
		return c, err
	}
	return c, each(func(scan func(...any) error) error {
		var row AuditRow
		if err := scan(&row.What, &row.Sequence, &row.Destination, &row.Detail); err != nil {
			return err
		}
		if c.told[row.Sequence] == nil {
			c.told[row.Sequence] = &account{}
		}
		c.told[row.Sequence].add(&row)
		return nil
	}, `SELECT a.what, a.seq, a.destination, a.detail FROM audit a INDEXED BY audit_seq JOIN messages m ON m.seq = a.seq
		WHERE a.seq > 0 AND a.seq > ? AND a.seq <= ? ORDER BY a.seq, a.n`, after, c.messages[len(c.messages)-1])
}

// readIn is read in a transaction.
func (s *Spool) readIn(ctx context.Context, snapshot queryer, each func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := snapshot.QueryContext(ctx, query, args...)
	if err != nil {
		return s.closed(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// firstMark writes the high-water mark of a store that has none, so that one
// that is missing later on was removed. It comes before the first write.
func (s *Spool) firstMark() {
	if exists(filepath.Join(s.directory, highWaterFile)) {
		return
	}
	if err := s.writeHighWater(s.writer.cursor); err != nil {
		s.log.Warn("the high-water mark is not written yet", "error", err)
	}
}

// witness names a high-water mark that is gone or cannot be read: without it
// nothing tells of newest messages that are lost.
func (v *verifier) witness(context.Context) error {
	if v.report.Messages == 0 || v.high != (mark{}) {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(v.spool.directory, highWaterFile))
	if errors.Is(err, os.ErrNotExist) {
		v.report.problem("the high-water mark is missing: nothing tells whether the newest messages are there")
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the high-water mark: %w", err)
	}
	var m mark
	if n, _ := fmt.Sscanf(string(text), "sequence %d audit %d", &m.sequence, &m.audit); n < 2 {
		v.report.problem("the high-water mark cannot be read: nothing tells whether the newest messages are there")
	}
	return nil
}
