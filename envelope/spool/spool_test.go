package spool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/assaygate/assaygate/envelope"
)

var lims = Destination{Name: "lims", Binding: "https://lims.example.org/senaite"}

// settings of a store in a directory of its own.
func settings(t testing.TB) Settings {
	s := Defaults()
	s.Directory = filepath.Join(t.TempDir(), "spool")
	return s
}

func open(t testing.TB, s Settings, destinations ...Destination) *Spool {
	t.Helper()
	spool, err := Open(t.Context(), s, Options{Destinations: destinations})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { spool.Close() })
	return spool
}

// message makes an envelope as a profile would.
func message(lane, text string) envelope.Envelope {
	id := uuid.Must(uuid.NewV7()).String()
	raw := []byte("\x021H|\\^&|||" + lane + "\r\x03AB\r\n\x022R|1|^^^WBC|" + text + "\r\x03CD\r\n")
	return envelope.Envelope{
		ID: id, MessageID: id, Protocol: envelope.ASTM, Instrument: "xn-550", Lane: lane, Profile: "sysmex_xn",
		ReceivedAt: time.Now().UTC().Round(0), Clock: envelope.ClockSet, Intake: envelope.Accepted, Kind: envelope.KindResult,
		SampleID: "S-" + text, Digest: fmt.Sprintf("%x", sha256.Sum256([]byte(lane+text))),
		Results:  []envelope.Result{{Test: "WBC", Value: text, Kind: envelope.KindResult}},
		Metadata: envelope.Metadata{ASTM: string(raw)},
		Records:  envelope.Records{R: []envelope.Object{{{Key: "value", Value: text}}}},
		Raw:      raw,
	}
}

func put(t testing.TB, s *Spool, e envelope.Envelope) envelope.Envelope {
	t.Helper()
	list := []envelope.Envelope{e}
	if _, err := s.Put(t.Context(), list...); err != nil {
		t.Fatal(err)
	}
	return list[0]
}

func state(t testing.TB, s *Spool, id, destination string) (State, string) {
	t.Helper()
	detail, err := s.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range detail.Deliveries {
		if d.Destination == destination {
			return d.State, d.Reason
		}
	}
	return "", ""
}

func wantState(t testing.TB, s *Spool, id, destination string, want State, reason string) {
	t.Helper()
	have, why := state(t, s, id, destination)
	if have != want || why != reason {
		t.Errorf("at %s it is %q %q, want %q %q", destination, have, why, want, reason)
	}
}

func wantClean(t testing.TB, s *Spool) {
	t.Helper()
	report, err := s.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) > 0 {
		t.Errorf("verify finds %q", report.Problems)
	}
}

// fill gives every field below v a value of its own, so that a field that is
// added to an envelope and not kept here is found by the next test.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d ü <&>", *n))
	case reflect.Int:
		v.SetInt(int64(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, *n*1000+7, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		switch v.Type() {
		case reflect.TypeFor[[]byte]():
			v.SetBytes([]byte{0x02, 'x', byte(*n), 0x00, 0xFF})
		case reflect.TypeFor[envelope.Object]():
			v.Set(reflect.ValueOf(envelope.Object{
				{Key: fmt.Sprintf("key %d", *n), Value: "v"},
				{Key: "none", Value: nil},
				{Key: "yes", Value: true},
				{Key: "points", Value: envelope.Floats{1, 2.5}},
				{Key: "list", Value: []any{"a", envelope.Object{{Key: "b", Value: "c"}}}},
			}))
		default:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0), n)
			fill(v.Index(1), n)
		}
	}
}

