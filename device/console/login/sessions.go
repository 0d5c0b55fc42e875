package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"time"
)

const (
	// IdleLimit ends a session that nobody uses.
	IdleLimit = 30 * time.Minute
	// LongestLogin ends every session.
	LongestLogin = 12 * time.Hour
	// mostSessions is how many one user has at a time; the one that was idle
	// longest makes room.
	mostSessions = 16
)

// Session is one person's, from a login to its end.
type Session struct {
	User, Role string
	CSRF       string // token that the person's own pages hold

	account Account // as it was at the login
	begun   time.Time
	used    time.Time
	over    context.Context // ends with the session
	end     context.CancelFunc
}

// Over ends when the session does. An answer that takes long, such as a stream,
// ends with it.
func (s Session) Over() context.Context { return s.over }

// sessions are those of all users, by the digest of their tokens: who reads the
// gateway's memory finds none that a browser could send.
type sessions map[[sha256.Size]byte]*Session

// begin starts a session and returns its token.
func (all sessions) begin(user string, account Account, now time.Time) (token string, s Session) {
	all.makeRoom(user)
	token = rand.Text()
	one := &Session{User: user, Role: account.Role, CSRF: rand.Text(), account: account, begun: now, used: now}
	one.over, one.end = context.WithCancel(context.Background())
	all[sha256.Sum256([]byte(token))] = one
	return token, *one
}

// makeRoom ends the session of a user that was idle longest, where there are too
// many.
func (all sessions) makeRoom(user string) {
	var idlest [sha256.Size]byte
	count := 0
	for key, one := range all {
		if one.User != user {
			continue
		}
		if count++; count == 1 || one.used.Before(all[idlest].used) {
			idlest = key
		}
	}
	if count >= mostSessions {
		all.remove(idlest)
	}
}

func (all sessions) remove(key [sha256.Size]byte) {
	if one := all[key]; one != nil {
		one.end()
		delete(all, key)
	}
}

// sweep ends the sessions whose time is over, and those of users of whom the
// configuration says something else now.
func (all sessions) sweep(accounts map[string]Account, now time.Time) {
	for key, one := range all {
		account, is := accounts[one.User]
		if !is || account != one.account || now.Sub(one.used) >= IdleLimit || now.Sub(one.begun) >= LongestLogin {
			all.remove(key)
		}
	}
}

// of is the session with the token, nil where there is none.
func (all sessions) of(token string) *Session {
	if token == "" {
		return nil
	}
	return all[sha256.Sum256([]byte(token))]
}
