package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

const secret = "correct horse battery"

// house is a console with users, on a real listener.
type house struct {
	*testing.T
	console *Console
	server  *httptest.Server
	store   *spool.Spool

	mu    sync.Mutex
	users map[string]User
}

func newHouse(t *testing.T, start func(*httptest.Server)) *house {
	h := &house{T: t, store: spooltest.New(t), users: map[string]User{
		"anna": {PasswordHash: hashOfSecret, Role: "admin"}, "otto": {PasswordHash: hashOfSecret, Role: "viewer"},
	}}
	h.console = newConsole(h.store, Overview{})
	h.console.options.Login.Users = func() map[string]User {
		h.mu.Lock()
		defer h.mu.Unlock()
		return maps.Clone(h.users)
	}
	h.server = httptest.NewUnstartedServer(h.console)
	start(h.server)
	t.Cleanup(h.server.Close)
	return h
}

// change changes the users of the configuration.
func (h *house) change(by func(users map[string]User)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	by(h.users)
}

// visitor is one person's browser.
type visitor struct {
	*house
	client http.Client
}

func (h *house) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.Fatal(err)
	}
	return &visitor{h, http.Client{
		Transport: h.server.Client().Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// ask sends a request with headers, given as name and value in turn.
func (v *visitor) ask(method, path, body string, headers ...string) (*http.Response, string) {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), method, v.server.URL+path, strings.NewReader(body))
	if err != nil {
		v.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := v.client.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer response.Body.Close()
	var text strings.Builder
	if _, err := fmt.Fprint(&text, readAll(v.T, response)); err != nil {
		v.Fatal(err)
	}
	return response, text.String()
}

func readAll(t *testing.T, response *http.Response) string {
	t.Helper()
	var all []byte
	buffer := make([]byte, 64<<10)
	for len(all) < 1<<20 {
		n, err := response.Body.Read(buffer)
		all = append(all, buffer[:n]...)
		if err != nil {
			break
		}
	}
	return string(all)
}

func (v *visitor) form(path string, values url.Values) (*http.Response, string) {
	v.Helper()
	return v.ask(http.MethodPost, path, values.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

var tokenOnPage = regexp.MustCompile(`name="csrf" content="([^"]+)"`)

// token is that of the pages that the person has open.
func (v *visitor) token() string {
	v.Helper()
	_, page := v.ask(http.MethodGet, "/login", "")
	if found := tokenOnPage.FindStringSubmatch(page); found != nil {
		return found[1]
	}
	_, page = v.ask(http.MethodGet, "/", "")
	found := tokenOnPage.FindStringSubmatch(page)
	if found == nil {
		v.Fatalf("no token on\n%s", page)
	}
	return found[1]
}

func (v *visitor) logIn(user, password string) *http.Response {
	v.Helper()
	response, _ := v.form("/login", url.Values{"csrf": {v.token()}, "user": {user}, "password": {password}, "to": {"/messages?state=parked"}})
	return response
}

// as is a browser of somebody who has logged in.
func (h *house) as(user string) *visitor {
	h.Helper()
	v := h.visitor()
	if response := v.logIn(user, secret); response.StatusCode != http.StatusSeeOther {
		h.Fatalf("%s: %s", user, response.Status)
	}
	return v
}

func (v *visitor) wants(status int, method, path string) *http.Response {
	v.Helper()
	response, text := v.ask(method, path, "")
	if response.StatusCode != status {
		v.Errorf("%s %s: %s, want %d\n%.300s", method, path, response.Status, status, text)
	}
	return response
}

func TestLogin(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){"plain": (*httptest.Server).Start, "TLS": (*httptest.Server).StartTLS} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, start)
			v := h.visitor()
			for path, to := range map[string]string{"/": "/login", "/messages?state=parked": "/login?to=%2Fmessages%3Fstate%3Dparked", "/live": "/login?to=%2Flive"} {
				if got := v.wants(http.StatusSeeOther, http.MethodGet, path).Header.Get("Location"); got != to {
					t.Errorf("%s leads to %s, want %s", path, got, to)
				}
			}
			v.wants(http.StatusOK, http.MethodGet, "/static/style.css")
			if _, page := v.ask(http.MethodGet, "/login", ""); strings.Contains(page, "Log out") || strings.Contains(page, `href="/messages"`) {
				t.Error("the login page shows more than a login")
			}
			response := v.logIn("anna", "wrong")
			if response.StatusCode != http.StatusUnauthorized || len(response.Cookies()) != 0 {
				t.Errorf("a wrong password: %s, %v", response.Status, response.Cookies())
			}
			response = v.logIn("anna", secret)
			if response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != "/messages?state=parked" {
				t.Fatalf("%s, %s", response.Status, response.Header.Get("Location"))
			}
			cookie := response.Cookies()[0]
			wantName, secure := "assaygate", false
			if name == "TLS" {
				wantName, secure = "__Host-assaygate", true
			}
			if cookie.Name != wantName || !cookie.HttpOnly || cookie.Secure != secure || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" {
				t.Errorf("cookie %s", cookie)
			}
			page := func() string { _, page := v.ask(http.MethodGet, "/", ""); return page }
			contains(t, page(), "<span>anna</span>", "Log out", `href="/live"`)
			v.wants(http.StatusSeeOther, http.MethodGet, "/login")

			if response, _ := v.form("/logout", url.Values{"csrf": {v.token()}}); response.Header.Get("Location") != "/login" {
				t.Errorf("logout: %s", response.Status)
			}
			v.client.Jar.SetCookies(must(url.Parse(h.server.URL)), []*http.Cookie{cookie}) // kept by somebody
			v.wants(http.StatusSeeOther, http.MethodGet, "/")

			var acts []string
			rows, err := h.store.Trail(t.Context(), 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				acts = append(acts, row.What+" by "+row.Who+": "+row.Detail)
			}
			want := []string{"logged out by anna: ", "logged in by anna: from 127.0.0.1", "login refused by somebody: as anna, from 127.0.0.1: user name or password is wrong"}
			if len(acts) < 3 || !slices.Equal(acts[:3], want) {
				t.Errorf("audit %q, want %q", acts, want)
			}
		})
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// Users and their roles are those of the configuration at each request.
func TestUsersAreReadAnew(t *testing.T) {
	h := newHouse(t, (*httptest.Server).Start)
	anna, otto := h.as("anna"), h.as("otto")
	anna.wants(http.StatusOK, http.MethodGet, "/setup")
	otto.wants(http.StatusForbidden, http.MethodGet, "/setup")
	h.change(func(users map[string]User) { users["otto"] = User{PasswordHash: hashOfSecret, Role: "admin"} })
	otto.wants(http.StatusSeeOther, http.MethodGet, "/setup") // a changed user logs in again
	h.as("otto").wants(http.StatusOK, http.MethodGet, "/setup")
	h.change(func(users map[string]User) { delete(users, "anna") })
	anna.wants(http.StatusSeeOther, http.MethodGet, "/")
	if response := h.visitor().logIn("anna", secret); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("who was removed: %s", response.Status)
	}
	h.change(func(users map[string]User) { clear(users) })
	h.visitor().wants(http.StatusOK, http.MethodGet, "/")
}

