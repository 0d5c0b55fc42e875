// Package spool is the durable store of the gateway: it keeps every message
// from the moment it is acknowledged until every destination has taken it or a
// person has decided, and the audit trail after that.
//
// The store is one SQLite file, DIR/spool.db, in WAL mode with
// synchronous=FULL: a weaker setting loses acknowledged messages at a power
// cut, so both are read back on every connection and anything else is refused.
// SQLite does not notice a bit that flips in stored data, so every message and
// every delivery carries a CRC-32C that is verified whenever it is read.
//
// All writes go through one goroutine, which commits what has come together
// meanwhile in one transaction: a caller waits for its own commit, and a lone
// caller never waits for company. Reads use connections of their own.
//
// Order is by sequence only. Sequences are dense, start at 1 and are never
// given out twice.
package spool

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// The errors that callers branch on with [errors.Is].
var (
	// ErrNoStore: the directory holds no store, and none was created.
	ErrNoStore = errors.New("there is no store")
	// ErrLocked: another process owns the store.
	ErrLocked = errors.New("the store is in use")
	// ErrClosed: the store was closed, or closed itself after a failure.
	ErrClosed = errors.New("the store is closed")
	// ErrReadOnly: the store was opened for reading.
	ErrReadOnly = errors.New("the store is open for reading only")
	// ErrUncertain: a commit failed in a way that leaves it open whether the
	// message is durable. The caller must answer its sender neither way.
	ErrUncertain = errors.New("it is unknown whether the commit is durable")
	// ErrNotFound: no such message, or none for that destination.
	ErrNotFound = errors.New("no such message")
	// ErrRefused: what was asked does not fit the message's state.
	ErrRefused = errors.New("refused")
	// ErrDamaged: the stored bytes do not match their checksum.
	ErrDamaged = errors.New("the stored message is damaged")
)

const (
	databaseFile  = "spool.db"
	lockFile      = "lock"
	keyFile       = "box.key"
	highWaterFile = "highwater"
)

// Settings is the `spool` section of the configuration.
type Settings struct {
	Directory       string        `yaml:"directory"`               // made with mode 0700 where it is missing
	KeepDays        int           `yaml:"keep_days"`               // age from which finished messages may go; 0: no limit
	KeepSize        int64         `yaml:"keep_size" config:"size"` // bytes above which finished messages go; 0: no limit
	DuplicateWindow time.Duration `yaml:"duplicate_window"`        // how long the same bytes count as a duplicate; 0: never
}

// Defaults returns the settings that hold where the configuration says nothing.
func Defaults() Settings {
	return Settings{
		Directory:       filepath.Join("assaygate-data", "spool"),
		KeepDays:        400,
		KeepSize:        2 << 30,
		DuplicateWindow: 24 * time.Hour,
	}
}

// mostDays is a hundred years: twice that is still a time.Duration.
const mostDays = 36500

// Validate reports every setting that cannot work, each error beginning with
// its key.
func (s Settings) Validate() error {
	var errs []error
	if s.Directory == "" {
		errs = append(errs, errors.New("directory: is empty; name the directory that keeps the messages"))
	}
	if s.KeepDays < 0 {
		errs = append(errs, fmt.Errorf("keep_days: %d is negative; give a number of days, or 0 for no limit", s.KeepDays))
	}
	if s.KeepDays > mostDays {
		errs = append(errs, fmt.Errorf("keep_days: %d is more than %d; give a number of days, or 0 for no limit", s.KeepDays, mostDays))
	}
	if s.KeepSize != 0 && s.KeepSize < 16<<20 {
		errs = append(errs, fmt.Errorf("keep_size: %d bytes is too little; give at least 16MiB, or 0 for no limit", s.KeepSize))
	}
	if s.DuplicateWindow < 0 {
		errs = append(errs, fmt.Errorf("duplicate_window: %s is negative; give a duration, or 0 to mark no duplicates", s.DuplicateWindow))
	}
	return errors.Join(errs...)
}

// Destination is one configured receiver of messages.
type Destination struct {
	Name string
	// Binding is what the pending messages are bound to: scheme, host and path
	// of the URL, or "". Where it changes, a person decides about them.
	Binding string
	// Everything gives this destination incomplete, rejected, withheld and test
	// input and retransmissions too, as a file destination wants it.
	Everything bool
	// AcceptTest lets messages of kind test through.
	AcceptTest bool
	// Confirm has delivered messages read back: see [Spool.Awaiting].
	Confirm bool
}

