package console

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

// rights says of every route of the console who is the least that gets it. A new
// route needs a row here: what it lets whom see or do is decided once more by who
// writes that.
func rights() map[string]Role {
	return map[string]Role{
		"GET /static/{name}": Anybody,
		"GET /login":         Anybody,
		"POST /login":        Anybody,
		"POST /logout":       Viewer,

		"GET /":           Viewer,
		"GET /{$}":        Viewer,
		"POST /clock":     Admin,
		"POST /repair":    Admin,
		"GET /update":     Viewer,
		"GET /support":    Viewer,
		"GET /audit":      Viewer,
		"GET /commission": Viewer,

		"POST /support/bundle": Admin,

		"GET /commission/{instrument}":        Viewer,
		"GET /commission/{instrument}/report": Viewer,
		"POST /commission/{instrument}/begin": Viewer,
		"POST /commission/{instrument}/sent":  Viewer,

		"GET /live":                     Admin,
		"GET /live/{instrument}":        Admin,
		"GET /live/{instrument}/events": Admin,

		"GET /messages":                                     Viewer,
		"GET /messages/{id}":                                Viewer,
		"GET /messages/{id}/image/{n}":                      Viewer,
		"GET /messages/{id}/raw":                            Admin,
		"GET /messages/{id}/envelope":                       Admin,
		"POST /messages/{id}/retry":                         Admin,
		"POST /messages/{id}/drop":                          Admin,
		"GET /messages/retry":                               Admin,
		"POST /messages/retry":                              Admin,
		"GET /messages/{id}/replay":                         Admin,
		"POST /messages/{id}/replay":                        Admin,
		"GET /captures":                                     Admin,
		"GET /captures/{destination}/{name}":                Admin,
		"GET /captures/{destination}/{name}/replay":         Admin,
		"POST /captures/{destination}/{name}/replay":        Admin,
		"GET /api/v1/captures":                              Admin,
		"GET /api/v1/captures/{destination}/{name}":         Admin,
		"GET /setup":                                        Admin,
		"POST /setup/keep":                                  Admin,
		"POST /setup/back":                                  Admin,
		"GET /setup/config":                                 Admin,
		"POST /setup/check":                                 Admin,
		"POST /setup/diff":                                  Admin,
		"POST /setup/apply":                                 Admin,
		"GET /setup/earlier":                                Admin,
		"GET /setup/ports":                                  Admin,
		"GET /setup/ports/probe":                            Admin,
		"POST /setup/ports/probe":                           Admin,
		"POST /setup/ports/stop":                            Admin,
		"GET /api/":                                         Viewer,
		"GET /api/v1/update":                                Viewer,
		"GET /api/v1/messages":                              Viewer,
		"GET /api/v1/messages/{id}":                         Admin,
		"GET /api/v1/messages/{id}/raw":                     Admin,
		"POST /api/":                                        Admin,
		"POST /api/v1/messages/{id}/replay":                 Admin,
		"POST /api/v1/captures/{destination}/{name}/replay": Admin,
		"POST /api/v1/session":                              Anybody,
		"DELETE /api/v1/session":                            Viewer,
	}
}

var wildcard = regexp.MustCompile(`\{(\w+)\}`)

// pathOf is a path that a pattern matches.
func pathOf(pattern, id string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	path = strings.TrimSuffix(path, "{$}")
	values := map[string]string{"{id}": id, "{name}": "style.css", "{n}": "0", "{instrument}": "xn"}
	path = wildcard.ReplaceAllStringFunc(path, func(name string) string {
		if value, known := values[name]; known {
			return value
		}
		return "1"
	})
	if strings.HasSuffix(path, "/api/") {
		path += map[string]string{"GET": "v1/status", "POST": "v1/verify"}[method]
	}
	return method, path
}

// TestRights asks for every route as nobody, as a viewer and as an admin.
func TestRights(t *testing.T) {
	h := newHouse(t, (*httptest.Server).Start)
	id := spooltest.Put(t, h.store, "S-1", spooltest.Parked)
	rows := rights()
	for _, one := range h.console.routes() {
		least, known := rows[one.pattern]
		if !known {
			t.Errorf("%s has no row: decide who may, and write it into rights", one.pattern)
			continue
		}
		delete(rows, one.pattern)
		if least != one.least {
			t.Errorf("%s is for role %d, and its row says %d", one.pattern, one.least, least)
		}
		method, path := pathOf(one.pattern, id)
		for role, user := range map[Role]string{Anybody: "", Viewer: "otto", Admin: "anna"} {
			v := h.visitor()
			if user != "" {
				v = h.as(user)
			}
			headers := []string{}
			if method != http.MethodGet {
				if response, _ := v.ask(method, path, ""); response.StatusCode != http.StatusForbidden {
					t.Errorf("%s by %q without the token: %s", one.pattern, user, response.Status)
				}
				headers = append(headers, "X-CSRF-Token", v.token())
			}
			if one.pattern == "POST /login" || one.pattern == "POST "+sessionPath {
				continue // it asks for a password: see TestLogin
			}
			response, _ := v.ask(method, path, "", headers...)
			toLogin := response.StatusCode == http.StatusSeeOther && strings.HasPrefix(response.Header.Get("Location"), "/login")
			refused := response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden || toLogin && one.pattern != "POST /logout"
			switch {
			case role >= least && refused:
				t.Errorf("%s is refused to %q: %s", one.pattern, user, response.Status)
			case role < least && !refused:
				t.Errorf("%s is given to %q: %s", one.pattern, user, response.Status)
			case role == Viewer && role < least && response.StatusCode != http.StatusForbidden:
				t.Errorf("%s by a viewer: %s", one.pattern, response.Status)
			}
		}
	}
	for pattern := range rows {
		t.Errorf("there is no route %s any more", pattern)
	}
}
