package login

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const password = "correct horse battery"

func accounts() map[string]Account {
	return map[string]Account{
		"anna": {Hash: cheap(password).String(), Role: "admin"},
		"otto": {Hash: cheap("another secret").String(), Role: "viewer"},
	}
}

var (
	here  = netip.MustParseAddr("10.0.0.1")
	there = netip.MustParseAddr("10.0.0.2")
)

// scene is a desk with its accounts.
type scene struct {
	*testing.T
	desk     *Desk
	accounts map[string]Account
}

func newScene(t *testing.T) *scene { return &scene{t, NewDesk(), accounts()} }

func (s *scene) enter(from netip.Addr, name, with string) (string, error) {
	token, _, err := s.desk.Enter(s.Context(), from, name, with, s.accounts)
	return token, err
}

// in logs anna in.
func (s *scene) in() string {
	s.Helper()
	token, err := s.enter(here, "anna", password)
	if err != nil {
		s.Fatal(err)
	}
	return token
}

func (s *scene) holds(token string, want bool) {
	s.Helper()
	if _, is := s.desk.Who(token, true, s.accounts); is != want {
		s.Errorf("the session is there: %v, want %v", is, want)
	}
}

func TestEnter(t *testing.T) {
	s := newScene(t)
	token, session, err := s.desk.Enter(t.Context(), here, "anna", password, s.accounts)
	if err != nil || session.User != "anna" || session.Role != "admin" || len(token) < 26 || len(session.CSRF) < 26 || session.CSRF == token {
		t.Fatalf("%q, %+v: %v", token, session, err)
	}
	who, is := s.desk.Who(token, true, s.accounts)
	if !is || who.User != "anna" || who.CSRF != session.CSRF {
		t.Errorf("%+v, %v", who, is)
	}
	for name, with := range map[string]string{"anna": "another secret", "otto": password, "Anna": password, "nobody": password, "": ""} {
		if _, err := s.enter(netip.AddrFrom4([4]byte{10, 1, 1, byte(len(name))}), name, with); !errors.Is(err, ErrWrong) {
			t.Errorf("%s with %q: %v", name, with, err)
		}
	}
	for _, no := range []string{"", "x", token[1:], token + "x", strings.ToLower(token)} {
		s.holds(no, false)
	}
	if _, err := NewDesk().enterWithout(t); !errors.Is(err, ErrWrong) {
		t.Errorf("without accounts: %v", err)
	}
}

func (d *Desk) enterWithout(t *testing.T) (string, error) {
	token, _, err := d.Enter(t.Context(), here, "anna", password, nil)
	return token, err
}

// A password that stands in the configuration is hashed once.
func TestEnterWithAPlainPassword(t *testing.T) {
	s := newScene(t)
	s.accounts["anna"] = Account{Password: password, Role: "admin"}
	s.in()
	if len(s.desk.hashed) != 1 {
		t.Errorf("%d hashes", len(s.desk.hashed))
	}
	for digest, hash := range s.desk.hashed {
		if strings.Contains(string(digest[:]), password) || !hash.Matches(password) {
			t.Error("kept otherwise than hashed")
		}
	}
	if _, err := s.enter(here, "anna", "another secret"); !errors.Is(err, ErrWrong) {
		t.Error(err)
	}
	s.accounts["anna"] = Account{Password: "changed secret", Role: "admin"}
	if _, err := s.enter(here, "anna", password); !errors.Is(err, ErrWrong) {
		t.Error(err)
	}
	if len(s.desk.hashed) != 1 {
		t.Errorf("the hash of the old password is kept")
	}
}

