package spool

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope"
)

// boxes are the destinations of the old box and the new one.
var boxes = []Destination{lims, {Name: "files", Everything: true}, {Name: "gone", Binding: "https://old.example.org"}}

// oldBox is a store with messages in every state. Its destinations are not held:
// that is found out anew by each start.
func oldBox(t *testing.T) *Spool {
	t.Helper()
	s := open(t, settings(t), boxes...)
	populate(t, s)
	if err := s.SetHeld(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	return s
}

// packed is an export in a directory, as it travels to the new box.
func packed(t testing.TB, directory string) *bytes.Buffer {
	t.Helper()
	var archive bytes.Buffer
	if err := Pack(t.Context(), directory, &archive, nil); err != nil {
		t.Fatal(err)
	}
	return &archive
}

// importInto closes the store and has the next Open bring in the records.
func importInto(t testing.TB, s *Spool, archive io.Reader, terms Terms, progress func(step string, done, total uint64)) (Manifest, error) {
	t.Helper()
	m, err := s.Stage(t.Context(), archive, terms, progress)
	if err != nil {
		return m, err
	}
	return m, errors.Join(s.Close(), s.Admit(t.Context()))
}

// everything is what a store holds, in order.
func everything(t *testing.T, s *Spool) (all []storedMessage) {
	t.Helper()
	list, err := s.List(t.Context(), Filter{Limit: 100000})
	if err != nil {
		t.Fatal(err)
	}
	for i := len(list) - 1; i >= 0; i-- {
		all = append(all, stored(t, s, list[i].ID))
	}
	return all
}

// wantNoImport expects that no import has left anything.
func wantNoImport(t *testing.T, directory string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(directory, "import.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// wantImported expects the records of an old box in a store, as they were when
// they were exported, and one row that tells of the import.
func wantImported(t *testing.T, s *Spool, want []storedMessage) {
	t.Helper()
	have := everything(t, s) // behind them is what became of the draft
	if len(have) < len(want) {
		t.Fatalf("%d of %d messages are imported", len(have), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(have[i], want[i]) {
			t.Errorf("imported\n%+v\nwant\n%+v", have[i], want[i])
		}
	}
	var rows int
	err := s.read(t.Context(), func(scan func(...any) error) error { return scan(&rows) }, "SELECT count(*) FROM audit WHERE what = 'imported'")
	if err != nil || rows != 1 {
		t.Errorf("%d rows tell of the import (%v)", rows, err)
	}
	wantClean(t, s)
	wantNoImport(t, s.directory)
}

func TestImportKeepsAll(t *testing.T) {
	old := oldBox(t)
	want, head, key, identity := everything(t, old), old.AuditHead(), old.Key(), old.Identity()
	directory := export(t, old)
	first, err := old.Show(t.Context(), want[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	old.Close()

	dir := settings(t)
	s := open(t, dir, boxes...)
	mine := s.Identity()
	steps := map[string]bool{}
	m, err := importInto(t, s, packed(t, directory), Terms{Key: identity, By: "anna"}, func(step string, done, total uint64) {
		if done > total {
			t.Errorf("%s: %d of %d", step, done, total)
		}
		steps[step] = steps[step] || done == total
	})
	if err != nil || m.Messages != len(want) || !steps[StepFiles] || !steps[StepRecords] || len(steps) != 2 {
		t.Fatalf("%+v, %v, %v", m, steps, err)
	}

	s = open(t, dir, boxes...)
	wantImported(t, s, want)
	if !bytes.Equal(s.Key(), key) {
		t.Error("the key of digests is another")
	}
	if !s.Identity().Equal(mine) || mine.Equal(identity) {
		t.Error("the box has not kept its own identity")
	}
	var row AuditRow
	var before string
	err = s.read(t.Context(), func(scan func(...any) error) (err error) {
		row, _, err = scanAudit(scan)
		return err
	}, "SELECT "+auditColumns+" FROM audit WHERE what = 'imported'")
	if err != nil || row.Number != head.Row+1 || row.Who != "anna" || !strings.Contains(row.Detail, FormatKey(identity)) ||
		!strings.Contains(row.Detail, head.Hash) || !strings.Contains(row.Detail, `"haematology-1"`) {
		t.Errorf("the audit trail tells %+v (%v)", row, err)
	}
	err = s.read(t.Context(), func(scan func(...any) error) error { return scan(&before) }, "SELECT lower(hex(hash)) FROM audit WHERE n = ?", head.Row)
	if err != nil || before != head.Hash {
		t.Errorf("the chain goes on behind %s, not %s (%v)", before, head.Hash, err)
	}
	detail, err := s.Show(t.Context(), want[0].ID)
	if err != nil || !reflect.DeepEqual(detail, first) {
		t.Errorf("all that is known of a message is\n%+v\nand was\n%+v (%v)", detail, first, err)
	}
	// Sequences go on, repeats are known, and the draft has become a message.
	if list, err := s.List(t.Context(), Filter{SampleID: "S-8.0"}); err != nil || len(list) != 1 || list[0].Intake != envelope.Parked {
		t.Errorf("the draft is %+v (%v)", list, err)
	}
	repeat := message("lane 2", "7.0")
	repeat = put(t, s, repeat)
	if repeat.Sequence != uint64(len(want))+2 || repeat.DuplicateOf == "" {
		t.Errorf("the next message is %d, a duplicate of %q", repeat.Sequence, repeat.DuplicateOf)
	}
}

// TestImportAfterAMove parks what was for another URL, as a changed configuration
// does.
func TestImportAfterAMove(t *testing.T) {
	old := open(t, settings(t), lims)
	e := put(t, old, message("a", "1"))
	directory := export(t, old)
	moved := lims
	moved.Binding = "https://new.example.org/senaite"
	dir := settings(t)
	s := open(t, dir, moved)
	if _, err := importInto(t, s, packed(t, directory), Terms{}, nil); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, moved)
	wantState(t, s, e.ID, "lims", Parked, auditMoved)
}

// TestImportOffline is the command line's way where no gateway runs.
func TestImportOffline(t *testing.T) {
	old := oldBox(t)
	want, directory := everything(t, old), export(t, old)
	dir := settings(t)
	open(t, dir).Close()
	s, err := OpenExisting(t.Context(), dir.Directory)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := importInto(t, s, packed(t, directory), Terms{By: "anna"}, nil); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenExisting(t.Context(), dir.Directory); err != nil {
		t.Fatal(err)
	}
	wantImported(t, s, want)
	s.Close()
	s = open(t, dir, boxes...)
	wantImported(t, s, want)
}

// refuses expects that an import is refused, and has changed nothing: the store
// takes messages in as before.
func refuses(t *testing.T, s *Spool, archive io.Reader, terms Terms, want error, text string) {
	t.Helper()
	before := everything(t, s)
	if _, err := s.Stage(t.Context(), archive, terms, nil); !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
		t.Errorf("the import gives %v, want %v: %s", err, want, text)
	}
	wantNoImport(t, s.directory)
	if err := s.Err(); err != nil {
		t.Errorf("the store has failed: %v", err)
	}
	if have := everything(t, s); !reflect.DeepEqual(have, before) {
		t.Errorf("the store holds %+v, and held %+v", have, before)
	}
}

func TestImportIntoAStoreThatIsNotEmptyIsRefused(t *testing.T) {
	old := open(t, settings(t), lims)
	put(t, old, message("a", "old"))
	directory := export(t, old)

	s := open(t, settings(t), lims)
	put(t, s, message("a", "1"))
	put(t, s, message("a", "2"))
	refuses(t, s, packed(t, directory), Terms{}, ErrRefused, "holds 2 messages")

	s = open(t, settings(t), lims)
	if err := s.PutDraft(t.Context(), "line", message("a", "1")); err != nil {
		t.Fatal(err)
	}
	refuses(t, s, packed(t, directory), Terms{}, ErrRefused, "holds 1 messages")

	s = open(t, settings(t), lims)
	put(t, s, message("a", "1"))
	corrupt(t, s, "DELETE FROM deliveries; DELETE FROM messages") // as pruning does
	refuses(t, s, packed(t, directory), Terms{}, ErrRefused, "has held messages")

	// A message that comes while the records are checked wins, and stays.
	dir := settings(t)
	s = open(t, dir, lims)
	if _, err := s.Stage(t.Context(), packed(t, directory), Terms{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Admit(t.Context()); !errors.Is(err, ErrLocked) {
		t.Errorf("admitted while the store is open: %v", err)
	}
	late := put(t, s, message("a", "faster"))
	s.Close()
	if err := s.Admit(t.Context()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "holds 1 messages") {
		t.Errorf("admitted after a message: %v", err)
	}
	wantNoImport(t, dir.Directory)
	s = open(t, dir, lims)
	wantState(t, s, late.ID, "lims", Pending, "")
	put(t, s, message("a", "2"))
	wantClean(t, s)

	// What was staged and never admitted is forgotten.
	dir = settings(t)
	s = open(t, dir, lims)
	if _, err := s.Stage(t.Context(), packed(t, directory), Terms{}, nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	open(t, dir, lims)
	wantNoImport(t, dir.Directory)
	if err := s.Admit(t.Context()); !errors.Is(err, ErrLocked) {
		t.Errorf("admitted under the next owner: %v", err)
	}
}

func TestImportOfABadExportIsRefused(t *testing.T) {
	old := open(t, settings(t), lims)
	populate(t, old)
	directory, identity := export(t, old), old.Identity()
	s := open(t, settings(t), lims)
	refuses(t, s, packed(t, directory), Terms{Key: s.Identity()}, ErrBadExport, "it comes from another box")

	archive := packed(t, directory).Bytes()
	refuses(t, s, bytes.NewReader(archive[:len(archive)/2]), Terms{}, ErrBadExport, "broke off")
	refuses(t, s, bytes.NewReader([]byte("no archive")), Terms{}, ErrBadExport, "broke off")
	for _, name := range []string{databaseFile, keyFile, highWaterFile, manifestFile, signatureFile} {
		bad := filepath.Join(t.TempDir(), "bad")
		if err := os.CopyFS(bad, os.DirFS(directory)); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(bad, name))
		if err != nil {
			t.Fatal(err)
		}
		text[len(text)/2] ^= 0x04
		if err := os.WriteFile(filepath.Join(bad, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		refuses(t, s, packed(t, bad), Terms{Key: identity}, ErrBadExport, name)
	}
	if _, err := s.Stage(t.Context(), bytes.NewReader(archive), Terms{Key: identity}, nil); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// TestImportOfRecordsThatDoNotFit signs what no box would: who holds a box's key
// still gets no store that is not what it says it is.
func TestImportOfRecordsThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		change string
		edit   func(*Manifest)
		want   error
		text   string
	}{
		"a trigger":          {"CREATE TRIGGER x AFTER INSERT ON audit BEGIN DELETE FROM messages; END", nil, ErrBadExport, "trigger"},
		"a newer schema":     {"PRAGMA user_version = 99; UPDATE meta SET value = 99", func(m *Manifest) { m.Schema = 99 }, ErrBadExport, "schema version 99"},
		"no database":        {"", func(m *Manifest) { m.Files = m.Files[1:] }, ErrBadExport, "does not name spool.db"},
		"another file":       {"", func(m *Manifest) { m.Files[0].Name = "../spool.db" }, ErrBadExport, "which no export has"},
		"another format":     {"", func(m *Manifest) { m.Format = 7 }, ErrBadExport, "format 7"},
		"other counts":       {"", func(m *Manifest) { m.Messages++ }, ErrBadExport, "spool.db holds"},
		"another head":       {"", func(m *Manifest) { m.AuditHash = strings.Repeat("0", 64) }, ErrBadExport, "spool.db holds"},
		"a rewritten trail":  {"UPDATE audit SET who = 'nobody' WHERE n = 3", nil, ErrDamaged, "audit row 3"},
		"a damaged message":  {"UPDATE messages SET sample_id = 'x' WHERE seq = 2", nil, ErrDamaged, "message 2"},
		"a missing message":  {"DELETE FROM deliveries WHERE seq = 2; DELETE FROM messages WHERE seq = 2", countAgain, ErrDamaged, "messages 2 to 2 are missing"},
		"no SQLite database": {"garbage", nil, ErrBadExport, "spool.db"},
	} {
		t.Run(name, func(t *testing.T) {
			old := open(t, settings(t), lims)
			for n := range 3 {
				put(t, old, message("a", fmt.Sprint(n)))
			}
			directory := export(t, old)
			forge(t, old, directory, c.change, c.edit)
			s := open(t, settings(t), lims)
			refuses(t, s, packed(t, directory), Terms{}, c.want, c.text)
		})
	}
}

func countAgain(m *Manifest) {
	m.Messages--
	m.Deliveries["lims"][Pending]--
}

// forge changes the records of an export and signs it anew.
func forge(t *testing.T, s *Spool, directory, change string, edit func(*Manifest)) {
	t.Helper()
	m, err := ReadManifest(directory, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(directory, databaseFile)
	switch change {
	case "":
	case "garbage":
		if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 8192), 0o600); err != nil {
			t.Fatal(err)
		}
	default:
		database, err := openDatabase(directory, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := database.ExecContext(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		if err := database.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range m.Files {
		text, err := os.ReadFile(filepath.Join(directory, m.Files[i].Name))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		m.Files[i].Size, m.Files[i].SHA256 = int64(len(text)), hex.EncodeToString(sum[:])
	}
	if edit != nil {
		edit(&m)
	}
	text, signature, err := m.seal(s.identity)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(directory, manifestFile), text, 0o600),
		os.WriteFile(filepath.Join(directory, signatureFile), signature, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestImportOfDamagedRecords moves a store off a card that has begun to fail: a
// person may want what is left.
func TestImportOfDamagedRecords(t *testing.T) {
	old := open(t, settings(t), lims)
	for n := range 3 {
		put(t, old, message("a", fmt.Sprint(n)))
	}
	corrupt(t, old, "UPDATE messages SET sample_id = 'x' WHERE seq = 2")
	directory := filepath.Join(t.TempDir(), "export")
	exportTo(t, old, directory)
	if _, report, err := Check(t.Context(), directory, nil, nil); err != nil || len(report.Problems) != 1 {
		t.Errorf("the export: %+v, %v", report, err)
	}
	dir := settings(t)
	s := open(t, dir, lims)
	refuses(t, s, packed(t, directory), Terms{}, ErrDamaged, "1 records were damaged")
	if _, err := importInto(t, s, packed(t, directory), Terms{Damage: true}, nil); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, lims)
	if _, err := s.Load(t.Context(), "lims", 2); !errors.Is(err, ErrDamaged) {
		t.Errorf("the damaged message: %v", err)
	}
	report, err := s.Verify(t.Context(), nil)
	if err != nil || len(report.Problems) != 1 || !strings.HasPrefix(report.Problems[0], "message 2 ") {
		t.Errorf("verify finds %+v (%v)", report, err)
	}
}

// TestImportOfAnEarlierRelease takes in a store that a release before has left,
// as its export would be.
func TestImportOfAnEarlierRelease(t *testing.T) {
	from := filepath.Join("testdata", "stores", "schema-1")
	directory := t.TempDir()
	copyStore(t, filepath.Join(from, "closed"), directory)
	old := open(t, settings(t))
	copied, err := openCopy(directory)
	if err != nil {
		t.Fatal(err)
	}
	m := Manifest{Format: exportFormat}
	if m.Contents, err = contents(t.Context(), copied); err != nil || m.Schema != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	copied.Close()
	for _, name := range recordFiles {
		m.Files = append(m.Files, ManifestFile{Name: name})
	}
	text, signature, err := m.seal(old.identity)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(directory, manifestFile), text, 0o600),
		os.WriteFile(filepath.Join(directory, signatureFile), signature, 0o600)); err != nil {
		t.Fatal(err)
	}
	forge(t, old, directory, "", nil)

	dir := settings(t)
	s := open(t, dir, boxes...)
	if _, err := importInto(t, s, packed(t, directory), Terms{}, nil); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, boxes...)
	if text, err = os.ReadFile(filepath.Join(from, "holds.json")); err != nil {
		t.Fatal(err)
	}
	var holds []storedMessage
	if err := json.Unmarshal(text, &holds); err != nil {
		t.Fatal(err)
	}
	for _, want := range holds {
		if have := stored(t, s, want.ID); !reflect.DeepEqual(have, want) {
			t.Errorf("message %d is\n%+v, not\n%+v", want.Sequence, have, want)
		}
	}
	wantClean(t, s)
}

// TestImportEndsWhereItWasCutOff brings a directory into the state after each
// step of an import, as a process that was killed there leaves it: the next Open
// has the whole store, once.
func TestImportEndsWhereItWasCutOff(t *testing.T) {
	old := oldBox(t)
	want, directory := everything(t, old), export(t, old)

	// A new box that was killed before it folded its WAL, with the import beside it.
	dir := settings(t)
	s := open(t, dir, boxes...)
	if err := s.SetHeld(t.Context(), "lims", Hold{Reason: "in the WAL"}); err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(t.TempDir(), "killed")
	copyStore(t, s.directory, killed)
	if info, err := os.Stat(filepath.Join(killed, databaseFile+"-wal")); err != nil || info.Size() == 0 {
		t.Fatalf("there is no WAL: %v", err)
	}
	if _, err := importInto(t, s, packed(t, directory), Terms{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(killed, importReady), os.DirFS(filepath.Join(s.directory, importReady))); err != nil {
		t.Fatal(err)
	}

	move := func(name string) func(string) error {
		return func(at string) error {
			return os.Rename(filepath.Join(at, importTaken, name), filepath.Join(at, name))
		}
	}
	// The steps, in their order; the last two are a process that has opened the
	// new store and was killed with its first transactions in the WAL.
	steps := []struct {
		name string
		do   func(at string) error
	}{
		{"ready", func(string) error { return nil }},
		{"taken", func(at string) error { return moveDirectory(at, importReady, importTaken) }},
		{"without the old WAL", func(at string) error { return os.Remove(filepath.Join(at, databaseFile+"-wal")) }},
		{"with the key", move(keyFile)},
		{"with the high-water mark", move(highWaterFile)},
		{"with the database", move(databaseFile)},
		{"noted, with a message in the WAL", func(at string) error {
			if err := os.CopyFS(at+" aside", os.DirFS(filepath.Join(at, importTaken))); err != nil {
				return err
			}
			s, err := Open(t.Context(), Settings{Directory: at}, Options{Destinations: boxes})
			if err != nil {
				return err
			}
			put(t, s, message("lane 0", "after the import"))
			copyStore(t, at, at+" killed")
			if err := errors.Join(s.Close(), os.RemoveAll(at), os.Rename(at+" killed", at)); err != nil {
				return err
			}
			if info, err := os.Stat(filepath.Join(at, databaseFile+"-wal")); err != nil || info.Size() == 0 {
				t.Errorf("there is no WAL: %v", err)
			}
			return os.Rename(at+" aside", filepath.Join(at, importTaken))
		}},
	}
	for last, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			dir := settings(t)
			if err := os.CopyFS(dir.Directory, os.DirFS(killed)); err != nil {
				t.Fatal(err)
			}
			for _, step := range steps[:last+1] {
				if err := step.do(dir.Directory); err != nil {
					t.Fatalf("%s: %v", step.name, err)
				}
			}
			if importHalfTaken(dir.Directory) {
				if _, err := OpenReadOnly(t.Context(), dir.Directory); err == nil {
					t.Error("a reader takes half of it for the store")
				}
			}
			s := open(t, dir, boxes...)
			wantImported(t, s, want)
			if last == len(steps)-1 {
				if list, err := s.List(t.Context(), Filter{SampleID: "S-after the import"}); err != nil || len(list) != 1 {
					t.Errorf("what was acknowledged after the import is %+v (%v)", list, err)
				}
			}
		})
	}

	// What has only come in part is removed.
	if err := os.Rename(filepath.Join(killed, importReady), filepath.Join(killed, importPartial)); err != nil {
		t.Fatal(err)
	}
	s = open(t, Settings{Directory: killed}, boxes...)
	wantNoImport(t, killed)
	if status, err := s.Status(t.Context()); err != nil || status.Messages != 0 {
		t.Errorf("the empty store is %+v (%v)", status, err)
	}
}

// TestReadyImportWaitsForAnEmptyStore is a person who has put an import beside a
// store that is in use: the store stays.
func TestReadyImportWaitsForAnEmptyStore(t *testing.T) {
	old := open(t, settings(t), lims)
	put(t, old, message("a", "old"))
	directory := export(t, old)
	dir := settings(t)
	s := open(t, dir, lims)
	mine := put(t, s, message("a", "mine"))
	s.Close()
	if err := os.CopyFS(filepath.Join(dir.Directory, importReady), os.DirFS(directory)); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, lims)
	wantState(t, s, mine.ID, "lims", Pending, "")
	if status, err := s.Status(t.Context()); err != nil || status.Messages != 1 {
		t.Errorf("the store is %+v (%v)", status, err)
	}
}