func TestLoadGivesBackEveryField(t *testing.T) {
	s := open(t, settings(t), Destination{Name: "captures", Everything: true})
	list := make([]envelope.Envelope, 2)
	n := 0
	for i := range list {
		fill(reflect.ValueOf(&list[i]).Elem(), &n)
		list[i].ID = uuid.Must(uuid.NewV7()).String()
		list[i].MessageID, list[i].Part = list[0].ID, i
		list[i].Lane, list[i].Raw = list[0].Lane, list[0].Raw
		list[i].Intake, list[i].Sequence, list[i].DuplicateOf, list[i].Repeat = envelope.Accepted, 0, "", false
		list[i].Audit = envelope.AuditHead{Row: 7, Hash: "of another delivery"}
	}
	again := slices.Clone(list)
	if _, err := s.Put(t.Context(), list...); err != nil {
		t.Fatal(err)
	}
	for i := range again {
		again[i].ID = uuid.Must(uuid.NewV7()).String()
		again[i].MessageID = again[0].ID
	}
	// The second time every field is set, DuplicateOf and Repeat too.
	if _, err := s.Put(t.Context(), again...); err != nil {
		t.Fatal(err)
	}
	if again[1].DuplicateOf != list[1].ID || !again[1].Repeat || again[1].Sequence != 4 {
		t.Errorf("the second is duplicate %q of %q, repeat %v, sequence %d", again[1].DuplicateOf, list[1].ID, again[1].Repeat, again[1].Sequence)
	}
	for _, want := range append(list, again...) {
		have, err := s.Load(t.Context(), "captures", want.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		if want.Audit = s.AuditHead(); want.Audit.Row == 0 || len(want.Audit.Hash) != 64 {
			t.Errorf("the audit's head is %+v", want.Audit)
		}
		if !reflect.DeepEqual(have.Envelope, want) {
			t.Errorf("have %+v\nwant %+v", have.Envelope, want)
		}
		raw, err := s.Raw(t.Context(), want.ID)
		if err != nil || !bytes.Equal(raw, want.Raw) {
			t.Errorf("Raw gives %q, %v", raw, err)
		}
	}
	wantClean(t, s)
}

func TestEmptyAndLargeMessages(t *testing.T) {
	s := open(t, settings(t), lims)
	for _, size := range []int{0, 1, 1 << 10, 100 << 10, 2 << 20} {
		e := message("a", "x")
		e.Digest = ""
		e.Raw = []byte(strings.Repeat("0123456789abcdef\r", size/17+1))[:size]
		if size == 0 {
			e.Raw = nil
		}
		e.Metadata.ASTM = string(e.Raw)
		e = put(t, s, e)
		have, err := s.Load(t.Context(), "lims", e.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		e.Audit = s.AuditHead()
		if !reflect.DeepEqual(have.Envelope, e) {
			t.Errorf("a message of %d bytes comes back changed", size)
		}
	}
}

func TestOpenCreatesAndLocks(t *testing.T) {
	dir := settings(t)
	if _, err := OpenReadOnly(t.Context(), dir.Directory); !errors.Is(err, ErrNoStore) {
		t.Errorf("reading where there is no store gives %v", err)
	}
	if _, err := os.Stat(dir.Directory); !errors.Is(err, os.ErrNotExist) {
		t.Error("reading created something")
	}
	s := open(t, dir, lims)
	for name, mode := range map[string]os.FileMode{".": 0o700, databaseFile: 0o600, databaseFile + "-wal": 0o600, keyFile: 0o600} {
		info, err := os.Stat(filepath.Join(dir.Directory, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), mode)
		}
	}
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second owner gets %v", err)
	}
	for pragma, want := range map[string]int{"auto_vacuum": 2, "synchronous": 2, "foreign_keys": 1, "user_version": schemaVersion, "page_size": pageSize} {
		var have int
		if err := s.writer.scan("PRAGMA "+pragma, nil, &have); err != nil || have != want {
			t.Errorf("%s is %d, %v; want %d", pragma, have, err, want)
		}
	}
	e := put(t, s, message("a", "1"))
	reader, err := OpenReadOnly(t.Context(), dir.Directory)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if raw, err := reader.Raw(t.Context(), e.ID); err != nil || !bytes.Equal(raw, e.Raw) {
		t.Errorf("a reader beside the owner gets %q, %v", raw, err)
	}
	if _, err := reader.Put(t.Context(), message("a", "2")); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a reader's Put gives %v", err)
	}
	if err := reader.Drop(t.Context(), e.ID, "anna", "test"); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a reader's Drop gives %v", err)
	}
	key := bytes.Clone(s.Key())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), message("a", "3")); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close Put gives %v", err)
	}
	if _, err := s.Heads(t.Context(), "lims"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close Heads gives %v", err)
	}
	s = open(t, dir, lims)
	if len(key) != 32 || !bytes.Equal(key, s.Key()) {
		t.Error("the key does not stay")
	}
	wantClean(t, s)
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	dir := settings(t)
	s := open(t, dir)
	if err := s.writer.exec(fmt.Sprintf("PRAGMA user_version = %d", schemaVersion+1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// Written by a newer release that kept it readable for this one.
	s = open(t, dir)
	if err := s.writer.exec(fmt.Sprintf("UPDATE meta SET value = '%d'", schemaVersion+1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "schema version") {
		t.Errorf("Open gives %v", err)
	}
	if _, err := OpenReadOnly(t.Context(), dir.Directory); err == nil || !strings.Contains(err.Error(), "schema version") {
		t.Errorf("OpenReadOnly gives %v", err)
	}
}

func TestOpenRefusesAWeakJournal(t *testing.T) {
	dir := settings(t)
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	database, err := openDatabase(dir.Directory, "", "journal_mode = DELETE")
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	if err := database.PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), "journal_mode is delete") {
		t.Errorf("a connection without WAL gives %v", err)
	}
}