// Options is what the process gives to Open beside the settings.
type Options struct {
	Destinations []Destination
	Log          *slog.Logger     // nil: nothing is logged
	Now          func() time.Time // nil: time.Now
	ClockSet     func() bool      // whether Now can be trusted; nil: always
	// Moved is told of each delivery that has come into a state, after that is
	// durable. It must not block. May be nil.
	Moved func(destination string, to State)
	// Free returns the bytes that are free for the store and the size of its file
	// system; nil: the file system is asked.
	Free func() (bytes, total uint64, err error)
	// Watch is called by each loop of the store when it begins, with "writer" or
	// "upkeep". The writer then calls progress at each turn and at least every 10 s
	// while it has nothing to do; upkeep at each step of its work and between two,
	// but a step may take minutes where the card is slow. Each calls ended at its
	// end. Nil: nobody watches.
	Watch func(loop string) (progress, ended func())
}

// Spool is an open store. All methods may be called from any goroutine.
type Spool struct {
	directory  string
	window     time.Duration
	configured atomic.Pointer[receivers] // changed by the writer's goroutine only
	log        *slog.Logger
	clock      clock
	moved      func(destination string, to State)
	watch      func(loop string) (progress, ended func())
	key        []byte
	identity   ed25519.PrivateKey
	anonymous  error // why there is none
	packer     packer

	lock    *os.File // nil where the store is read-only
	frozen  *os.File // the lock that keeps writers out, where a reader needs that
	readers *sql.DB
	writer  *writer // nil where the store is read-only

	looked    stamp  // the moment at which the clock was looked at last; Tend's own
	moves     func() // Tend's report of progress
	scrub     scrub
	retention *retention
	reported  bool // what the store has lost was said; set before anything is written
	counts    counts
	room      room
	head      atomic.Pointer[envelope.AuditHead] // of the audit trail, as committed

	unread sync.Map // why nothing is read back, by destination

	arrivalMu sync.Mutex
	arrivals  map[string]chan struct{}

	closeOnce sync.Once
	closeErr  error
}

// Open opens the store in s.Directory for writing and creates it where it is
// missing. It refuses with ErrLocked where another process has it, and refuses
// a store that a newer release wrote and this one cannot read. The caller must
// call Close.
func Open(ctx context.Context, s Settings, o Options) (*Spool, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	spool, err := newSpool(s, o)
	if err != nil {
		return nil, err
	}
	if err := spool.open(ctx, (*Spool).reconcile); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store in %s: %w", s.Directory, err), spool.Close())
	}
	if err := spool.recoverDrafts(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store in %s: %w", s.Directory, err), spool.Close())
	}
	return spool, nil
}

// OpenReadOnly opens the store in dir for the query methods and Export while no
// gateway has it; it also works beside a running one, and on a card that is
// read-only or full. It changes no record: where there is no store the error is
// ErrNoStore. The caller must call Close.
func OpenReadOnly(ctx context.Context, dir string) (*Spool, error) {
	spool, err := newSpool(Settings{Directory: dir}, Options{})
	if err != nil {
		return nil, err
	}
	if _, err := checkSeal(dir); err != nil {
		return nil, fmt.Errorf("opening the store in %s: %w", dir, err)
	}
	if err := spool.openReadOnly(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store in %s: %w", dir, err), spool.Close())
	}
	return spool, nil
}

// OpenExisting opens the store in dir for a person's decisions while no gateway
// has it: the destinations stay as the last gateway knew them, and drafts are
// left for the next one. It creates nothing: where there is no store the error
// is ErrNoStore. The caller must call Close.
func OpenExisting(ctx context.Context, dir string) (*Spool, error) {
	if _, err := os.Stat(filepath.Join(dir, databaseFile)); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("opening the store in %s: %w", dir, ErrNoStore)
	}
	spool, err := newSpool(Settings{Directory: dir}, Options{})
	if err != nil {
		return nil, err
	}
	if err := spool.open(ctx, (*Spool).adopt); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store in %s: %w", dir, err), spool.Close())
	}
	return spool, nil
}