// The token of one session is of no use to another.
func TestTokenIsOfTheSession(t *testing.T) {
	h := newHouse(t, (*httptest.Server).Start)
	anna, otto, nobody := h.as("anna"), h.as("otto"), h.visitor()
	id := spooltest.Put(t, h.store, "S-1", spooltest.Parked)
	own, before := anna.token(), nobody.token()
	if own == otto.token() || own == before {
		t.Fatal("two sessions have one token")
	}
	for _, token := range []string{"", "x", otto.token(), before} {
		if response, _ := anna.form("/messages/"+id+"/retry", url.Values{"csrf": {token}}); response.StatusCode != http.StatusForbidden {
			t.Errorf("with %q: %s", token, response.Status)
		}
	}
	for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		response, _ := anna.ask(http.MethodPost, "/messages/"+id+"/retry", "", append(header, "X-CSRF-Token", own)...)
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("with %v: %s", header, response.Status)
		}
	}
	spooltest.ExpectState(t, h.store, id, spool.Parked)
	if response, _ := anna.form("/messages/"+id+"/retry", url.Values{"csrf": {own}}); response.StatusCode != http.StatusSeeOther {
		t.Errorf("with its own: %s", response.Status)
	}
	spooltest.ExpectState(t, h.store, id, spool.Pending)
	// Nor does a login without the token of the login page begin.
	if response, _ := h.visitor().form("/login", url.Values{"user": {"anna"}, "password": {secret}}); response.StatusCode != http.StatusForbidden || len(response.Cookies()) > 0 {
		t.Errorf("a login without a token: %s", response.Status)
	}
}

