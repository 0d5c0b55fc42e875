package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/envelope/spool"
)

const (
	// patienceToApply is how long a page waits for a change to be made. It is less
	// than what a console that is closed gives its pages to end.
	patienceToApply = 700 * time.Millisecond
	defaultTrial    = 10 * time.Minute
	// The bounds of a trial that a person asks for: time to log in again, and a day.
	shortestKeeping, longestTrial = time.Minute, 24 * time.Hour
)

// errands is what a page has begun and does not wait for. It ends with the process,
// which waits for it.
type errands struct {
	mu      sync.Mutex
	ctx     context.Context // nil while the daemon does not run
	running sync.WaitGroup
	applies string  // who applies a change now; "" for nobody
	failed  failure // why the last one was not made
	probes  map[string]*probing
}

// failure is why a change was not made, with what of it must not be seen.
type failure struct {
	err     error
	secrets map[string]bool
}

// run lets errands begin until ctx ends, and returns when they have ended.
func (e *errands) run(ctx context.Context) {
	e.mu.Lock()
	e.ctx = ctx
	e.mu.Unlock()
	<-ctx.Done()
	e.mu.Lock()
	e.ctx = nil
	e.mu.Unlock()
	e.running.Wait()
}

var errEnding = errors.New("the gateway is starting or ending; try again in a moment")

// begin runs an errand where prepare, which may be nil, does not refuse it.
func (e *errands) begin(prepare func() error, do func(ctx context.Context)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx == nil {
		return errEnding
	}
	if prepare != nil {
		if err := prepare(); err != nil {
			return err
		}
	}
	ctx := e.ctx
	e.running.Go(func() { do(ctx) })
	return nil
}

// applyDraft goes over to a draft. The change itself is an errand: it may close the
// console that has asked for it, and draining takes its time.
func (d *daemon) applyDraft(from console.Draft, who string, within time.Duration) error {
	made, err := d.draft(from)
	if err != nil {
		return d.seen(err, made)
	}
	if d.changes.journal == nil {
		return errNoFile
	}
	if within == 0 {
		within = d.trialLasts()
	}
	within = min(max(within, shortestKeeping), longestTrial)
	made.data = hashTyped(made.data, made.to, d.config().Console.Users)
	done := make(chan error, 1)
	err = d.errands.begin(func() error {
		if d.errands.applies != "" {
			return errors.New("another change is being applied, by " + d.errands.applies + "; wait for it, and look at what it is")
		}
		d.errands.applies, d.errands.failed = who, failure{}
		return nil
	}, func(ctx context.Context) {
		err := d.adopt(ctx, change{
			config: made.data, of: made.of, by: byConsole(who), trial: within, remote: true, may: d.mayFromConsole,
		})
		d.errands.applied(failure{err, made.secrets})
		if err == nil {
			d.noteAct(ctx, spool.ConfigChanged, who, "on trial for "+within.String()+", "+made.change(from.Earlier))
		}
		done <- err
	})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		if err != nil {
			return d.seen(err, made)
		}
	case <-time.After(patienceToApply):
	}
	return nil
}

// hashTyped puts hashes in place of the passwords that a person has typed for users
// of the console. One that stands in the file already stays: who is logged in with
// it would be logged out. now are the users before, and to is what the text says.
func hashTyped(text []byte, to Config, now map[string]console.User) []byte {
	typed := map[string]console.User{}
	for name, user := range to.Console.Users {
		if user.Password != now[name].Password {
			typed[name] = user
		}
	}
	to.Console.Users = typed
	out := secretsOut{text: text}
	out.hashPasswords(to, now) // where one cannot be replaced, check says that it stands there
	return out.text
}

// byConsole is how reports name a person who has changed something in the console.
func byConsole(who string) string {
	if who == "console" {
		return who
	}
	return who + ", in the console"
}

// applied notes how a change went.
func (e *errands) applied(f failure) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.applies, e.failed = "", f
}

// change names what a draft is, for the audit: not what it says. earlier is the
// number of the configuration that it was made of, 0 for the file.
func (made drafted) change(earlier int) string {
	text := "from " + made.of[:12] + " to " + digestOfText(made.data)[:12]
	if earlier != 0 {
		text += fmt.Sprintf(", made of earlier configuration %d", earlier)
	}
	return text
}

// trialLasts is how long a change is on trial where nobody says more.
func (d *daemon) trialLasts() time.Duration {
	if drive := d.config().ConfigDrive; drive != nil {
		return drive.ConfirmWithin
	}
	return defaultTrial
}

// noteAct writes what a person did into the audit trail and the log: the store may
// be away just now. who is "" where that is not known.
func (d *daemon) noteAct(ctx context.Context, what spool.Act, who, detail string) {
	d.log.Info("a person has acted", "act", string(what), "who", who, "detail", detail)
	store, err := d.openedStore()
	if err == nil {
		err = store.Note(context.WithoutCancel(ctx), spool.Note{What: what, Who: who, Detail: detail})
	}
	if err != nil {
		d.log.Warn("what a person did cannot be written into the audit trail", "act", string(what), "who", who, "error", err)
	}
}