func newSpool(s Settings, o Options) (*Spool, error) {
	directory, err := filepath.Abs(s.Directory)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	spool := &Spool{
		directory: directory,
		window:    s.DuplicateWindow,
		log:       o.Log,
		clock:     newClock(o.Now, o.ClockSet),
		packer:    newPacker(),
		counts:    newCounts(),
		retention: newRetention(s),
		arrivals:  map[string]chan struct{}{},
	}
	if spool.room.free = o.Free; o.Free == nil {
		spool.room.free = freeSpace(directory)
	}
	if spool.moved = o.Moved; spool.moved == nil {
		spool.moved = func(string, State) {}
	}
	if spool.watch = o.Watch; spool.watch == nil {
		spool.watch = func(string) (progress, ended func()) { return func() {}, func() {} }
	}
	spool.moves = func() {}
	if spool.log == nil {
		spool.log = slog.New(slog.DiscardHandler)
	}
	known, err := newReceivers(o.Destinations)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	spool.configured.Store(known)
	return spool, nil
}

// open opens everything; settle agrees with the store on the destinations.
func (s *Spool) open(ctx context.Context, settle func(*Spool, *tx) error) error {
	if err := os.MkdirAll(s.directory, 0o700); err != nil {
		return err
	}
	var err error
	if s.lock, err = acquire(filepath.Join(s.directory, lockFile)); err != nil {
		return err
	}
	unsealed, err := checkSeal(s.directory)
	if err != nil {
		return err
	}
	if err := sweepErased(s.directory); err != nil {
		return err
	}
	s.roomToOpen()
	if err := s.takeImport(ctx); err != nil {
		return err
	}
	if s.key, err = loadKey(filepath.Join(s.directory, keyFile)); err != nil {
		return err
	}
	s.openIdentity()
	database, err := createDatabase(ctx, s.directory)
	if err != nil {
		return err
	}
	if s.writer, err = newWriter(ctx, s, database); err != nil {
		return errors.Join(err, database.Close())
	}
	s.firstMark()
	go s.writer.run()
	if s.readers, err = openReaders(ctx, s.directory, owned); err != nil {
		return err
	}
	if err := s.counts.load(ctx, s.readers); err != nil {
		return err
	}
	if err := s.retention.doubt.load(ctx, s); err != nil {
		return err
	}
	err = s.writer.write(ctx, func(t *tx) error {
		if err := errors.Join(t.noteImport(), t.noteUnsealed(unsealed)); err != nil {
			return err
		}
		return settle(s, t)
	})
	if err != nil {
		return err
	}
	return errors.Join(s.forgetImport(), s.forgetSeal(unsealed))
}

func (s *Spool) openReadOnly(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.directory, databaseFile)); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return ErrNoStore
		}
		return err
	}
	key, err := os.ReadFile(filepath.Join(s.directory, keyFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.key = key
	if importHalfTaken(s.directory) {
		return errors.New("imported records are half brought in; start the gateway once, which ends that")
	}
	if exists(filepath.Join(s.directory, identityFile)) {
		s.openIdentity()
	}
	s.readers, err = openReaders(ctx, s.directory, shared)
	if err != nil && FaultOf(err) != "" {
		err = s.openFrozen(ctx, err)
	}
	if err != nil {
		return err
	}
	if err := checkVersion(ctx, s.readers); err != nil {
		return err
	}
	return s.counts.load(ctx, s.readers)
}

// Close waits for the commits in progress, folds the WAL into the database and
// gives the store free. Calls that come later get ErrClosed.
func (s *Spool) Close() error {
	s.closeOnce.Do(func() {
		var errs []error
		if s.writer != nil {
			errs = append(errs, s.writer.stop())
		}
		if s.readers != nil {
			errs = append(errs, s.readers.Close())
		}
		for _, lock := range []*os.File{s.lock, s.frozen} {
			if lock != nil {
				errs = append(errs, lock.Close())
			}
		}
		if err := errors.Join(errs...); err != nil {
			s.closeErr = fmt.Errorf("closing the store: %w", err)
		}
	})
	return s.closeErr
}

// Key returns the box's secret for keyed digests. The caller must not change it.
func (s *Spool) Key() []byte { return s.key }

// Failed returns a channel that is closed when the store has closed itself
// after a commit whose outcome is unknown. The process must then close its
// lines without a reply and stop; Err says why.
func (s *Spool) Failed() <-chan struct{} {
	if s.writer == nil {
		return nil
	}
	return s.writer.failed
}

// Err returns why the store closed itself, or nil.
func (s *Spool) Err() error {
	select {
	case <-s.Failed():
		return s.writer.failure
	default:
		return nil
	}
}
