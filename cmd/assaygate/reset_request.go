package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/envelope/spool"
)

// A factory reset is asked for by a file beside the configuration and carried out
// by the next start of the gateway, before it reads anything else. So it does not
// matter how the process ended that was asked, and a reset that is cut off goes
// on with the next start: the request is what is removed last.
const (
	// resetFile asks for the reset. Once it has begun, it holds its plan too.
	resetFile = "reset-requested"
	// lastResetFile outlives the reset.
	lastResetFile = "last-reset"
)

// errResetAsked ends the gateway, so that it is started anew and resets the box.
var errResetAsked = errors.New("a factory reset was asked for; it is carried out at the next start")

// resetRequest is what the request file says.
type resetRequest struct {
	// Signed: by the box's owner, whose store stays open then.
	Signed bool `json:"signed"`
	// By is who or what asked, such as "the reset button".
	By   string     `json:"by"`
	At   time.Time  `json:"at"`
	Plan *resetPlan `json:"plan,omitempty"`
}

// lastReset is what a box remembers of its last reset, and of those before.
type lastReset struct {
	Signed bool      `json:"signed"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	// Taken is what the box knew of the newest stick of an owner, by that owner's
	// key, as the file stick-revision had it: an old stick of his is not taken
	// again after he has got the box anew.
	Taken map[string]string `json:"taken,omitempty"`
	// Anew: the file system of /data could not be repaired and was made anew. What
	// was on it is lost, and what the box knew.
	Anew bool `json:"anew,omitempty"`
}

// resetting resets a box.
type resetting struct {
	config  string // the configuration file
	factory string // that of a box which has none; "" off the image
	log     *slog.Logger
	board   board.System
	// do changes the disk. Tests cut the power there.
	do func(context.Context, operation) error
}

// resetting is the reset of the box that runs with these flags.
func (f flags) resetting(log *slog.Logger) resetting {
	path, err := f.changeable()
	if err != nil {
		path = f.Config // who reads the configuration says what is wrong
	}
	return newResetting(path, f.Factory, log)
}

func newResetting(config, factory string, log *slog.Logger) resetting {
	return resetting{config: config, factory: factory, log: log, do: func(ctx context.Context, o operation) error { return o.carryOut(ctx) }}
}

// beside is the path of a file beside the configuration.
func (r resetting) beside(name string) string { return filepath.Join(filepath.Dir(r.config), name) }

// request asks for a reset, which the next start carries out: where it reports
// true the caller ends the gateway with errResetAsked. It reports false where the
// box is as new.
func (r resetting) request(ctx context.Context, q resetRequest) (asked bool, err error) {
	if r.config == "" {
		return false, errors.New("a gateway without a configuration file cannot be reset; start it with --config")
	}
	state, err := r.board.DataNow()
	if err != nil {
		return false, err
	}
	if state.Broken() != nil {
		return true, r.askRoot(q)
	}
	plan, err := r.plan(ctx, q)
	if err != nil || plan.nothing() {
		return false, err
	}
	q.Plan = nil // made anew, from what is there when the gateway has ended
	if err := r.write(ctx, resetFile, q); rootHelps(state, err) {
		return true, r.askRoot(q)
	} else if err != nil {
		return false, fmt.Errorf("asking for a factory reset: %w", err)
	}
	return true, nil
}

// askRoot asks for a reset where the disk takes no request: root repairs it first,
// or makes it anew.
func (r resetting) askRoot(q resetRequest) error {
	r.log.Warn("factory reset: the card is to be repaired for it, or made anew: the box starts anew", "by", q.By)
	return askRoot(r.board, cardNote{Do: noteReset, By: q.By, At: q.At, Signed: q.Signed})
}

// requested returns the request, nil where there is none. A file that is no
// request is taken for one that nobody has signed: it may be one that a power cut
// has spoilt, and it opens nothing.
func (r resetting) requested() (*resetRequest, error) {
	text, err := os.ReadFile(r.beside(resetFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the request for a factory reset: %w", err)
	}
	var q resetRequest
	err = json.Unmarshal(text, &q)
	if err == nil && !q.Plan.sound() {
		err = errors.New("its plan is none that a reset makes")
	}
	if err != nil {
		r.log.Error("the request for a factory reset cannot be read, and is taken for one that nobody has signed", "file", r.beside(resetFile), "error", err)
		q = resetRequest{By: "a request that cannot be read"}
	}
	return &q, nil
}

// last returns what the box remembers of its resets. What cannot be read is
// forgotten: at worst an old stick of an old owner is taken once more.
func (r resetting) last() (lastReset, error) {
	var last lastReset
	text, err := os.ReadFile(r.beside(lastResetFile))
	if errors.Is(err, fs.ErrNotExist) {
		return last, nil
	}
	if err != nil {
		return last, fmt.Errorf("reading which resets there were: %w", err)
	}
	if err := json.Unmarshal(text, &last); err != nil {
		r.log.Warn("what the box remembers of its factory resets cannot be read", "file", r.beside(lastResetFile), "error", err)
		return lastReset{}, nil
	}
	return last, nil
}

// write puts a value into a file beside the configuration, durably.
func (r resetting) write(ctx context.Context, name string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return r.do(ctx, operation{kind: opWrite, path: r.beside(name), content: append(text, '\n')})
}

// takenBeforeReset is what the box took last of its present owner before it was
// reset, when it was that owner's already: an old stick of his must not be taken
// again only because the box was handed to him anew. The zero value where that
// was never so.
func (o ownership) takenBeforeReset() (taken, error) {
	key, err := o.pinned()
	if err != nil || key == nil {
		return taken{}, err
	}
	return o.takenOf(key)
}

// takenOf is what the box took last of somebody who owned it before a reset.
func (o ownership) takenOf(key ed25519.PublicKey) (taken, error) {
	last, err := newResetting(o.config, "", slog.New(slog.DiscardHandler)).last()
	if err != nil {
		return taken{}, err
	}
	before, known := last.Taken[owner.FormatKey(key)]
	if !known {
		return taken{}, nil
	}
	t, err := parseTaken([]byte(before))
	if err != nil {
		return taken{}, fmt.Errorf("which stick was taken last before the reset cannot be read: %s: %w; remove the file", o.path(lastResetFile), err)
	}
	return t, nil
}

// rememberTaken notes what an earlier owner's newest stick was.
func (r resetting) rememberTaken(ctx context.Context, owner string, t taken) error {
	last, err := r.last()
	if err != nil {
		return err
	}
	if last.Taken == nil {
		last.Taken = map[string]string{}
	}
	last.Taken[owner] = strings.TrimSpace(string(t.text()))
	if err := r.write(ctx, lastResetFile, last); err != nil {
		return fmt.Errorf("that this stick is taken cannot be remembered: %w", err)
	}
	return nil
}

// resetPlan is what a reset has found, before it changes anything: when it goes
// on after a power cut, the configuration that said so is gone.
type resetPlan struct {
	Number int           `json:"number"` // of what is set aside
	Owner  string        `json:"owner"`
	Box    string        `json:"box"`
	Stores []spool.Moved `json:"stores,omitempty"`
	Files  []spool.Moved `json:"files,omitempty"` // captures
	Last   lastReset     `json:"last"`

	wipes int // how many files there are to remove
}

// sound reports whether a reset may have made the plan: it sets things aside,
// and never takes anything out of what was set aside. Nil is no plan yet.
func (p *resetPlan) sound() bool {
	if p == nil {
		return true
	}
	for _, moved := range append(slices.Clone(p.Stores), p.Files...) {
		if inSealed(moved.From) || moved.To != spool.SealedPath(moved.From, p.Number) {
			return false
		}
	}
	return true
}

// nothing reports whether the box is as new.
func (p resetPlan) nothing() bool { return len(p.Stores)+len(p.Files)+p.wipes == 0 }
