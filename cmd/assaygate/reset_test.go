//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

const (
	resetOwner = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" // of RFC 8032
	secretText = "the password"
	capture1   = "20260301T120000.000000Z-hl7-1.hl7"
	capture2   = "20260301T120000.000000Z-hl7-2.hl7.partial"
)

// boxDirectory makes the data of a box that was in use: three messages in its
// store, one of them delivered. Beside it stands what is somebody else's, to which
// links lead.
func boxDirectory(t *testing.T) (data string) {
	t.Helper()
	top := t.TempDir()
	data = filepath.Join(top, "data")
	for path, text := range map[string]string{
		"config/assaygate.yaml":          "version: 1\nbox: {name: old}\ndestinations: [{name: files, capture: {directory: " + data + "/captures}}]\nspool: {directory: " + data + "/spool}\n",
		"config/assaygate.yaml.previous": "password: " + secretText,
		"config/.assaygate.yaml.123":     "password: " + secretText,
		"config/owner.pub":               resetOwner + "\n",
		"config/stick-revision":          "7 abc\n",
		"config/secrets/senaite":         secretText,
		"config/change/trial/0":          secretText,
		"config/notes-of-a-person":       "mine",
		"tls/box.key":                    secretText,
		"tls/more/ca.pem":                "certificate",
		"profiles/own.yaml":              "profile",
		"captures/" + capture1:           "MSH|",
		"captures/" + capture2:           "MSH|",
		"captures/notes-of-a-person":     "mine",
		"elsewhere":                      "mine",
		"../outside/file":                "not the box's",
	} {
		path = filepath.Join(data, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"config/secrets/link":   top + "/outside/file",
		"tls/link":              top + "/outside",
		"captures/" + linkAsOne: top + "/outside/file",
	} {
		if err := os.Symlink(to, filepath.Join(data, link)); err != nil {
			t.Fatal(err)
		}
	}
	store, err := spool.Open(t.Context(), boxStore(data), spool.Options{Destinations: []spool.Destination{{Name: "files"}}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		id := uuid.Must(uuid.NewV7()).String()
		if _, err := store.Put(t.Context(), envelope.Envelope{
			ID: id, MessageID: id, Protocol: envelope.HL7, Instrument: "hl7", Lane: "hl7", ReceivedAt: time.Now(), Clock: envelope.ClockSet,
			Intake: envelope.Accepted, Kind: envelope.KindResult, SampleID: fmt.Sprint("S-", n), Digest: id, Raw: []byte("MSH|"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(store.Delivered(t.Context(), "files", 1, ""), store.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

// linkAsOne is a link that is called as a capture is.
const linkAsOne = "20260301T120000.000000Z-hl7-3.hl7"

func boxStore(data string) spool.Settings {
	s := spool.Defaults()
	s.Directory = filepath.Join(data, "spool")
	return s
}

// resetIn is the reset of a box on the image.
func resetIn(data string) resetting {
	return newResetting(filepath.Join(data, "config", "assaygate.yaml"), "/usr/share/assaygate/factory.yaml", slog.New(slog.DiscardHandler))
}

// askReset writes a request as the reset button or a stick does.
func askReset(t *testing.T, r resetting, signed bool) {
	t.Helper()
	asked, err := r.request(t.Context(), resetRequest{Signed: signed, By: "a test", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)})
	if !asked || err != nil {
		t.Fatalf("asked: %v, %v", asked, err)
	}
}

// tree is what stands below a directory: text of files, targets of links, "/" for
// directories. What SQLite makes anew is left out.
func tree(t *testing.T, directory string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, "-wal") || entry.Name() == "lock" {
			return err
		}
		name := strings.TrimPrefix(path, directory)
		switch {
		case entry.IsDir():
			all[name] = "/"
		case entry.Type()&fs.ModeSymlink != 0:
			all[name], err = os.Readlink(path)
		default:
			var text []byte
			text, err = os.ReadFile(path)
			// A copy of a box stands elsewhere.
			all[name] = strings.ReplaceAll(string(text), filepath.Dir(directory), "TOP")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// wantTree expects that both are the same.
func wantTree(t *testing.T, what string, have, want map[string]string) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if _, there := have[path]; !there {
			t.Errorf("%s: %s is not there", what, path)
		} else if have[path] != want[path] {
			t.Errorf("%s: %s is another: %.200q, want %.200q", what, path, have[path], want[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(have)) {
		if _, there := want[path]; !there {
			t.Errorf("%s: %s is still there", what, path)
		}
	}
}

// wantMessages expects the three messages in a sealed store, and in no open one;
// signed, the other way round.
func wantMessages(t *testing.T, what, data string, signed bool) {
	t.Helper()
	store := filepath.Join(data, "spool")
	list, err := spool.ListSealed(store)
	if err != nil {
		t.Fatal(err)
	}
	if signed {
		if len(list) > 0 {
			t.Errorf("%s: sealed %+v", what, list)
		}
		open, err := spool.OpenReadOnly(t.Context(), store)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer open.Close()
		found, err := open.List(t.Context(), spool.Filter{})
		if err != nil || len(found) != 3 {
			t.Errorf("%s: %d messages, %v", what, len(found), err)
		}
		return
	}
	if len(list) != 1 || list[0].Messages != 3 || list[0].NotDelivered != 2 || list[0].Owner != resetOwner || list[0].Box != "old" || spool.Exists(store) {
		t.Fatalf("%s: sealed %+v", what, list)
	}
	if err := spool.PutBack(t.Context(), store, list[0], "a test"); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	wantMessages(t, what+", put back", data, true)
}

func TestResetWipesTheBoxAndNothingElse(t *testing.T) {
	for _, signed := range []bool{false, true} {
		data := boxDirectory(t)
		outside := tree(t, filepath.Join(filepath.Dir(data), "outside"))
		before := tree(t, data)
		r := resetIn(data)
		askReset(t, r, signed)
		if err := r.carryOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		have := tree(t, data)
		for _, path := range []string{"", "/config", "/config/notes-of-a-person", "/tls", "/profiles", "/captures", "/captures/notes-of-a-person", "/captures/" + linkAsOne, "/elsewhere"} {
			want[path] = before[path]
		}
		stores, captures := "/spool", "/captures/"
		if !signed {
			stores, captures = "/spool.sealed-1", "/captures.sealed-1/"
			want["/captures.sealed-1"] = "/"
			want["/spool.sealed-1/sealed.json"] = have["/spool.sealed-1/sealed.json"]
		}
		want[captures+capture1], want[captures+capture2] = "MSH|", "MSH|"
		for path, text := range before {
			if rest, is := strings.CutPrefix(path, "/spool"); is && !(rest == "/ballast" && !signed) {
				want[stores+rest] = text
			}
		}
		want["/config/last-reset"] = have["/config/last-reset"]
		wantTree(t, fmt.Sprintf("signed %v", signed), have, want)
		wantTree(t, "outside", tree(t, filepath.Join(filepath.Dir(data), "outside")), outside)
		for path, text := range have {
			if strings.Contains(text, secretText) {
				t.Errorf("%s holds a secret", path)
			}
		}
		// Until somebody owns the box again no stick is known; that owner's are then.
		of := ownership{config: r.config}
		for key, want := range map[string]taken{"": {}, resetOwner: {7, "abc"}, "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=": {}} {
			if key != "" {
				if err := os.WriteFile(of.path(pinFile), []byte(key+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if have, err := of.taken(); err != nil || have != want {
				t.Errorf("with the owner %q the last stick is %+v, %v", key, have, err)
			}
		}
		if err := os.Remove(of.path(pinFile)); err != nil {
			t.Fatal(err)
		}
		wantMessages(t, fmt.Sprintf("signed %v", signed), data, signed)
	}
}

// Off the image the directories beside that of the configuration are anybody's.
func TestResetOffTheImageLeavesSiblings(t *testing.T) {
	data := boxDirectory(t)
	r := resetIn(data)
	r.factory = ""
	askReset(t, r, true)
	if err := r.carryOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"tls/box.key": true, "profiles/own.yaml": true, "config/owner.pub": false, "config/assaygate.yaml": false} {
		if have := there(filepath.Join(data, path)); have != want {
			t.Errorf("%s is there: %v", path, have)
		}
	}
}

// A directory that is a link, and a configuration that is one, lead to what is
// not the box's: the links go.
func TestResetFollowsNoLinks(t *testing.T) {
	data := boxDirectory(t)
	outside := filepath.Join(filepath.Dir(data), "outside")
	for _, name := range []string{"config/secrets", "config/assaygate.yaml", "tls", "captures"} {
		path := filepath.Join(data, name)
		if err := errors.Join(os.Rename(path, filepath.Join(outside, filepath.Base(name))), os.Symlink(filepath.Join(outside, filepath.Base(name)), path)); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, outside)
	r := resetIn(data)
	askReset(t, r, false)
	if err := r.carryOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantTree(t, "outside", tree(t, outside), before)
	for _, name := range []string{"config/secrets", "config/assaygate.yaml"} {
		if there(filepath.Join(data, name)) {
			t.Errorf("the link %s is still there", name)
		}
	}
}

// A configuration that cannot be read keeps no store from being sealed.
func TestResetOfABoxWithABrokenConfiguration(t *testing.T) {
	for _, text := range []string{"", "{", "version: [", "version: 1\nspool: {directory: 7, keep_size: none}\n"} {
		data := boxDirectory(t)
		r := resetIn(data)
		if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		askReset(t, r, false)
		if err := r.carryOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := spool.ListSealed(filepath.Join(data, "spool"))
		if err != nil || len(list) != 1 || list[0].Messages != 3 || len(list[0].Beside) != 1 {
			t.Errorf("with %q: sealed %+v, %v", text, list, err)
		}
	}
}

// The store of a configuration that stands in the store's directory is sealed
// where it is: renamed, the directory would take the request with it.
func TestResetWhereTheConfigurationIsInTheStore(t *testing.T) {
	data := boxDirectory(t)
	r := resetIn(data)
	r.config = filepath.Join(data, "spool", "assaygate.yaml")
	if err := os.WriteFile(r.config, []byte("version: 1\nspool: {directory: "+data+"/spool}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	askReset(t, r, false)
	if err := r.carryOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := spool.OpenReadOnly(t.Context(), filepath.Join(data, "spool")); !errors.Is(err, spool.ErrSealed) || there(r.config) || there(r.beside(resetFile)) {
		t.Errorf("the store says %v", err)
	}
}

// A box that is as new is not reset: a stick that asks for it and stays in its
// socket would have it start again and again.
func TestResetOfAFreshBoxDoesNothing(t *testing.T) {
	data := boxDirectory(t)
	r := resetIn(data)
	askReset(t, r, false)
	if err := r.carryOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh := tree(t, data)
	for _, signed := range []bool{false, true} {
		if asked, err := r.request(t.Context(), resetRequest{Signed: signed, By: "a test"}); asked || err != nil {
			t.Errorf("asked once more: %v, %v", asked, err)
		}
		// The button is not asked first.
		if err := os.WriteFile(r.beside(resetFile), []byte(`{"by": "the reset button"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.carryOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTree(t, "a fresh box", tree(t, data), fresh)
	}
	// A store that has taken nothing in yet is not set aside.
	store, err := spool.Open(t.Context(), boxStore(data), spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if asked, err := r.request(t.Context(), resetRequest{By: "a test"}); asked || err != nil {
		t.Errorf("asked for an empty store: %v, %v", asked, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.config, []byte("version: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	askReset(t, r, false)
	if err := r.carryOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, err := spool.ListSealed(boxStore(data).Directory); err != nil || len(list) != 1 {
		t.Errorf("sealed: %+v, %v", list, err)
	}
}

// A request that a power cut has spoilt opens nothing: it counts as unsigned.
func TestSpoiltRequestIsUnsigned(t *testing.T) {
	plan := func(from, to string) string {
		return `{"signed": true, "plan": {"number": 1, "stores": [], "files": [{"from": "DATA/` + from + `", "to": "DATA/` + to + `"}]}}`
	}
	for _, text := range []string{"", "{", `{"signed": true`, `[]`, plan("captures.sealed-7", "captures"), plan("captures.sealed-7", "captures.sealed-7.sealed-1"), plan("tls", "captures")} {
		data := boxDirectory(t)
		text = strings.ReplaceAll(text, "DATA", data)
		kept := filepath.Join(data, "captures.sealed-7", capture1)
		if err := errors.Join(os.Mkdir(filepath.Dir(kept), 0o700), os.WriteFile(kept, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		r := resetIn(data)
		if err := os.WriteFile(r.beside(resetFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.carryOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !there(kept) {
			t.Errorf("%q takes captures out of what was set aside", text)
		}
		wantMessages(t, fmt.Sprintf("%q", text), data, false)
	}
}

var errCut = errors.New("the power is cut")

// cutReset makes a box, asks for a reset and cuts it off before the n-th
// operation; it returns what was done until then.
func cutReset(t *testing.T, data string, n int) (done []operation) {
	t.Helper()
	r := resetIn(data)
	r.do = func(ctx context.Context, o operation) error {
		if len(done) == n {
			return errCut
		}
		done = append(done, o)
		return o.carryOut(ctx)
	}
	if err := r.carryOut(t.Context()); !errors.Is(err, errCut) && err != nil {
		t.Fatal(err)
	}
	return done
}

// copyBox copies a box to a new place, to whose paths its files then lead.
func copyBox(t *testing.T, data string) string {
	t.Helper()
	from := filepath.Dir(data)
	to := filepath.Join(t.TempDir(), "box")
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		switch {
		case entry.IsDir():
			return os.Mkdir(target, 0o700)
		case entry.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			return errors.Join(err, os.Symlink(strings.ReplaceAll(link, from, to), target))
		}
		text, err := os.ReadFile(path)
		if filepath.Base(path) != "spool.db" {
			text = []byte(strings.ReplaceAll(string(text), from, to))
		}
		return errors.Join(err, os.WriteFile(target, text, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, "data")
}

// kindsOfReset says which of them the owner has signed.
func kindsOfReset() map[string]bool {
	return map[string]bool{"signed": true, "unsigned": false, "unsigned, without captures": false}
}

// boxToReset is a box that was asked to reset itself.
func boxToReset(t *testing.T, kind string, signed bool) string {
	t.Helper()
	box := boxDirectory(t)
	if kind == "unsigned, without captures" {
		if err := os.RemoveAll(filepath.Join(box, "captures")); err != nil {
			t.Fatal(err)
		}
	}
	askReset(t, resetIn(box), signed)
	return box
}

// A store that is there again when a reset goes on is a new one, and stays.
func TestResetThatGoesOnTakesNoNewStore(t *testing.T) {
	box := boxToReset(t, "unsigned", false)
	operations := len(cutReset(t, copyBox(t, box), -1))
	cutReset(t, box, operations-2)
	fresh := filepath.Join(box, "spool", "fresh")
	if err := errors.Join(os.Mkdir(filepath.Dir(fresh), 0o700), os.WriteFile(fresh, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := resetIn(box).carryOut(t.Context()); err != nil || !there(fresh) {
		t.Errorf("the new store is there: %v, %v", there(fresh), err)
	}
}

// Wherever a reset is killed, the next start ends it, and the box is as if it had
// never been cut off.
func TestResetCutAtEveryOperation(t *testing.T) {
	for kind, signed := range kindsOfReset() {
		box := boxToReset(t, kind, signed)
		whole := copyBox(t, box)
		operations := len(cutReset(t, whole, -1))
		want := tree(t, whole)
		for n := range operations {
			data := copyBox(t, box)
			cutReset(t, data, n)
			if n%3 == 0 { // and a second time
				cutReset(t, data, 1)
			}
			what := fmt.Sprintf("%s, cut before operation %d of %d", kind, n, operations)
			if err := resetIn(data).carryOut(t.Context()); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			wantTree(t, what, withoutTop(tree(t, data), data), withoutTop(want, whole))
			wantMessages(t, what, data, signed)
		}
		t.Logf("%s: cut before each of %d operations", kind, operations)
	}
}

// withoutTop makes trees of boxes in different places alike: links lead into
// them.
func withoutTop(tree map[string]string, data string) map[string]string {
	for path, text := range tree {
		tree[path] = strings.ReplaceAll(text, filepath.Dir(data), "TOP")
	}
	return tree
}

// A power cut takes more than a kill: of what no sync has made durable, anything
// may be undone.
func TestResetAfterAPowerCut(t *testing.T) {
	for kind, signed := range kindsOfReset() {
		box := boxToReset(t, kind, signed)
		whole := copyBox(t, box)
		operations := len(cutReset(t, whole, -1))
		want := withoutTop(tree(t, whole), whole)
		for n := range operations + 1 {
			chance := rand.New(rand.NewPCG(1, uint64(n)))
			// The same operations on two copies: one says what they are, in the other
			// those that were lost are left out.
			scratch, data := copyBox(t, box), copyBox(t, box)
			lost := 0
			for _, o := range surviving(cutReset(t, scratch, n), chance, &lost) {
				redo(t, o, filepath.Dir(scratch), filepath.Dir(data))
			}
			what := fmt.Sprintf("%s, power cut before operation %d, %d lost", kind, n, lost)
			if err := resetIn(data).carryOut(t.Context()); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			wantTree(t, what, withoutTop(tree(t, data), data), want)
			wantMessages(t, what, data, signed)
		}
	}
}

// surviving leaves out some of the operations that nothing has made durable.
func surviving(done []operation, chance *rand.Rand, lost *int) (kept []operation) {
	durable := func(i int, directory string) bool {
		return slices.ContainsFunc(done[i:], func(o operation) bool { return o.kind == opSync && o.path == directory })
	}
	for i, o := range done {
		safe := o.kind == opWrite || o.kind == opSeal || o.kind == opSync || durable(i, filepath.Dir(o.path)) && (o.to == "" || durable(i, filepath.Dir(o.to)))
		if !safe && chance.IntN(2) == 0 {
			*lost++
			continue
		}
		kept = append(kept, o)
	}
	return kept
}

// redo does an operation of one box in another. A directory whose removal is
// durable takes what was in it along.
func redo(t *testing.T, o operation, from, to string) {
	t.Helper()
	elsewhere := func(text string) string { return strings.ReplaceAll(text, from, to) }
	o.path, o.to, o.content = elsewhere(o.path), elsewhere(o.to), []byte(elsewhere(string(o.content)))
	err := o.carryOut(t.Context())
	if o.kind == opRemove {
		err = os.RemoveAll(o.path)
	}
	if o.kind == opRename && !there(filepath.Dir(o.to)) {
		err = nil // the directory was lost, and so was the rename into it
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A monitored box tells that something was set aside.
func TestSealedMessagesAreAMetric(t *testing.T) {
	data := t.TempDir()
	aside := filepath.Join(data, "spool.sealed-1")
	if err := errors.Join(os.Mkdir(aside, 0o700), os.WriteFile(filepath.Join(aside, "sealed.json"), []byte(`{"messages": 120}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	r := start(t, base(data))
	r.wantMetrics("assaygate_sealed_messages 120")
	// One that nobody can count is not as good as none.
	if err := os.WriteFile(filepath.Join(aside, "sealed.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.wantMetrics("assaygate_sealed_messages 1")
	if err := os.RemoveAll(aside); err != nil {
		t.Fatal(err)
	}
	r.wantMetrics("assaygate_sealed_messages 0")
}
