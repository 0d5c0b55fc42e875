package config

import (
	"errors"
	"fmt"
	"testing"
)

// cuts are the ways in which files go from one state to another.
var cuts = map[string]struct {
	first      func(tree, *Journal) error // what happens undisturbed before; nil: nothing
	cut        func(tree, *Journal) error
	from, to   string
	tried      [2]bool // whether there is a trial before and after
	takenBack  [2]string
	confirming bool // from and to are the same
}{
	"change": {
		cut:  func(f tree, j *Journal) error { return j.Replace(f.change("one")) },
		from: "old", to: "one", takenBack: [2]string{"old", "one"},
	},
	"trial": {
		cut:  func(f tree, j *Journal) error { return j.Replace(f.trial("one")) },
		from: "old", to: "one", tried: [2]bool{false, true}, takenBack: [2]string{"old", "old"},
	},
	"confirm": {
		first: func(f tree, j *Journal) error { return j.Replace(f.trial("one")) },
		cut:   func(_ tree, j *Journal) error { return j.Confirm() },
		from:  "one", to: "one", tried: [2]bool{true, false}, takenBack: [2]string{"old", "one"}, confirming: true,
	},
	"revert": {
		first: func(f tree, j *Journal) error { return j.Replace(f.trial("one")) },
		cut:   func(_ tree, j *Journal) error { return j.Revert([]byte("why")) },
		from:  "one", to: "old", tried: [2]bool{true, false}, takenBack: [2]string{"old", "old"},
	},
	"trial upon trial": {
		first: func(f tree, j *Journal) error { return j.Replace(f.trial("one")) },
		cut:   func(f tree, j *Journal) error { return j.Replace(f.trial("two")) },
		from:  "one", to: "two", tried: [2]bool{true, true}, takenBack: [2]string{"old", "old"},
	},
	"change upon trial": {
		first: func(f tree, j *Journal) error { return j.Replace(f.trial("one")) },
		cut:   func(f tree, j *Journal) error { return j.Replace(f.change("two")) },
		from:  "one", to: "two", tried: [2]bool{true, false}, takenBack: [2]string{"old", "two"},
	},
	"note": {
		first: func(f tree, j *Journal) error { return j.Replace(f.trial("one")) },
		cut:   func(_ tree, j *Journal) error { return j.Note([]byte("another note")) },
		from:  "one", to: "one", tried: [2]bool{true, true}, takenBack: [2]string{"old", "old"}, confirming: true,
	},
}

// errCut is what a journal meets that was cut off.
var errCut = errors.New("cut off")

// Wherever the process is killed, all files are old or all are new, and so after
// the power was cut, whatever of what was not synced had reached the card.
func TestCutOff(t *testing.T) {
	for name, c := range cuts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made, cut, ways := false, 0, 0
			defer func() { t.Logf("%d cuts by a kill, %d by power", cut, ways) }()
			for at := 0; !made; at++ {
				f := newTree(t)
				j := f.journal()
				if c.first != nil {
					must(t, c.first(f, j))
				}
				before := newCard(t, f.directory)
				count := 0
				j.disk.step = func(o operation) error {
					if count++; count > at {
						return errCut
					}
					before.apply(o)
					return nil
				}
				err := c.cut(f, j)
				made = count <= at
				if made && err != nil {
					t.Fatal(err)
				}
				check := func(when string) {
					f.checkCut(t, fmt.Sprintf("cut before operation %d, %s", at, when), c.from, c.to, c.tried, c.takenBack, c.confirming, err == nil)
				}
				check("killed")
				cut++
				open := before.top.open()
				// None, all, each alone and all but each.
				for which := -2; which < 2*open; which++ {
					ways++
					n := -1
					before.left(t, func() bool {
						n++
						switch {
						case which < 0:
							return which == -1
						case which < open:
							return n == which
						}
						return n != which-open
					})
					check(fmt.Sprintf("power, way %d of %d", which, open))
				}
			}
		})
	}
}

