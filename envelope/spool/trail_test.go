package spool

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// fillDelivered stores messages of now and delivers them, in few transactions.
func fillDelivered(t testing.TB, s *Spool, d *dial, n int) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		var messages [][]record
		for i := from; i < min(n, from+1000); i++ {
			e := message("a", fmt.Sprint("filling ", i))
			e.ReceivedAt = d.at
			records, err := s.records([]envelope.Envelope{e})
			do(t, err)
			messages = append(messages, records)
		}
		do(t, s.writer.write(t.Context(), func(t *tx) error {
			if err := t.storeAll(messages); err != nil {
				return err
			}
			list, err := t.deliveries("d.state = 'pending' AND d.seq >= ?", messages[0][0].sequence)
			for i := range list {
				if err == nil {
					err = t.settle(&list[i], Delivered, auditDelivered, "", "")
				}
			}
			return err
		}))
	}
}

// trail returns the audit rows.
func trail(t testing.TB, s *Spool) (list []AuditRow) {
	t.Helper()
	do(t, s.read(t.Context(), func(scan func(...any) error) error {
		row, _, err := scanAudit(scan)
		list = append(list, row)
		return err
	}, "SELECT "+auditColumns+" FROM audit ORDER BY n"))
	return list
}

// shortened is a store whose trail begins with an anchor.
func shortened(t *testing.T) (*dial, *Spool) {
	t.Helper()
	d := newDial()
	s, _ := openAt(t, settings(t), d, lims)
	fillDelivered(t, s, d, 700)
	d.pass(401 * day)
	fillDelivered(t, s, d, 50)
	prune(t, s)
	if list := trail(t, s); list[0].What != auditAnchor || list[0].Number < trailRows {
		t.Fatalf("the trail begins with %+v", list[0])
	}
	return d, s
}

func sequences(first, last uint64) (list []uint64) {
	for ; first <= last; first++ {
		list = append(list, first)
	}
	return list
}

// TestTrailShrinksAtItsFront removes rows in several rounds: the chain holds,
// and what became of every message that is gone is still known.
func TestTrailShrinksAtItsFront(t *testing.T) {
	d, s := shortened(t)
	wantKept(t, s, sequences(701, 750)...)
	for _, n := range []int{700, 300} { // in the second, what was said of the first goes on in another row
		before, head := trail(t, s)[0].Number, s.AuditHead()
		fillDelivered(t, s, d, n)
		d.pass(401 * day)
		fillDelivered(t, s, d, 50)
		prune(t, s)
		after := trail(t, s)
		if after[0].What != auditAnchor || after[0].Number <= before {
			t.Errorf("the trail begins with %+v, before that with row %d", after[0], before)
		}
		if now := s.AuditHead(); now.Row <= head.Row || uint64(len(after)) != now.Row-after[0].Number+1 {
			t.Errorf("the head goes from %d to %d, with %d rows", head.Row, now.Row, len(after))
		}
	}
	wantKept(t, s, sequences(1801, 1850)...)
	do(t, s.Close())
	s = open(t, Settings{Directory: s.directory}, lims)
	wantKept(t, s, sequences(1801, 1850)...)
	corrupt(t, s, "DELETE FROM deliveries WHERE seq = 1810; DELETE FROM messages WHERE seq = 1810")
	wantProblem(t, s, "messages 1810 to 1810 are missing")
}

func wantProblem(t *testing.T, s *Spool, want string) {
	t.Helper()
	report, err := s.Verify(t.Context(), nil)
	if err != nil || !slices.ContainsFunc(report.Problems, func(p string) bool { return strings.HasPrefix(p, want) }) {
		t.Errorf("Verify finds %q, %v; want %q", report.Problems, err, want)
	}
}

// TestTrailOfAKeptMessageStays has one parked message in front of all.
func TestTrailOfAKeptMessageStays(t *testing.T) {
	d := newDial()
	s, _ := openAt(t, settings(t), d, lims)
	first := putAged(t, s, d, 0, "first")
	do(t, s.Park(t.Context(), "lims", first.Sequence, "poison"))
	fillDelivered(t, s, d, 700)
	d.pass(401 * day)
	putAged(t, s, d, 0, "newest")
	prune(t, s)
	wantKept(t, s, 1, 702)
	if list := trail(t, s); list[0].Number != 1 || list[1].What != auditAccepted || list[1].Sequence != 1 {
		t.Errorf("the trail begins with %+v", list[:2])
	}
	// What it says of messages that are gone goes with the parked one.
	do(t, s.Drop(t.Context(), first.ID, "anna", "too old"))
	prune(t, s)
	wantKept(t, s, 702)
	if list := trail(t, s); list[0].What != auditAnchor {
		t.Errorf("the trail begins with %+v", list[0])
	}
}

