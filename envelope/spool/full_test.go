package spool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool/cardtest"
)

// failingScript is played once for each operation that can fail.
func failingScript() script {
	one, two, big, last := message("a", "1"), parts(2, "b", "2"), bulky("c", "big", 20<<10), message("a", "last")
	draft, final := message("d", "half"), message("d", "whole")
	s := oneByOne(putting(one), drafting("d", draft), putting(two...), attempting(one), delivering(one), parking(two[0]),
		tidying(), retrying(two[0]), dropping(two[1]), finishing("d", final), pragma("wal_autocheckpoint = 12"), putting(big))
	s = append(s, company("company", 3, 2))
	return append(s, oneByOne(tidying(), putting(last), parking(last))...)
}

func oneByOne(steps ...*step) (s script) {
	for _, st := range steps {
		s = append(s, inTurn(st))
	}
	return s
}

// failure is one way to play the script.
type failure struct {
	fault cardtest.Fault
	from  int  // the operation that fails
	stays bool // and all after it, until somebody has seen two errors
}

func (f failure) String() string {
	if f.stays {
		return fmt.Sprintf("%v from operation %d on", f.fault, f.from)
	}
	return fmt.Sprintf("%v at operation %d", f.fault, f.from)
}

// failedRun is a run on a card that fails.
type failedRun struct {
	*run
	recording *cardtest.Recording
	failure   failure
	errors    int  // phases in which a call failed
	repaired  bool // so no call may fail any more
	uncertain int
	refused   int
	// undecided are uncertain calls of which nothing was there at the next
	// start. Until the next commit a cut may still bring them back.
	undecided []*call
}

// playFailing plays the script in a copy of a store, or where that is nil in a new
// one, and reports what is wrong.
func playFailing(t *testing.T, before *run, f failure) *failedRun {
	t.Helper()
	r := &failedRun{run: newRun(t), failure: f}
	if before != nil {
		r.continued(before)
	}
	r.recording = r.card.Record(t)
	many := 1
	if f.stays {
		many = 1 << 30
	}
	r.card.FailAt(f.from, many, f.fault)
	if err := r.open(); err != nil {
		r.reopen(err)
	}
	for _, p := range failingScript() {
		r.phase(p)
	}
	// A store that is closed while its card fails is whole at the next start.
	if err := r.spool.Close(); err != nil && r.repaired {
		t.Errorf("closing after the repair: %v", err)
	}
	r.repair()
	if err := r.open(); err != nil {
		t.Fatalf("%v: in the end it does not open: %v", f, err)
	}
	r.want(r.check(r.spool, promised{values: r.values}), "in the end")
	if err := r.spool.Close(); err != nil {
		t.Errorf("%v: closing in the end: %v", f, err)
	}
	r.card.Stop()
	return r
}

func (r *failedRun) want(f losses, when string) {
	r.t.Helper()
	if len(f.problems) > 0 {
		r.t.Errorf("%v, %s: %s", r.failure, when, strings.Join(f.problems[:min(len(f.problems), 5)], "; "))
	}
}

func (r *failedRun) repair() {
	_, failed := r.card.Repair()
	r.repaired = r.repaired || failed
}

// reopen opens the store again after an error: while the card fails it may or
// may not open; after its repair it must.
func (r *failedRun) reopen(why error) {
	r.t.Helper()
	if r.failure.stays && !r.repaired {
		if r.open() == nil {
			return
		}
	}
	r.repair()
	if err := r.open(); err != nil {
		r.t.Fatalf("%v: after %v it does not open: %v", r.failure, why, err)
	}
}

