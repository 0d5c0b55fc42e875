package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// simBox is a box of which all but the agent is played: the card with its two slots, U-Boot, RAUC,
// who judges the slot, the gateway. Time passes as synctest has it.
type simBox struct {
	t        testing.TB
	settings Settings
	source   *simRepository
	others   []Source // beside the source
	only     bool     // the others are all that the agent has
	bundles  string   // the directory for bundles, where there is one
	log      *slog.Logger
	random   *rand.Rand
	// What follows is how the world is. It is called with mu held, and changed by change.

	// healthy says of a version why its gateway does not get healthy here, "" where it does.
	healthy func(version string) string
	// judges says whether anybody can judge a version here.
	judges func(version string) bool
	// starts says whether the kernel of a version starts here.
	starts func(version string) bool
	// busy is what the gateway says.
	busy func() Busy
	// installs is how RAUC's work ends.
	installs func(version string) error
	clockSet bool
	full     error // of writing to the store
	rauc     error // of asking RAUC for the slots
	unheard  error // comes in place of RAUC's word that it is through
	// free is the room on the card, in bytes; nil where nobody knows.
	free func(directory string) (bytes float64, known bool)

	// gateway is asked instead of busy where it is not nil.
	gateway Gateway
	// at is called, without mu, before and after all that an agent does to the world; it may end
	// the agent (killed) or the whole box (powerCut).
	at func(what string)

	mu      sync.Mutex
	files   map[string][]byte
	content map[string]string // version by slot; "": nothing that starts
	order   []string
	left    map[string]int
	known   map[string]string // version that was good, by slot
	fetched map[string]int64
	slot    string // that runs
	boot    int
	reboot  chan string // why
	events  []string    // what happened, with its time
	begun   []string    // the versions whose installation was begun
	agent   *Agent
	end     context.CancelFunc // of the process of the agent
}

const (
	boardName   = "assaygate-test"
	bootTakes   = 30 * time.Second
	writeTakes  = 40 * time.Second
	healthTakes = time.Minute
	judgeTakes  = 10 * time.Minute
	bundleSize  = 80_000_000
	lineRate    = 400_000 // bytes a second, as the agent is limited to
	noBundles   = "/does/not/exist"
)

// killed and powerCut end the agent where it stands.
type killed struct{}

type powerCut struct{}

func newSimBox(t testing.TB, version string, repository *simRepository) *simBox {
	return &simBox{
		t: t, source: repository, bundles: noBundles, clockSet: true, random: rand.New(rand.NewPCG(1, 2)),
		healthy:  func(string) string { return "" },
		judges:   func(string) bool { return true },
		starts:   func(string) bool { return true },
		busy:     func() Busy { return Busy{} },
		installs: func(string) error { return nil },
		at:       func(string) {},
		files:    map[string][]byte{}, content: map[string]string{"A": version, "B": version}, order: []string{"A", "B"},
		left: map[string]int{"A": 3, "B": 3}, known: map[string]string{"A": version, "B": version}, fetched: map[string]int64{},
		reboot: make(chan string, 100),
	}
}

// change changes the world.
func (b *simBox) change(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func otherOf(slot string) string { return map[string]string{"A": "B", "B": "A"}[slot] }

func (b *simBox) event(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, time.Now().UTC().Format("02 15:04:05 ")+fmt.Sprintf(format, args...))
}

// run has the box run, start after start, until ctx ends.
func (b *simBox) run(ctx context.Context) {
	for ctx.Err() == nil {
		if !rest(ctx, bootTakes) {
			return
		}
		b.uboot()
		why := b.started(ctx)
		if ctx.Err() == nil {
			b.event("down: %s", why)
		}
	}
}

// uboot picks the slot.
func (b *simBox) uboot() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.boot++
	for range 2 {
		for _, slot := range b.order {
			for b.left[slot] > 0 {
				b.left[slot]--
				if b.content[slot] == "" || !b.starts(b.content[slot]) {
					continue // it starts anew, or takes the next
				}
				b.slot = slot
				return
			}
		}
		// Anew, in the order that there is.
		for _, slot := range []string{"A", "B"} {
			if b.left[slot] = 3; !slices.Contains(b.order, slot) {
				b.order = append(b.order, slot)
			}
		}
	}
	b.t.Error("no slot starts: the box is dead")
}

// started is one start of the box, until it goes down.
func (b *simBox) started(ctx context.Context) (why string) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for len(b.reboot) > 0 {
		<-b.reboot
	}
	running.Go(func() { b.judge(ctx) })
	running.Go(func() {
		for ctx.Err() == nil {
			if b.process(ctx) {
				b.reboot <- "the power failed"
				return
			}
			rest(ctx, time.Second) // systemd starts it again
		}
	})
	select {
	case why = <-b.reboot:
	case <-ctx.Done():
	}
	return why
}