// TestSizeShortensTheTrailFirst has rows of messages that are gone, young as
// they are, beside messages that are not.
func TestSizeShortensTheTrailFirst(t *testing.T) {
	d := newDial()
	s, _ := openAt(t, settings(t), d, lims)
	fillDelivered(t, s, d, 1100)
	s.retention.finished.next = 2 // as if nothing before it had been finished
	do(t, s.writer.write(t.Context(), func(t *tx) error {
		if err := t.remove(span{1, 1000}); err != nil {
			return err
		}
		t.stored -= 1000
		return t.audit(AuditRow{What: auditPruned, Detail: prunedDetail([]span{{1, 1000}}, 1000, "a test")})
	}))
	more, err := s.pruneOldest(t.Context(), pruneRows, "a test")
	if list := trail(t, s); err != nil || !more || list[0].What != auditAnchor || list[0].Number != trailRows {
		t.Errorf("the trail begins with %+v; %v, %v", list[0], more, err)
	}
	wantKept(t, s, sequences(1001, 1100)...)
}

// TestForgedAnchorIsNoticed takes rows away as shortening does, but without the
// row that vouches for it.
func TestForgedAnchorIsNoticed(t *testing.T) {
	forge := func(n uint64) string {
		return fmt.Sprintf("DELETE FROM audit WHERE n < %d; UPDATE audit SET what = 'anchor', seq = 0, detail = 'row 1000 says so' WHERE n = %d", n, n)
	}
	t.Run("in a whole trail", func(t *testing.T) {
		s := open(t, settings(t), lims)
		put(t, s, message("a", "1"))
		put(t, s, message("a", "2"))
		corrupt(t, s, forge(2))
		wantProblem(t, s, "audit rows 1 to 1 are missing")
	})
	t.Run("in place of a true one", func(t *testing.T) {
		_, s := shortened(t)
		corrupt(t, s, forge(trail(t, s)[0].Number+5))
		wantProblem(t, s, "audit rows 1 to ")
	})
	t.Run("behind a true one", func(t *testing.T) {
		_, s := shortened(t)
		first := trail(t, s)[0].Number
		corrupt(t, s, fmt.Sprintf("DELETE FROM audit WHERE n > %d AND n < %d; UPDATE audit SET what = 'anchor' WHERE n = %d", first, first+5, first+5))
		wantProblem(t, s, "audit rows 1 to ")
	})
	t.Run("behind the row that vouches for a true one", func(t *testing.T) {
		d, s := shortened(t)
		fillDelivered(t, s, d, 5)
		last := s.AuditHead().Row
		corrupt(t, s, fmt.Sprintf("DELETE FROM audit WHERE n > %d AND n < %d; UPDATE audit SET what = 'anchor', detail = '' WHERE n = %d", last-6, last-2, last-2))
		wantProblem(t, s, "audit rows 1 to ")
	})
	t.Run("with another hash", func(t *testing.T) {
		_, s := shortened(t)
		corrupt(t, s, fmt.Sprintf("UPDATE audit SET hash = x'00' WHERE n = %d", trail(t, s)[0].Number))
		wantProblem(t, s, "audit row ")
	})
	t.Run("with the vouching row changed", func(t *testing.T) {
		_, s := shortened(t)
		corrupt(t, s, "UPDATE audit SET detail = detail || ' 5-6' WHERE what = 'audit pruned'")
		wantProblem(t, s, "audit row ")
	})
}

// TestDeletedIsToldFromPruned takes messages away between pruned ones, before
// and after the trail has been shortened beyond the rows that tell.
func TestDeletedIsToldFromPruned(t *testing.T) {
	d := newDial()
	s, _ := openAt(t, settings(t), d, lims)
	fillDelivered(t, s, d, 20)
	corrupt(t, s, "DELETE FROM deliveries WHERE seq IN (7, 8); DELETE FROM messages WHERE seq IN (7, 8)")
	wantProblem(t, s, "messages 7 to 8 are missing")
	d.pass(401 * day)
	fillDelivered(t, s, d, 700)
	prune(t, s)
	if have := kept(t, s); have[0] != 21 {
		t.Errorf("message %d is there", have[0])
	}
	wantProblem(t, s, "messages 7 to 8 are missing")
	d.pass(401 * day)
	fillDelivered(t, s, d, 50)
	prune(t, s)
	if list := trail(t, s); list[0].What != auditAnchor {
		t.Errorf("the trail begins with %+v", list[0])
	}
	report, err := s.Verify(t.Context(), nil)
	if err != nil || len(report.Problems) != 1 || report.Problems[0] != "messages 7 to 8 are missing" {
		t.Errorf("Verify finds %q, %v", report.Problems, err)
	}
}