// phase makes the calls and looks at what each error meant.
func (r *failedRun) phase(p phase) {
	var mu sync.Mutex
	var failed []*call
	var wait sync.WaitGroup
	for _, list := range p.lists {
		wait.Go(func() {
			for _, st := range list {
				if c := r.make(st); c.err != nil {
					mu.Lock()
					failed = append(failed, c)
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	counted := false
	for _, c := range failed {
		// A message that was refused cannot be settled, nor one retried whose
		// parking was.
		if r.refused+r.uncertain > 0 && (errors.Is(c.err, ErrNotFound) || errors.Is(c.err, ErrRefused)) {
			continue
		}
		counted = true
		if r.repaired {
			r.t.Errorf("%v: after the repair %s gives %v", r.failure, c.name, c.err)
		}
	}
	if slices.ContainsFunc(failed, func(c *call) bool { return errors.Is(c.err, ErrUncertain) }) {
		<-r.spool.Failed()
		_ = r.spool.Close() // the card fails
		r.reopen(ErrUncertain)
	}
	if len(failed) == 0 {
		r.decide()
	}
	doubt := map[string]bool{} // objects of uncertain calls
	for _, c := range failed {
		for _, object := range c.objects {
			doubt[object] = doubt[object] || errors.Is(c.err, ErrUncertain)
		}
	}
	for _, c := range failed {
		r.settle(c, doubt)
	}
	if counted {
		if r.errors++; r.errors == 2 || !r.failure.stays {
			r.repair()
		}
	}
}

// settle sees that nothing of a refused call is there, and all or nothing of
// one whose outcome was not known. Objects in doubt belong to one of the latter.
func (r *failedRun) settle(c *call, doubt map[string]bool) {
	if !errors.Is(c.err, ErrUncertain) {
		r.refused++
		for _, object := range c.objects {
			value, err := observe(context.Background(), r.spool, object)
			if err != nil || value != c.before[object] && !doubt[object] {
				r.t.Errorf("%v: %s was refused with %v and has changed %s to %s, %v", r.failure, c.name, c.err, object, brief(value), err)
			}
		}
		r.card.Mark(refused(c.number))
		return
	}
	r.uncertain++
	changed := 0
	for _, object := range c.objects {
		value, err := observe(context.Background(), r.spool, object)
		if err != nil {
			r.t.Errorf("%v: after an uncertain %s: %v", r.failure, c.name, err)
		}
		if value != c.before[object] {
			changed++
		}
	}
	switch changed {
	case 0:
		r.undecided = append(r.undecided, c)
	case len(c.objects):
		// It is there, so from now on it must stay.
		for i := range c.given {
			if detail, err := r.spool.Show(context.Background(), c.given[i].ID); err == nil {
				c.given[i].Sequence = detail.Envelope.Sequence
			}
		}
		r.look(c)
		r.card.Mark(acknowledged(c.number))
	default:
		r.t.Errorf("%v: an uncertain %s is there in part", r.failure, c.name)
	}
}

// decide notes that there was a commit after the uncertain calls.
func (r *failedRun) decide() {
	for _, c := range r.undecided {
		r.card.Mark(refused(c.number))
	}
	r.undecided = nil
}

// closedStore makes a store with a few messages.
func closedStore(t *testing.T) *run {
	t.Helper()
	r := newRun(t)
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	first := message("a", "first")
	r.play(oneByOne(putting(first), putting(parts(2, "z", "first")...), delivering(first)))
	if err := r.spool.Close(); err != nil {
		t.Fatal(err)
	}
	return r
}

// operations counts what can fail in a run without faults.
func operations(t *testing.T, before *run) int {
	t.Helper()
	r := playFailing(t, before, failure{fault: cardtest.Broken, from: 1 << 30})
	n, _ := r.card.Repair()
	if r.refused > 0 {
		t.Fatal("a run without a fault had errors")
	}
	return n
}

// TestFailingCardAtEveryOperation has each write, truncation, flush, deletion,
// creation and growth fail in turn, once and until it is repaired, and then
// cuts the power: what was acknowledged stays, what was refused never comes.
// An ordinary run takes a sample, another each time.
func TestFailingCardAtEveryOperation(t *testing.T) {
	before := closedStore(t)
	n := operations(t, before)
	for _, fault := range []cardtest.Fault{cardtest.Full, cardtest.Broken, cardtest.ReadOnly} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			var list []failure
			for from := 1; from <= n; from++ {
				list = append(list, failure{fault, from, false}, failure{fault, from, true})
			}
			if cuts(t) == 0 {
				rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
				list = list[:thinned(t, 6, 1)]
			}
			playFailures(t, before, list)
		})
	}
}

func playFailures(t *testing.T, before *run, list []failure) {
	sum := &cutResult{}
	refusals, uncertain := 0, 0
	for _, f := range list {
		r := playFailing(t, before, f)
		refusals, uncertain = refusals+r.refused, uncertain+r.uncertain
		last := len(r.recording.Operations)
		for i, position := range []int{last, rand.IntN(last + 1)} {
			r.cut(sum, i, position)
		}
		if err := os.RemoveAll(filepath.Dir(r.settings.Directory)); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			break
		}
	}
	fmt.Printf("card with %v: %d failures, %d calls refused, %d uncertain\n", list[0].fault, len(list), refusals, uncertain)
	wantNothingLost(t, "after "+list[0].fault.String(), sum)
	if len(list) > 100 && refusals+uncertain == 0 { // a few may all have met a checkpoint
		t.Error("no failure was noticed")
	}
}

// cut cuts the power of a recorded run.
func (r *failedRun) cut(sum *cutResult, n, position int) {
	seed := rand.Uint64()
	disk := r.recording.Disk(seed)
	disk.Advance(position)
	directory := filepath.Join(r.settings.Directory+" cut", fmt.Sprint(n))
	if err := disk.Cut(directory, rand.New(rand.NewPCG(seed, 1))); err != nil {
		r.t.Fatal(err)
	}
	sum.add(r.afterCut(directory, r.promisedAt(r.recording, position)),
		fmt.Sprintf("%v, seed %d, cut before operation %d of %d", r.failure, seed, position, len(r.recording.Operations)))
}

// TestFailingCardFlushIsNotTrusted has the flush of a commit fail, and where the
// card stays broken everything after it while the store closes. The kernel then
// shows what it was given and holds it for written, though it never reached the
// card: the next start must not build on it.
func TestFailingCardFlushIsNotTrusted(t *testing.T) {
	for _, stays := range []bool{false, true} {
		r := &failedRun{run: newRun(t), failure: failure{fault: cardtest.Broken, stays: stays}}
		r.continued(closedStore(t))
		r.recording = r.card.Record(t)
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		r.play(oneByOne(putting(message("a", "1"))))
		many := 1
		if stays {
			many = 1 << 30
		}
		r.card.OnFlush(func() { // a commit flushes once, in the end
			r.card.OnFlush(nil)
			r.card.FailAt(1, many, cardtest.Broken)
		})
		first := len(r.recording.Operations)
		unknown := r.make(putting(message("a", "2")))
		if !errors.Is(unknown.err, ErrUncertain) {
			t.Fatalf("Put gives %v", unknown.err)
		}
		<-r.spool.Failed()
		_ = r.spool.Close() // the card may fail
		r.repair()
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		r.settle(unknown, nil)
		r.play(oneByOne(putting(message("a", "3")), putting(message("b", "4"))))
		r.decide()
		r.card.Stop()
		sum := &cutResult{}
		for i, position := range spread(r.recording, first, thinned(t, 4*(len(r.recording.Operations)-first), 12)) {
			r.cut(sum, i, position)
		}
		if err := r.spool.Close(); err != nil {
			t.Error(err)
		}
		wantNothingLost(t, fmt.Sprintf("after a flush that failed, the card stays broken: %t", stays), sum)
	}
}

// TestFailingCardBesideTheDatabase has the high-water mark fail, which is no
// reason to refuse messages.
func TestFailingCardBesideTheDatabase(t *testing.T) {
	dir := settings(t)
	s := open(t, dir, lims)
	put(t, s, message("a", "1"))
	obstacle := filepath.Join(dir.Directory, highWaterFile+".new")
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := tidying().run(t.Context(), s); err == nil || !strings.Contains(err.Error(), "high-water mark") {
		t.Errorf("tidying gives %v", err)
	}
	put(t, s, message("a", "2"))
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	if err := tidying().run(t.Context(), s); err != nil {
		t.Error(err)
	}
	if m, err := s.highWater(); err != nil || m.sequence != 2 {
		t.Errorf("the mark is %+v, %v", m, err)
	}
	wantClean(t, s)
}
