package cardtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
// What SQLite does comes from the VFS. What Go code writes is found by looking
// at the directory before each operation. A file beside the database is taken to
// be written anew under another name, flushed, renamed and its directory
// flushed, which is how the product replaces files; SQLite's own files to be
// written in place and flushed. A cut may come between any two of these. To see
// such writes the recording sets the times of SQLite's files. The lock file and sockets are left out, as is
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
			r.stamp(name)
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

// untouched is the time of SQLite's files for as long as only SQLite writes.
var untouched = time.Unix(1_000_000_000, 0)

func (r *Recording) stamp(name string) {
	_ = os.Chtimes(filepath.Join(r.directory, name), untouched, untouched) // a file that is gone has none
}

// add notes what SQLite has done, or a mark.
func (r *Recording) add(o Operation) {
	switch o.Kind {
	case Create:
		if r.here[o.Name] {
			return
		}
		r.here[o.Name] = true
		r.stamp(o.Name)
	case Write, Truncate:
		r.stamp(o.Name)
	case Delete:
		delete(r.here, o.Name)
	case Mark:
		r.look()
	}
	r.Operations = append(r.Operations, o)
}

// look finds what others than SQLite have written since the last operation.
func (r *Recording) look() {
	found := r.files()
	for name, info := range found {
		if ofSQLite(name) {
			if r.here[name] && !info.ModTime().Equal(untouched) {
				r.writtenInPlace(name)
			}
			continue
		}
		before := r.beside[name]
		if before != nil && os.SameFile(before, info) && before.ModTime().Equal(info.ModTime()) && before.Size() == info.Size() {
			continue
		}
		r.beside[name] = info
		content, err := os.ReadFile(filepath.Join(r.directory, name))
		if err != nil {
			continue // gone meanwhile
		}
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

func (r *Recording) writtenInPlace(name string) {
	content, err := os.ReadFile(filepath.Join(r.directory, name))
	if err != nil {
		return // gone meanwhile
	}
	r.stamp(name)
	r.Operations = append(r.Operations, Operation{Kind: Write, Name: name, Data: content}, Operation{Kind: Sync, Name: name})
}
