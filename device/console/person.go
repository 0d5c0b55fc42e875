package console

import (
	"crypto/rand"
	"net/http"
)

// Role is what a person may do; each one may do what those below may.
type Role uint8

// The roles.
const (
	Anybody Role = iota // who has not logged in
	Viewer              // sees how things stand, and results
	Admin               // sees all, and changes it
)

// Person is who asks.
type Person struct {
	Name string // as the audit names them
	Role Role
}

// who is the person that asks.
func (c *Console) who(*http.Request) Person {
	// Without users there is no login that would know better.
	return Person{Name: "console", Role: Admin}
}

// allowed lets only those through whose role is enough.
func (c *Console) allowed(one route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.who(r).Role < one.least {
			c.render(w, r, http.StatusForbidden, "error.html", "Not allowed", "Your role does not allow this: ask somebody with the role admin.")
			return
		}
		one.handle(w, r)
	})
}

func newToken() string { return rand.Text() }
