package console

import (
	"bytes"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

// browser asks the console as a person's browser does.
type browser struct {
	t       *testing.T
	console *Console
}

// newConsole is a console over a store, with one of its pages as the test wants it.
func newConsole(store *spool.Spool, o Overview) *Console {
	return New(Options{
		Store: func() (*spool.Spool, error) { return store, nil }, Box: func() string { return "haematology-1" }, Version: "v1.2.3",
		Hosts: func() []string { return []string{"assaygate-0042.local"} }, Log: slog.New(slog.DiscardHandler), Overview: o,
	})
}

func newBrowser(t *testing.T, store *spool.Spool) browser {
	return browser{t, newConsole(store, Overview{Instruments: func() []Instrument {
		return []Instrument{
			{Name: "xn-550", Protocol: "astm", Line: "serial /dev/ttyUSB0", Up: true, Messages: 41},
			{Name: "hl7-lan", Protocol: "hl7", Line: "listens on :2575", Problem: "address in use"},
		}
	}})}
}

func (b browser) get(path string) *httptest.ResponseRecorder {
	return b.send(httptest.NewRequestWithContext(b.t.Context(), http.MethodGet, "http://127.0.0.1:8080"+path, nil))
}

func (b browser) post(path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, "http://127.0.0.1:8080"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(r)
}

func (b browser) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.console.ServeHTTP(w, r)
	return w
}

// page returns a page that must be there.
func (b browser) page(path string) string {
	b.t.Helper()
	w := b.get(path)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		b.t.Fatalf("GET %s: %d %s\n%s", path, w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	return w.Body.String()
}

// token reads the CSRF token where a person's browser has it: in a form.
func (b browser) token(path string) string {
	b.t.Helper()
	found := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(b.page(path))
	if found == nil {
		b.t.Fatalf("no token on %s", path)
	}
	return found[1]
}

func contains(t *testing.T, page string, want ...string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q:\n%s", text, page)
		}
	}
}

func TestOverviewShowsInstrumentsAndDestinations(t *testing.T) {
	store := spooltest.New(t)
	spooltest.Put(t, store, "S-1", nil)
	spooltest.Put(t, store, "S-2", spooltest.Parked)
	if err := store.SetHeld(t.Context(), "lims", spool.Hold{Reason: "401 Unauthorized"}); err != nil {
		t.Fatal(err)
	}
	page := newBrowser(t, store).page("/")
	contains(t, page,
		`<a href="/messages">`, "haematology-1", "v1.2.3",
		"xn-550 (astm)", "serial /dev/ttyUSB0", `<td data-label="Since start">41</td>`,
		"hl7-lan (hl7)", "down</span>: address in use",
		"lims", "held: 401 Unauthorized", "captures", "S-1", "S-2", "2 kept",
	)
}

func TestOverviewOfAnEmptyBox(t *testing.T) {
	b := newBrowser(t, spooltest.New(t))
	b.console.options.Overview.Instruments = nil
	contains(t, b.page("/"), "No instrument is configured.", "0 kept")
	contains(t, b.page("/messages"), "No messages.")
}

func TestMessagesListsTheNewestFirstByPages(t *testing.T) {
	store := spooltest.New(t)
	for n := range pageSize + 3 {
		spooltest.Put(t, store, fmt.Sprintf("S-%03d", n), nil)
	}
	b := newBrowser(t, store)
	samples := func(page string) []string { return regexp.MustCompile(`S-\d+`).FindAllString(page, -1) }

	first := b.page("/messages")
	if got := samples(first); len(got) != pageSize || got[0] != "S-052" || got[pageSize-1] != "S-003" {
		t.Fatalf("first page: %q", got)
	}
	older := regexp.MustCompile(`href="(/messages\?[^"]+)"`).FindStringSubmatch(first)
	if older == nil {
		t.Fatal("no link to older messages")
	}
	second := b.page(older[1])
	if got := samples(second); !slices.Equal(got, []string{"S-002", "S-001", "S-000"}) {
		t.Fatalf("second page: %q", got)
	}
	if strings.Contains(second, "Older messages") {
		t.Error("the last page links to older messages")
	}
}

