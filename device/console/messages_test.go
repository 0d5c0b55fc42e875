package console

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

// inZone has the box be in a time zone.
func inZone(t *testing.T, name string) {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Skipf("SKIPPED, and so not tested: %v", err)
	}
	before := time.Local
	time.Local = zone
	t.Cleanup(func() { time.Local = before })
}

// listed are the samples of the messages that a page lists.
func (b browser) listed(path string) string {
	b.t.Helper()
	_, list, _ := strings.Cut(b.page(path), "<tbody>")
	list, _, _ = strings.Cut(list, "</tbody>")
	return strings.Join(regexp.MustCompile(`S-\d+`).FindAllString(list, -1), " ")
}

func TestSearchByTimeIsInTheZoneOfTheBox(t *testing.T) {
	inZone(t, "Europe/Berlin")
	store := spooltest.New(t)
	for i, at := range []string{"2026-03-01T22:59:59Z", "2026-03-01T23:00:00Z", "2026-03-02T11:30:59Z", "2026-03-02T11:31:00Z", "2026-03-29T00:30:00Z", "2026-03-29T21:59:00Z"} {
		spooltest.Put(t, store, "S-"+string(rune('1'+i)), func(e *envelope.Envelope) {
			e.ReceivedAt, _ = time.Parse(time.RFC3339, at)
		})
	}
	b := newBrowser(t, store)
	for query, want := range map[string]string{
		"from=2026-03-02T00:00":                     "S-6 S-5 S-4 S-3 S-2",
		"to=2026-03-02T12:30":                       "S-3 S-2 S-1",
		"from=2026-03-02T00:00&to=2026-03-02T12:30": "S-3 S-2",
		"from=2026-03-02&to=2026-03-02":             "S-4 S-3 S-2",
		"from=2026-03-29&to=2026-03-29":             "S-6 S-5", // a day of 23 hours
		"from=2026-03-02 12:31:00":                  "S-6 S-5 S-4",
		"from=2026-03-02&instrument=none":           "",
	} {
		query = strings.ReplaceAll(query, " ", "+")
		if got := b.listed("/messages?" + query); got != want {
			t.Errorf("%s: found %q, want %q", query, got, want)
		}
	}
}

// States of several destinations are told apart, and those that want a person stand
// out.
func TestTheListTellsStatesApart(t *testing.T) {
	store := spooltest.New(t)
	spooltest.Put(t, store, "S-1", spooltest.Parked)
	page := newBrowser(t, store).page("/messages")
	for _, want := range []string{`<span class="bad">parked</span>, <span`, `: pending</span>, <span class="bad">lims: parked</span>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the list has no %s", want)
		}
	}
}

func TestSearchSaysWhatIsWrongWithIt(t *testing.T) {
	b := newBrowser(t, spooltest.New(t))
	for query, want := range map[string]string{
		"from=yesterday":                "From: &#34;yesterday&#34; is no day or time",
		"from=2026-03-02&to=2026-03-01": "From is not before To",
		"state=lost":                    "there is no such state",
		"kind=image":                    "a message is a result, qc",
		"intake=x":                      "a message is accepted, parked",
		"before=x&sample_id=S%221":      "before: ",
	} {
		w := b.get("/messages?" + query)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d\n%s", query, w.Code, w.Body)
		}
	}
	// What was asked for is still in the form.
	contains(t, b.get("/messages?before=x&sample_id=S%221&reason=odd").Body.String(), `value="S&#34;1"`, `value="odd"`, "<details open>")
}

func TestLinksKeepTheSearch(t *testing.T) {
	store := spooltest.New(t)
	for range pageSize + 1 {
		spooltest.Put(t, store, "S-1", nil)
	}
	b := newBrowser(t, store)
	page := b.page("/messages?sample_id=S-1&to=2027-01-01T00:00")
	older := regexp.MustCompile(`href="(/messages\?[^"]+)" rel="next"`).FindStringSubmatch(page)
	if older == nil || !strings.Contains(older[1], "sample_id=S-1") || !strings.Contains(older[1], "to=2027-01-01T00%3A00") {
		t.Fatalf("older: %q", older)
	}
	contains(t, b.page(strings.ReplaceAll(older[1], "&amp;", "&")), "Newest messages", `href="/messages?sample_id=S-1&amp;to=2027-01-01T00%3A00"`)
}

