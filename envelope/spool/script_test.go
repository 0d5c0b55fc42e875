package spool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool/cardtest"
)

// step is one call that a run makes, with the objects that it may change: ids
// of envelopes, and drafts as "draft LINE". A step is one transaction: all its
// objects change, or none. To cover a new call, add a step to fullScript.
type step struct {
	name    string
	objects []string
	run     func(ctx context.Context, s *Spool) error
	given   []envelope.Envelope // what it stores, for comparison
	want    State               // of the first object at lims afterwards; "": not looked at
}

// phase is lists of steps that run at the same time, each in its order.
type phase struct {
	lists  [][]*step
	reopen bool // close and open the store, rather
}

type script []phase

func inTurn(steps ...*step) phase { return phase{lists: [][]*step{steps}} }

func atOnce(lists ...[]*step) phase { return phase{lists: lists} }

func reopened() phase { return phase{reopen: true} }

// scripted are the destinations of every script.
func scripted() []Destination {
	return []Destination{lims, {Name: "captures", Everything: true}}
}

func ids(list []envelope.Envelope) (ids []string) {
	for _, e := range list {
		ids = append(ids, e.ID)
	}
	return ids
}

func putting(list ...envelope.Envelope) *step {
	st := &step{name: "Put", objects: ids(list), given: list}
	st.run = func(ctx context.Context, s *Spool) error {
		_, err := s.Put(ctx, list...)
		return err
	}
	return st
}

func drafting(line string, list ...envelope.Envelope) *step {
	return &step{name: "PutDraft", objects: []string{"draft " + line}, run: func(ctx context.Context, s *Spool) error {
		return s.PutDraft(ctx, line, list...)
	}}
}

func finishing(line string, list ...envelope.Envelope) *step {
	return &step{name: "PutFinal", objects: append(ids(list), "draft "+line), given: list, run: func(ctx context.Context, s *Spool) error {
		_, err := s.PutFinal(ctx, line, list...)
		return err
	}}
}

func droppingDraft(line string) *step {
	return &step{name: "DropDraft", objects: []string{"draft " + line}, run: func(ctx context.Context, s *Spool) error {
		return s.DropDraft(ctx, line)
	}}
}

// settling is a step on the delivery of a message to lims.
func settling(name string, e envelope.Envelope, want State, call func(ctx context.Context, s *Spool, seq uint64) error) *step {
	return &step{name: name, objects: []string{e.ID}, want: want, run: func(ctx context.Context, s *Spool) error {
		seq, err := s.find(ctx, e.ID)
		if err != nil {
			return err
		}
		return call(ctx, s, seq)
	}}
}

func delivering(e envelope.Envelope) *step {
	return settling("Delivered", e, Delivered, func(ctx context.Context, s *Spool, seq uint64) error {
		return s.Delivered(ctx, "lims", seq, "")
	})
}

func attempting(e envelope.Envelope) *step {
	return settling("Attempted", e, Pending, func(ctx context.Context, s *Spool, seq uint64) error {
		return s.Attempted(ctx, "lims", seq, true, "500 Internal Server Error")
	})
}

func parking(e envelope.Envelope) *step {
	return settling("Park", e, Parked, func(ctx context.Context, s *Spool, seq uint64) error {
		return s.Park(ctx, "lims", seq, "refused five times")
	})
}

func dropping(e envelope.Envelope) *step {
	return settling("Drop", e, Dropped, func(ctx context.Context, s *Spool, _ uint64) error {
		return s.Drop(ctx, e.ID, "anna", "entered by hand")
	})
}

func retrying(e envelope.Envelope) *step {
	return settling("Retry", e, Pending, func(ctx context.Context, s *Spool, _ uint64) error {
		return s.Retry(ctx, e.ID, "anna")
	})
}

func tidying() *step {
	return &step{name: "tidy", run: func(ctx context.Context, s *Spool) error {
		return inWriter(ctx, s, func() error {
			s.writer.dirty = true
			return s.writer.tidy()
		})
	}}
}

// pragma changes a setting of the writer's connection.
func pragma(setting string) *step {
	return &step{name: setting, run: func(ctx context.Context, s *Spool) error {
		return inWriter(ctx, s, func() error { return s.writer.exec("PRAGMA " + setting) })
	}}
}

// inWriter runs do in the writer's goroutine, outside a transaction.
func inWriter(ctx context.Context, s *Spool, do func() error) error {
	carried := errors.New("carried")
	var done error
	err := s.writer.write(ctx, func(*tx) error {
		s.writer.rollback()
		done = do()
		return carried
	})
	if !errors.Is(err, carried) {
		return err
	}
	return done
}

