package repository

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// splitKeys moves the keys of the roles out of the repository, and returns the
// directory that they are in then.
func splitKeys(t *testing.T, dir string, roles ...string) string {
	t.Helper()
	away := t.TempDir()
	for _, role := range roles {
		files, err := filepath.Glob(filepath.Join(dir, "keys", role+"-*.pem"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no keys of %s, error %v", role, err)
		}
		for _, file := range files {
			if err := os.Rename(file, filepath.Join(away, filepath.Base(file))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return away
}

// alone moves one key into a directory of its own.
func alone(t *testing.T, from, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Rename(filepath.Join(from, name+".pem"), filepath.Join(dir, name+".pem")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func signWaiting(r *Repository) (Outcome, error) { return r.Sign() }

// waits expects that a change is not published yet, for want of these.
func waits(t *testing.T, dir string, keys []string, change func(*Repository) (Outcome, error), want ...string) {
	t.Helper()
	out, err := with(t, dir, keys, change)
	if err != nil {
		t.Errorf("error %v", err)
		return
	}
	var got []string
	for _, m := range out.Missing {
		got = append(got, m.String())
	}
	if len(out.Published) > 0 || !slices.Equal(got, want) {
		t.Errorf("published %q, missing %q; want %q", out.Published, got, want)
	}
}

func TestReleaseOnAnOfflineComputer(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	offline := splitKeys(t, dir, Root, Targets)
	b := newBox(t, dir)
	path := release.BundlePath(pi4, "1.0.0")

	waits(t, dir, []string{offline}, add(bundleOf(t, "1.0.0", "one")),
		"snapshot: 0 of 1 signatures; missing 1 of snapshot-1", "timestamp: 0 of 1 signatures; missing 1 of timestamp-1")
	b.expect(t, nil, path)
	report := expectSound(t, dir)
	if len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], "waits for signatures") {
		t.Errorf("warnings %q", report.Warnings)
	}
	// The same computer says on, before the stick goes back.
	waits(t, dir, []string{offline}, add(bundleOf(t, "1.1.0", "two")),
		"snapshot: 0 of 1 signatures; missing 1 of snapshot-1", "timestamp: 0 of 1 signatures; missing 1 of timestamp-1")
	// Whoever has only the timestamp renews it, or publishes what waits.
	out, err := with(t, dir, nil, refresh())
	if want := []string{"2.targets.json", "2.snapshot.json", "timestamp.json"}; err != nil || !slices.Equal(out.Published, want) {
		t.Errorf("published %q, error %v; want %q", out.Published, err, want)
	}
	b.expect(t, map[string]string{path: "one"}, path)
	if _, err := os.Stat(filepath.Join(dir, "pending.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something waits still: %v", err)
	}
	// What the online computer has not, it does not do.
	_, err = with(t, dir, nil, add(bundleOf(t, "1.2.0", "three")))
	expectError(t, err, "targets: 0 of 1 signatures; missing 1 of targets-1")
	expectError(t, err, "--keys")
	_, err = with(t, dir, nil, rotate("timestamp-1"))
	expectError(t, err, "root: 0 of 2 signatures; missing 2 of root-1, root-2, root-3")
}

func TestRotationByTwoHolders(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	offline := splitKeys(t, dir, Root, Targets)
	two, three := alone(t, offline, "root-2"), alone(t, offline, "root-3")
	b := newBox(t, dir)

	// The holder of root-1 is gone. What is left replaces the key, by that of a new
	// holder, who gives the public half only.
	newcomer := filepath.Join(t.TempDir(), "mine.pem")
	public, err := NewKey(newcomer)
	if err != nil {
		t.Fatal(err)
	}
	replaced := func(r *Repository) (Outcome, error) {
		made, out, err := r.Rotate("root-1", public)
		if made != "" {
			t.Errorf("a key was made: %s", made)
		}
		return out, err
	}
	machine := []string{"snapshot: 0 of 1 signatures; missing 1 of snapshot-1", "timestamp: 0 of 1 signatures; missing 1 of timestamp-1"}
	agree := "root: 1 of 2 signatures of the old keys; missing 1 of root-1, root-3"
	waits(t, dir, []string{two}, replaced, slices.Concat([]string{"root: 1 of 2 signatures; missing 1 of root-3, root-4", agree}, machine)...)
	// The new one alone is not enough: the old ones must agree.
	waits(t, dir, []string{filepath.Dir(newcomer)}, signWaiting, slices.Concat([]string{agree}, machine)...)
	_, err = with(t, dir, []string{two}, signWaiting)
	expectError(t, err, agree)
	b.expect(t, nil)

	// The last one publishes nothing by it: the machine does.
	waits(t, dir, []string{three}, signWaiting, machine...)
	out := must(t, dir, signWaiting)
	if want := []string{"2.root.json"}; !slices.Equal(out.Published, want) {
		t.Errorf("published %q, want %q", out.Published, want)
	}
	b.expect(t, nil)
	expectSound(t, dir)
	if out, err := with(t, dir, []string{three}, signWaiting); err != nil || len(out.Signed) > 0 {
		t.Errorf("nothing waits, and it did %+v, error %v", out, err)
	}
}

// What is complete on the offline computer waits there for the machine, a new root
// too: one that only a stick has published is never seen by a box, and the machine
// makes another of the same number.
func TestARootGoesByTheMachine(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Repository) (Outcome, error){"rotate": rotate("root-1"), "renew": refresh(Root), "renew targets": refresh(Targets)} {
		dir := initialised(t)
		offline := splitKeys(t, dir, Root, Targets)
		b := newBox(t, dir)
		stick := copyOf(t, dir)
		before := tree(t, filepath.Join(stick, "public"))
		waits(t, stick, []string{offline}, change,
			"snapshot: 0 of 1 signatures; missing 1 of snapshot-1", "timestamp: 0 of 1 signatures; missing 1 of timestamp-1")
		if !maps.Equal(before, tree(t, filepath.Join(stick, "public"))) {
			t.Errorf("%s: the stick has published something", name)
		}
		must(t, dir, refresh())
		for _, file := range []string{"pending.json", "repository.json"} {
			write(t, filepath.Join(dir, file), string(read(t, filepath.Join(stick, file))))
		}
		if out := must(t, dir, signWaiting); len(out.Published) == 0 {
			t.Errorf("%s: the machine published nothing", name)
		}
		b.expect(t, nil)
		if report := expectSound(t, dir); report.Roles[0].Version+report.Roles[1].Version != 3 {
			t.Errorf("%s: roles %+v", name, report.Roles)
		}
	}
}

// A key of a machine is replaced by people, and signs on the machine.
func TestRotationOfAnOnlineKey(t *testing.T) {
	t.Parallel()
	for _, role := range []string{Snapshot, Timestamp} {
		dir := initialised(t)
		offline := splitKeys(t, dir, Root, Targets)
		b := newBox(t, dir)
		public, err := NewKey(filepath.Join(dir, "keys", "fresh.pem"))
		if err != nil {
			t.Fatal(err)
		}
		want := "timestamp: 0 of 1 signatures; missing 1 of timestamp-1"
		if role == Timestamp {
			want = "timestamp: 0 of 1 signatures; missing 1 of timestamp-2"
		}
		other := "snapshot: 0 of 1 signatures; missing 1 of snapshot-1"
		if role == Snapshot {
			other = "snapshot: 0 of 1 signatures; missing 1 of snapshot-2"
		}
		waits(t, dir, []string{offline}, func(r *Repository) (Outcome, error) {
			_, out, err := r.Rotate(role+"-1", public)
			return out, err
		}, other, want)
		must(t, dir, signWaiting)
		b.expect(t, nil)
		// The old one is of no use any longer.
		if err := os.Remove(filepath.Join(dir, "keys", role+"-1.pem")); err != nil {
			t.Fatal(err)
		}
		must(t, dir, refresh())
		b.expect(t, nil)
		expectSound(t, dir)
	}
}

// A release that is going wrong is paused at once, whatever else waits.
func TestPausingWaitsForNobody(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "repository")
	o := DefaultInit()
	o.TargetsKeys, o.TargetsThreshold = 2, 2
	if _, _, err := Init(dir, o); err != nil {
		t.Fatal(err)
	}
	must(t, dir, add(bundleOf(t, "1.0.0", "one")))
	start := today()
	must(t, dir, wave(wavesFrom("1.0.0", start)))
	offline := splitKeys(t, dir, Root, Targets)
	one := alone(t, offline, "targets-1")
	waits(t, dir, []string{one}, add(bundleOf(t, "1.1.0", "two")), "targets: 1 of 2 signatures; missing 1 of targets-2",
		"snapshot: 0 of 1 signatures; missing 1 of snapshot-1", "timestamp: 0 of 1 signatures; missing 1 of timestamp-1")
	// A key of the waves is being replaced meanwhile, which makes it harder.
	if _, err := with(t, dir, []string{one, filepath.Join(dir, "keys")}, rotate("waves-1")); err != nil {
		t.Fatal(err)
	}

	paused := wavesFrom("1.0.0", start)
	paused.Paused = "boxes do not come back"
	out, err := with(t, dir, []string{filepath.Join(dir, "keys"), one}, wave(paused))
	if want := []string{"4.waves.json", "5.snapshot.json", "timestamp.json"}; err != nil || !slices.Equal(out.Published, want) {
		t.Errorf("published %q, error %v; want %q", out.Published, err, want)
	}
	if len(out.Missing) != 1 || out.Missing[0].Role != Targets {
		t.Errorf("missing %v", out.Missing)
	}
	if got := expectSound(t, dir).Boards[0].Releases[0].Waves.Paused; got != paused.Paused {
		t.Errorf("paused %q", got)
	}
	// The timestamp goes on too.
	out, err = with(t, dir, nil, refresh())
	if want := []string{"timestamp.json"}; err != nil || !slices.Equal(out.Published, want) || len(out.Missing) == 0 {
		t.Errorf("outcome %+v, error %v", out, err)
	}
	out, err = with(t, dir, []string{offline, filepath.Join(dir, "keys"), one}, signWaiting)
	if err != nil || len(out.Missing) > 0 {
		t.Errorf("outcome %+v, error %v", out, err)
	}
	newBox(t, dir).expect(t, map[string]string{release.BundlePath(pi4, "1.1.0"): "two"}, release.BundlePath(pi4, "1.1.0"))
	expectSound(t, dir)
}

// Each holder has made a key at home, and gives its public half to the ceremony.
func TestCeremonyWithPublicKeys(t *testing.T) {
	t.Parallel()
	public, private := t.TempDir(), map[string]string{}
	for _, name := range []string{"root-1", "root-2", "targets-1", "waves-1", "snapshot-1", "timestamp-1"} {
		private[name] = t.TempDir()
		file, err := NewKey(filepath.Join(private[name], name+".pem"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(public, filepath.Base(file)), string(read(t, file)))
	}
	dir := filepath.Join(t.TempDir(), "repository")
	o := DefaultInit()
	o.KeyDirs = []string{public}
	if _, out, err := Init(dir, o); err != nil || len(out.Published) > 0 || len(out.Missing) != 5 {
		t.Fatalf("outcome %+v, error %v", out, err)
	}
	for i, name := range []string{"root-2", "targets-1", "waves-1", "root-1"} {
		out, err := with(t, dir, []string{private[name]}, signWaiting)
		if err != nil || len(out.Published) > 0 || len(out.Signed) != 1 {
			t.Errorf("%d: outcome %+v, error %v", i, out, err)
		}
	}
	out, err := with(t, dir, []string{private["snapshot-1"], private["timestamp-1"]}, signWaiting)
	if want := []string{"1.targets.json", "1.waves.json", "1.snapshot.json", "timestamp.json", "1.root.json"}; err != nil || !slices.Equal(out.Published, want) {
		t.Errorf("published %q, error %v; want %q", out.Published, err, want)
	}
	newBox(t, dir).expect(t, nil)
	expectSound(t, dir)

	// One key is not two.
	write(t, filepath.Join(public, "root-3.pub"), string(read(t, filepath.Join(public, "root-1.pub"))))
	_, _, err = Init(filepath.Join(t.TempDir(), "other"), o)
	expectError(t, err, "root-1 and root-3 are the same key")
}

func TestKeysThatArePassedOver(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	offline := splitKeys(t, dir, Targets)
	write(t, filepath.Join(offline, "targets-1.pem"), "half a key")
	_, err := with(t, dir, []string{offline}, add(bundleOf(t, "1.0.0", "one")))
	expectError(t, err, "passed over: "+filepath.Join(offline, "targets-1.pem")+": no key is in it")

	for name, want := range map[string]string{"a.key": "ends in .pem", "root-1.pem": "is not overwritten", "none/root-1.pem": "none"} {
		write(t, filepath.Join(offline, "root-1.pem"), "x")
		_, err := NewKey(filepath.Join(offline, name))
		expectError(t, err, want)
	}
}

func TestWaitingIsShown(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	offline := splitKeys(t, dir, Root, Targets)
	if _, err := with(t, dir, []string{offline}, add(bundleOf(t, "1.0.0", "one"))); err != nil {
		t.Fatal(err)
	}
	if _, err := with(t, dir, []string{offline}, rotate("targets-1")); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text := strings.Join(r.Waiting(), "\n")
	for _, want := range []string{
		"root 2, valid until", "  root: 2 of root-1 (", "  targets: 1 of targets-2 (", "targets 2, valid until", "  waves: 1 of waves-1 (",
		"bundles/assaygate-raspberrypi4_64-1.0.0.raucb, SHA-256 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// A stick goes to the offline computer and back, while the machine renews its
// timestamp.
func TestAStickBetweenTwoComputers(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	offline := splitKeys(t, dir, Root, Targets)
	b := newBox(t, dir)
	stick := copyOf(t, dir)
	bundle := bundleOf(t, "1.0.0", "one")
	if _, err := with(t, stick, []string{offline}, add(bundle)); err != nil {
		t.Fatal(err)
	}
	must(t, dir, refresh())
	write(t, filepath.Join(dir, "pending.json"), string(read(t, filepath.Join(stick, "pending.json"))))

	// The bundle was forgotten on the stick: nothing names it, and the timestamp goes on.
	_, err := with(t, dir, nil, signWaiting)
	expectError(t, err, "is not there, or not what was signed: bring it from the computer")
	out, err := with(t, dir, nil, refresh())
	if want := []string{"timestamp.json"}; err != nil || !slices.Equal(out.Published, want) || len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "bring it from") {
		t.Errorf("outcome %+v, error %v", out, err)
	}
	b.expect(t, nil, release.BundlePath(pi4, "1.0.0"))

	name := only(t, stick, "targets/bundles/*.raucb")
	write(t, filepath.Join(dir, "public", "targets", "bundles", filepath.Base(name)), string(read(t, name)))
	must(t, dir, signWaiting)
	b.expect(t, map[string]string{release.BundlePath(pi4, "1.0.0"): "one"}, release.BundlePath(pi4, "1.0.0"))
	expectSound(t, dir)
}

// The clock of waves does not run while the release waits: the first wave would be
// over before any box had it.
func TestWavesBeginWithTheRelease(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	offline := splitKeys(t, dir, Root, Targets)
	b := bundleOf(t, "1.0.0", "one")
	if _, err := with(t, dir, []string{offline}, add(b)); err != nil {
		t.Fatal(err)
	}
	_, err := with(t, dir, nil, wave(wavesFrom("1.0.0", today())))
	expectError(t, err, "version 1.0.0 is not published yet, it waits for signatures")
	expectError(t, err, "sign and publish it first, and call wave then")
	must(t, dir, signWaiting)
	start := today()
	must(t, dir, wave(wavesFrom("1.0.0", start)))

	// A version that is about to be withdrawn is in use by boxes still, and can be
	// paused.
	withdraw := func(r *Repository) (Outcome, error) { return r.Remove("1.0.0") }
	if _, err := with(t, dir, []string{offline}, withdraw); err != nil {
		t.Fatal(err)
	}
	paused := wavesFrom("1.0.0", start)
	paused.Paused = "boxes do not come back"
	out, err := with(t, dir, nil, wave(paused))
	if err != nil || len(out.Published) == 0 {
		t.Errorf("outcome %+v, error %v", out, err)
	}
	if got := expectSound(t, dir).Boards; len(got) > 0 {
		t.Errorf("it is offered still: %+v", got)
	}

	if len(out.Missing) > 0 {
		t.Errorf("missing %v", out.Missing)
	}
}

// A version that comes back has the waves of its first time.
func TestWavesOfAnEarlierTimeAreTold(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	b, start := bundleOf(t, "1.0.0", "one"), today()
	must(t, dir, add(b))
	must(t, dir, wave(wavesFrom("1.0.0", start)))
	withdraw := func(r *Repository) (Outcome, error) { return r.Remove("1.0.0") }
	for hours, want := range map[int]string{23: "", 25: "warning: the waves of version 1.0.0 are of an earlier time: 25% of boxes over HTTPS"} {
		later := func(r *Repository) (Outcome, error) {
			r.now = start.Add(time.Duration(hours) * time.Hour)
			return r.Add([]Bundle{b})
		}
		again := copyOf(t, dir)
		if out := must(t, again, later); len(out.Notes) > 0 {
			t.Errorf("what is there already: notes %q", out.Notes)
		}
		must(t, again, withdraw)
		got := strings.Join(must(t, again, later).Notes, "\n")
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("after %d hours: notes %q, want %q", hours, got, want)
		}
	}
}

// A new root key is not made on the stick of another one.
func TestTwoRootKeysAreNotOnOneStick(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	offline := splitKeys(t, dir, Root, Targets)
	one, two := alone(t, offline, "root-1"), alone(t, offline, "root-2")
	keys := filepath.Join(dir, "keys")
	before := tree(t, two)
	_, err := with(t, dir, []string{two, one, keys}, rotate("root-3"))
	expectError(t, err, two+" has root-2 already, and whoever took it would have two keys of root: make the new key where it is to lie, "+
		"with assaygate update repo key DIR/root-4.pem, and call rotate with --with DIR/root-4.pub")
	if !maps.Equal(before, tree(t, two)) {
		t.Error("a key was made")
	}
	// Keys of another role do not count.
	must := func(first, key string) {
		t.Helper()
		if out, err := with(t, dir, []string{first, one, two, keys}, rotate(key)); err != nil || len(out.Missing) > 0 {
			t.Errorf("outcome %+v, error %v", out, err)
		}
	}
	must(two, "targets-1")
	// Where so many lie together as must sign, it is too late.
	for name, from := range map[string]string{"root-1.pem": one, "root-2.pem": two} {
		must0(t, os.Rename(filepath.Join(from, name), filepath.Join(offline, name)))
	}
	must(offline, "root-3")
}

// What came too late, or was damaged on the way, stops neither a pause nor the
// timestamp, and none of what people have signed is lost by these.
func TestWhatIsStaleIsPassedBy(t *testing.T) {
	t.Parallel()
	start := initialised(t)
	must(t, start, add(bundleOf(t, "1.0.0", "one")))
	at := today()
	must(t, start, wave(wavesFrom("1.0.0", at)))
	offline := splitKeys(t, start, Root, Targets)
	both := []string{offline, filepath.Join(start, "keys")}
	late := func(change func(*Repository) (Outcome, error)) string {
		stick := copyOf(t, start)
		_, err := with(t, stick, []string{offline}, change)
		must0(t, err)
		return string(read(t, filepath.Join(stick, "pending.json")))
	}
	paused := wavesFrom("1.0.0", at)
	paused.Paused = "boxes do not come back"
	for name, c := range map[string]struct{ text, want string }{
		"targets": {late(add(bundleOf(t, "1.1.0", "two"))), "version 3 of targets waits for signatures, and version 3 is published"},
		"root":    {late(rotate("root-1")), "version 2 of root waits for signatures, and version 2 is published"},
		"waves":   {late(rotate("waves-1")), "version 3 of targets waits for signatures, and version 3 is published"},
		"ahead":   {strings.ReplaceAll(late(add(bundleOf(t, "1.1.0", "two"))), `"version": 3`, `"version": 9`), "is an old state: bring public back from the server first"},
		"damaged": {`{"targets":`, "it is damaged: unexpected end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, change := range []func(*Repository) (Outcome, error){refresh(), wave(paused)} {
				dir := copyOf(t, start)
				for _, change := range []func(*Repository) (Outcome, error){add(bundleOf(t, "1.2.0", "three")), refresh(Root)} {
					if out, err := with(t, dir, both, change); err != nil || len(out.Missing) > 0 {
						t.Fatalf("outcome %+v, error %v", out, err)
					}
				}
				waits := filepath.Join(dir, "pending.json")
				write(t, waits, c.text)
				if warnings := strings.Join(expectSound(t, dir).Warnings, "\n"); !strings.Contains(warnings, c.want) || strings.Contains(warnings, "--show") {
					t.Errorf("before: warnings %q", warnings)
				}
				_, err := with(t, dir, nil, signWaiting)
				expectError(t, err, c.want)
				if string(read(t, waits)) != c.text {
					t.Error("a command that was refused has changed it")
				}

				out := must(t, dir, change)
				if len(out.Published) == 0 || !strings.Contains(strings.Join(out.Notes, "\n"), c.want) {
					t.Errorf("outcome %+v", out)
				}
				if _, err := os.Stat(waits); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("it waits still: %v", err)
				}
				if got := string(read(t, filepath.Join(dir, "pending.aside-1.json"))); got != c.text {
					t.Errorf("put aside: %.80q", got)
				}
				if warnings := strings.Join(expectSound(t, dir).Warnings, "\n"); !strings.Contains(warnings, "pending.aside-1.json holds a change that came too late") {
					t.Errorf("after: warnings %q", warnings)
				}
				// A second one does not overwrite the first.
				write(t, waits, c.text+"\n")
				must(t, dir, change)
				if got := string(read(t, filepath.Join(dir, "pending.aside-2.json"))); got != c.text+"\n" {
					t.Errorf("put aside: %.80q", got)
				}
			}
		})
	}
}
