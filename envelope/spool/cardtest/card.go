// Package cardtest is a storage card for tests: it stands between SQLite and
// the file system, records what is written and flushed so that the power can be
// cut at any moment of it, fails on demand, and is slow.
//
// It is a copy of SQLite's own VFS in which writing, truncating, flushing,
// deleting and growing are replaced by functions that call the original. The
// copy becomes the default VFS of the process, so that the code under test opens
// its files as always; only files in a directory that holds a card are touched.
//
// A card that lies, that says flushed before it is, cannot be told from one
// that loses what it had, and is not modelled.
package cardtest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Card is what lies under one directory. All methods may be called from any
// goroutine.
type Card struct {
	directory string

	mu        sync.Mutex
	recording *Recording
	flush     func() // before each flush
	count     int    // operations that could fail, since the card was put in or told to fail
	failAt    int    // the count at which the next fault begins; 0: never
	failing   int    // how many operations fail from then on
	fault     Fault
}

// Fault is a way in which a card or its file system fails.
type Fault int

// The faults, as SQLite sees them.
const (
	Full     Fault = iota + 1 // ENOSPC: a write may have been made in part
	Broken                    // EIO
	ReadOnly                  // remounted, as kernels do after an error
)

// String returns the name of the error that the fault stands for.
func (f Fault) String() string {
	return map[Fault]string{Full: "ENOSPC", Broken: "EIO", ReadOnly: "read-only"}[f]
}

// Insert puts a card under a directory, which need not be there yet, until the
// test ends. Files that were opened before are not on the card.
func Insert(t testing.TB, directory string) *Card {
	t.Helper()
	if err := shim.install(); err != nil {
		t.Fatal(err)
	}
	// SQLite resolves links before it opens a file.
	parent, err := filepath.EvalSymlinks(filepath.Dir(directory))
	if err != nil {
		t.Fatal(err)
	}
	card := &Card{directory: filepath.Join(parent, filepath.Base(directory))}
	shim.mu.Lock()
	defer shim.mu.Unlock()
	shim.cards[card.directory] = card
	t.Cleanup(func() {
		shim.mu.Lock()
		defer shim.mu.Unlock()
		delete(shim.cards, card.directory)
	})
	return card
}

// OnFlush has before called at the beginning of each flush, where it may wait.
// nil takes it away.
func (c *Card) OnFlush(before func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush = before
}

// FailAt has the n-th operation from now on fail (the first is 1), and those
// after it until there were so many, or Repair.
func (c *Card) FailAt(n, many int, fault Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count, c.failAt, c.failing, c.fault = 0, n, many, fault
}

// Repair ends the fault and returns how many operations there were since
// FailAt, and whether one of them failed.
func (c *Card) Repair() (operations int, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	failed = c.failAt > 0 && c.count >= c.failAt
	c.failAt = 0
	return c.count, failed
}

// next counts an operation and returns the fault that it meets, or 0; n is its
// number.
func (c *Card) next() (fault Fault, n int) {
	c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	if c.failAt > 0 && c.count >= c.failAt && c.count < c.failAt+c.failing {
		return c.fault, c.count
	}
	return 0, c.count
}

// look has the recording see what was done without SQLite. It comes before each
// operation.
func (c *Card) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recording != nil {
		c.recording.look()
	}
}

// record notes an operation, where the card records.
func (c *Card) record(o Operation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recording != nil {
		c.recording.add(o)
	}
}

// shim is the replaced VFS. SQLite knows one table of them in a process.
var shim = &interposer{cards: map[string]*Card{}, files: map[uintptr]*file{}, methods: map[uintptr]uintptr{}}

type interposer struct {
	once  sync.Once
	err   error
	below uintptr // the VFS that was the default

	mu      sync.Mutex
	cards   map[string]*Card
	files   map[uintptr]*file   // those on cards, by their place in SQLite's memory
	methods map[uintptr]uintptr // ours, by the original ones
}

// file is an open file on a card.
type file struct {
	card    *Card
	name    string
	methods uintptr // the original ones
	// names: SQLite flushes the directory too when it first flushes a journal
	// or WAL that it has opened.
	names bool
}