// parts makes a message of n envelopes.
func parts(n int, lane, text string) []envelope.Envelope {
	list := make([]envelope.Envelope, n)
	for i := range list {
		list[i] = message(lane, fmt.Sprint(text, " part ", i))
		list[i].MessageID, list[i].Part, list[i].Raw = list[0].ID, i, list[0].Raw
	}
	return list
}

// bulky is a message whose bytes do not fit a few pages.
func bulky(lane, text string, size int) envelope.Envelope {
	e := message(lane, text)
	for i := 0; len(e.Raw) < size; i++ {
		e.Raw = append(e.Raw, fmt.Sprintf("\x02%dR|%d|^^^WBC|%x\r\x03CD\r\n", i%8, i, sha256.Sum256([]byte(text+fmt.Sprint(i))))...)
	}
	return e
}

func withIntake(e envelope.Envelope, intake envelope.Intake, reason string) envelope.Envelope {
	e.Intake, e.Reason = intake, reason
	return e
}

// shortScript is small enough to be cut at every operation in an ordinary run
// of the tests.
func shortScript() script {
	first, draft, final := message("a", "1"), message("b", "half"), message("b", "whole")
	two := parts(2, "b", "2")
	return script{inTurn(putting(first), drafting("line", draft), putting(two...), delivering(first), tidying(), finishing("line", final), parking(two[0]))}
}

// fullScript calls everything that writes, alone and in company, with few and
// with many checkpoints, over a restart.
func fullScript() script {
	one, big := message("a", "1"), bulky("a", "big", 60<<10)
	three := parts(3, "b", "three")
	both := append(parts(2, "c", "left"), message("c", "right"))
	half, more, whole := message("d", "half"), message("d", "more"), message("d", "whole")
	left, gone := message("e", "left behind"), message("f", "forgotten")
	rejected := withIntake(message("a", "rejected"), envelope.Rejected, "no MSH-9")
	cut := withIntake(message("a", "cut"), envelope.Incomplete, "the line was lost")
	held := withIntake(message("a", "held"), envelope.Parked, "no terminator record")
	s := script{
		inTurn(putting(one), putting(three...), putting(both...), putting(big), putting(rejected), putting(cut), putting(held)),
		inTurn(attempting(one), delivering(one), parking(three[0]), retrying(three[0]), attempting(three[0]), dropping(three[1]),
			parking(both[2]), retrying(held)),
		inTurn(tidying(), drafting("d", half), drafting("d", half, more), drafting("e", left), drafting("f", gone),
			finishing("d", whole), droppingDraft("f"), delivering(big)),
	}
	s = append(s, company("few", 6, 4), inTurn(tidying(), pragma("wal_autocheckpoint = 12")))
	s = append(s, company("many", 4, 6), reopened())
	after := message("a", "after")
	s = append(s, inTurn(putting(after), delivering(three[0]), tidying(), putting(message("a", "next")), dropping(after)))
	return append(s, company("end", 3, 3))
}

// company is producers that store and settle at the same time.
func company(name string, producers, each int) phase {
	lists := make([][]*step, producers)
	for p := range producers {
		lane := fmt.Sprint(name, " ", p)
		for i := range each {
			e := message(lane, fmt.Sprint(i))
			lists[p] = append(lists[p], putting(e))
			switch i % 4 {
			case 1:
				lists[p] = append(lists[p], delivering(e))
			case 2:
				lists[p] = append(lists[p], attempting(e), parking(e))
			}
		}
	}
	return atOnce(lists...)
}

// absent is the value of an object that is not there.
const absent = "absent"

// observe returns all that the store knows of an object, as text: byte by byte
// what was stored, and how it stands at each destination.
func observe(ctx context.Context, s *Spool, object string) (string, error) {
	if line, ok := strings.CutPrefix(object, "draft "); ok {
		return observeDraft(ctx, s, line)
	}
	detail, err := s.Show(ctx, object)
	if errors.Is(err, ErrNotFound) {
		return absent, nil
	}
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(plain(detail.Envelope))
	if err != nil {
		return "", err
	}
	for _, d := range detail.Deliveries {
		text = fmt.Appendf(text, "\n%s: %s %q %d %d", d.Destination, d.State, d.Reason, d.Attempts, d.Refusals)
	}
	return string(text), nil
}