func TestSettingsValidate(t *testing.T) {
	if err := Defaults().Validate(); err != nil {
		t.Error(err)
	}
	err := Settings{KeepDays: -1, KeepSize: 5, DuplicateWindow: -1}.Validate()
	for _, key := range []string{"directory: ", "keep_days: ", "keep_size: ", "duplicate_window: "} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v does not name %s", err, key)
		}
	}
	// Twice so many days are no duration any more: everything would be old.
	for days, fine := range map[int]bool{mostDays: true, mostDays + 1: false, 99999: false} {
		s := Defaults()
		s.KeepDays = days
		if err := s.Validate(); (err == nil) != fine {
			t.Errorf("%d days: %v", days, err)
		}
	}
}

func TestExpiredCallerStoresNothing(t *testing.T) {
	s := open(t, settings(t), lims)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, message("a", "1")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put gives %v", err)
	}
	if e := put(t, s, message("a", "2")); e.Sequence != 1 {
		t.Errorf("the next message has sequence %d", e.Sequence)
	}
}

// TestPutOfSeveralMessages is the frame that ends two messages: one
// acknowledgement, so both are stored or neither.
func TestPutOfSeveralMessages(t *testing.T) {
	s := open(t, settings(t), lims)
	first, second, part := message("a", "1"), message("b", "2"), message("b", "3")
	part.MessageID, part.Part, part.Raw = second.MessageID, 1, second.Raw
	list := []envelope.Envelope{first, second, part}
	if seq, err := s.Put(t.Context(), list...); err != nil || seq != 1 || list[2].Sequence != 3 {
		t.Fatalf("Put gives %d, %v: %+v", seq, err, list)
	}
	for _, e := range list {
		if raw, err := s.Raw(t.Context(), e.ID); err != nil || !bytes.Equal(raw, e.Raw) {
			t.Errorf("its bytes are %q, %v", raw, err)
		}
	}
	fresh := message("a", "4")
	if _, err := s.Put(t.Context(), fresh, first); err == nil {
		t.Error("an id was taken twice")
	}
	if _, err := s.Raw(t.Context(), fresh.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("half of what was refused is there: %v", err)
	}
	wantClean(t, s)
}