// process is one process of the agent. It reports whether the power failed.
func (b *simBox) process(ctx context.Context) (cut bool) {
	defer func() {
		switch r := recover().(type) {
		case nil, killed:
		case powerCut:
			cut = true
		default:
			panic(r)
		}
	}()
	ctx, end := context.WithCancel(ctx)
	defer end()
	b.mu.Lock()
	settings := b.settings
	b.end = end
	b.mu.Unlock()
	sources := append([]Source{{Name: "https://updates.example.org", Repository: simView{b}}}, b.others...)
	if b.only {
		sources = b.others
	}
	agent, err := New(Options{
		Settings: settings, Box: release.Box{Compatible: boardName, Version: b.version()}, Boot: fmt.Sprint(b.boot), Store: simStore{b},
		Bundles: b.bundles, Sources: sources, Installer: simRAUC{b}, Gateway: b.asGateway(), Rebooter: simRebooter{b},
		ClockSet: b.knowsTime, Free: b.free, Log: b.log, Random: b.random.Float64,
	})
	if err != nil {
		b.t.Error(err)
		return false
	}
	b.mu.Lock()
	b.agent = agent
	b.mu.Unlock()
	if err := agent.Run(ctx); err != nil {
		b.t.Error(err)
	}
	return false
}

// configure gives the agent other settings, which ends it: the next one has them. It is put
// off, and reports false, where the box must not be interrupted.
func (b *simBox) configure(settings Settings) bool {
	if phase := b.status().Phase; phase == Installing || phase == Restarting {
		return false
	}
	b.change(func() {
		b.settings = settings
		b.end()
	})
	return true
}

func (b *simBox) asGateway() Gateway {
	if b.gateway != nil {
		return b.gateway
	}
	return simGateway{b}
}

func (b *simBox) knowsTime() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clockSet
}

func (b *simBox) version() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content[b.slot]
}

// judge does what assaygate slot does.
func (b *simBox) judge(ctx context.Context) {
	version, slot := b.version(), b.slot
	good := func() {
		b.mu.Lock()
		b.left[slot], b.known[slot] = 3, version
		if !slices.Contains(b.order, slot) {
			b.order = append(b.order, slot)
		}
		b.mu.Unlock()
		b.verdict(Verdict{Slot: slot, Version: version, Good: true})
	}
	b.mu.Lock()
	known, judges := b.known[slot] == version, b.judges(version)
	b.mu.Unlock()
	if !judges {
		return
	}
	if known {
		good()
		return
	}
	if !rest(ctx, healthTakes) {
		return
	}
	b.mu.Lock()
	why := b.healthy(version)
	b.mu.Unlock()
	if why == "" {
		good()
		return
	}
	if !rest(ctx, judgeTakes-healthTakes) {
		return
	}
	b.verdict(Verdict{Slot: slot, Version: version, Reason: why})
	if b.good(otherOf(slot)) {
		b.reboot <- "the trial failed"
	}
}

func (b *simBox) verdict(v Verdict) {
	data, _ := json.Marshal(v)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.files[verdictFile(v.Slot)] = data
}

func (b *simBox) good(slot string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.order, slot) && b.left[slot] > 0 && b.content[slot] != ""
}

// outcome is what stands in the outcome file.
func (b *simBox) outcome() (o Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if data, is := b.files[outcomeFile]; is {
		if err := json.Unmarshal(data, &o); err != nil {
			b.t.Errorf("outcome file: %v", err)
		}
	}
	return o
}

func (b *simBox) status() Status {
	b.mu.Lock()
	agent := b.agent
	b.mu.Unlock()
	if agent == nil {
		return Status{}
	}
	return agent.Status()
}

func rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

type simStore struct{ *simBox }