// observeDraft returns the draft of a line, or what Open has made of it.
func observeDraft(ctx context.Context, s *Spool, line string) (string, error) {
	var found []envelope.Envelope
	err := s.read(ctx, func(scan func(...any) error) error {
		d := draft{line: line}
		if err := scan(&d.body, &d.sum); err != nil {
			return err
		}
		if d.sum != draftSum(d.line, d.body) {
			return ErrDamaged
		}
		var err error
		found, err = s.unpackDraft(d.body)
		return err
	}, "SELECT body, crc FROM drafts WHERE line = ?", line)
	if err != nil {
		return "", err
	}
	if found == nil {
		err = s.read(ctx, func(scan func(...any) error) error {
			var seq uint64
			if err := scan(&seq); err != nil {
				return err
			}
			e, err := s.message(ctx, seq)
			e.Sequence = 0 // a draft has none yet
			found = append(found, e)
			return err
		}, "SELECT seq FROM audit WHERE what = ? AND detail = ? ORDER BY n", auditRecovered, line)
	}
	if err != nil || found == nil {
		return absent, err
	}
	var text []byte
	for _, e := range found {
		part, err := json.Marshal(plain(e))
		if err != nil {
			return "", err
		}
		text = append(append(text, part...), '\n')
	}
	return string(text), nil
}

// run is a script that is played to a store, and what came of it.
type run struct {
	t        testing.TB
	settings Settings
	card     *cardtest.Card
	spool    *Spool
	key      []byte
	start    map[string]string // values of what the store held before

	mu     sync.Mutex
	calls  []*call
	values map[string]string // of each object, as acknowledged
}

// call is a step that was made.
type call struct {
	*step
	number        int
	before, after map[string]string // values of its objects
	err           error
}

func newRun(t testing.TB) *run {
	r := &run{t: t, settings: settings(t), values: map[string]string{}}
	r.card = cardtest.Insert(t, r.settings.Directory)
	return r
}

// continued has the run begin with a copy of the store that another has closed.
func (r *run) continued(before *run) {
	if err := os.CopyFS(r.settings.Directory, os.DirFS(before.settings.Directory)); err != nil {
		r.t.Fatal(err)
	}
	r.key, r.calls, r.start = before.key, slices.Clone(before.calls), before.values
	maps.Copy(r.values, before.values)
}

func (r *run) open() error {
	s, err := Open(context.Background(), r.settings, Options{Destinations: scripted()})
	if err == nil {
		r.spool, r.key = s, s.Key()
	}
	return err
}

// play makes every step and expects each to succeed.
func (r *run) play(s script) {
	r.t.Helper()
	for _, p := range s {
		if p.reopen {
			if err := errors.Join(r.spool.Close(), r.open()); err != nil {
				r.t.Fatal(err)
			}
			continue
		}
		var wait sync.WaitGroup
		for _, list := range p.lists {
			wait.Go(func() {
				for _, st := range list {
					if c := r.make(st); c.err != nil {
						r.t.Errorf("%s: %v", st.name, c.err)
						return
					}
				}
			})
		}
		wait.Wait()
		if r.t.Failed() {
			r.t.FailNow()
		}
	}
}

// make makes one step. What it acknowledged is looked at at once, so that later
// comparisons are with what was seen to be right.
func (r *run) make(st *step) *call {
	c := &call{step: st, before: map[string]string{}, after: map[string]string{}}
	r.mu.Lock()
	for _, object := range st.objects {
		c.before[object] = r.value(object)
	}
	c.number = len(r.calls)
	r.calls = append(r.calls, c)
	r.mu.Unlock()
	r.card.Mark(begun(c.number))
	if c.err = st.run(context.Background(), r.spool); c.err != nil {
		return c
	}
	r.card.Mark(acknowledged(c.number))
	r.look(c)
	return c
}

// look fills in what a call has changed.
func (r *run) look(c *call) {
	for i, object := range c.objects {
		value, err := observe(context.Background(), r.spool, object)
		if err != nil {
			r.t.Errorf("after %s: %v", c.name, err)
		}
		if i < len(c.given) {
			r.compare(c.given[i])
		}
		if i == 0 && c.want != "" && !strings.Contains(value, "\nlims: "+string(c.want)+" ") {
			r.t.Errorf("after %s it stands so: %s", c.name, value)
		}
		c.after[object] = value
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.values, c.after)
}

// compare holds what is stored against what was given.
func (r *run) compare(given envelope.Envelope) {
	detail, err := r.spool.Show(context.Background(), given.ID)
	if err != nil || !reflect.DeepEqual(detail.Envelope, given) {
		r.t.Errorf("the store has %+v, %v; given was %+v", detail.Envelope, err, given)
	}
}

func (r *run) value(object string) string {
	if value, ok := r.values[object]; ok {
		return value
	}
	return absent
}

