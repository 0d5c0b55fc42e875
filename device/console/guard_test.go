package console

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

func TestForeignHostsAreRefused(t *testing.T) {
	b := newBrowser(t, spooltest.New(t))
	for host, want := range map[string]int{
		"127.0.0.1:8080": 200, "127.0.0.1": 200, "localhost:9999": 200, "LOCALHOST": 200, "localhost.:8080": 200,
		"[::1]:8080": 200, "[::1]": 200, "127.8.9.10": 200, "assaygate-0042.local": 200, "Assaygate-0042.local:80": 200,
		"192.0.2.10:8080": 200, "[::ffff:192.0.2.10]": 200, // where the connection came to
		"evil.example": 421, "localhost.evil.example:8080": 421, "192.0.2.11:8080": 421, "127.0.0.1.evil.example": 421,
		"": 421, ":8080": 421, "[::2]:8080": 421, "2130706433": 421, "0x7f.1": 421, "0.0.0.0:8080": 421,
	} {
		for _, path := range []string{"/", "/messages", "/static/style.css", "/api/v1/messages"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = host
			local := &net.TCPAddr{IP: net.ParseIP("192.0.2.10"), Port: 8080}
			r = r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(local)))
			if w := b.send(r); w.Code != want {
				t.Errorf("%s with Host %q: %d, want %d", path, host, w.Code, want)
			}
		}
	}
}

func TestChangesNeedTheToken(t *testing.T) {
	store := spooltest.New(t)
	id := spooltest.Put(t, store, "S-1", spooltest.Parked)
	b := newBrowser(t, store)
	token := b.token("/messages/" + id)
	if other := newBrowser(t, store).token("/messages/" + id); other == token {
		t.Fatal("two consoles share a token")
	}
	for _, path := range []string{
		"/messages/" + id + "/retry", "/messages/" + id + "/drop",
		"/api/v1/messages/" + id + "/retry", "/api/v1/messages/" + id + "/drop", "/api/v1/retry", "/api/v1/verify",
	} {
		for _, form := range []url.Values{nil, {"csrf": {""}}, {"csrf": {"guess"}}, {"csrf": {token + "x"}}} {
			if w := b.post(path, form); w.Code != http.StatusForbidden {
				t.Errorf("%s with %v: %d", path, form, w.Code)
			}
		}
		// In the address it would be written to logs and histories.
		if w := b.post(path+"?csrf="+token, nil); w.Code != http.StatusForbidden {
			t.Errorf("%s with the token in the address: %d", path, w.Code)
		}
	}
	spooltest.ExpectState(t, store, id, spool.Parked)

	r := httptest.NewRequest(http.MethodPost, "http://localhost/api/v1/messages/"+id+"/retry", strings.NewReader("{}"))
	r.Header.Set(tokenHeader, token)
	r.Header.Set("X-Assaygate-By", "somebody else") // not believed here
	if w := b.send(r); w.Code != http.StatusOK {
		t.Fatalf("with the token: %d %s", w.Code, w.Body)
	}
	spooltest.ExpectState(t, store, id, spool.Pending)
	if page := b.page("/messages/" + id); strings.Contains(page, "somebody else") {
		t.Error("the audit believed a browser's word for who it is")
	}
}

// A page of another origin can have a link to here. It loads nothing from here, be it
// as an image, a frame or a stream: that would be in the audit, and cost something.
func TestOtherPagesLoadNothing(t *testing.T) {
	store := spooltest.New(t)
	id := spooltest.Put(t, store, "S-1", nil)
	b := newBrowser(t, store)
	for _, test := range []struct {
		site, mode, dest string
		want             int
	}{
		{"", "", "", 200},
		{"none", "navigate", "document", 200},
		{"same-origin", "cors", "empty", 200},
		{"cross-site", "navigate", "document", 200},
		{"same-site", "navigate", "document", 200},
		{"cross-site", "navigate", "iframe", 403},
		{"cross-site", "no-cors", "image", 403},
		{"cross-site", "cors", "empty", 403},
		{"same-site", "no-cors", "empty", 403},
		{"cross-site", "", "", 403},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/messages/"+id, nil)
		for name, value := range map[string]string{"Site": test.site, "Mode": test.mode, "Dest": test.dest} {
			if value != "" {
				r.Header.Set("Sec-Fetch-"+name, value)
			}
		}
		if w := b.send(r); w.Code != test.want {
			t.Errorf("%+v: %d", test, w.Code)
		}
	}
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	b := newBrowser(t, spooltest.New(t))
	foreign := httptest.NewRequest(http.MethodGet, "http://evil.example/", nil)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"page": b.get("/"), "style": b.get("/static/style.css"), "api": b.get("/api/v1/status"),
		"not found": b.get("/none"), "forbidden": b.post("/none", nil), "foreign": b.send(foreign),
	} {
		h := w.Header()
		if h.Get("Content-Security-Policy") != policy || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", name, h)
		}
	}
	if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "script-src 'self';") {
		t.Errorf("the policy lets scripts in: %s", policy)
	}
}

// TestOverARealListener asks as curl does: the address that is listened on is a
// known name without being configured.
func TestOverARealListener(t *testing.T) {
	store := spooltest.New(t)
	spooltest.Put(t, store, "S-1", nil)
	server := httptest.NewServer(newBrowser(t, store).console)
	defer server.Close()
	response, err := http.Get(server.URL + "/messages")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), "S-1") {
		t.Errorf("%s %s, error %v", response.Status, body, err)
	}
}
