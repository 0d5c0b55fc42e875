package spool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// cursor is what the next row of each kind follows.
type cursor struct {
	sequence uint64
	audit    uint64
	hash     []byte // of the last audit row; never changed in place
}

// lane is a row of lanes.
type lane struct {
	id      int64
	control string // control id of its last message
	earlier string // and of the one before
}

// tx is a transaction of the writer. What it learns outside the database takes
// effect with publish, after the commit.
type tx struct {
	*writer
	cursor cursor
	moves  []move
	stored int
	pruned int // envelopes

	settled uint64 // the lowest sequence that may have become finished; 0: none

	configured *receivers // where this transaction changes them; nil: it does not
}

// move is one change of a delivery's state; from is "" for a new one, to for one
// that was removed.
type move struct {
	destination string
	from, to    State
}

func (w *writer) begin() (*tx, error) {
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		// A rollback that failed earlier leaves a transaction behind.
		w.rollback()
		if err := w.exec("BEGIN IMMEDIATE"); err != nil {
			return nil, fmt.Errorf("beginning a transaction: %w", err)
		}
	}
	return &tx{writer: w, cursor: w.cursor}, nil
}

// rollback undoes the transaction. Its error says nothing new: SQLite has
// already undone the transaction by itself, or the next begin fails.
func (w *writer) rollback() {
	_ = w.exec("ROLLBACK")
	clear(w.lanes)
}

// apply runs one request. Where it fails, only its own changes are undone,
// unless the whole transaction is broken. A request that is alone needs no
// savepoint: its failure is the transaction's.
func (t *tx) apply(run func(*tx) error, alone bool) (err error, broken bool) {
	if alone {
		err := run(t)
		return err, err != nil
	}
	before := *t
	if err := t.exec("SAVEPOINT request"); err != nil {
		return err, true
	}
	if err = run(t); err != nil {
		before.writer = t.writer
		*t = before
		clear(t.lanes)
		if undo := t.exec("ROLLBACK TO request"); undo != nil {
			return errors.Join(err, undo), true
		}
	}
	if release := t.exec("RELEASE request"); release != nil {
		return errors.Join(err, release), true
	}
	return err, false
}

// publish makes known what was committed.
func (t *tx) publish() {
	if t.configured != nil {
		t.spool.configured.Store(t.configured)
	}
	t.spool.counts.add(t.stored, t.moves)
	t.spool.retention.pruned.Add(uint64(t.pruned))
	if t.settled > 0 {
		t.spool.retention.settled(t.settled)
	}
	for _, m := range t.moves {
		if m.to == "" {
			continue
		}
		t.spool.moved(m.destination, m.to)
		if m.to == Pending {
			t.spool.announce(m.destination)
		}
	}
}

// mayBeFinished notes that nothing may be left to do for a message.
func (t *tx) mayBeFinished(seq uint64) {
	if t.settled == 0 || seq < t.settled {
		t.settled = seq
	}
}

// exec runs a statement that is prepared once. No context goes with it: a
// statement that was interrupted half-way would break the transaction of others.
func (w *writer) exec(query string, args ...any) error {
	statement, err := w.statement(query)
	if err != nil {
		return err
	}
	_, err = statement.ExecContext(context.Background(), args...)
	return err
}

// query runs a prepared statement; the caller closes the rows.
func (w *writer) query(query string, args ...any) (*sql.Rows, error) {
	statement, err := w.statement(query)
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(context.Background(), args...)
}

// scan runs a prepared statement and reads its first row, or gives
// sql.ErrNoRows.
func (w *writer) scan(query string, args []any, into ...any) error {
	statement, err := w.statement(query)
	if err != nil {
		return err
	}
	return statement.QueryRowContext(context.Background(), args...).Scan(into...)
}

func (w *writer) statement(query string) (*sql.Stmt, error) {
	if statement := w.statements[query]; statement != nil {
		return statement, nil
	}
	statement, err := w.connection.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	w.statements[query] = statement
	return statement, nil
}

// certain reports whether a failed COMMIT has surely stored nothing. With a
// full disk or a lock in the way, SQLite never wrote the frame that makes a
// commit; after any other error that frame may or may not have reached the card.
func certain(err error) bool {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return false
	}
	primary := failure.Code() & 0xff
	return primary == sqlite3.SQLITE_FULL || primary == sqlite3.SQLITE_BUSY
}

// load reads where the store stands.
func (w *writer) load() error {
	s := w.spool
	// A number that anything was known by is not given out again.
	err := w.scan(`SELECT max((SELECT ifnull(max(seq), 0) FROM messages), (SELECT ifnull(max(seq), 0) FROM deliveries),
		(SELECT ifnull(max(seq), 0) FROM audit WHERE seq > 0))`, nil, &w.cursor.sequence)
	if err != nil {
		return err
	}
	err = w.scan("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1", nil, &w.cursor.audit, &w.cursor.hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	s.setHead(w.cursor)
	if err := w.exec("INSERT INTO boots (boot) VALUES (?) ON CONFLICT DO NOTHING", s.clock.boot); err != nil {
		return err
	}
	return w.scan("SELECT id FROM boots WHERE boot = ?", []any{s.clock.boot}, &s.clock.row)
}

// lane returns the row of a lane and makes it where it is new.
func (t *tx) lane(name string) (lane, error) {
	if known, ok := t.lanes[name]; ok {
		return known, nil
	}
	if len(t.lanes) > 1024 {
		clear(t.lanes)
	}
	const query = "SELECT id, control, earlier FROM lanes WHERE name = ?"
	var l lane
	err := t.scan(query, []any{name}, &l.id, &l.control, &l.earlier)
	if errors.Is(err, sql.ErrNoRows) {
		if err = t.exec("INSERT INTO lanes (name) VALUES (?)", name); err == nil {
			err = t.scan(query, []any{name}, &l.id, &l.control, &l.earlier)
		}
	}
	if err != nil {
		return lane{}, fmt.Errorf("finding the lane: %w", err)
	}
	t.lanes[name] = l
	return l, nil
}

// setControl notes the control id of the lane's newest message.
func (t *tx) setControl(name string, l lane, control string) error {
	if l.control == control && l.earlier == control {
		return nil
	}
	l.control, l.earlier = control, l.control
	if err := t.exec("UPDATE lanes SET control = ?, earlier = ? WHERE id = ?", l.control, l.earlier, l.id); err != nil {
		return fmt.Errorf("noting the control id: %w", err)
	}
	t.lanes[name] = l
	return nil
}
