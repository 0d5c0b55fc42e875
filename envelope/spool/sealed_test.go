//go:build unix

package spool

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const oldOwner = "b3duZXIgb2YgdGhlIGJveCwgMzIgYnl0ZXMgbG9uZyE="

// three is a store with a delivered, a parked and a pending message, closed.
func three(t *testing.T, s Settings) (ids []string) {
	t.Helper()
	store := open(t, s, lims)
	for i, text := range []string{"1", "2", "3"} {
		e := put(t, store, message("xn", text))
		ids = append(ids, e.ID)
		var err error
		switch sequence := uint64(i + 1); i {
		case 0:
			err = store.Delivered(t.Context(), "lims", sequence, "")
		case 1:
			err = store.Park(t.Context(), "lims", sequence, "no")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// setAside seals a store as a reset does, with a file that belongs to it.
func setAside(t *testing.T, directory string) Sealed {
	t.Helper()
	id, err := NextSealed(directory)
	if err != nil {
		t.Fatal(err)
	}
	captures := filepath.Join(filepath.Dir(directory), "captures")
	moved := Moved{From: captures, To: SealedPath(captures, id)}
	if err := os.Mkdir(moved.To, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(moved.To, "a.astm"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if _, err := Seal(t.Context(), directory, Sealed{Owner: oldOwner, Box: "box", At: at, By: "the reset button", Beside: []Moved{moved}}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(directory, SealedPath(directory, id)); err != nil {
		t.Fatal(err)
	}
	list, err := ListSealed(directory)
	if err != nil || len(list) == 0 {
		t.Fatalf("sealed: %v, %v", list, err)
	}
	return list[len(list)-1]
}

// wantRefusal expects that nothing opens the store.
func wantRefusal(t *testing.T, directory string) {
	t.Helper()
	s := Defaults()
	s.Directory = directory
	for name, try := range map[string]func() (*Spool, error){
		"Open":         func() (*Spool, error) { return Open(t.Context(), s, Options{}) },
		"OpenReadOnly": func() (*Spool, error) { return OpenReadOnly(t.Context(), directory) },
		"OpenExisting": func() (*Spool, error) { return OpenExisting(t.Context(), directory) },
	} {
		store, err := try()
		if !errors.Is(err, ErrSealed) {
			t.Errorf("%s of a sealed store says %v", name, err)
		}
		if err == nil {
			store.Close()
		}
	}
}

// wantBack expects that the store in its place holds the three messages as they
// were, and says once who has opened it.
func wantBack(t *testing.T, s Settings, ids []string) {
	t.Helper()
	store := open(t, s, lims)
	defer store.Close()
	wantState(t, store, ids[0], "lims", Delivered, "")
	wantState(t, store, ids[1], "lims", Parked, "no")
	wantState(t, store, ids[2], "lims", Pending, "")
	var rows int
	var who string
	if err := store.readRow(t.Context(), "SELECT count(*), max(who) FROM audit WHERE what = ?", []any{auditUnsealed}, &rows, &who); err != nil || rows != 1 || who != "anna" {
		t.Errorf("%d rows say who has opened it, the last %q, %v", rows, who, err)
	}
	wantClean(t, store)
	if status, err := store.Status(t.Context()); err != nil || len(status.Sealed) != 0 {
		t.Errorf("still sealed: %+v, %v", status.Sealed, err)
	}
	left, err := filepath.Glob(s.Directory + ".*")
	if err != nil || len(left) > 0 {
		t.Errorf("left beside it: %q, %v", left, err)
	}
}

// A sealed store tells its counts to everybody and its messages to nobody.
func TestSealedStoreTellsCountsOnly(t *testing.T) {
	s := settings(t)
	three(t, s)
	at := setAside(t, s.Directory)
	want := Sealed{
		ID: 1, Directory: s.Directory + ".sealed-1", Owner: oldOwner, Box: "box", By: "the reset button",
		At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Messages: 3, NotDelivered: 2,
		Destinations: []SealedDestination{{Name: "lims", Pending: 1, Parked: 1, Delivered: 1}}, Beside: at.Beside,
	}
	if !reflect.DeepEqual(at, want) {
		t.Errorf("sealed is %+v, want %+v", at, want)
	}
	wantRefusal(t, at.Directory)
	if exists(filepath.Join(at.Directory, ballastFile)) {
		t.Error("the ballast takes room in a store that nobody writes to")
	}
	store := open(t, s, lims)
	status, err := store.Status(t.Context())
	if err != nil || status.Messages != 0 || !reflect.DeepEqual(status.Sealed, []Sealed{want}) {
		t.Errorf("the new store says %+v, %v", status, err)
	}
	if id, err := NextSealed(s.Directory); err != nil || id != 2 {
		t.Errorf("the next would be %d, %v", id, err)
	}
}

// A cut between the seal and the rename leaves a store that stays shut, and the
// second try what the first has written.
func TestSealHoldsInPlace(t *testing.T) {
	s := settings(t)
	three(t, s)
	first, err := Seal(t.Context(), s.Directory, Sealed{Owner: oldOwner, By: "first"})
	if err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, s.Directory)
	second, err := Seal(t.Context(), s.Directory, Sealed{By: "second"})
	if err != nil || !reflect.DeepEqual(second, first) {
		t.Errorf("the second is %+v, %v; the first was %+v", second, err, first)
	}
}

// Whoever damages the seal does not open the store with that.
func TestDamagedSealStaysShut(t *testing.T) {
	s := settings(t)
	three(t, s)
	at := setAside(t, s.Directory)
	for _, text := range []string{"", "{", `{"unsealed": 1}`} {
		if err := os.WriteFile(filepath.Join(at.Directory, sealFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, at.Directory)
		list, err := ListSealed(s.Directory)
		if err != nil || len(list) != 1 || list[0].Problem == "" || list[0].ID != 1 {
			t.Errorf("with %q in it: %+v, %v", text, list, err)
		}
	}
}

// A store that is in use cannot be sealed beneath its gateway, and one that
// cannot be read is sealed with what is known of it.
func TestSealOfALockedAndOfADamagedStore(t *testing.T) {
	s := settings(t)
	store := open(t, s, lims)
	if _, err := Seal(t.Context(), s.Directory, Sealed{}); !errors.Is(err, ErrLocked) {
		t.Errorf("a store in use: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Directory, databaseFile), []byte("no database, and long enough to be seen as none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if vacant, err := Vacant(t.Context(), s.Directory); vacant || err == nil {
		t.Errorf("a damaged store is vacant: %v, %v", vacant, err)
	}
	sealed, err := Seal(t.Context(), s.Directory, Sealed{Owner: oldOwner})
	if err != nil || sealed.Problem == "" || sealed.Owner != oldOwner {
		t.Errorf("sealed is %+v, %v", sealed, err)
	}
	wantRefusal(t, s.Directory)
}

func TestVacant(t *testing.T) {
	s := settings(t)
	want := func(want bool, what string) {
		t.Helper()
		if have, err := Vacant(t.Context(), s.Directory); err != nil || have != want {
			t.Errorf("%s: vacant is %v, %v", what, have, err)
		}
	}
	want(true, "no directory")
	store := open(t, s, lims)
	want(true, "a new store in use")
	put(t, store, message("xn", "1"))
	want(false, "a message")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	want(false, "a closed store")
	if err := os.RemoveAll(s.Directory); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(s.Directory, importReady), 0o700); err != nil {
		t.Fatal(err)
	}
	want(false, "an import on its way")
}

func TestPutBack(t *testing.T) {
	s := settings(t)
	ids := three(t, s)
	sealed := setAside(t, s.Directory)
	if err := open(t, s, lims).Close(); err != nil { // as the gateway after the reset
		t.Fatal(err)
	}
	if err := PutBack(t.Context(), s.Directory, sealed, "anna"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(sealed.Beside[0].From, "a.astm")); err != nil || string(text) != "text" {
		t.Errorf("the capture is %q, %v", text, err)
	}
	if exists(sealed.Beside[0].To) {
		t.Error("the directory of sealed captures is still there")
	}
	seal, err := os.ReadFile(filepath.Join(s.Directory, sealFile))
	if err != nil {
		t.Fatal(err)
	}
	wantBack(t, s, ids)
	// Cut off before the seal was gone, it is said once all the same.
	if err := os.WriteFile(filepath.Join(s.Directory, sealFile), seal, 0o600); err != nil {
		t.Fatal(err)
	}
	wantBack(t, s, ids)
	wantBack(t, s, ids)
}

// What the present store has acknowledged, or has ever held, is not replaced.
func TestPutBackOntoMessagesIsRefused(t *testing.T) {
	s := settings(t)
	three(t, s)
	sealed := setAside(t, s.Directory)
	store := open(t, s, lims)
	mine := put(t, store, message("xn", "4"))
	if err := PutBack(t.Context(), s.Directory, sealed, "anna"); !errors.Is(err, ErrLocked) {
		t.Errorf("a store in use: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := PutBack(t.Context(), s.Directory, sealed, "anna"); !errors.Is(err, ErrRefused) {
		t.Errorf("a store with a message: %v", err)
	}
	wantRefusal(t, sealed.Directory)
	store = open(t, s, lims)
	wantState(t, store, mine.ID, "lims", Pending, "")
}

// Wherever the power is cut while a store goes back, nothing is lost: it is still
// set aside and can be put back, or it is back.
func TestPutBackCutOff(t *testing.T) {
	steps := []struct {
		name string
		do   func(s Settings, sealed Sealed) error
	}{
		{"seal opened", func(_ Settings, sealed Sealed) error {
			sealed.Unsealed = &Unsealing{By: "anna", At: time.Now().UTC()}
			return writeSeal(sealed.Directory, sealed)
		}},
		{"captures moved", func(_ Settings, sealed Sealed) error { return sealed.Beside[0].back() }},
		{"empty store away", func(s Settings, _ Sealed) error { return os.Rename(s.Directory, s.Directory+".erased-1") }},
		{"store back", func(s Settings, sealed Sealed) error { return os.Rename(sealed.Directory, s.Directory) }},
	}
	for done := range len(steps) + 1 {
		s := settings(t)
		ids := three(t, s)
		sealed := setAside(t, s.Directory)
		if err := open(t, s, lims).Close(); err != nil {
			t.Fatal(err)
		}
		for _, step := range steps[:done] {
			if err := step.do(s, sealed); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
		}
		// The gateway starts again; the person unseals again if need be.
		if err := open(t, s, lims).Close(); err != nil {
			t.Fatalf("after %d steps: %v", done, err)
		}
		list, err := ListSealed(s.Directory)
		if err != nil || len(list) > 1 {
			t.Fatalf("after %d steps: %+v, %v", done, list, err)
		}
		for _, sealed := range list {
			if err := PutBack(t.Context(), s.Directory, sealed, "anna"); err != nil {
				t.Errorf("after %d steps: %v", done, err)
			}
		}
		wantBack(t, s, ids)
	}
}

func TestEraseSealed(t *testing.T) {
	s := settings(t)
	three(t, s)
	sealed := setAside(t, s.Directory)
	store := open(t, s, lims)
	if err := store.EraseSealed(t.Context(), 1, "anna", " "); !errors.Is(err, ErrRefused) {
		t.Errorf("without a reason: %v", err)
	}
	if err := store.EraseSealed(t.Context(), 2, "anna", "test"); !errors.Is(err, ErrNotFound) {
		t.Errorf("another number: %v", err)
	}
	if !exists(sealed.Directory) {
		t.Fatal("erased all the same")
	}
	if err := store.EraseSealed(t.Context(), 1, "anna", "the hospital has agreed"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{sealed.Directory, sealed.Beside[0].To, s.Directory + ".erased-1"} {
		if exists(path) {
			t.Errorf("%s is still there", path)
		}
	}
	var who, detail string
	err := store.readRow(t.Context(), "SELECT who, detail FROM audit WHERE what = ?", []any{auditErased}, &who, &detail)
	if err != nil || who != "anna" || !strings.Contains(detail, "3 messages, 2 not delivered") || !strings.HasSuffix(detail, "the hospital has agreed") {
		t.Errorf("the audit says %q %q, %v", who, detail, err)
	}
	wantClean(t, store)
}

// An erasure that was cut off after the rename goes on at the next start.
func TestErasureGoesOn(t *testing.T) {
	s := settings(t)
	three(t, s)
	sealed := setAside(t, s.Directory)
	if err := os.Rename(sealed.Directory, s.Directory+".erased-1"); err != nil {
		t.Fatal(err)
	}
	other := s.Directory + ".erased-by-hand"
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	open(t, s, lims)
	if exists(s.Directory+".erased-1") || !exists(other) {
		t.Error("what was half erased is there, or what was not ours is gone")
	}
}

// The owner takes the records elsewhere, while the store stays sealed.
func TestExportSealed(t *testing.T) {
	s := settings(t)
	ids := three(t, s)
	sealed := setAside(t, s.Directory)
	var archive bytes.Buffer
	if err := ExportSealed(t.Context(), sealed, &archive, Origin{Box: "box", Version: "test"}); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, sealed.Directory)
	elsewhere := settings(t)
	store := open(t, elsewhere, lims)
	if _, err := store.Stage(t.Context(), &archive, Terms{By: "anna"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Admit(t.Context()); err != nil {
		t.Fatal(err)
	}
	store = open(t, elsewhere, lims)
	wantState(t, store, ids[0], "lims", Delivered, "")
	wantState(t, store, ids[2], "lims", Pending, "")
}
