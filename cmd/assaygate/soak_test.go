//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// TestSoak kills the gateway at random moments while eight analysers send and
// SENAITE has all moods that it can have. At the end SENAITE has every message
// that an analyser was told is taken; none that proves its identity is there
// twice under different ids, though analysers send again what they have no answer
// for; each analyser's messages came in their order, nothing is pending and the
// store has no damage.
//
// What SENAITE has refused five times is parked by then: a poison message, and
// perhaps others, for random refusals look like those of one. A person's `spool
// retry --all` delivers it, and only then is counted. A run of a few seconds is
// too short for that.
//
// KILLS says how often it is killed, SOAK for how long; without them it is a few
// times in a few seconds. SEED repeats the random choices of an earlier run, as
// far as the machine's timing allows.
func TestSoak(t *testing.T) {
	plan := newSoakPlan(t)
	ctx, cancel := context.WithTimeout(t.Context(), plan.limit)
	defer cancel()
	begun, directory := time.Now(), t.TempDir()
	sick := newMoodyLIMS(t)
	instruments, lines := soakInstruments(t, directory)
	config := configFile(t, directory, fmt.Sprintf(`
instruments:
%s
spool: {directory: %q}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
destinations: [{name: lims, senaite: {url: %q, username: %q, password: %q, confirm: {enabled: false}}}]
`, lines, directory+"/spool", sick.server.URL, senaitetest.Username, senaitetest.Password))

	var promised promises
	load, stop := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() { sick.change(load, plan.random(0), plan.mood) })
	for n, i := range instruments {
		working.Go(func() { i.work(load, plan.random(n+1), plan.pause, &promised) })
	}
	chance := plan.random(100)
	kills, patience := 0, time.Duration(1)
	for ; (plan.goesOn(kills, time.Since(begun)) || promised.count() == 0) && ctx.Err() == nil; kills++ {
		before := promised.count()
		p := launch(t, config)
		lull(ctx, patience*plan.untilKill(chance))
		p.killRunning(t)
		if promised.count() == before {
			patience = min(2*patience, 32) // a machine with much other work takes longer to begin
		}
	}
	if n := promised.count(); n == 0 {
		t.Error("nothing was acknowledged between the kills")
	}
	stop()
	working.Wait()
	sick.recover(t)

	last := spawn(t, config)
	client := &api.Client{Transport: api.Socket(controlSocket(directory + "/spool")), By: "soak"}
	settleSoak(ctx, t, client, false)
	parked := parkedByRefusals(ctx, t, client)
	if len(parked) > 0 {
		retry := exec.CommandContext(ctx, os.Args[0], "spool", "retry", "--all", "--data", directory)
		retry.Env = append(os.Environ(), asMain+"=1")
		if said, err := retry.CombinedOutput(); err != nil {
			t.Fatalf("spool retry --all: %v: %s", err, said)
		}
		settleSoak(ctx, t, client, true)
	}
	last.killRunning(t)

	v := judge(t, &promised, instruments, parked, sick.server.Pushes())
	heldBack := wantSound(t, directory+"/spool")
	t.Logf("soak: seed %d, %s: %d kills, %d instruments, %d messages acknowledged, %d sent again, %d pushes of %d messages, "+
		"%d possibly repeated (pushed again under the same id), %d retransmissions held back, %d parked and then retried; "+
		"pending 0, lost %d, doubled %d (and %d without proof of their identity), out of order %d; SENAITE was %s",
		plan.seed, time.Since(begun).Round(time.Second), kills, len(instruments), promised.count(), promised.again(), v.pushes, v.messages,
		v.repeated, heldBack, len(parked), v.lost, v.doubled, v.unproven, v.disordered, sick.history())
}

// soakPlan says how long and how hard.
type soakPlan struct {
	kills    int           // 0: until lasts has passed
	lasts    time.Duration // of the killing
	shortest time.Duration // between two kills
	longest  time.Duration
	pause    time.Duration // of an instrument between two messages, at most
	mood     time.Duration // of SENAITE, at most
	limit    time.Duration // of everything
	seed     uint64
}

