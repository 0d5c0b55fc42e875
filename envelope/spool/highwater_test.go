package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rewrite gives the audit trail another text and hashes that fit it, as somebody
// does who has the card in his hands.
func rewrite(t *testing.T, s *Spool, number uint64) {
	t.Helper()
	var rows []AuditRow
	err := s.read(t.Context(), func(scan func(...any) error) error {
		row, _, err := scanAudit(scan)
		rows = append(rows, row)
		return err
	}, "SELECT "+auditColumns+" FROM audit ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	var hash []byte
	for i := range rows {
		if rows[i].Number == number {
			rows[i].Who = "nobody"
		}
		hash = rows[i].chained(hash)
		corrupt(t, s, fmt.Sprintf("UPDATE audit SET who = '%s', hash = x'%x' WHERE n = %d", rows[i].Who, hash, rows[i].Number))
	}
}

func TestRewrittenTrailIsNoticed(t *testing.T) {
	dir := settings(t)
	s := open(t, dir, lims)
	for i := range 3 {
		put(t, s, message("a", fmt.Sprint(i)))
	}
	pushed := s.AuditHead()
	s.Close()

	s = open(t, dir, lims)
	rewrite(t, s, 2)
	report, err := s.Verify(t.Context(), nil)
	if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "the high-water mark names another hash") {
		t.Errorf("verify finds %q (%v)", report.Problems, err)
	}
	s.Close()

	s = open(t, dir, lims)
	var n int
	if err := s.readers.QueryRow("SELECT count(*) FROM audit WHERE what = ? AND detail LIKE ?", auditRewritten, "%"+pushed.Hash+"%").Scan(&n); err != nil || n != 1 {
		t.Errorf("the trail tells %d times that it was rewritten (%v)", n, err)
	}
	s.Close()
	s = open(t, dir, lims)
	if err := s.readers.QueryRow("SELECT count(*) FROM audit WHERE what = ?", auditRewritten).Scan(&n); err != nil || n != 1 {
		t.Errorf("the next time, the trail tells %d times (%v)", n, err)
	}
	wantClean(t, s)
}

// TestLostTrailIsReportedOnce: rows that are gone from the end of the trail are
// named when the store is opened, before their numbers are given out again.
func TestLostTrailIsReportedOnce(t *testing.T) {
	dir := settings(t)
	s := open(t, dir, lims)
	for i := range 3 {
		put(t, s, message("a", fmt.Sprint(i)))
	}
	head := s.AuditHead()
	s.Close()
	reader, err := openDatabase(dir.Directory, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec("DELETE FROM audit WHERE n > ?", head.Row-2); err != nil {
		t.Fatal(err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = open(t, dir, lims)
		var n int
		want := fmt.Sprintf("rows %d to %d, the last with the hash %s", head.Row-1, head.Row, head.Hash)
		if err := s.readers.QueryRow("SELECT count(*) FROM audit WHERE what = ? AND detail = ?", auditTrailLost, want).Scan(&n); err != nil || n != 1 {
			t.Errorf("the trail tells %d times that its end was lost (%v)", n, err)
		}
		put(t, s, message("b", "next"))
		s.Close()
	}
}

// loseTail takes away what came behind a sequence, as after a lost WAL; trail
// says whether the audit trail is gone as far too, and mark whether the
// high-water mark stays.
func loseTail(t *testing.T, dir Settings, after uint64, trail, mark bool) {
	t.Helper()
	database, err := openDatabase(dir.Directory, "")
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	statements := fmt.Sprintf("DELETE FROM deliveries WHERE seq > %[1]d; DELETE FROM messages WHERE seq > %[1]d;", after)
	if trail {
		statements += fmt.Sprintf("DELETE FROM audit WHERE seq > %d", after)
	}
	if _, err := database.Exec(statements); err != nil {
		t.Fatal(err)
	}
	if !mark {
		if err := os.Remove(filepath.Join(dir.Directory, highWaterFile)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDecidingKeepsTheMark: who only looks at a store, or decides, takes nothing
// away from what the next gateway has to say.
func TestDecidingKeepsTheMark(t *testing.T) {
	dir := settings(t)
	s := open(t, dir, lims)
	var last string
	for i := range 3 {
		last = put(t, s, message("a", fmt.Sprint(i))).ID
	}
	s.Close()
	loseTail(t, dir, 2, true, true)
	before, err := os.ReadFile(filepath.Join(dir.Directory, highWaterFile))
	if err != nil {
		t.Fatal(err)
	}
	s, err = OpenExisting(t.Context(), dir.Directory)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RetryAll(t.Context(), Selection{}, "anna"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(dir.Directory, highWaterFile))
	if err != nil || string(after) != string(before) {
		t.Errorf("the mark was %q and is %q (%v)", before, after, err)
	}
	s = open(t, dir, lims)
	var n int
	if err := s.readers.QueryRow("SELECT count(*) FROM audit WHERE what = ?", auditTailLost).Scan(&n); err != nil || n != 1 {
		t.Errorf("the trail tells %d times that the tail was lost (%v)", n, err)
	}
	if e := put(t, s, message("a", "next")); e.Sequence != 4 || e.ID == last {
		t.Errorf("the next message has sequence %d", e.Sequence)
	}
}

// TestTailThatOnlyTheTrailKnows: without the mark the audit trail still tells
// which numbers were given out.
func TestTailThatOnlyTheTrailKnows(t *testing.T) {
	dir := settings(t)
	s := open(t, dir, lims)
	for i := range 3 {
		put(t, s, message("a", fmt.Sprint(i)))
	}
	s.Close()
	loseTail(t, dir, 2, false, false)
	for range 2 {
		s = open(t, dir, lims)
		var n int
		if err := s.readers.QueryRow("SELECT count(*) FROM audit WHERE what = ? AND detail = 'sequences 3 to 3'", auditTailLost).Scan(&n); err != nil || n != 1 {
			t.Errorf("the trail tells %d times that message 3 was lost (%v)", n, err)
		}
		s.Close()
	}
	s = open(t, dir, lims)
	if e := put(t, s, message("a", "next")); e.Sequence != 4 {
		t.Errorf("the next message has sequence %d", e.Sequence)
	}
	wantClean(t, s)
}
