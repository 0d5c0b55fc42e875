package spool

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// dial is a clock that a test turns: the hands and the time since the boot go
// together until the hands are moved.
type dial struct {
	at    time.Time
	since int64
	unset bool
}

func (d *dial) pass(time time.Duration) { d.at, d.since = d.at.Add(time), d.since+int64(time) }

// openAt opens a store that goes by the dial; the log comes back as text.
func openAt(t testing.TB, s Settings, d *dial, destinations ...Destination) (*Spool, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	spool, err := Open(t.Context(), s, Options{
		Destinations: destinations, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Now: func() time.Time { return d.at }, ClockSet: func() bool { return !d.unset },
	})
	if err != nil {
		t.Fatal(err)
	}
	spool.clock.monotonic = func() int64 { return d.since }
	t.Cleanup(func() { spool.Close() })
	return spool, &log
}

func newDial() *dial {
	return &dial{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), since: int64(time.Hour)}
}

// putAged stores a message that came in so many days ago.
func putAged(t testing.TB, s *Spool, d *dial, days int, text string) envelope.Envelope {
	t.Helper()
	e := message("a", text)
	e.ReceivedAt = d.at.AddDate(0, 0, -days)
	return put(t, s, e)
}

// prune has one run of the retention, however long ago the last one was.
func prune(t testing.TB, s *Spool) {
	t.Helper()
	s.retention.expireAt = 0
	if err := s.retain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// kept returns the sequences that are there.
func kept(t testing.TB, s *Spool) (list []uint64) {
	t.Helper()
	err := s.read(t.Context(), func(scan func(...any) error) error {
		var seq uint64
		err := scan(&seq)
		list = append(list, seq)
		return err
	}, "SELECT seq FROM messages ORDER BY seq")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func wantKept(t testing.TB, s *Spool, want ...uint64) {
	t.Helper()
	if have := kept(t, s); !slices.Equal(have, want) {
		t.Errorf("kept are %d, want %d", have, want)
	}
	status, err := s.Status(t.Context())
	if err != nil || status.Messages != len(want) || status.OldestKept != want[0] {
		t.Errorf("the status says %d messages from %d on, %v", status.Messages, status.OldestKept, err)
	}
	counted := newCounts()
	if err := counted.load(t.Context(), s.readers); err != nil {
		t.Fatal(err)
	}
	for name, states := range counted.destinations {
		for state, n := range s.counts.destinations[name] {
			if states[state] != n {
				t.Errorf("%d are counted as %s at %s, and %d are there", n, state, name, states[state])
			}
		}
	}
	wantClean(t, s)
}

func do(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestPrunesWhatIsFinishedAndOld has a message in each state, 500 days old.
func TestPrunesWhatIsFinishedAndOld(t *testing.T) {
	d := newDial()
	confirming := lims
	confirming.Confirm = true
	s, _ := openAt(t, settings(t), d, confirming, Destination{Name: "files", Everything: true})
	lims := func(n int) uint64 { // one that is settled at the other destination
		e := putAged(t, s, d, 500, fmt.Sprint(n))
		do(t, s.Delivered(t.Context(), "files", e.Sequence, ""))
		return e.Sequence
	}
	lims(1)                                                      // pending
	do(t, s.Park(t.Context(), "lims", lims(2), "poison"))        // parked
	do(t, s.Delivered(t.Context(), "lims", lims(3), ""))         // to be read back
	do(t, s.Delivered(t.Context(), "lims", lims(4), ""))         // confirmed
	do(t, s.Confirmed(t.Context(), "lims", 4, ""))               //
	do(t, s.Delivered(t.Context(), "lims", lims(5), ""))         // unconfirmed
	do(t, s.Unconfirmed(t.Context(), "lims", 5, "WBC"))          //
	do(t, s.Delivered(t.Context(), "lims", lims(6), ""))         // not to be read back any more
	do(t, s.StopConfirming(t.Context(), "lims", 6))              //
	e := putAged(t, s, d, 500, "7")                              // dropped, and pending at the other one
	do(t, s.Delivered(t.Context(), "lims", e.Sequence, ""))      //
	do(t, s.StopConfirming(t.Context(), "lims", e.Sequence))     //
	lims(8)                                                      // dropped at both
	detail, err := s.List(t.Context(), Filter{SampleID: "S-8"})  //
	do(t, err, s.Drop(t.Context(), detail[0].ID, "anna", "old")) //
	young := putAged(t, s, d, 399, "9")
	do(t, s.Delivered(t.Context(), "lims", young.Sequence, ""), s.StopConfirming(t.Context(), "lims", young.Sequence), s.Delivered(t.Context(), "files", young.Sequence, ""))
	putAged(t, s, d, 0, "10")

	prune(t, s)
	wantKept(t, s, 1, 2, 3, 5, 7, 9, 10)
	status, err := s.Status(t.Context())
	if err != nil || status.Pruned != 3 {
		t.Errorf("%d were pruned, %v", status.Pruned, err)
	}

	// What was unfinished is found once it is finished, though it was passed by.
	do(t, s.Delivered(t.Context(), "lims", 1, ""), s.StopConfirming(t.Context(), "lims", 1))
	do(t, s.Delivered(t.Context(), "files", 7, ""))
	prune(t, s)
	wantKept(t, s, 2, 3, 5, 9, 10)
	do(t, s.StopConfirming(t.Context(), "lims", 3))
	prune(t, s)
	wantKept(t, s, 2, 5, 9, 10)

	// After twice the time what is unconfirmed goes, and what is parked stays.
	d.pass(299 * day)
	prune(t, s)
	prune(t, s) // the first one doubts the clock no more: it has gone steadily
	wantKept(t, s, 2, 5, 10)
	d.pass(3 * day)
	prune(t, s)
	wantKept(t, s, 2, 10)
}

func TestIncompleteAndRejectedExpire(t *testing.T) {
	d := newDial()
	s, _ := openAt(t, settings(t), d, lims)
	for i, intake := range []envelope.Intake{envelope.Incomplete, envelope.Rejected, envelope.Parked, envelope.Accepted} {
		e := message("a", fmt.Sprint(i))
		e.Intake, e.ReceivedAt = intake, d.at.AddDate(-2, 0, 0)
		put(t, s, e)
	}
	putAged(t, s, d, 0, "newest")
	prune(t, s)
	wantKept(t, s, 3, 4, 5)
}

// TestFinishedFromTheStartIsFound has input that nobody gets come in after the
// search has come to the end.
func TestFinishedFromTheStartIsFound(t *testing.T) {
	d := newDial()
	s, _ := openAt(t, settings(t), d, lims)
	put(t, s, message("a", "pending"))
	for range 2 {
		for more := true; more; {
			var err error
			if more, err = s.pruneOldest(t.Context(), pruneRows, "a test"); err != nil {
				t.Fatal(err)
			}
		}
		e := message("a", "broken off")
		e.Intake = envelope.Incomplete
		put(t, s, e)
		put(t, s, message("a", "pending"))
	}
	wantKept(t, s, 1, 3, 4, 5)
}

// TestPartsGoTogether has messages of three parts: one that is unfinished in
// its last part only, and one that is finished.
func TestPartsGoTogether(t *testing.T) {
	d := newDial()
	s, _ := openAt(t, settings(t), d, lims)
	for n := range 2 {
		var list []envelope.Envelope
		for part := range 3 {
			e := message("a", fmt.Sprint(n, part))
			e.ReceivedAt, e.Part = d.at.AddDate(-2, 0, 0), part
			list = append(list, e)
			list[part].MessageID, list[part].Raw = list[0].ID, list[0].Raw
		}
		if _, err := s.Put(t.Context(), list...); err != nil {
			t.Fatal(err)
		}
	}
	putAged(t, s, d, 0, "newest")
	for _, seq := range []uint64{1, 2, 4, 5, 6} {
		do(t, s.Delivered(t.Context(), "lims", seq, ""))
	}
	prune(t, s)
	wantKept(t, s, 1, 2, 3, 7)
	do(t, s.Delivered(t.Context(), "lims", 3, ""))
	prune(t, s)
	wantKept(t, s, 7)
}

// TestNewestStays prunes everything that may go and opens the store again: no
// sequence is given out twice.
func TestNewestStays(t *testing.T) {
	d, dir := newDial(), settings(t)
	s, _ := openAt(t, dir, d, lims)
	for i := range 100 {
		do(t, s.Delivered(t.Context(), "lims", putAged(t, s, d, 1000, fmt.Sprint(i)).Sequence, ""))
	}
	prune(t, s)
	wantKept(t, s, 100)
	do(t, s.Close())
	s, _ = openAt(t, dir, d, lims)
	if e := putAged(t, s, d, 900, "next"); e.Sequence != 101 {
		t.Errorf("the next message has sequence %d", e.Sequence)
	}
	prune(t, s)
	wantKept(t, s, 101)
}

// TestPrunesBySize fills the store above its size: the oldest finished go,
// young as they are, and the file gets smaller.
func TestPrunesBySize(t *testing.T) {
	d, dir := newDial(), settings(t)
	s, log := openAt(t, dir, d, lims)
	s.retention.size = 8 << 20
	large := func(text string) envelope.Envelope {
		e := message("a", text)
		e.Raw, e.ReceivedAt = bytes.Repeat([]byte(text), 512<<10/len(text)), d.at
		return put(t, s, e)
	}
	for i := range 30 {
		e := large(fmt.Sprint("large ", i))
		if i%10 != 3 {
			do(t, s.Delivered(t.Context(), "lims", e.Sequence, ""))
		}
	}
	do(t, s.writer.fold(t.Context()))
	before := size(t, s)
	prune(t, s)
	do(t, s.writer.fold(t.Context()))
	after, list := size(t, s), kept(t, s)
	if before < 15<<20 || after > 8<<20+spareBytes {
		t.Errorf("the file has shrunk from %d to %d bytes", before, after)
	}
	if after < 3<<20 {
		t.Errorf("more went than had to: %d bytes are left", after)
	}
	for _, seq := range []uint64{4, 14, 24, 30} {
		if !slices.Contains(list, seq) {
			t.Errorf("message %d is gone", seq)
		}
	}
	if i := slices.IndexFunc(list, func(seq uint64) bool { return seq%10 != 4 }); !slices.IsSorted(list) || list[i] < 10 || len(list[i:]) < int(30-list[i]) {
		t.Errorf("the oldest did not go first: kept are %d", list)
	}
	wantKept(t, s, list...)

	// Now with nothing finished: nothing goes, and that is said once.
	for i := range 16 {
		large(fmt.Sprint("pending ", i))
	}
	prune(t, s)
	list = kept(t, s)
	prune(t, s)
	wantKept(t, s, list...)
	if n := strings.Count(log.String(), "above keep_size"); n != 1 {
		t.Errorf("it is said %d times: %s", n, log)
	}
	status, err := s.Status(t.Context())
	if err != nil || !strings.Contains(status.Overfull, "8 MiB") {
		t.Errorf("the status says %q, %v", status.Overfull, err)
	}
	for _, seq := range list {
		do(t, s.Delivered(t.Context(), "lims", seq, ""))
	}
	prune(t, s)
	if status, err = s.Status(t.Context()); err != nil || status.Overfull != "" || !strings.Contains(log.String(), "below keep_size again") {
		t.Errorf("later the status says %q, %v; the log %s", status.Overfull, err, log)
	}
	wantClean(t, s)
}

// size of the database file.
func size(t testing.TB, s *Spool) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(s.directory, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestHeldUpWALCostsNoMessage has a reader keep the WAL from being folded: that
// it grows must not make pruning eat the store.
func TestHeldUpWALCostsNoMessage(t *testing.T) {
	d, dir := newDial(), settings(t)
	dir.KeepSize = 16 << 20
	s, _ := openAt(t, dir, d, lims)
	put(t, s, message("a", "first"))
	held, err := s.readers.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback()
	var n int
	do(t, held.QueryRow("SELECT count(*) FROM messages").Scan(&n))
	for i := range 20 {
		e := message("a", fmt.Sprint(i))
		e.Raw = make([]byte, 512<<10)
		do(t, s.Delivered(t.Context(), "lims", put(t, s, e).Sequence, ""))
	}
	if wal, err := s.walBytes(); err != nil || wal < 8<<20 {
		t.Fatalf("the WAL has %d bytes, %v", wal, err)
	}
	prune(t, s)
	if have := len(kept(t, s)); have != 21 {
		t.Errorf("%d messages are left", have)
	}
}

// TestUnknownAgeGoesWithItsNeighbours has messages whose clock was unset: they
// are as old as an old one that came after them.
func TestUnknownAgeGoesWithItsNeighbours(t *testing.T) {
	d := newDial()
	s, _ := openAt(t, settings(t), d, lims)
	unknown := func(text string) {
		e := message("a", text)
		e.ReceivedAt, e.Clock = time.Unix(100, 0), envelope.ClockUnset
		do(t, s.Delivered(t.Context(), "lims", put(t, s, e).Sequence, ""))
		// of another boot, as the one that was unset mostly is
		do(t, s.writer.write(t.Context(), func(t *tx) error {
			if err := t.exec("INSERT INTO boots (boot) VALUES ('earlier') ON CONFLICT DO NOTHING"); err != nil {
				return err
			}
			rows, err := t.deliveries("d.seq = ?", t.cursor.sequence)
			if err != nil {
				return err
			}
			r, err := scanRecord(func(into ...any) error {
				return t.scan("SELECT "+recordColumns+" FROM messages m JOIN lanes l ON l.id = m.lane WHERE m.seq = ?", []any{rows[0].sequence}, into...)
			})
			if err != nil {
				return err
			}
			if err := t.scan("SELECT id FROM boots WHERE boot = 'earlier'", nil, &r.received.boot); err != nil {
				return err
			}
			return t.exec("UPDATE messages SET boot = ?, crc = ? WHERE seq = ?", r.received.boot, r.sum(), r.sequence)
		}))
	}
	known := func(days int, text string) {
		do(t, s.Delivered(t.Context(), "lims", putAged(t, s, d, days, text).Sequence, ""))
	}
	unknown("1")
	known(500, "2")
	unknown("3")
	known(-99, "4") // its clock was ahead: it says nothing
	known(450, "5")
	unknown("6") // between old and young: it may be young
	known(390, "7")
	known(800, "8") // its clock was behind: one before it is younger
	unknown("9")
	known(0, "10")
	prune(t, s)
	wantKept(t, s, 6, 7, 8, 9, 10)
	d.pass(20 * day) // all but the last are old
	prune(t, s)
	wantKept(t, s, 9, 10)
}

// TestAClockThatJumpsExpiresNothing tries every way in which the clock can be
// wrong by years.
func TestAClockThatJumpsExpiresNothing(t *testing.T) {
	fresh := func(t *testing.T) (*dial, Settings, *Spool, *bytes.Buffer) {
		d, dir := newDial(), settings(t)
		s, log := openAt(t, dir, d, lims)
		do(t, s.Delivered(t.Context(), "lims", putAged(t, s, d, 1, "1").Sequence, ""))
		putAged(t, s, d, 0, "2")
		prune(t, s)
		wantKept(t, s, 1, 2)
		return d, dir, s, log
	}
	stays := func(t *testing.T, d *dial, s *Spool, log *bytes.Buffer) {
		t.Helper()
		prune(t, s)
		d.pass(23 * time.Hour)
		prune(t, s)
		wantKept(t, s, 1, 2)
		if n := strings.Count(log.String(), "clock has jumped"); n != 1 {
			t.Errorf("it is said %d times: %s", n, log)
		}
	}
	t.Run("unset", func(t *testing.T) {
		d, _, s, _ := fresh(t)
		d.unset = true
		for range 3 {
			d.pass(300 * day) // without a jump
			prune(t, s)
		}
		wantKept(t, s, 1, 2)
	})
	t.Run("ahead", func(t *testing.T) {
		d, _, s, log := fresh(t)
		d.at = d.at.AddDate(5, 0, 0)
		stays(t, d, s, log)
		d.pass(2 * time.Hour) // a day without another jump: the years have passed
		prune(t, s)
		wantKept(t, s, 2)
	})
	t.Run("ahead and back", func(t *testing.T) {
		d, _, s, _ := fresh(t)
		d.at = d.at.AddDate(5, 0, 0)
		prune(t, s)
		d.at = d.at.AddDate(-5, 0, 0)
		prune(t, s)
		d.pass(2 * day)
		prune(t, s)
		prune(t, s)
		wantKept(t, s, 1, 2)
	})
	t.Run("by a day", func(t *testing.T) { // or less, which is no jump
		d, _, s, log := fresh(t)
		d.pass(398*day + 12*time.Hour)
		prune(t, s)
		d.pass(time.Hour)
		d.at = d.at.Add(23 * time.Hour)
		prune(t, s)
		wantKept(t, s, 2)
		if strings.Contains(log.String(), "jumped") {
			t.Errorf("the log says %s", log)
		}
	})
	t.Run("while it was off", func(t *testing.T) {
		d, dir, s, _ := fresh(t)
		do(t, s.Close())
		d.at, d.since = d.at.AddDate(5, 0, 0), int64(time.Minute)
		s, log := openAt(t, dir, d, lims)
		stays(t, d, s, log)
		d.pass(2 * time.Hour)
		prune(t, s)
		wantKept(t, s, 2)
	})
	t.Run("while it was off, and set later", func(t *testing.T) {
		d, dir, s, _ := fresh(t)
		do(t, s.Close())
		d.at, d.since, d.unset = d.at.AddDate(5, 0, 0), int64(time.Minute), true
		s, log := openAt(t, dir, d, lims)
		prune(t, s)
		d.unset = false
		stays(t, d, s, log)
	})
	t.Run("and a restart", func(t *testing.T) { // does not make it right
		d, dir, s, _ := fresh(t)
		d.at = d.at.AddDate(5, 0, 0)
		prune(t, s)
		putAged(t, s, d, 0, "3") // now the audit trail has the wrong time too
		d.pass(10 * time.Hour)
		prune(t, s)
		do(t, s.Close())
		s, _ = openAt(t, dir, d, lims)
		prune(t, s)
		d.pass(13 * time.Hour)
		prune(t, s)
		wantKept(t, s, 1, 2, 3)
		d.pass(2 * time.Hour)
		prune(t, s)
		wantKept(t, s, 2, 3)
	})
	t.Run("after a year in the cupboard", func(t *testing.T) { // nearly: nobody doubts
		d, dir, s, _ := fresh(t)
		do(t, s.Close())
		d.at = d.at.AddDate(0, 0, 365)
		s, log := openAt(t, dir, d, lims)
		prune(t, s)
		d.pass(40 * day)
		prune(t, s)
		wantKept(t, s, 2)
		if strings.Contains(log.String(), "jumped") {
			t.Errorf("the log says %s", log)
		}
	})
}

// TestNoLimitPrunesNothing has both limits at 0.
func TestNoLimitPrunesNothing(t *testing.T) {
	d, dir := newDial(), settings(t)
	dir.KeepDays, dir.KeepSize = 0, 0
	s, _ := openAt(t, dir, d, lims)
	do(t, s.Delivered(t.Context(), "lims", putAged(t, s, d, 10000, "1").Sequence, ""))
	putAged(t, s, d, 0, "2")
	prune(t, s)
	wantKept(t, s, 1, 2)
}

// TestDamagedStays has messages that are finished as far as can be read.
func TestDamagedStays(t *testing.T) {
	d := newDial()
	s, _ := openAt(t, settings(t), d, lims)
	for i := range 4 {
		do(t, s.Delivered(t.Context(), "lims", putAged(t, s, d, 500, fmt.Sprint(i)).Sequence, ""))
	}
	putAged(t, s, d, 0, "newest")
	corrupt(t, s, "UPDATE messages SET raw = x'00' WHERE seq = 2; UPDATE deliveries SET attempts = 9 WHERE seq = 3")
	prune(t, s)
	if have := kept(t, s); !slices.Equal(have, []uint64{2, 3, 5}) {
		t.Errorf("kept are %d", have)
	}
}

// TestPrunesEverythingButTheUnfinished makes random messages in random states
// and prunes in every way at once: what is unfinished is there, byte by byte.
func TestPrunesEverythingButTheUnfinished(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 5))
			d, dir := newDial(), settings(t)
			dir.KeepSize = 16 << 20
			confirming := lims
			confirming.Confirm = true
			s, _ := openAt(t, dir, d, confirming, Destination{Name: "files", Everything: true}, Destination{Name: "other"})
			s.retention.size = 1 // however much has gone, more must go
			unfinished, all := map[string]envelope.Envelope{}, map[string]bool{}
			for range 60 {
				list := randomMessage(random, d)
				if _, err := s.Put(t.Context(), list...); err != nil {
					t.Fatal(err)
				}
				open := false
				for _, e := range list {
					all[e.ID] = true
					open = randomFate(t, s, random, e) || open
				}
				for _, e := range list {
					if open {
						unfinished[e.ID] = e
					}
				}
				switch random.IntN(20) {
				case 0:
					prune(t, s)
				case 1:
					do(t, s.Close())
					s, _ = openAt(t, dir, d, confirming, Destination{Name: "files", Everything: true}, Destination{Name: "other"})
					s.retention.size = 1
				}
			}
			do(t, s.Delivered(t.Context(), "files", put(t, s, message("a", "newest")).Sequence, ""))
			prune(t, s)
			for id, want := range unfinished {
				have, err := s.Show(t.Context(), id)
				if err != nil {
					t.Fatalf("an unfinished message is gone: %v", err)
				}
				if !reflect.DeepEqual(have.Envelope, want) {
					t.Errorf("an unfinished message has changed:\n%+v\n%+v", have.Envelope, want)
				}
			}
			list := kept(t, s)
			if len(list) != len(unfinished)+1 {
				t.Errorf("%d of %d envelopes are kept, %d are unfinished", len(list), len(all), len(unfinished))
			}
			wantKept(t, s, list...)
		})
	}
}

