package console

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/assaygate/assaygate/device/console/api"
)

// sessionPath is where a program logs in and out.
const sessionPath = "/api/v1/session"

func (c *Console) sessionRoutes() []route {
	return []route{
		{"POST " + sessionPath, Anybody, c.beginSession},
		{"DELETE " + sessionPath, Viewer, c.endSession},
	}
}

// beginSession takes {"user": NAME, "password": TEXT}, and answers with the cookie
// and {"csrf": TOKEN, "role": ROLE}. The token goes into the header X-CSRF-Token of
// each request that changes something. Where nobody has to log in the answer is the
// token alone.
func (c *Console) beginSession(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		User     string `json:"user"`
		Password string `json:"password"`
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil && !errors.Is(err, io.EOF) {
		api.Answer(w, nil, api.BadRequest{Err: errors.New(`the body is not {"user": NAME, "password": TEXT}`)})
		return
	}
	if len(c.accounts()) == 0 {
		api.Answer(w, map[string]string{"csrf": c.token, "role": "admin"}, nil)
		return
	}
	session, err := c.enter(w, r, asked.User, asked.Password)
	if err != nil {
		status, text := refusal(w, err)
		code := map[int]string{http.StatusUnauthorized: "wrong", http.StatusTooManyRequests: "pause", http.StatusServiceUnavailable: "busy"}[status]
		answerFailure(w, status, code, text)
		return
	}
	api.Answer(w, map[string]string{"csrf": session.CSRF, "role": session.Role}, nil)
}

func (c *Console) endSession(w http.ResponseWriter, r *http.Request) {
	c.leave(w, r)
	w.WriteHeader(http.StatusNoContent)
}

// isAPI reports whether a program asks.
func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

// startsSession reports whether a program wants to log in: it has no token yet. A
// page of another origin cannot send that type of content unasked.
func startsSession(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == sessionPath && strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
}

// answerFailure tells a program what is wrong with who it is.
func answerFailure(w http.ResponseWriter, status int, code, text string) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Session realm="assaygate"`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Failure{Error: text, Code: code}) // a failure means that the asker left
}
