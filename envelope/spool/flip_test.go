package spool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// flipScript is what the small stores hold whose bits are flipped.
func flipScript() script {
	one, two, big, held := message("a", "1"), parts(2, "b", "2"), bulky("c", "big", 10<<10), message("a", "held")
	return oneByOne(putting(one), putting(two...), putting(big), putting(held), delivering(one), attempting(big), parking(held))
}

// answers is all that a store says to whoever asks.
type answers struct {
	values map[string]string // of each object, or noAnswer
	list   string
	status string
	audit  uint64 // rows of the trail
}

// noAnswer is the value of an object that the store gives an error for.
const noAnswer = "no answer"

// everything asks a store for all that it has. err is about what it could not
// answer, but for messages that it says are damaged.
func (r *run) everything(s *Spool) (a answers, err error) {
	ctx := context.Background()
	a.values = map[string]string{}
	for _, c := range r.calls {
		for _, object := range c.objects {
			value, problem := observe(ctx, s, object)
			if problem != nil {
				value = noAnswer
			}
			if errors.Is(problem, ErrDamaged) {
				problem = nil
			}
			a.values[object], err = value, errors.Join(err, problem)
		}
	}
	list, problem := s.List(ctx, Filter{Limit: 1000})
	status, other := s.Status(ctx)
	a.audit = status.AuditRows
	status.Bytes, status.WALBytes = 0, 0
	status.Schema = 0 // only shown; nothing protects the number but that it must be readable
	for i := range status.Destinations {
		status.Destinations[i].OldestAge = 0
	}
	listed, third := json.Marshal(list)
	text, fourth := json.Marshal(status)
	a.list, a.status = string(listed), string(text)
	return a, errors.Join(err, problem, other, third, fourth)
}

// envelopeOf is the part of an observed value that was stored by Put.
func envelopeOf(value string) string {
	text, _, _ := strings.Cut(value, "\n")
	return text
}

// flipped is what a store with a flipped bit came to.
type flipped struct {
	refused  error    // Open would not have it
	differs  []string // objects and answers that are not as they were
	absent   int      // messages that are not there any more
	reported bool     // by an error, or by Verify
	lied     []string // messages that were given out with other bytes
}