func TestFloodOfLoginsIsSlowedAndNoted(t *testing.T) {
	h := newHouse(t, (*httptest.Server).Start)
	v := h.visitor()
	token := v.token()
	try := func(user string) *http.Response {
		response, _ := v.form("/login", url.Values{"csrf": {token}, "user": {user}, "password": {"guess"}})
		return response
	}
	slowed := 0
	for range 30 {
		if response := try("anna"); response.StatusCode == http.StatusTooManyRequests && response.Header.Get("Retry-After") != "" {
			slowed++
		}
	}
	if slowed < 20 {
		t.Errorf("%d of 30 were slowed", slowed)
	}
	try("my secret password")
	rows, err := h.store.Trail(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, row := range rows {
		if row.What == string(spool.LoginRefused) {
			refused++
		}
		if strings.Contains(row.Detail, "secret") {
			t.Errorf("the audit has what was typed: %s", row.Detail)
		}
	}
	if refused == 0 || refused > mostRefusedNotes {
		t.Errorf("%d rows", refused)
	}
}

func TestOwnPath(t *testing.T) {
	for text, want := range map[string]string{
		"/messages": "/messages", "/messages?state=parked&x=1": "/messages?state=parked&x=1", "/a%2Fb": "/a%2Fb", "/live/xn#x": "/live/xn",
		"": "/", "messages": "/", "//evil.example": "/", "https://evil.example/": "/", `/\evil.example`: "/", "/\t/evil.example": "/",
		"javascript:alert(1)": "/", "/login": "/", "/login?to=/": "/", "http:evil": "/", "/%2F/evil.example": "/",
		"\\\\evil": "/", "/x\r\nSet-Cookie: a=b": "/",
	} {
		if got := ownPath(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestSessionOfAProgram(t *testing.T) {
	h := newHouse(t, (*httptest.Server).Start)
	id := spooltest.Put(t, h.store, "S-1", spooltest.Parked)
	v := h.visitor()
	type answer struct{ CSRF, Role, Error, Code string }
	begin := func(v *visitor, body, kind string) (*http.Response, answer) {
		response, text := v.ask(http.MethodPost, sessionPath, body, "Content-Type", kind)
		var a answer
		if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
			if err := json.Unmarshal([]byte(text), &a); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
		return response, a
	}
	for body, want := range map[string]int{`{"user": "anna", "password": "wrong"}`: 401, `{"user": "anna"`: 400, `{"name": "anna"}`: 400, `[]`: 400} {
		if response, a := begin(v, body, "application/json"); response.StatusCode != want || a.Error == "" || a.Code == "" {
			t.Errorf("%s: %s, %+v", body, response.Status, a)
		}
	}
	// A form of another page could send this.
	if response, a := begin(v, `{"user": "anna", "password": "`+secret+`"}`, "text/plain"); response.StatusCode != http.StatusForbidden || a.Code != "token" {
		t.Errorf("as text: %s, %+v", response.Status, a)
	}
	response, text := v.ask(http.MethodGet, "/api/v1/messages", "")
	if response.StatusCode != http.StatusUnauthorized || !strings.Contains(text, `"code":"unauthorized"`) || response.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("without a session: %s %s", response.Status, text)
	}
	response, a := begin(v, `{"user": "anna", "password": "`+secret+`"}`, "application/json; charset=utf-8")
	if response.StatusCode != http.StatusOK || a.CSRF == "" || a.Role != "admin" {
		t.Fatalf("%s, %+v", response.Status, a)
	}
	v.wants(http.StatusOK, http.MethodGet, "/api/v1/messages")
	path := "/api/v1/messages/" + id + "/retry"
	if response, text := v.ask(http.MethodPost, path, "{}"); response.StatusCode != http.StatusForbidden || !strings.Contains(text, `"code":"token"`) {
		t.Errorf("without the token: %s %s", response.Status, text)
	}
	if response, text := v.ask(http.MethodPost, path, "{}", "X-CSRF-Token", a.CSRF); response.StatusCode != http.StatusOK {
		t.Errorf("%s %s", response.Status, text)
	}
	otto := h.visitor()
	_, a2 := begin(otto, `{"user": "otto", "password": "`+secret+`"}`, "application/json")
	if response, text := otto.ask(http.MethodPost, path, "{}", "X-CSRF-Token", a2.CSRF); response.StatusCode != http.StatusForbidden || !strings.Contains(text, `"code":"forbidden"`) {
		t.Errorf("a viewer: %s %s", response.Status, text)
	}
	if response, _ := v.ask(http.MethodDelete, sessionPath, "", "X-CSRF-Token", a.CSRF); response.StatusCode != http.StatusNoContent {
		t.Errorf("%s", response.Status)
	}
	v.wants(http.StatusUnauthorized, http.MethodGet, "/api/v1/messages")

	h.change(func(users map[string]User) { clear(users) })
	if response, a := begin(h.visitor(), "", "application/json"); response.StatusCode != http.StatusOK || a.CSRF != h.console.token {
		t.Errorf("without users: %s, %+v", response.Status, a)
	}
}

// A page that asks by itself prolongs no session, and is told when that is over.
func TestPagesThatAskByThemselves(t *testing.T) {
	h := newHouse(t, (*httptest.Server).Start)
	response, _ := h.visitor().ask(http.MethodGet, "/", "", "Sec-Fetch-Mode", "cors")
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a session: %s", response.Status)
	}
	for mode, want := range map[string]bool{"": false, "navigate": false, "cors": true, "same-origin": true} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Sec-Fetch-Mode", mode)
		if byItself(r) != want {
			t.Errorf("%q: %v", mode, !want)
		}
	}
	if byItself(httptest.NewRequest(http.MethodPost, "/", nil)) {
		t.Error("who changes something is there")
	}
}

// An answer that takes long ends with the session.
func TestStreamsEndWithTheSession(t *testing.T) {
	h := newHouse(t, (*httptest.Server).Start)
	began, ended := make(chan bool), make(chan bool)
	h.console.handler = h.console.guard(h.console.allowed(route{"", Admin, func(_ http.ResponseWriter, r *http.Request) {
		began <- true
		<-r.Context().Done()
		ended <- true
	}}))
	token, _, err := h.console.desk.Enter(t.Context(), remote(httptest.NewRequest("", "/", nil)), "anna", secret, h.console.accounts())
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil)
	r.AddCookie(&http.Cookie{Name: "assaygate", Value: token})
	go h.console.ServeHTTP(httptest.NewRecorder(), r)
	<-began
	h.console.desk.Leave(token)
	<-ended
}
