package spool

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/assaygate/assaygate/envelope"
)

// makeStore writes the store that this release leaves behind, for the releases
// after it: do it once, in the last commit before schemaVersion rises.
var makeStore = flag.Bool("make-store", false, "write testdata/stores/schema-N as this release leaves it")

// storedMessage is what a store of an earlier release is known to hold.
type storedMessage struct {
	ID         string
	Sequence   uint64
	SampleID   string
	Intake     envelope.Intake
	Raw        []byte
	Value      string // of its result
	Deliveries map[string]State
	Reasons    map[string]string
}

// TestMakeStore makes testdata/stores/schema-N: a store that was closed, one
// whose process was killed, and what both hold.
func TestMakeStore(t *testing.T) {
	if !*makeStore {
		t.Skip("-make-store is not given: the stores of earlier releases stay as they are")
	}
	to := filepath.Join("testdata", "stores", fmt.Sprint("schema-", schemaVersion))
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	s := open(t, settings(t), lims, Destination{Name: "files", Everything: true}, Destination{Name: "gone", Binding: "https://old.example.org"})
	populate(t, s)
	if err := s.writer.write(t.Context(), func(*tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	copyStore(t, s.directory, filepath.Join(to, "killed"))
	var kept []storedMessage
	list, err := s.List(t.Context(), Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		kept = append(kept, stored(t, s, m.ID))
	}
	text, err := json.MarshalIndent(kept, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "holds.json"), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	copyStore(t, s.directory, filepath.Join(to, "closed"))
}

// populate leaves messages in every state behind.
func populate(t *testing.T, s *Spool) {
	t.Helper()
	var all []envelope.Envelope
	for n := range 12 {
		all = append(all, put(t, s, message(fmt.Sprint("lane ", n%3), fmt.Sprint("4.", n))))
	}
	test := message("lane 0", "5.0")
	test.Kind = envelope.KindTest
	put(t, s, test)
	put(t, s, again(all[0]))
	parked, broken, refused := message("lane 1", "6.0"), message("lane 1", "6.1"), message("lane 1", "6.2")
	parked.Intake, parked.Reason = envelope.Parked, "no terminator record"
	broken.Intake, broken.Reason = envelope.Incomplete, "the line broke off"
	refused.Intake, refused.Reason = envelope.Rejected, "AR 200"
	for _, e := range []envelope.Envelope{parked, broken, refused} {
		put(t, s, e)
	}
	first, second := message("lane 2", "7.0"), message("lane 2", "7.1")
	second.MessageID, second.Part, second.Raw = first.MessageID, 1, first.Raw
	if _, err := s.Put(t.Context(), first, second); err != nil {
		t.Fatal(err)
	}
	for _, step := range []error{
		s.Delivered(t.Context(), "lims", all[0].Sequence, ""),
		s.Delivered(t.Context(), "lims", all[1].Sequence, ""),
		s.Attempted(t.Context(), "lims", all[2].Sequence, true, "push: 500 Internal Server Error"),
		s.Park(t.Context(), "lims", all[3].Sequence, "push: 422 Unprocessable Entity"),
		s.Drop(t.Context(), all[4].ID, "anna", "sent by hand"),
		s.Park(t.Context(), "lims", all[5].Sequence, "refused 5 times"),
		s.Retry(t.Context(), all[5].ID, "anna"),
		s.PutDraft(t.Context(), "line 1", message("lane 1", "8.0")),
		s.SetHeld(t.Context(), "gone", Hold{Reason: "SENAITE refuses the credentials"}),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
}

func stored(t *testing.T, s *Spool, id string) storedMessage {
	t.Helper()
	detail, err := s.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	e := detail.Envelope
	m := storedMessage{
		ID: e.ID, Sequence: e.Sequence, SampleID: e.SampleID, Intake: e.Intake, Raw: e.Raw,
		Value: e.Results[0].Value, Deliveries: map[string]State{}, Reasons: map[string]string{},
	}
	for _, d := range detail.Deliveries {
		m.Deliveries[d.Destination], m.Reasons[d.Destination] = d.State, d.Reason
	}
	return m
}

// copyStore copies the files of a store that its process may have open; what
// SQLite needs is in the database and the WAL.
func copyStore(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{databaseFile, databaseFile + "-wal", keyFile, highWaterFile} {
		content, err := os.ReadFile(filepath.Join(from, name))
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestStoresOfEarlierReleases opens a copy of a store that each earlier release
// has left: everything is there, and the store goes on.
func TestStoresOfEarlierReleases(t *testing.T) {
	stores, err := filepath.Glob(filepath.Join("testdata", "stores", "schema-*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, store := range stores {
		info, err := os.Stat(store)
		if err != nil || !info.IsDir() {
			continue
		}
		tried++
		t.Run(filepath.Base(filepath.Dir(store))+" "+filepath.Base(store), func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(filepath.Dir(store), "holds.json"))
			if err != nil {
				t.Fatal(err)
			}
			var holds []storedMessage
			if err := json.Unmarshal(text, &holds); err != nil {
				t.Fatal(err)
			}
			set := settings(t)
			copyStore(t, store, set.Directory)
			s := open(t, set, lims, Destination{Name: "files", Everything: true}, Destination{Name: "gone", Binding: "https://old.example.org"})
			wantClean(t, s)
			for _, want := range holds {
				if have := stored(t, s, want.ID); !reflect.DeepEqual(have, want) {
					t.Errorf("message %d is\n%+v, not\n%+v", want.Sequence, have, want)
				}
			}
			recovered, err := s.List(t.Context(), Filter{Instrument: "xn-550", State: Parked, Limit: 1})
			if err != nil || len(recovered) != 1 || recovered[0].SampleID != "S-8.0" {
				t.Errorf("the draft became %+v (%v)", recovered, err)
			}
			later := put(t, s, message("lane 0", "9.0"))
			if err := s.Delivered(t.Context(), "lims", later.Sequence, ""); err != nil {
				t.Error(err)
			}
			wantClean(t, s)
		})
	}
	if tried == 0 {
		t.Error("there is no store to try")
	}
}

// TestMigrationsOnlyAdd holds the rule that lets the release before read and
// write a store: its tables and indexes are as it knows them.
func TestMigrationsOnlyAdd(t *testing.T) {
	database, err := openDatabase(t.TempDir(), "", "journal_mode = WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	database.SetMaxOpenConns(1)
	before := map[string]string{}
	for version, statements := range migrations {
		if _, err := database.Exec(statements); err != nil {
			t.Fatalf("to version %d: %v", version+1, err)
		}
		rows, err := database.Query("SELECT name, ifnull(sql, '') FROM sqlite_schema")
		if err != nil {
			t.Fatal(err)
		}
		after := map[string]string{}
		for rows.Next() {
			var name, text string
			if err := rows.Scan(&name, &text); err != nil {
				t.Fatal(err)
			}
			after[name] = text
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		for name, text := range before {
			if after[name] != text {
				t.Errorf("version %d makes %q of %q", version+1, after[name], text)
			}
		}
		if len(after) <= len(before) {
			t.Errorf("version %d adds nothing", version+1)
		}
		before = after
	}
}
