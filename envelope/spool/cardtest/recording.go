package cardtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Kind is what an operation does.
type Kind int

// The kinds of operations.
const (
	Create     Kind = iota // of a file
	Write                  // Data at Offset
	Truncate               // to Offset bytes
	Sync                   // what was done to the file is durable
	SyncFailed             // some of it is, and the kernel has forgotten the rest
	Delete                 // of a name
	Rename                 // Name becomes To
	SyncNames              // names that came and went in the directory are durable
	Mark                   // Note, for whoever records
)

// Operation is one thing that was done to the card.
type Operation struct {
	Kind   Kind
	Name   string
	To     string
	Offset int64
	Data   []byte
	Note   int
}

// Recording is everything that was done to a card, in order.
//
// What SQLite does comes from the VFS. What Go code writes beside the database
// is found by looking at the directory before each operation: such a file is
// taken to be written anew under another name, flushed, renamed and its
// directory flushed, which is how the product replaces files, and a cut may
// come between any two of these. The lock file and sockets are left out, as is
// SQLite's index of the WAL (-shm), which is never flushed: Cut leaves rubbish
// there.
type Recording struct {
	Operations []Operation

	directory string
	start     map[string][]byte      // what was there, and durable, when recording began
	here      map[string]bool        // files of SQLite that there are
	beside    map[string]os.FileInfo // files of others, as last seen
}

// Record begins to record. What is in the directory is taken to be durable.
func (c *Card) Record(t testing.TB) *Recording {
	t.Helper()
	r := &Recording{
		directory: c.directory, start: map[string][]byte{},
		here: map[string]bool{}, beside: map[string]os.FileInfo{},
	}
	for name, info := range r.files() {
		content, err := os.ReadFile(filepath.Join(c.directory, name))
		if err != nil {
			t.Fatal(err)
		}
		r.start[name] = content
		if ofSQLite(name) {
			r.here[name] = true
		} else {
			r.beside[name] = info
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recording = r
	return r
}

// Stop ends the recording, which may then be read.
func (c *Card) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recording != nil {
		c.recording.look()
	}
	c.recording = nil
}

// Mark notes that something has come so far: what the sender was told, for one.
func (c *Card) Mark(note int) { c.record(Operation{Kind: Mark, Note: note}) }

func ofSQLite(name string) bool {
	return strings.HasSuffix(name, ".db") || strings.HasSuffix(name, ".db-wal") || strings.HasSuffix(name, ".db-journal")
}

// files returns what is on the card and counts.
func (r *Recording) files() map[string]os.FileInfo {
	list, _ := os.ReadDir(r.directory) // where it is not there yet, it is empty
	found := map[string]os.FileInfo{}
	for _, entry := range list {
		name := entry.Name()
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || name == "lock" || strings.HasSuffix(name, "-shm") || strings.HasSuffix(name, ".new") {
			continue
		}
		found[name] = info
	}
	return found
}

func (r *Recording) add(o Operation) {
	r.look()
	switch o.Kind {
	case Create:
		if r.here[o.Name] {
			return
		}
		r.here[o.Name] = true
	case Delete:
		delete(r.here, o.Name)
	}
	r.Operations = append(r.Operations, o)
}

// look finds what others than SQLite have written.
func (r *Recording) look() {
	found := r.files()
	for name, info := range found {
		before := r.beside[name]
		if ofSQLite(name) || before != nil && os.SameFile(before, info) && before.ModTime().Equal(info.ModTime()) && before.Size() == info.Size() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(r.directory, name))
		if err != nil {
			continue // gone meanwhile
		}
		r.beside[name] = info
		r.Operations = append(r.Operations,
			Operation{Kind: Create, Name: name + ".new"},
			Operation{Kind: Write, Name: name + ".new", Data: content},
			Operation{Kind: Sync, Name: name + ".new"},
			Operation{Kind: Rename, Name: name + ".new", To: name},
			Operation{Kind: SyncNames},
		)
	}
	for name := range r.beside {
		if found[name] == nil {
			delete(r.beside, name)
			r.Operations = append(r.Operations, Operation{Kind: Delete, Name: name})
		}
	}
}