// TestLostTailStaysExplained shortens the trail beyond the row that tells of it.
func TestLostTailStaysExplained(t *testing.T) {
	d, dir := newDial(), settings(t)
	s, _ := openAt(t, dir, d, lims)
	fillDelivered(t, s, d, 20)
	do(t, s.Close())
	do(t, s.writeHighWater(cursor{sequence: 30}))
	s, _ = openAt(t, dir, d, lims)
	prune(t, s)
	fillDelivered(t, s, d, 700)
	d.pass(401 * day)
	fillDelivered(t, s, d, 50)
	prune(t, s)
	if list := trail(t, s); list[0].What != auditAnchor || list[0].Number < 50 {
		t.Errorf("the trail begins with %+v", list[0])
	}
	wantKept(t, s, sequences(731, 780)...)
}

// TestVerifyWhilePruning prunes between the rows that Verify reads.
func TestVerifyWhilePruning(t *testing.T) {
	for _, when := range []int{3, 12} { // in the middle of the messages, and of the trail
		d := newDial()
		s, _ := openAt(t, settings(t), d, lims)
		fillDelivered(t, s, d, 1500)
		d.pass(401 * day)
		fillDelivered(t, s, d, 300)
		calls, rows := 0, len(trail(t, s))
		report, err := s.Verify(t.Context(), func(uint64, uint64) {
			if calls++; calls == when {
				do(t, s.pruneByAge(t.Context(), time.Now().Add(time.Hour)))
			}
		})
		if err != nil || len(report.Problems) > 0 {
			t.Errorf("Verify finds %q, %v", report.Problems, err)
		}
		if now := len(trail(t, s)); now > rows/2 {
			t.Errorf("of %d rows %d are left", rows, now)
		}
	}
}

func TestVoucherIsForOneAnchor(t *testing.T) {
	said := AuditRow{What: auditShortened, Detail: voucher{number: 7, hash: "ab", gone: []span{{1, 3}}}.String()}
	for _, anchor := range []voucher{{}, {number: 8, hash: "ab"}, {number: 7, hash: "cd"}} {
		var v verifier
		if v.vouches(&said, anchor) || v.gone != nil {
			t.Errorf("it vouches for %+v", anchor)
		}
	}
	var v verifier
	if !v.vouches(&said, voucher{number: 7, hash: "ab"}) || !slices.Equal(v.gone, []span{{1, 3}}) {
		t.Errorf("it does not vouch for its own, or for %v", v.gone)
	}
}

func TestSpans(t *testing.T) {
	list := merged([]span{{7, 9}, {1, 3}, {4, 4}, {8, 20}, {22, 22}})
	if text := spansText(list); text != "1-4 7-20 22" {
		t.Errorf("merged they are %q", text)
	}
	back, err := parseSpans(spansText(list))
	if err != nil || !slices.Equal(back, list) {
		t.Errorf("read back they are %v, %v", back, err)
	}
	for _, c := range []struct {
		of   span
		want string
	}{{span{1, 4}, ""}, {span{1, 7}, "5-6"}, {span{4, 23}, "5-6 21 23"}, {span{5, 6}, "5-6"}, {span{30, 40}, "30-40"}, {span{8, 9}, ""}} {
		if have := spansText(c.of.without(list)); have != c.want {
			t.Errorf("of %v %q is left, want %q", c.of, have, c.want)
		}
	}
	for _, bad := range []string{"x", "3-1", "1-", "-1", "1-2-3"} {
		if _, err := parseSpans(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	v := voucher{number: 7, hash: "ab", gone: list}
	if have, err := parseVoucher(v.String()); err != nil || have.number != 7 || have.hash != "ab" || !slices.Equal(have.gone, list) {
		t.Errorf("a voucher comes back as %+v, %v", have, err)
	}
}