// randomMessage makes one of one to three parts.
func randomMessage(random *rand.Rand, d *dial) (list []envelope.Envelope) {
	intake := []envelope.Intake{envelope.Accepted, envelope.Accepted, envelope.Accepted, envelope.Parked, envelope.Incomplete, envelope.Rejected}[random.IntN(6)]
	at := d.at.AddDate(0, 0, -random.IntN(1000))
	for part := range 1 + random.IntN(3) {
		e := message("a", fmt.Sprint(random.Uint64()))
		e.Intake, e.ReceivedAt, e.Part = intake, at, part
		if random.IntN(4) == 0 {
			e.Clock = envelope.ClockUnset
		}
		list = append(list, e)
		list[part].MessageID, list[part].Raw, list[part].Clock = list[0].ID, list[0].Raw, list[0].Clock
	}
	return list
}

// randomFate settles the deliveries of an envelope and reports whether anything
// is left to do for it.
func randomFate(t *testing.T, s *Spool, random *rand.Rand, e envelope.Envelope) (open bool) {
	t.Helper()
	detail, err := s.Show(t.Context(), e.ID)
	do(t, err)
	for _, delivery := range detail.Deliveries {
		to := delivery.Destination
		switch random.IntN(12) {
		case 0:
			if delivery.State == Pending {
				do(t, s.Park(t.Context(), to, e.Sequence, "poison"))
			}
			open = true
		case 1:
			do(t, s.Delivered(t.Context(), to, e.Sequence, ""))
			if to == "lims" {
				do(t, s.Unconfirmed(t.Context(), to, e.Sequence, "WBC"))
				open = true
			}
		case 2:
			do(t, s.Attempted(t.Context(), to, e.Sequence, true, "500"))
			open = true
		case 3:
			do(t, s.Delivered(t.Context(), to, e.Sequence, ""))
			open = open || to == "lims" // to be read back
		default:
			do(t, s.Delivered(t.Context(), to, e.Sequence, ""))
			if to == "lims" {
				do(t, s.Confirmed(t.Context(), to, e.Sequence, ""))
			}
		}
	}
	return open
}