func TestSessionEnds(t *testing.T) {
	for name, end := range map[string]func(s *scene, token string){
		"idle": func(*scene, string) { time.Sleep(IdleLimit) },
		"idle but for what its page does by itself": func(s *scene, token string) {
			for range 6 {
				time.Sleep(IdleLimit / 6)
				s.desk.Who(token, false, s.accounts)
			}
		},
		"too long": func(s *scene, token string) {
			for range 23 {
				time.Sleep(IdleLimit - time.Second)
				s.holds(token, true)
			}
			time.Sleep(LongestLogin - 23*(IdleLimit-time.Second))
		},
		"logout":            func(s *scene, token string) { s.desk.Leave(token) },
		"user removed":      func(s *scene, _ string) { delete(s.accounts, "anna") },
		"password changed":  func(s *scene, _ string) { s.accounts["anna"] = Account{Hash: cheap("new").String(), Role: "admin"} },
		"role changed":      func(s *scene, _ string) { s.accounts["anna"] = Account{Hash: s.accounts["anna"].Hash, Role: "viewer"} },
		"no users any more": func(s *scene, _ string) { s.accounts = nil },
		"many others": func(s *scene, _ string) {
			for range mostSessions {
				time.Sleep(time.Second)
				s.in()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				token := s.in()
				session, _ := s.desk.Who(token, true, s.accounts)
				time.Sleep(IdleLimit - time.Second)
				s.holds(token, true)
				end(s, token)
				s.holds(token, false)
				if session.Over().Err() == nil {
					t.Error("a stream of the session goes on")
				}
			})
		})
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := newScene(t)
	for range 3 * mostSessions {
		s.in()
	}
	if _, err := s.enter(here, "otto", "another secret"); err != nil {
		t.Fatal(err)
	}
	if n := len(s.desk.sessions); n != mostSessions+1 {
		t.Errorf("%d sessions", n)
	}
}

// Pauses grow from nothing to a minute, and no longer.
func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		var waits []int
		for range 12 {
			if _, err := s.enter(here, "anna", "wrong"); !errors.Is(err, ErrWrong) {
				t.Fatal(err)
			}
			var pause PauseError
			if _, err := s.enter(here, "anna", password); errors.As(err, &pause) {
				waits = append(waits, pause.Seconds())
				time.Sleep(pause.Wait)
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			waits = append(waits, 0)
		}
		if got, want := fmt.Sprint(waits), "[0 0 0 1 2 4 8 16 32 60 60 60]"; got != want {
			t.Errorf("waits %s s, want %s", got, want)
		}
		s.in()
		time.Sleep(forgetAfter + time.Second)
		for range freeFailures {
			if _, err := s.enter(here, "anna", "wrong"); !errors.Is(err, ErrWrong) {
				t.Errorf("nothing is forgotten: %v", err)
			}
		}
	})
}

// Somebody who guesses at a name from everywhere keeps nobody out: not at all who
// has not mistyped, and no longer than a minute who has.
func TestNobodyIsLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		attack := func() {
			for i := range 40 {
				_, _ = s.enter(netip.AddrFrom4([4]byte{10, 9, 0, byte(i)}), "anna", "guess")
			}
		}
		attack()
		s.in()
		attack()
		if _, err := s.enter(here, "anna", "mistyped"); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
		var pause PauseError
		if _, err := s.enter(here, "anna", password); !errors.As(err, &pause) {
			t.Errorf("the name has no pause: %v", err)
		}
		for range int(longestPause / time.Second) {
			attack()
			time.Sleep(time.Second)
		}
		attack()
		s.in()
	})
}

// Who may log in himself does not guess faster at others for it.
func TestOwnLoginDoesNotShortenPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for range freeFailures {
			_, _ = s.enter(there, "anna", "guess")
		}
		time.Sleep(time.Minute)
		if _, err := s.enter(there, "otto", "another secret"); err != nil {
			t.Fatal(err)
		}
		_, _ = s.enter(there, "anna", "guess")
		if _, err := s.enter(there, "anna", "guess"); !errors.As(err, new(PauseError)) {
			t.Errorf("no pause: %v", err)
		}
	})
}