func newSoakPlan(t *testing.T) soakPlan {
	t.Helper()
	plan := soakPlan{kills: 8, shortest: 100 * time.Millisecond, longest: time.Second, pause: 30 * time.Millisecond, mood: 400 * time.Millisecond, limit: 3 * time.Minute, seed: rand.Uint64() >> 32}
	var err error
	take := func(name string, parse func(text string) error) {
		if text := os.Getenv(name); text != "" && err == nil {
			if err = parse(text); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	long := func(settle time.Duration) {
		plan.shortest, plan.longest = 500*time.Millisecond, 4*time.Second
		plan.pause, plan.mood = 300*time.Millisecond, 1500*time.Millisecond
		plan.limit = settle + plan.lasts + time.Duration(plan.kills)*(plan.longest+5*time.Second)
	}
	take("KILLS", func(text string) (err error) {
		plan.kills, err = strconv.Atoi(text)
		long(10 * time.Minute)
		return err
	})
	take("SOAK", func(text string) (err error) {
		plan.kills = 0
		plan.lasts, err = time.ParseDuration(text)
		long(5 * time.Minute)
		return err
	})
	take("SEED", func(text string) (err error) {
		plan.seed, err = strconv.ParseUint(text, 10, 64)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("SEED=%d", plan.seed)
	return plan
}

// random is the source of one part's choices.
func (p soakPlan) random(part int) *rand.Rand { return rand.New(rand.NewPCG(p.seed, uint64(part))) }

func (p soakPlan) goesOn(kills int, since time.Duration) bool {
	if p.kills > 0 {
		return kills < p.kills
	}
	return since < p.lasts
}

// untilKill is how long a process lives. One in eight is killed while it starts.
func (p soakPlan) untilKill(chance *rand.Rand) time.Duration {
	if chance.IntN(8) == 0 {
		return time.Duration(chance.Int64N(int64(200 * time.Millisecond)))
	}
	return p.shortest + time.Duration(chance.Int64N(int64(p.longest-p.shortest)))
}

// lull waits, or until ctx ends.
func lull(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// killRunning kills a process that must be alive until then, and that must not
// have met an error: what SENAITE and kills do are no errors of the gateway.
func (p *process) killRunning(t *testing.T) {
	t.Helper()
	p.kill()
	if status := p.ProcessState.Sys().(syscall.WaitStatus); status.Exited() {
		t.Fatalf("the gateway ended by itself: %s", p.log.text())
	}
	for line := range strings.Lines(p.log.text()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "panic") {
			t.Errorf("the gateway says: %s", line)
		}
	}
}

// settleSoak waits until nothing is pending, nor parked where that is wanted.
func settleSoak(ctx context.Context, t *testing.T, client *api.Client, noneParked bool) {
	t.Helper()
	for {
		status, err := client.Status(ctx)
		left := 0
		for _, d := range status.Destinations {
			left += d.Pending
			if noneParked {
				left += d.Parked
			}
		}
		switch {
		case err == nil && left == 0 && len(status.Destinations) == 1:
			return
		case ctx.Err() != nil:
			t.Fatalf("the time is over, and %d are pending or parked (%v)", left, err)
		}
		lull(ctx, 100*time.Millisecond)
	}
}

// parkedByRefusals returns what is parked. Nothing may be for another reason.
func parkedByRefusals(ctx context.Context, t *testing.T, client *api.Client) []spool.Summary {
	t.Helper()
	parked, err := client.List(ctx, spool.Filter{State: spool.Parked, Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range parked {
		detail, err := client.Show(ctx, m.ID)
		if err != nil || len(detail.Deliveries) != 1 || !strings.HasPrefix(detail.Deliveries[0].Reason, "refused 5 times: ") {
			t.Errorf("sample %s is parked: %+v (%v)", m.SampleID, detail.Deliveries, err)
		}
	}
	return parked
}