func TestRetryOfAllThatASearchSelects(t *testing.T) {
	store := spooltest.New(t)
	wanted, other := spooltest.Put(t, store, "S-1", spooltest.Parked), spooltest.Put(t, store, "S-2", spooltest.Parked)
	early := spooltest.Put(t, store, "S-1", func(e *envelope.Envelope) {
		spooltest.Parked(e)
		e.ReceivedAt = e.ReceivedAt.AddDate(0, 0, -1)
	})
	b := newBrowser(t, store)
	const query = "sample_id=S-1&from=2026-03-01&state=parked"
	page := b.page("/messages?" + query)
	ask := regexp.MustCompile(`href="(/messages/retry\?[^"]+)"`).FindStringSubmatch(page)
	if ask == nil {
		t.Fatalf("no link to retry:\n%s", page)
	}
	asked := b.page(strings.ReplaceAll(ask[1], "&amp;", "&"))
	contains(t, asked, "<strong>1</strong> delivery", "sample S-1", "state parked", "received from 2026-03-01")
	spooltest.ExpectState(t, store, wanted, spool.Parked) // to ask changes nothing
	form := regexp.MustCompile(`name="query" value="([^"]+)"`).FindStringSubmatch(asked)
	w := b.post("/messages/retry", url.Values{"csrf": {b.token(strings.ReplaceAll(ask[1], "&amp;", "&"))}, "query": {strings.ReplaceAll(form[1], "&amp;", "&")}})
	if w.Code != http.StatusSeeOther {
		t.Fatalf("retry: %d %s", w.Code, w.Body)
	}
	contains(t, b.page(w.Header().Get("Location")), "Pending again: 1.", `value="S-1"`)
	spooltest.ExpectState(t, store, wanted, spool.Pending)
	spooltest.ExpectState(t, store, other, spool.Parked)
	spooltest.ExpectState(t, store, early, spool.Parked)
	// Without the token nothing happens, and no state but these can be retried at once.
	if w := b.post("/messages/retry", url.Values{"query": {""}}); w.Code != http.StatusForbidden {
		t.Errorf("without a token: %d", w.Code)
	}
	if page := b.page("/messages?state=delivered"); strings.Contains(page, "/messages/retry") {
		t.Error("what is delivered can be retried at once")
	}
	contains(t, b.page("/messages/retry?sample_id=none"), "nothing to retry")
}

// One person's searches do not take all that the store can answer at a time; those of
// others go on.
func TestSearchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s searches
		var leave []func()
		for range mostSearches {
			one, err := s.enter(t.Context(), "vic")
			if err != nil {
				t.Fatal(err)
			}
			leave = append(leave, one)
		}
		ctx, stop := context.WithTimeout(t.Context(), patience)
		defer stop()
		if _, err := s.enter(ctx, "vic"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one more: %v", err)
		}
		if _, err := s.enter(t.Context(), "anna"); err != nil {
			t.Error(err)
		}
		leave[0]()
		if _, err := s.enter(t.Context(), "vic"); err != nil {
			t.Error(err)
		}
	})
}

// A search ends in time, however it is asked for, and waits for no more.
func TestSearchesWaitTheirTurn(t *testing.T) {
	store := spooltest.New(t)
	b := newBrowser(t, store)
	for range mostSearches {
		if _, err := b.console.search.enter(t.Context(), "console"); err != nil {
			t.Fatal(err)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		for _, path := range []string{"/messages", "/api/v1/messages"} {
			ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
			r := httptest.NewRequestWithContext(ctx, method, "http://localhost"+path, nil)
			if w := b.send(r); w.Code != http.StatusServiceUnavailable {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
			stop()
		}
	}
}