// begun, acknowledged and refused are the notes in the recording for call n.
func begun(n int) int        { return 3 * n }
func acknowledged(n int) int { return 3*n + 1 }
func refused(n int) int      { return 3*n + 2 }

// holds reports whether an observed value is that of an envelope as given.
func holds(value string, given envelope.Envelope) bool {
	var have plain
	if json.Unmarshal([]byte(envelopeOf(value)), &have) != nil {
		return false
	}
	return have.ID == given.ID && bytes.Equal(have.Raw, given.Raw)
}

// promised is what a store must hold: what was acknowledged, and the calls that
// had begun, of each of which all may be there or nothing.
type promised struct {
	values map[string]string
	begun  []*call
}

// promisedAt returns what was promised at a position in the recording.
func (r *run) promisedAt(recording *cardtest.Recording, position int) promised {
	p := promised{values: map[string]string{}}
	maps.Copy(p.values, r.start)
	open := map[int]bool{}
	for _, o := range recording.Operations[:position] {
		if o.Kind != cardtest.Mark {
			continue
		}
		n := o.Note / 3
		switch o.Note {
		case begun(n):
			open[n] = true
		case acknowledged(n):
			delete(open, n)
			maps.Copy(p.values, r.calls[n].after)
		case refused(n):
			delete(open, n)
		}
	}
	for n := range open {
		p.begun = append(p.begun, r.calls[n])
	}
	return p
}

// losses is what a comparison came to.
type losses struct {
	compared int // acknowledged objects that should be there
	lost     int
	problems []string
}

func (f *losses) problem(format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}

// check compares the whole store with what was promised.
func (r *run) check(s *Spool, p promised) (f losses) {
	ctx := context.Background()
	have := map[string]string{}
	for _, c := range r.calls {
		for _, object := range c.objects {
			if _, seen := have[object]; seen {
				continue
			}
			value, err := observe(ctx, s, object)
			if err != nil {
				f.problem("%s: %v", object, err)
				value = "damaged"
			}
			have[object] = value
		}
	}
	open := map[string]bool{}
	for _, c := range p.begun {
		kept, made := 0, 0
		for _, object := range c.objects {
			open[object] = true
			before, ok := p.values[object]
			if !ok {
				before = absent
			}
			if have[object] == before {
				kept++
			}
			if after, seen := c.after[object]; have[object] == after || !seen && have[object] != before {
				made++
			}
		}
		for _, given := range c.given {
			if have[given.ID] != absent && !holds(have[given.ID], given) {
				f.problem("%s of %s is there with other bytes", c.name, given.ID)
			}
		}
		if kept < len(c.objects) && made < len(c.objects) {
			f.problem("%s was not acknowledged and is there in part", c.name)
		}
	}
	for object, value := range have {
		promise, ok := p.values[object]
		if !ok {
			promise = absent
		}
		if promise != absent {
			f.compared++
		}
		if value == promise || open[object] {
			continue
		}
		if value == absent {
			f.lost++
		}
		f.problem("%s is\n\t%s, promised was\n\t%s", object, brief(value), brief(promise))
	}
	r.checkWhole(ctx, s, have, &f)
	return f
}

// brief shortens a value for people.
func brief(value string) string {
	return value[:min(len(value), 120)] + value[max(min(len(value), 120), len(value)-120):]
}

// checkWhole looks at the store as a whole: nothing strange is in it, and it
// finds nothing wrong with itself.
func (r *run) checkWhole(ctx context.Context, s *Spool, known map[string]string, f *losses) {
	err := s.read(ctx, func(scan func(...any) error) error {
		var id string
		var recovered bool
		if err := scan(&id, &recovered); err != nil {
			return err
		}
		if _, ok := known[id]; !ok && !recovered {
			f.problem("nobody stored %s", id)
		}
		return nil
	}, "SELECT id, seq IN (SELECT seq FROM audit WHERE what = ?) FROM messages", auditRecovered)
	if err != nil {
		f.problem("reading: %v", err)
	}
	// Open explains a lost tail to Verify, by a row of the audit trail.
	var told int
	if err := s.readers.QueryRowContext(ctx, "SELECT count(*) FROM audit WHERE what = ?", auditTailLost).Scan(&told); err != nil || told > 0 {
		f.problem("%d times it says that its tail was lost, %v", told, err)
	}
	report, err := s.Verify(ctx, nil)
	if err != nil {
		f.problem("verifying: %v", err)
	}
	f.problems = append(f.problems, report.Problems...)
	if f.compared > 0 && !slices.Equal(s.Key(), r.key) {
		f.problem("the box has another key")
	}
}