func (s *interposer) install() error {
	s.once.Do(func() {
		tls := libc.NewTLS() // stays: SQLite keeps what is registered
		s.below = sqlite3.Xsqlite3_vfs_find(tls, 0)
		if s.below == 0 {
			s.err = fmt.Errorf("SQLite has no VFS")
			return
		}
		name, err := libc.CString("card")
		if err != nil {
			s.err = err
			return
		}
		copied, place := copyOf[sqlite3.Tsqlite3_vfs](tls, s.below)
		if copied == nil {
			s.err = fmt.Errorf("no memory for a VFS")
			return
		}
		copied.FzName, copied.FpNext = name, 0
		copied.FxOpen = pointer(s.open)
		copied.FxDelete = pointer(s.delete)
		if rc := sqlite3.Xsqlite3_vfs_register(tls, place, 1); rc != sqlite3.SQLITE_OK {
			s.err = fmt.Errorf("registering a VFS: error %d", rc)
		}
	})
	return s.err
}

// at reads an address in SQLite's memory, which the garbage collector does not
// know, as a pointer.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// copyOf copies a struct in SQLite's memory to a new place there.
func copyOf[T any](tls *libc.TLS, from uintptr) (*T, uintptr) {
	place := sqlite3.Xsqlite3_malloc64(tls, uint64(unsafe.Sizeof(*at[T](from))))
	if place == 0 {
		return nil, 0
	}
	*at[T](place) = *at[T](from)
	return at[T](place), place
}

// kept holds the functions that SQLite has pointers to.
var kept []any

// pointer gives a Go function the form that C function pointers have in the
// translated SQLite: the address of its closure.
func pointer[F any](f F) uintptr {
	kept = append(kept, f)
	return *(*uintptr)(unsafe.Pointer(&f))
}

// function is the inverse of pointer.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

// The functions of VFS and files as SQLite calls them.
type (
	openFunc     = func(tls *libc.TLS, vfs, path, file uintptr, flags int32, flagsOut uintptr) int32
	deleteFunc   = func(tls *libc.TLS, vfs, path uintptr, names int32) int32
	closeFunc    = func(tls *libc.TLS, file uintptr) int32
	writeFunc    = func(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size int64) int32
	syncFunc     = func(tls *libc.TLS, file uintptr, flags int32) int32
	shmMapFunc   = func(tls *libc.TLS, file uintptr, region, size, extend int32, at uintptr) int32
)

// card returns the card that a path is on, or nil, and the file's name there.
func (s *interposer) card(path uintptr) (*Card, string) {
	if path == 0 {
		return nil, "" // a temporary file
	}
	directory, name := filepath.Split(libc.GoString(path))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cards[filepath.Clean(directory)], name
}

func (s *interposer) open(tls *libc.TLS, _, path, place uintptr, flags int32, flagsOut uintptr) int32 {
	card, name := s.card(path)
	below := function[openFunc](at[sqlite3.Tsqlite3_vfs](s.below).FxOpen)
	if card == nil {
		return below(tls, s.below, path, place, flags, flagsOut)
	}
	card.look()
	_, missing := os.Lstat(filepath.Join(card.directory, name))
	if missing != nil && flags&sqlite3.SQLITE_OPEN_CREATE != 0 {
		if fault, _ := card.next(); fault != 0 {
			at[sqlite3.Tsqlite3_file](place).FpMethods = 0 // or SQLite would close it
			return sqlite3.SQLITE_CANTOPEN
		}
	}
	if rc := below(tls, s.below, path, place, flags, flagsOut); rc != sqlite3.SQLITE_OK {
		return rc
	}
	card.record(Operation{Kind: Create, Name: name})
	const journals = sqlite3.SQLITE_OPEN_MAIN_JOURNAL | sqlite3.SQLITE_OPEN_SUPER_JOURNAL | sqlite3.SQLITE_OPEN_WAL
	opened := at[sqlite3.Tsqlite3_file](place)
	f := &file{
		card: card, name: name, methods: opened.FpMethods,
		names: flags&journals != 0 && flags&sqlite3.SQLITE_OPEN_CREATE != 0,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ours := s.methods[f.methods]
	if ours == 0 {
		var methods *sqlite3.Tsqlite3_io_methods
		if methods, ours = copyOf[sqlite3.Tsqlite3_io_methods](tls, f.methods); methods == nil {
			return sqlite3.SQLITE_OK // without memory for it the file is not on the card
		}
		methods.FxClose = pointer(s.close)
		methods.FxWrite = pointer(s.write)
		methods.FxTruncate = pointer(s.truncate)
		methods.FxSync = pointer(s.sync)
		if methods.FxShmMap != 0 {
			methods.FxShmMap = pointer(s.shmMap)
		}
		s.methods[f.methods] = ours
	}
	opened.FpMethods = ours
	s.files[place] = f
	return sqlite3.SQLITE_OK
}

func (s *interposer) file(place uintptr) (*file, *sqlite3.Tsqlite3_io_methods) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[place]
	return f, at[sqlite3.Tsqlite3_io_methods](f.methods)
}