// checkCut expects all old or all new once the files were recovered, and new where
// the caller was told so; and that what comes after works.
func (f tree) checkCut(t *testing.T, when, from, to string, tried [2]bool, takenBack [2]string, same, told bool) {
	t.Helper()
	j := f.journal()
	if err := j.Recover(); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	state := f.state()
	_, on, err := j.Trial()
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	side := 0
	switch {
	case state == to && (from != to || on == tried[1]):
		side = 1
	case state != from:
		t.Fatalf("%s: %s, neither %s nor %s", when, state, from, to)
	}
	if told && side == 0 {
		t.Fatalf("%s: %s, after it was said to be %s", when, state, to)
	}
	if on != tried[side] && !same {
		t.Fatalf("%s: %s with a trial: %v", when, state, on)
	}
	if names := f.left(t); !on && names != nil {
		t.Fatalf("%s: left behind: %v", when, names)
	}
	if err := j.Revert([]byte("after")); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if got := f.state(); got != takenBack[side] {
		t.Fatalf("%s: taken back to %s, want %s", when, got, takenBack[side])
	}
	must(t, j.Replace(Change{Files: map[string][]byte{f.path("gone"): []byte("x")}}))
}

// What is cut off while it is brought to its end is brought there the next time.
func TestCutOffAgain(t *testing.T) {
	for at := 0; ; at++ {
		count := 0
		for again := 0; ; again++ {
			f := newTree(t)
			j := f.journal()
			count = 0
			j.disk.step = func(operation) error {
				if count++; count > at {
					return errCut
				}
				return nil
			}
			if j.Replace(f.trial("one")) == nil {
				return
			}
			j = f.journal()
			recovered := 0
			j.disk.step = func(operation) error {
				if recovered++; recovered > again {
					return errCut
				}
				return nil
			}
			err := j.Recover()
			j.disk.step = nil
			must(t, j.Recover())
			if state := f.state(); state != "old" && state != "one" {
				t.Fatalf("cut before %d, and before %d of the recovery: %s", at, again, state)
			}
			if err == nil {
				break
			}
		}
	}
}

// An operation that fails, as on a full card, leaves all as it was, at once.
func TestFailingOperation(t *testing.T) {
	for at := 0; ; at++ {
		f := newTree(t)
		j := f.journal()
		must(t, j.Replace(f.trial("one")))
		count := 0
		j.disk.step = func(operation) error {
			if count++; count == at+1 {
				return errCut
			}
			return nil
		}
		err := j.Replace(f.trial("two"))
		j.disk.step = nil
		state := f.state()
		if _, on, failed := j.Trial(); !on || failed != nil {
			t.Errorf("operation %d fails: the trial is gone: %v", at, failed)
		}
		switch {
		case err == nil && state != "two", err != nil && state != "one":
			t.Errorf("operation %d fails: %s, %v", at, state, err)
		}
		must(t, j.Revert(nil))
		f.want(t, "taken back", "old")
		if count <= at {
			return
		}
	}
}

// A process is killed, the next one brings the change to its end, and then the
// power goes: what it had found done already must be durable too.
func TestPowerCutAfterAKill(t *testing.T) {
	for name, c := range cuts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at, made := 0, false; !made; at++ {
				f := newTree(t)
				j := f.journal()
				if c.first != nil {
					must(t, c.first(f, j))
				}
				below := newCard(t, f.directory)
				count, killed := 0, false
				j.disk.step = func(o operation) error {
					if count++; count > at {
						killed = true
						return errCut
					}
					below.apply(o)
					return nil
				}
				err := c.cut(f, j)
				made = !killed
				j = f.journal()
				j.disk.step = func(o operation) error {
					below.apply(o)
					return nil
				}
				must(t, j.Recover())
				after := f.state()
				below.left(t, func() bool { return false })
				when := fmt.Sprintf("killed before operation %d, recovered to %s, power", at, after)
				f.checkCut(t, when, c.from, c.to, c.tried, c.takenBack, c.confirming, err == nil)
			}
		})
	}
}