// afterFlip opens a store as the gateway does and asks it for everything.
func (r *run) afterFlip(directory string, good answers) (f flipped) {
	ctx := context.Background()
	s := r.settings
	s.Directory = directory
	var said bytes.Buffer
	spool, err := Open(ctx, s, Options{Destinations: scripted(), Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		f.refused = err
		return f
	}
	defer spool.Close()
	have, err := r.everything(spool)
	// A destination that is not as it was is noted in the trail at the start.
	f.reported = err != nil || have.audit > good.audit || strings.Contains(said.String(), "lost its newest")
	for object, value := range good.values {
		switch {
		case have.values[object] == value:
			continue
		case have.values[object] == absent:
			f.absent++
		case have.values[object] == noAnswer:
		case envelopeOf(have.values[object]) != envelopeOf(value):
			f.lied = append(f.lied, object+": "+brief(have.values[object])+" for "+brief(value))
		}
		f.differs = append(f.differs, object)
	}
	if have.list != good.list {
		f.differs = append(f.differs, "list")
	}
	if have.status != good.status {
		f.differs = append(f.differs, "status")
	}
	f.lied = append(f.lied, r.delivered(spool)...)
	report, err := spool.Verify(ctx, nil)
	f.reported = f.reported || err != nil || len(report.Problems) > 0
	return f
}

// delivered loads every message as a destination does and returns those that
// were given as good with other bytes.
func (r *run) delivered(s *Spool) (lied []string) {
	for _, c := range r.calls {
		for _, given := range c.given {
			entry, err := s.Load(context.Background(), "lims", given.Sequence)
			if err == nil && (entry.Envelope.ID != given.ID || !bytes.Equal(entry.Envelope.Raw, given.Raw) || entry.Envelope.SampleID != given.SampleID) {
				lied = append(lied, fmt.Sprintf("sequence %d, loaded as %+v", given.Sequence, entry.Envelope))
			}
		}
	}
	return lied
}

// flipSum counts what came of flips.
type flipSum struct {
	flips, refused, reported, harmless, silent int
}

func (s *flipSum) String() string {
	return fmt.Sprintf("%d flipped bits: %d made Open refuse the store, %d were reported, %d harmless, %d silent",
		s.flips, s.refused, s.reported, s.harmless, s.silent)
}

func (s *flipSum) add(f flipped) {
	s.flips++
	switch {
	case f.refused != nil:
		s.refused++
	case f.reported:
		s.reported++
	case len(f.differs) > 0:
		s.silent++
	default:
		s.harmless++
	}
}

// flipIn copies a store, flips one bit of a file and returns what came of it.
func (r *run) flipIn(good answers, store, name string, at flip) flipped {
	r.t.Helper()
	directory := filepath.Join(r.t.TempDir(), "flipped")
	defer os.RemoveAll(directory)
	if err := os.CopyFS(directory, os.DirFS(store)); err != nil {
		r.t.Fatal(err)
	}
	path := filepath.Join(directory, name)
	content, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	content[at.offset] ^= at.bit
	if err := os.WriteFile(path, content, 0o600); err != nil {
		r.t.Fatal(err)
	}
	return r.afterFlip(directory, good)
}

// piece is a page or a frame.
type piece struct{ from, length int }

// flips says which bits of the pieces are flipped, one at a time: so many in each
// piece, more for `make powercut`, and fewer where an emulator runs the tests.
func flips(t *testing.T, each int, pieces []piece) (list []flip) {
	step := 1
	if cuts(t) > 0 {
		each *= 16
	} else if os.Getenv("TEST_EXEC") != "" {
		each, step = 1, 8
	}
	for i := 0; i < len(pieces); i += step {
		for range each {
			list = append(list, flip{i, pieces[i].from + rand.IntN(pieces[i].length), 1 << rand.IntN(8)})
		}
	}
	return list
}

// flip is one bit of a file.
type flip struct {
	piece, offset int
	bit           byte
}

func (f flip) String() string {
	return fmt.Sprintf("piece %d, byte %d, bit %#x", f.piece, f.offset, f.bit)
}

// TestFlippedBitInEveryPage flips bits of a closed store. A message is given
// out as it was or called damaged; whatever else differs is reported, or the
// store does not open.
func TestFlippedBitInEveryPage(t *testing.T) {
	r := newRun(t)
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	r.play(flipScript())
	if err := errors.Join(r.spool.Close(), r.open()); err != nil {
		t.Fatal(err)
	}
	good, err := r.everything(r.spool)
	if err := errors.Join(err, r.spool.Close()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(r.settings.Directory, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	pieces := make([]piece, info.Size()/pageSize)
	for i := range pieces {
		pieces[i] = piece{i * pageSize, pageSize}
	}
	var sum flipSum
	for _, at := range flips(t, 2, pieces) {
		f := r.flipIn(good, r.settings.Directory, databaseFile, at)
		sum.add(f)
		switch {
		case len(f.lied) > 0:
			t.Errorf("%v: other bytes are given as good for %q", at, f.lied)
		case f.refused != nil:
			t.Logf("%v: %v", at, f.refused)
		case !f.reported && len(f.differs) > 0:
			t.Errorf("%v: nobody reports that %q differ", at, f.differs)
		}
	}
	fmt.Printf("database of %d pages: %v\n", info.Size()/pageSize, &sum)
	if sum.flips > 50 && sum.reported == 0 {
		t.Errorf("%v: no flip was found", &sum)
	}
}

// TestFlippedBitInTheWAL flips bits of the WAL of a store that was not closed.
// SQLite takes such a frame for the end of the WAL, so that the messages behind
// it are gone. That is reported as far as the high-water mark reaches, and not
// beyond; no message is given out with other bytes.
func TestFlippedBitInTheWAL(t *testing.T) {
	for _, marked := range []bool{false, true} {
		r := newRun(t)
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		r.play(flipScript())
		if marked {
			if err := r.spool.writeHighWater(r.spool.writer.cursor); err != nil {
				t.Fatal(err)
			}
		}
		good, err := r.everything(r.spool)
		if err != nil {
			t.Fatal(err)
		}
		left := filepath.Join(t.TempDir(), "left behind")
		if err := errors.Join(os.CopyFS(left, os.DirFS(r.settings.Directory)), r.spool.Close(), os.Remove(filepath.Join(left, databaseFile+"-shm"))); err != nil {
			t.Fatal(err)
		}
		wal, err := os.ReadFile(filepath.Join(left, databaseFile+"-wal"))
		if err != nil {
			t.Fatal(err)
		}
		sum, lost := r.flipWAL(t, good, left, len(wal), marked)
		fmt.Printf("WAL, its messages in the high-water mark: %t: %v; at most %d of %d messages are gone\n", marked, sum, lost, len(good.values))
		if lost == 0 {
			t.Error("no flip lost a message, so this proves nothing")
		}
	}
}

func (r *run) flipWAL(t *testing.T, good answers, store string, size int, marked bool) (sum *flipSum, lost int) {
	const header, frame = 32, 24 + pageSize
	pieces := []piece{{0, header}}
	step := frame
	if cuts(t) == 0 {
		step *= 8 // the frames of one commit are alike
	}
	for from := header; from+frame <= size; from += step {
		pieces = append(pieces, piece{from, frame})
	}
	sum = &flipSum{}
	for _, at := range flips(t, 1, pieces) {
		f := r.flipIn(good, store, databaseFile+"-wal", at)
		sum.add(f)
		lost = max(lost, f.absent)
		if len(f.lied) > 0 {
			t.Errorf("%v: other bytes are given as good for %q", at, f.lied)
		}
		if marked && f.absent > 0 && !f.reported {
			t.Errorf("%v: nobody reports that %q differ", at, f.differs)
		}
	}
	return sum, lost
}
