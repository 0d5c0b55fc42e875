package login

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// mostWaiting is how many logins wait for the one whose hash is computed.
const mostWaiting = 8

// mostKnownWaiting is how many more wait, whose addresses are known: a flood of others
// does not keep them out.
const mostKnownWaiting = 2

// Desk is where people log in. Its methods may be called from any goroutine; the
// accounts, by name, are what the configuration says at that moment.
type Desk struct {
	waiting chan struct{} // holds one for each login that computes or waits
	known   chan struct{} // the same, of known addresses that found no place there
	hashing chan struct{} // holds one while a hash is computed

	mu       sync.Mutex // guards what follows
	sessions sessions
	attempts *attempts
	entered  entered
	hashed   map[[sha256.Size]byte]Hash // of passwords that stand in the configuration, by digest
}

// NewDesk returns a desk where nobody is logged in.
func NewDesk() *Desk {
	return &Desk{
		waiting: make(chan struct{}, mostWaiting+1), known: make(chan struct{}, mostKnownWaiting), hashing: make(chan struct{}, 1),
		sessions: sessions{}, attempts: newAttempts(), entered: entered{}, hashed: map[[sha256.Size]byte]Hash{},
	}
}

// Enter logs a person in who comes from the address, and returns the token of the
// new session. Its errors are [ErrWrong], [ErrBusy], a [PauseError], or ctx's; none
// says whether there is such a user.
func (d *Desk) Enter(ctx context.Context, address netip.Addr, name, password string, accounts map[string]Account) (token string, s Session, err error) {
	if len(name) > LongestName {
		name = name[:LongestName] + "+" // no account's
	}
	if err := d.paused(address, name); err != nil {
		return "", Session{}, err
	}
	leave, err := d.queue(ctx, d.knows(address))
	if err != nil {
		return "", Session{}, err
	}
	defer leave()
	if err := d.paused(address, name); err != nil { // others may have failed meanwhile
		return "", Session{}, err
	}
	right := d.matches(name, password, accounts)
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.sessions.sweep(accounts, now)
	if !right {
		d.attempts.failed(address, name, now)
		return "", Session{}, ErrWrong
	}
	if wait := d.entered.wait(name, now); wait > 0 {
		return "", Session{}, PauseError{Wait: wait, Often: true}
	}
	d.attempts.succeeded(address, name, now)
	token, s = d.sessions.begin(name, accounts[name], now)
	return token, s, nil
}

// Who returns the session with the token, and notes that it is used. A request
// that a page makes by itself is no use: it would keep a session for ever.
func (d *Desk) Who(token string, used bool, accounts map[string]Account) (Session, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.sessions.sweep(accounts, now)
	one := d.sessions.of(token)
	if one == nil {
		return Session{}, false
	}
	if used {
		one.used = now
	}
	return *one, true
}

// Leave ends the session with the token, and returns whose it was.
func (d *Desk) Leave(token string) (Session, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	one := d.sessions.of(token)
	if one == nil {
		return Session{}, false
	}
	d.sessions.remove(sha256.Sum256([]byte(token)))
	return *one, true
}

func (d *Desk) paused(address netip.Addr, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if wait := d.attempts.wait(address, name, time.Now()); wait > 0 {
		return PauseError{Wait: wait}
	}
	return nil
}

func (d *Desk) knows(address netip.Addr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.attempts.knows(address)
}

// queue waits for its turn to compute.
func (d *Desk) queue(ctx context.Context, known bool) (leave func(), err error) {
	places := d.waiting
	select {
	case places <- struct{}{}:
	default:
		places = d.known
		if !known {
			return nil, ErrBusy
		}
		select {
		case places <- struct{}{}:
		default:
			return nil, ErrBusy
		}
	}
	select {
	case d.hashing <- struct{}{}:
		return func() { <-d.hashing; <-places }, nil
	case <-ctx.Done():
		<-places
		return nil, ctx.Err()
	}
}

// matches reports whether the password is that of the user. For a name that is
// nobody's the same is computed as for somebody's.
func (d *Desk) matches(name, password string, accounts map[string]Account) bool {
	hashes, known := map[string]Hash{}, map[[sha256.Size]byte]Hash{}
	var names []string
	for user, account := range accounts {
		hash, err := d.hash(account, known)
		if err != nil {
			continue // the configuration was judged; there is no such account
		}
		hashes[user], names = hash, append(names, user)
	}
	d.mu.Lock()
	d.hashed = known
	d.mu.Unlock()
	hash, is := hashes[name]
	if !is {
		if len(names) == 0 {
			return false
		}
		slices.Sort(names)
		of := d.attempts.name(name)
		hash = hashes[names[binary.BigEndian.Uint64(of[:8])%uint64(len(names))]]
	}
	right := len(password) <= longestPassword && hash.Matches(password)
	return is && right
}

// hash is the account's. That of a password that stands in the configuration is
// computed once, whoever logs in first, and noted in known.
func (d *Desk) hash(account Account, known map[[sha256.Size]byte]Hash) (Hash, error) {
	if account.Password == "" {
		return ParseHash(account.Hash)
	}
	digest := d.attempts.digest("password", account.Password)
	d.mu.Lock()
	hash, is := d.hashed[digest]
	d.mu.Unlock()
	if !is {
		hash = NewHash(account.Password)
	}
	known[digest] = hash
	return hash, nil
}