func (s simStore) Read(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, is := s.files[name]
	if !is {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (s simStore) Write(name string, data []byte) error {
	s.mu.Lock()
	full := s.full
	s.mu.Unlock()
	if full != nil {
		return full
	}
	s.at("before writing " + name)
	s.mu.Lock()
	s.files[name] = slices.Clone(data)
	s.mu.Unlock()
	s.at("after writing " + name)
	return nil
}

func (s simStore) Remove(name string) error {
	s.at("before removing " + name)
	s.mu.Lock()
	delete(s.files, name)
	s.mu.Unlock()
	s.at("after removing " + name)
	return nil
}

type simRAUC struct{ *simBox }

// Install does what RAUC does: the other slot is given up before it is written, and
// is the first to start once it is whole.
func (r simRAUC) Install(ctx context.Context, file string, progress func(int, string)) error {
	version, is := r.simBox.bundleVersion(file)
	if !is {
		return refusal{"Invalid bundle format: " + file}
	}
	r.mu.Lock()
	err := r.installs(version)
	r.mu.Unlock()
	if errors.As(err, &refusal{}) || errors.As(err, &busyRAUC{}) {
		return err
	}
	other := otherOf(r.slot)
	r.event("installing %s to %s", version, other)
	r.mu.Lock()
	r.order, r.left[other], r.content[other] = []string{r.slot}, 0, ""
	r.begun = append(r.begun, version)
	r.mu.Unlock()
	for percent := 0; percent < 100; percent += 20 {
		progress(percent, "Copying image")
		r.at(fmt.Sprintf("at %d %% of the installation", percent))
		if !rest(ctx, writeTakes/5) {
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.content[other], r.order, r.left[other] = version, []string{other, r.slot}, 3
	r.mu.Unlock()
	r.at("after the installation")
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unheard
}

func (r simRAUC) Slots(context.Context) (running, other Slot, err error) {
	name := otherOf(r.slot)
	r.mu.Lock()
	err = r.rauc
	r.mu.Unlock()
	return Slot{Name: r.slot, Good: r.good(r.slot)}, Slot{Name: name, Good: r.good(name)}, err
}

// StartNext does what RAUC does with U-Boot.
func (r simRAUC) StartNext(_ context.Context, running bool) error {
	r.at("before a slot is made the first")
	r.mu.Lock()
	slot := r.slot
	if !running {
		slot = otherOf(slot)
	}
	err := r.rauc
	if err == nil {
		r.left[slot] = 3
		r.order = append([]string{slot}, slices.DeleteFunc(r.order, func(other string) bool { return other == slot })...)
	}
	r.mu.Unlock()
	r.at("after a slot was made the first")
	return err
}

type refusal struct{ reason string }

func (r refusal) Error() string { return "RAUC refuses the bundle: " + r.reason }
func (r refusal) Refused() bool { return true }

type simGateway struct{ *simBox }

func (g simGateway) Busy(context.Context) (Busy, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.busy(), nil
}

type simRebooter struct{ *simBox }

func (r simRebooter) Reboot(context.Context) error {
	r.at("before the reboot")
	r.reboot <- "the agent starts it anew"
	r.at("after the reboot was asked for")
	return nil
}

// simRepository is a repository of which all is taken for verified. Those of a fleet
// are real ones.
type simRepository struct {
	mu     sync.Mutex
	offers []Offer
	down   error
	bytes  int64
	asked  int
}

const bytesOfAnAnswer = 4e3 // of metadata

// offer adds a release. Its hash is its version's, so that simulated boxes know what
// a file holds.
func (r *simRepository) offer(version string, waves *release.Waves) *Offer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offers = append(r.offers, Offer{
		Release: release.Release{Version: version, Boards: []string{boardName}}, Hash: "hash-of-" + version, Length: bundleSize, Waves: waves,
	})
	return &r.offers[len(r.offers)-1]
}

// fail has it answer with an error from now on, nil for none.
func (r *simRepository) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = err
}

func (r *simRepository) traffic() (asked int, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked, r.bytes
}

func (r *simRepository) change(change func(*Offer)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.offers[len(r.offers)-1])
}

func (b *simBox) bundleVersion(file string) (string, bool) {
	if b.bundles != noBundles {
		content, err := os.ReadFile(file)
		version, _, is := strings.Cut(string(content), " ")
		return version, err == nil && is
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for hash, done := range b.fetched {
		if file == noBundles+"/"+hash+bundleSuffix && done == bundleSize {
			return hash[len("hash-of-"):], true
		}
	}
	return "", false
}

// simView is the repository as one box sees it.
type simView struct{ *simBox }

func (v simView) Offers(ctx context.Context, box release.Box) (Answer, error) {
	if !rest(ctx, time.Second) {
		return Answer{}, ctx.Err()
	}
	return v.source.answer(box)
}

func (r *simRepository) answer(box release.Box) (Answer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	r.bytes += bytesOfAnAnswer
	if r.down != nil {
		return Answer{}, r.down
	}
	offers := slices.Clone(r.offers)
	for i := range offers {
		offers[i].Refused = offers[i].Release.Permit(box)
		if offers[i].Waves != nil {
			waves := *offers[i].Waves
			offers[i].Waves = &waves
		}
	}
	return Answer{Offers: offers}, nil
}

func (v simView) Download(ctx context.Context, offer Offer, _ string, progress func(int64)) error {
	v.mu.Lock()
	done := v.fetched[offer.Hash]
	v.mu.Unlock()
	if done == offer.Length {
		return nil
	}
	v.source.mu.Lock()
	down := v.source.down
	v.source.mu.Unlock()
	for done < offer.Length {
		if down != nil {
			return down
		}
		const step = 10
		if !rest(ctx, time.Duration(offer.Length/step/lineRate)*time.Second) {
			return ctx.Err()
		}
		done += offer.Length / step
		v.mu.Lock()
		v.fetched[offer.Hash] = done
		v.mu.Unlock()
		v.source.mu.Lock()
		v.source.bytes += offer.Length / step
		down = v.source.down
		v.source.mu.Unlock()
		progress(done)
		v.at(fmt.Sprintf("at %d %% of the download", 100*done/offer.Length))
	}
	return nil
}

// allWaves opens a version to all boxes: to the canaries at once, to the others a
// day later.
func allWaves(version string, from time.Time) *release.Waves {
	return &release.Waves{Version: version, Waves: []release.Wave{{Share: 5, From: from}, {Share: 100, From: from.Add(release.CanaryTime)}}}
}
