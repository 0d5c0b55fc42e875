package login

import "time"

const (
	// freeLogins is how many logins one user has at once, and loginEvery how often
	// one more: each takes the card a row of the audit.
	freeLogins = 60
	loginEvery = time.Minute
)

// entered are when the logins of each user will have been forgotten. A name in it is
// that of a user, so there are few.
type entered map[string]time.Time

// wait is how long the user has to wait for one more login; where that is 0 it is
// counted.
func (e entered) wait(name string, now time.Time) time.Duration {
	free := e[name]
	if free.Before(now) {
		free = now
	}
	if over := free.Sub(now) - (freeLogins-1)*loginEvery; over > 0 {
		return over
	}
	e[name] = free.Add(loginEvery)
	return 0
}
