package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestVerifyNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ damage, want string }{
		{"DELETE FROM deliveries WHERE seq = 2; DELETE FROM messages WHERE seq = 2", "messages 2 to 2 are missing"},
		{"DELETE FROM deliveries WHERE seq = 3; DELETE FROM messages WHERE seq = 3", "messages 3 to 3 are missing: the high-water mark"},
		{"UPDATE deliveries SET state = 'delivered' WHERE seq = 2", "delivery of message 2 to lims"},
		{"DELETE FROM deliveries WHERE seq = 2", "delivery of message 2 to lims is missing: the audit trail names it"},
		{"DELETE FROM deliveries WHERE seq = 3", "delivery of message 3 to lims is missing: the audit trail names it"},
		{"UPDATE deliveries SET destination = 'other' WHERE seq = 2", "delivery of message 2 to lims is missing"},
		{"INSERT INTO deliveries SELECT seq, 'other', lane, state, reason, attempts, refusals, changed_at, crc FROM deliveries WHERE seq = 2", "delivery of message 2 to other is not in the audit trail"},
		{"PRAGMA foreign_keys = OFF; DELETE FROM messages WHERE seq = 2", "deliveries of message 2 are there and the message is not"},
		{"PRAGMA foreign_keys = OFF; DELETE FROM messages WHERE seq = 3", "deliveries of message 3 are there and the message is not"},
		{"PRAGMA foreign_keys = OFF; DELETE FROM messages", "deliveries of message 3 are there and the message is not"},
		{"DELETE FROM audit WHERE seq > 1", "messages 2 to 3 are not in the audit trail: no row says that they were accepted"},
		{"DELETE FROM audit WHERE n = 2", "audit rows 2 to 2 are missing"},
		{"DELETE FROM audit WHERE n = 4", "audit rows 4 to 4 are missing: the high-water mark"},
		{"UPDATE audit SET who = 'nobody' WHERE n = 3", "audit row 3 does not follow"},
	} {
		s := open(t, settings(t), lims)
		for i := range 3 {
			put(t, s, message("a", fmt.Sprint(i)))
		}
		if err := s.writeHighWater(s.writer.cursor); err != nil {
			t.Fatal(err)
		}
		corrupt(t, s, c.damage)
		calls := 0
		report, err := s.Verify(t.Context(), func(done, total uint64) {
			if calls++; done > total {
				t.Errorf("%d of %d done", done, total)
			}
		})
		if err != nil || calls == 0 || !slices.ContainsFunc(report.Problems, func(p string) bool { return strings.HasPrefix(p, c.want) }) {
			t.Errorf("after %s: %q, %v", c.damage, report.Problems, err)
		}
	}
}

// TestFlippedFileIsNotReadAsGood flips one bit in each page of the database in
// turn: the store may refuse to open, or says what is wrong; it never gives
// other bytes than it was given.
func TestFlippedFileIsNotReadAsGood(t *testing.T) {
	dir := settings(t)
	s := open(t, dir, lims)
	first := put(t, s, message("a", "1"))
	put(t, s, message("b", "2"))
	s.Close()
	path := filepath.Join(dir.Directory, databaseFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for page := 0; page < len(good); page += pageSize {
		bad := slices.Clone(good)
		bad[page+pageSize-5] ^= 0x10
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		reader, err := OpenReadOnly(t.Context(), dir.Directory)
		if err != nil {
			continue
		}
		if e, err := reader.Load(t.Context(), "lims", first.Sequence); err == nil && string(e.Envelope.Raw) != string(first.Raw) {
			t.Errorf("page %d: other bytes are given as good", page/pageSize+1)
		}
		reader.Close()
	}
}

func TestLostTailIsReportedOnce(t *testing.T) {
	dir := settings(t)
	s := open(t, dir, lims)
	for i := range 3 {
		put(t, s, message("a", fmt.Sprint(i)))
	}
	s.Close()
	// As after a restored copy: rows and their audit are gone alike.
	s = open(t, dir, lims)
	corrupt(t, s, "DELETE FROM deliveries WHERE seq > 1; DELETE FROM messages WHERE seq > 1; DELETE FROM audit WHERE seq > 1")
	s.Close()

	s = open(t, dir, lims)
	if e := put(t, s, message("a", "next")); e.Sequence != 4 {
		t.Errorf("the next message has sequence %d: one is given out twice", e.Sequence)
	}
	s.Close()
	s = open(t, dir, lims)
	n := 0
	err := s.read(t.Context(), func(scan func(...any) error) error { return scan(&n) },
		"SELECT count(*) FROM audit WHERE what = ? AND detail = 'sequences 2 to 3'", auditTailLost)
	if err != nil || n != 1 {
		t.Errorf("the loss stands %d times in the trail, %v", n, err)
	}
}

// TestIndexThatLeadsElsewhere has the indexes of ids lead to another message, as
// one flipped bit can: that is not taken for the one that was asked for.
func TestIndexThatLeadsElsewhere(t *testing.T) {
	dir := settings(t)
	s := open(t, dir, lims)
	put(t, s, message("a", "1"))
	second := put(t, s, message("b", "2"))
	third := put(t, s, message("b", "3"))
	s.Close()
	// In an entry of the index the id is followed by the sequence.
	path := filepath.Join(dir.Directory, databaseFile)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(content, []byte(second.ID+"\x02")) == 0 {
		t.Fatal("no entry of an index was found")
	}
	content = bytes.ReplaceAll(content, []byte(second.ID+"\x02"), []byte(second.ID+"\x03"))
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, lims)
	if raw, err := s.Raw(t.Context(), second.ID); !errors.Is(err, ErrDamaged) {
		t.Errorf("Raw gives %q, %v", raw, err)
	}
	if detail, err := s.Show(t.Context(), second.ID); !errors.Is(err, ErrDamaged) {
		t.Errorf("Show gives %+v, %v", detail, err)
	}
	if err := s.Drop(t.Context(), second.ID, "anna", "test"); !errors.Is(err, ErrDamaged) {
		t.Errorf("Drop gives %v", err)
	}
	wantState(t, s, third.ID, "lims", Pending, "")
}
