// Package login decides who a person is: hashes of passwords, sessions, and how
// often somebody may guess.
//
// A password is kept as its argon2id hash ([Hash]), or stands in the configuration
// as it is and is hashed in memory when it is first needed. A [Desk] takes name
// and password and gives a session: a random token, of which it keeps only a
// digest. A session ends after [IdleLimit] without a request, after [LongestLogin]
// whatever is done, and as soon as the configuration says something else of its
// user, or nothing.
//
// A flood of logins costs the gateway one hash at a time and never more: whoever
// comes when [mostWaiting] wait already is told so. Who guesses has to pause, by
// his address and by the name that he tries ([attempts]); a name that does not
// exist is answered as late as one that does.
package login

import (
	"errors"
	"fmt"
	"time"
)

// Account is what the configuration says of one user: a Hash, as [Hash.String]
// writes it, or a Password, as the person types it.
type Account struct {
	Hash, Password string
	Role           string // not judged here; a session ends when it changes
}

var (
	// ErrWrong says that there is no such user, or that the password is another.
	ErrWrong = errors.New("user name or password is wrong")
	// ErrBusy says that too many logins wait already.
	ErrBusy = errors.New("too many logins at this moment; try again in a few seconds")
)

// PauseError says that whoever tries has failed too often, or has logged in too often.
type PauseError struct {
	Wait  time.Duration // until the next try counts; at most a minute
	Often bool          // it was right, and not the first time
}

// Error tells how long to wait.
func (e PauseError) Error() string {
	if e.Often {
		return fmt.Sprintf("too many logins of this user; keep the session, and log in again in %d s", e.Seconds())
	}
	return fmt.Sprintf("too many failed logins; try again in %d s", e.Seconds())
}

// Seconds is Wait in whole seconds, at least one, as Retry-After wants it.
func (e PauseError) Seconds() int {
	return max(1, int((e.Wait+time.Second-1)/time.Second))
}