// Who has logged in from an address is not kept out by what others do: those of the
// same network, who guess, and a flood of others.
func TestKnownAddressesComeIn(t *testing.T) {
	s := newScene(t)
	mine, neighbour := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	guess := func() {
		for range freeFailures + 1 {
			_, _ = s.enter(neighbour, "anna", "guess")
		}
	}
	guess()
	if _, err := s.enter(mine, "anna", password); !errors.As(err, new(PauseError)) {
		t.Errorf("a network has no pause: %v", err)
	}
	s.desk = NewDesk()
	if _, err := s.enter(mine, "anna", password); err != nil {
		t.Fatal(err)
	}
	guess()
	if _, err := s.enter(mine, "anna", password); err != nil {
		t.Errorf("a neighbour keeps a known address out: %v", err)
	}
	guess()
	if _, err := s.enter(netip.MustParseAddr("2001:db8::3"), "anna", password); !errors.As(err, new(PauseError)) {
		t.Errorf("the rest of the network has no pause any more: %v", err)
	}
	for range freeFailures + 1 {
		_, _ = s.enter(mine, "anna", "guess")
	}
	if _, err := s.enter(mine, "anna", password); !errors.As(err, new(PauseError)) {
		t.Errorf("a known address has no pause: %v", err)
	}

	if _, err := s.enter(here, "anna", password); err != nil {
		t.Fatal(err)
	}
	for range cap(s.desk.waiting) {
		s.desk.waiting <- struct{}{}
	}
	if _, err := s.enter(there, "anna", password); !errors.Is(err, ErrBusy) {
		t.Errorf("there is a place in a flood: %v", err)
	}
	if _, err := s.enter(here, "anna", password); err != nil {
		t.Errorf("a flood keeps a known address out: %v", err)
	}
	if len(s.desk.known) != 0 {
		t.Error("a place is lost")
	}
	for i := range 3 * mostKnown {
		s.desk.attempts.succeeded(netip.AddrFrom4([4]byte{10, 7, 0, byte(i)}), "anna", time.Now().Add(time.Duration(i)))
	}
	if a := s.desk.attempts; len(a.known) != mostKnown || a.knows(here) || !a.knows(netip.AddrFrom4([4]byte{10, 7, 0, 3*mostKnown - 1})) {
		t.Errorf("%d addresses are known", len(a.known))
	}
}

// Nobody fills the audit by logging in again and again.
func TestLoginsOfOneUserAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for range freeLogins {
			s.in()
		}
		var pause PauseError
		if _, err := s.enter(there, "anna", password); !errors.As(err, &pause) || !pause.Often || pause.Wait > loginEvery {
			t.Errorf("%v", err)
		}
		if _, err := s.enter(there, "anna", "guess"); !errors.Is(err, ErrWrong) {
			t.Errorf("who does not know the password learns of it: %v", err)
		}
		if _, err := s.enter(there, "otto", "another secret"); err != nil {
			t.Errorf("another user waits too: %v", err)
		}
		time.Sleep(pause.Wait)
		s.in()
		time.Sleep(freeLogins * loginEvery)
		for range freeLogins {
			s.in()
		}
	})
}

func TestAddressesOfOneNetwork(t *testing.T) {
	a := newAttempts()
	key := func(text string) [32]byte { return a.address(netip.MustParseAddr(text)) }
	if key("2001:db8::1") != key("2001:db8::ffff") || key("::ffff:10.0.0.1") != key("10.0.0.1") || key("fe80::1%eth0") != key("fe80::1%eth1") {
		t.Error("one computer has several keys")
	}
	if key("10.0.0.1") == key("10.0.0.2") || key("2001:db8::1") == key("2001:db8:0:1::1") || key("fe80::1") == key("fe80::2") {
		t.Error("two computers have one key")
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	a, now := newAttempts(), time.Now()
	for i := range 3 * mostFailing {
		a.failed(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), fmt.Sprint(i), now.Add(time.Duration(i)))
	}
	if len(a.addresses) != mostFailing || len(a.names) != mostFailing {
		t.Errorf("%d addresses and %d names", len(a.addresses), len(a.names))
	}
}

// A flood computes one hash at a time, has few wait, and the rest go at once.
func TestFlood(t *testing.T) {
	s := newScene(t)
	s.desk.hashing <- struct{}{} // one is being computed
	ctx, stop := context.WithCancel(t.Context())
	results := make(chan error)
	const many = 50
	for i := range many {
		go func() {
			_, _, err := s.desk.Enter(ctx, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), "anna", password, s.accounts)
			results <- err
		}()
	}
	for range many - cap(s.desk.waiting) {
		if err := <-results; !errors.Is(err, ErrBusy) {
			t.Errorf("got %v", err)
		}
	}
	stop() // those who wait leave
	for range cap(s.desk.waiting) {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	<-s.desk.hashing
	s.in()
	if len(s.desk.waiting) != 0 {
		t.Errorf("%d places are lost", len(s.desk.waiting))
	}
}

// A name that is nobody's costs the hash of somebody's, and so does a long one.
func TestUnknownNamesCostTheSame(t *testing.T) {
	s := newScene(t)
	cost := func(name string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := s.enter(netip.AddrFrom4([4]byte{10, 2, 0, byte(len(name))}), name, "guess"); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for _, name := range []string{"anna", "nobody", strings.Repeat("n", 1000)} {
		if got := cost(name); got < leastMemory<<10 {
			t.Errorf("%.10s takes %d bytes of memory, and no hash", name, got)
		}
	}
}