func (s *interposer) close(tls *libc.TLS, place uintptr) int32 {
	_, below := s.file(place)
	s.mu.Lock()
	delete(s.files, place)
	s.mu.Unlock()
	return function[closeFunc](below.FxClose)(tls, place)
}

func (s *interposer) write(tls *libc.TLS, place, data uintptr, n int32, offset int64) int32 {
	f, below := s.file(place)
	fault, number := f.card.next()
	rc := int32(sqlite3.SQLITE_OK)
	switch fault {
	case 0:
	case Full:
		rc = sqlite3.SQLITE_FULL
		n = n / 2 * int32(number%2) // as much as there was room for
	case ReadOnly:
		rc, n = sqlite3.SQLITE_READONLY, 0
	default:
		rc, n = sqlite3.SQLITE_IOERR_WRITE, 0
	}
	if n == 0 {
		return rc
	}
	if really := function[writeFunc](below.FxWrite)(tls, place, data, n, offset); really != sqlite3.SQLITE_OK {
		return really
	}
	content := make([]byte, n)
	copy(content, unsafe.Slice(at[byte](data), n))
	f.card.record(Operation{Kind: Write, Name: f.name, Offset: offset, Data: content})
	return rc
}

func (s *interposer) truncate(tls *libc.TLS, place uintptr, size int64) int32 {
	f, below := s.file(place)
	if fault, _ := f.card.next(); fault != 0 {
		return sqlite3.SQLITE_IOERR_TRUNCATE
	}
	rc := function[truncateFunc](below.FxTruncate)(tls, place, size)
	if rc == sqlite3.SQLITE_OK {
		f.card.record(Operation{Kind: Truncate, Name: f.name, Offset: size})
	}
	return rc
}

func (s *interposer) sync(tls *libc.TLS, place uintptr, flags int32) int32 {
	f, below := s.file(place)
	f.card.mu.Lock()
	before := f.card.flush
	f.card.mu.Unlock()
	if before != nil {
		before()
	}
	if fault, _ := f.card.next(); fault != 0 {
		f.card.record(Operation{Kind: SyncFailed, Name: f.name})
		return sqlite3.SQLITE_IOERR_FSYNC
	}
	rc := function[syncFunc](below.FxSync)(tls, place, flags)
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	f.card.record(Operation{Kind: Sync, Name: f.name})
	if f.names {
		f.names = false
		f.card.record(Operation{Kind: SyncNames})
	}
	return rc
}

func (s *interposer) shmMap(tls *libc.TLS, place uintptr, region, size, extend int32, out uintptr) int32 {
	f, below := s.file(place)
	if extend != 0 {
		if fault, _ := f.card.next(); fault != 0 {
			*at[uintptr](out) = 0
			return sqlite3.SQLITE_IOERR_SHMSIZE
		}
	}
	return function[shmMapFunc](below.FxShmMap)(tls, place, region, size, extend, out)
}

func (s *interposer) delete(tls *libc.TLS, _, path uintptr, names int32) int32 {
	card, name := s.card(path)
	below := function[deleteFunc](at[sqlite3.Tsqlite3_vfs](s.below).FxDelete)
	if card == nil {
		return below(tls, s.below, path, names)
	}
	if fault, _ := card.next(); fault != 0 {
		return sqlite3.SQLITE_IOERR_DELETE
	}
	rc := below(tls, s.below, path, names)
	if rc == sqlite3.SQLITE_OK {
		card.record(Operation{Kind: Delete, Name: name})
		if names&1 != 0 {
			card.record(Operation{Kind: SyncNames})
		}
	}
	return rc
}
