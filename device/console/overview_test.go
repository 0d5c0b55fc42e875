package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

func TestOverviewShowsWhatIsToKnowOfTheBox(t *testing.T) {
	store := spooltest.New(t)
	set := false
	shown := func(b Overview) string {
		return browser{t, newConsole(store, b)}.page("/")
	}
	const field = `name="time"`
	contains(t, shown(Overview{Notes: func() []string { return []string{"This box has <no> owner"} }}), "This box has &lt;no&gt; owner")
	box := Overview{ClockSet: func() bool { return set }, SetClock: func(string) error { return nil }}
	contains(t, shown(box), "clock of the box is not set", field)
	if page := shown(Overview{ClockSet: box.ClockSet}); strings.Contains(page, field) || !strings.Contains(page, "clock of the box is not set") {
		t.Errorf("a clock that nobody can set here:\n%s", page)
	}
	set = true
	if page := shown(box); strings.Contains(page, "clock of the box") || strings.Contains(page, field) {
		t.Errorf("a clock that is set:\n%s", page)
	}
}

func TestSettingTheClock(t *testing.T) {
	var asked []string
	b := browser{t, newConsole(spooltest.New(t), Overview{
		ClockSet: func() bool { return false },
		SetClock: func(text string) error {
			asked = append(asked, text)
			if text == "yesterday" {
				return errors.New("this is no time")
			}
			return nil
		},
	})}
	if w := b.post("/clock", url.Values{"time": {"2026-11-27 14:05"}}); w.Code != http.StatusForbidden || asked != nil {
		t.Errorf("without a token: %d, asked for %q", w.Code, asked)
	}
	token := b.token("/")
	if w := b.post("/clock", url.Values{"time": {"2026-11-27 14:05"}, "csrf": {token}}); w.Code != http.StatusSeeOther || len(asked) != 1 || asked[0] != "2026-11-27 14:05" {
		t.Errorf("%d, asked for %q", w.Code, asked)
	}
	if w := b.post("/clock", url.Values{"time": {"yesterday"}, "csrf": {token}}); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "this is no time") {
		t.Errorf("what is no time: %d\n%s", w.Code, w.Body)
	}
	contains(t, b.page("/audit"), "yesterday<", "not done: this is no time")
	without := browser{t, newConsole(spooltest.New(t), Overview{})}
	if w := without.post("/clock", url.Values{"csrf": {without.console.token}}); w.Code != http.StatusNotFound {
		t.Errorf("where there is no clock to set: %d", w.Code)
	}
}

// A card that takes nothing is repaired from here, though nothing can be noted in an
// audit that is on it.
func TestRepairingTheCard(t *testing.T) {
	var asked []string
	broken := errors.New("the card is broken")
	b := browser{t, newConsole(spooltest.New(t), Overview{
		Broken: func() error { return broken },
		Repair: func(who string) error {
			asked = append(asked, who)
			if len(asked) > 1 {
				return errors.New("it did not help")
			}
			return nil
		},
	})}
	if w := b.post("/repair", nil); w.Code != http.StatusForbidden || asked != nil {
		t.Errorf("without a token: %d, asked %q", w.Code, asked)
	}
	contains(t, b.page("/"), `action="/repair"`)
	values := url.Values{"csrf": {b.token("/")}}
	if w := b.post("/repair", values); w.Code != http.StatusSeeOther || len(asked) != 1 || asked[0] != "console" {
		t.Errorf("%d, asked %q", w.Code, asked)
	}
	if w := b.post("/repair", values); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "it did not help") {
		t.Errorf("where it is of no use: %d\n%s", w.Code, w.Body)
	}
	broken = nil
	if page := b.page("/"); strings.Contains(page, `action="/repair"`) {
		t.Errorf("a card that is sound:\n%s", page)
	}
	if w := b.post("/repair", values); w.Code != http.StatusNotFound || len(asked) != 2 {
		t.Errorf("a card that is sound: %d, asked %q", w.Code, asked)
	}
}

func TestOverviewShowsSealedStores(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "spool")
	store := spooltest.Open(t, directory)
	for id, text := range map[string]string{"1": `{"owner": "KEY<1>", "messages": 120, "not_delivered": 3}`, "2": "{"} {
		aside := directory + ".sealed-" + id
		if err := errors.Join(os.Mkdir(aside, 0o700), os.WriteFile(filepath.Join(aside, "sealed.json"), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	contains(t, newBrowser(t, store).page("/"), "Sealed store 1", "for the owner KEY&lt;1&gt;: messages: 120, not delivered: 3.",
		"Sealed store 2", "its sealed.json cannot be read")
}

func TestOverviewCountsTheMessagesOfToday(t *testing.T) {
	store := spooltest.New(t)
	for _, at := range []time.Time{time.Now(), time.Now(), time.Now().AddDate(0, 0, -2)} {
		spooltest.Put(t, store, "S-1", func(e *envelope.Envelope) { e.ReceivedAt = at })
	}
	contains(t, newBrowser(t, store).page("/"), `<td data-label="Today">2</td>`)
}

// TestAuditIsShownByPages walks the whole trail.
func TestAuditIsShownByPages(t *testing.T) {
	store := spooltest.New(t)
	for n := range pageSize + 5 {
		if err := store.Note(t.Context(), spool.Note{What: spool.LoggedIn, Who: "anna", Detail: fmt.Sprintf("visit %d", n)}); err != nil {
			t.Fatal(err)
		}
	}
	b := newBrowser(t, store)
	page := b.page("/audit")
	contains(t, page, "visit 54", "visit 5<", "anna", "logged in", `rel="next"`)
	next := regexp.MustCompile(`href="(/audit\?before=[0-9]+)" rel="next"`).FindStringSubmatch(page)
	if next == nil {
		t.Fatalf("no next page:\n%s", page)
	}
	contains(t, b.page(next[1]), "visit 4<", "visit 0<")
	for _, path := range []string{"/audit?before=x", "/audit?before=9223372036854775808", "/api/v1/audit?before=9223372036854775808"} {
		if w := b.get(path); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestWhatIsLookedAtAgainIsNotedOnce keeps the card from being worn by reloading.
func TestWhatIsLookedAtAgainIsNotedOnce(t *testing.T) {
	var n noted
	now, view := time.Now(), seen{who: "anna", what: spool.WatchedLive}
	if n.lately(view, now) {
		t.Error("never seen, and known")
	}
	n.add(view, now)
	if !n.lately(view, now.Add(noteAgain-1)) || n.lately(view, now.Add(noteAgain)) {
		t.Error("wants ten minutes")
	}
	for i := range 2 * mostNoted {
		n.add(seen{sequence: uint64(i)}, now)
	}
	if len(n.last) > mostNoted {
		t.Errorf("holds %d", len(n.last))
	}
}
