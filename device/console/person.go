package console

import (
	"crypto/rand"
	"net/http"
	"net/url"
)

// Role is what a person may do; each one may do what those below may.
type Role uint8

// The roles.
const (
	Anybody Role = iota // who has not logged in
	Viewer              // sees how things stand, and results
	Admin               // sees all, and changes it
)

// roleOf is the role of a name in the configuration.
func roleOf(name string) Role {
	switch name {
	case "admin":
		return Admin
	case "viewer":
		return Viewer
	}
	return Anybody
}

// Person is who asks.
type Person struct {
	Name string // as the audit names them; "" who has not logged in
	Role Role
}

// who is the person that asks, as the configuration has it at this moment: what
// takes long asks again.
func (c *Console) who(r *http.Request) Person {
	if len(c.accounts()) == 0 {
		// Without users there is no login that would know better.
		return Person{Name: "console", Role: Admin}
	}
	session, is := c.session(r, false)
	if !is {
		return Person{}
	}
	return Person{Name: session.User, Role: roleOf(session.Role)}
}

// allowed lets only those through whose role is enough.
func (c *Console) allowed(one route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		person := c.who(r)
		switch {
		case person.Role >= one.least && reads(r):
			c.turns.serve(w, r, one.handle)
		case person.Role >= one.least:
			one.handle(w, r)
		case person.Role == Anybody:
			c.askLogin(w, r)
		case isAPI(r):
			answerFailure(w, http.StatusForbidden, "forbidden", "the role viewer does not allow this; ask with a user of the role admin")
		default:
			c.render(w, r, http.StatusForbidden, "error.html", "Not allowed", "Your role does not allow this: ask somebody with the role admin.")
		}
	})
}

// reads reports whether the request changes nothing.
func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// askLogin answers who has to log in first.
func (c *Console) askLogin(w http.ResponseWriter, r *http.Request) {
	switch {
	case isAPI(r):
		answerFailure(w, http.StatusUnauthorized, "unauthorized", "log in first: POST "+sessionPath+` with {"user": NAME, "password": TEXT}`)
	case reads(r) && !byItself(r):
		to := "/login"
		if at := ownPath(r.URL.RequestURI()); at != "/" {
			to += "?to=" + url.QueryEscape(at)
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	default:
		c.render(w, r, http.StatusUnauthorized, "error.html", "Log in", "Your session has ended: log in again.")
	}
}

// byItself reports whether a page asks for something without its person: that does
// not prolong a session.
func byItself(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return r.Method == http.MethodGet && mode != "" && mode != "navigate"
}

func newToken() string { return rand.Text() }