func TestMessagesAreSearched(t *testing.T) {
	store := spooltest.New(t)
	spooltest.Put(t, store, "S-1", nil)
	spooltest.Put(t, store, "S-2", spooltest.Parked)
	spooltest.Put(t, store, "S-3", func(e *envelope.Envelope) { e.Instrument = "architect" })
	b := newBrowser(t, store)
	for query, want := range map[string]string{
		"sample_id=S-2": "S-2", "state=parked": "S-2", "instrument=architect": "S-3",
		"sample_id=S-1&state=": "S-1", "sample_id=none": "",
	} {
		list, _, _ := strings.Cut(b.page("/messages?"+query), "</main>")
		_, list, _ = strings.Cut(list, "<tbody>")
		if got := strings.Join(regexp.MustCompile(`S-\d`).FindAllString(list, -1), " "); got != want {
			t.Errorf("%s: found %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{"before=x", "before=9223372036854775808", "nonsense=1", "since=yesterday", "limit=0"} {
		if w := b.get("/messages?" + query); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
}

func TestMessageShowsEverything(t *testing.T) {
	store := spooltest.New(t)
	id := spooltest.Put(t, store, "S-1", func(e *envelope.Envelope) { e.Problem = "R.4 is empty" })
	b := newBrowser(t, store)
	contains(t, b.page("/messages/"+id),
		"S-1", "WBC", "&lt;0.5", "10*3/uL", "R.4 is empty", time.Date(2026, 3, 1, 12, 30, 5, 0, time.UTC).Local().Format("2006-01-02 15:04:05 MST"), "10.0.0.7:1234", "sysmex_xn",
		"lims", "captures", "pending", "&lt;STX&gt;1H|\\^&amp;&lt;CR&gt;\n&lt;ETX&gt;41&lt;CR&gt;&lt;LF&gt;\n", "accepted",
	)
	w := b.get("/messages/" + id + "/raw")
	raw, err := store.Raw(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), raw) || w.Header().Get("Content-Disposition") != `attachment; filename="`+id+`.astm"` {
		t.Errorf("raw: %d %q %q", w.Code, w.Body, w.Header())
	}
	for _, path := range []string{"/messages/none", "/messages/none/raw"} {
		if w := b.get(path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestRetryAndDropFromTheMessagePage(t *testing.T) {
	store := spooltest.New(t)
	b := newBrowser(t, store)
	retried, dropped := spooltest.Put(t, store, "S-1", spooltest.Parked), spooltest.Put(t, store, "S-2", spooltest.Parked)

	if w := b.post("/messages/"+retried+"/retry", url.Values{"csrf": {b.token("/messages/" + retried)}}); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/messages/"+retried {
		t.Fatalf("retry: %d %s", w.Code, w.Body)
	}
	spooltest.ExpectState(t, store, retried, spool.Pending)

	token := b.token("/messages/" + dropped)
	if w := b.post("/messages/"+dropped+"/drop", url.Values{"csrf": {token}}); w.Code != http.StatusConflict {
		t.Fatalf("drop without a reason: %d", w.Code)
	}
	spooltest.ExpectState(t, store, dropped, spool.Parked)
	if w := b.post("/messages/"+dropped+"/drop", url.Values{"csrf": {token}, "reason": {"a test tube"}}); w.Code != http.StatusSeeOther {
		t.Fatalf("drop: %d %s", w.Code, w.Body)
	}
	spooltest.ExpectState(t, store, dropped, spool.Dropped)
	contains(t, b.page("/messages/"+dropped), "a test tube", "console")
}

// TestPagesNeedNothingFromOutside holds what the content security policy
// promises: a page that broke it would look broken in a browser only.
func TestPagesNeedNothingFromOutside(t *testing.T) {
	store := spooltest.New(t)
	hostile := `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	id := spooltest.Put(t, store, hostile, func(e *envelope.Envelope) {
		spooltest.Parked(e)
		e.Instrument, e.Problem, e.Results[0].Value = hostile, hostile, hostile
		e.Raw = []byte(hostile)
	})
	b := newBrowser(t, store)
	values := regexp.MustCompile(`"[^"]*"`)
	inline := regexp.MustCompile(`(?i)<script[^>]*>[^<]|<(style|iframe)|<[^>]*\s(style|on[a-z]+)\s*=`)
	foreign := regexp.MustCompile(`(?i)(src|href|action)\s*=\s*"?([a-z]+:|//)`)
	for _, path := range []string{"/", "/messages", "/messages?sample_id=" + url.QueryEscape(hostile), "/messages/" + id} {
		page := b.page(path)
		if n := strings.Count(page, "<script"); n != 1 { // our own file, and nothing of a message
			t.Errorf("%s has %d scripts", path, n)
		}
		if found := inline.FindString(values.ReplaceAllString(page, `""`)); found != "" {
			t.Errorf("%s has %q", path, found)
		}
		if found := foreign.FindString(page); found != "" {
			t.Errorf("%s leads elsewhere: %q", path, found)
		}
	}
	linked := regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`).FindAllStringSubmatch(b.page("/"), -1)
	if len(linked) != 3 {
		t.Fatalf("linked: %q", linked)
	}
	for _, link := range linked {
		if w := b.get(link[1]); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "url(") {
			t.Errorf("%s: %d", link[1], w.Code)
		}
	}
}

func TestFailuresOfTheStoreAreLoggedWithoutContent(t *testing.T) {
	store := spooltest.New(t)
	id := spooltest.Put(t, store, "S-1", nil)
	var log bytes.Buffer
	b := newBrowser(t, store)
	b.console.options.Log = slog.New(slog.NewTextHandler(&log, nil))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/messages", "/messages/" + id, "/audit"} {
		if w := b.get(path); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s with the store closed: %d", path, w.Code)
		}
	}
	contains(t, b.page("/"), "There is no store", "xn-550", "listens on :2575") // the rest is still told
	if n := strings.Count(log.String(), "level=ERROR"); n != 3 || strings.Contains(log.String(), "S-1") {
		t.Errorf("log:\n%s", &log)
	}
}

// TestADamagedMessageCanStillBeDecidedOn flips bytes in the file: nobody can
// read that message again, but somebody has to write it off.
func TestADamagedMessageCanStillBeDecidedOn(t *testing.T) {
	directory := t.TempDir()
	store := spooltest.Open(t, directory)
	id := spooltest.Put(t, store, "S-1", spooltest.Parked)
	database, err := sql.Open("sqlite", filepath.Join(directory, "spool.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	if _, err := database.Exec("UPDATE messages SET sample_id = 'S-2' WHERE id = ?", id); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, store)
	page := b.page("/messages/" + id)
	contains(t, page, "damaged", "cannot be shown", "lims", "parked", "no terminator record")
	if strings.Contains(page, "S-2") {
		t.Error("a damaged field is shown as if it were right")
	}
	if w := b.post("/messages/"+id+"/drop", url.Values{"csrf": {b.token("/messages/" + id)}, "reason": {"unreadable"}}); w.Code != http.StatusSeeOther {
		t.Errorf("drop: %d %s", w.Code, w.Body)
	}
	message, err := (&api.Client{Transport: api.InProcess(api.API(store, nil))}).Show(t.Context(), id)
	if err != nil || message.Damaged == "" || message.ID != id || len(message.Audit) == 0 {
		t.Errorf("over the API: %+v, error %v", message, err)
	}
	spooltest.ExpectState(t, store, id, spool.Dropped)
}

func TestVisible(t *testing.T) {
	for raw, want := range map[string]string{
		"\x02A\x03":       "<STX>A<ETX>",
		"MSH|x\rPID|y\r":  "MSH|x<CR>\nPID|y<CR>\n",
		"a\r\nb\nc":       "a<CR><LF>\nb<LF>\nc",
		"M\xe9lanie":      "Mélanie", // Latin-1
		"M\xc3\xa9lanie":  "Mélanie", // UTF-8
		"\x00\x1f\x7f é":  "<NUL><US><DEL> é",
		"\x84 in Latin-1": "<84> in Latin-1",
		"":                "",
	} {
		if got := visible([]byte(raw)); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}

// TestConsoleDoesNotMoveTheRecords holds what keeps patients' data in: over
// the network nobody is given all records, nor can replace them.
func TestConsoleDoesNotMoveTheRecords(t *testing.T) {
	b := newBrowser(t, spooltest.New(t))
	for _, path := range []string{"/api/v1/export", "/api/v1/import"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:8080"+path, nil)
		r.Header.Set(tokenHeader, b.console.token)
		if w := b.send(r); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:8080/api/v1/verify", nil)
	r.Header.Set(tokenHeader, b.console.token)
	if w := b.send(r); w.Code != http.StatusOK {
		t.Errorf("what it does offer: %d %s", w.Code, w.Body)
	}
}

func TestAddressesThatLeadNowhere(t *testing.T) {
	b := newBrowser(t, spooltest.New(t))
	w := b.get("/none")
	if w.Code != http.StatusNotFound {
		t.Errorf("%d", w.Code)
	}
	contains(t, w.Body.String(), "There is no such page", `href="/messages"`)
}

func TestTheMenuSaysWhereOneIs(t *testing.T) {
	store := spooltest.New(t)
	id := spooltest.Put(t, store, "S-1", nil)
	b := newBrowser(t, store)
	for path, want := range map[string]string{
		"/": `href="/" aria-current="page"`, "/messages": `href="/messages" aria-current="page"`, "/messages/" + id: `href="/messages" aria-current="true"`,
	} {
		page := b.page(path)
		contains(t, page, want)
		if n := strings.Count(page, "aria-current"); n != 1 {
			t.Errorf("%s: %d entries are the current one", path, n)
		}
	}
}
