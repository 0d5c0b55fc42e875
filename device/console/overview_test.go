package console

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestOverviewShowsWhatIsToKnowOfTheBox(t *testing.T) {
	store := newStore(t)
	set := false
	shown := func(b Box) string {
		return browser{t, New(Options{Store: store, Log: slog.New(slog.DiscardHandler), Itself: b})}.page("/")
	}
	const field = `name="time"`
	contains(t, shown(Box{Notes: func() []string { return []string{"This box has <no> owner"} }}), "This box has &lt;no&gt; owner")
	box := Box{ClockSet: func() bool { return set }, SetClock: func(string) error { return nil }}
	contains(t, shown(box), "clock of the box is not set", field)
	if page := shown(Box{ClockSet: box.ClockSet}); strings.Contains(page, field) || !strings.Contains(page, "clock of the box is not set") {
		t.Errorf("a clock that nobody can set here:\n%s", page)
	}
	set = true
	if page := shown(box); strings.Contains(page, "clock of the box") || strings.Contains(page, field) {
		t.Errorf("a clock that is set:\n%s", page)
	}
}

func TestSettingTheClock(t *testing.T) {
	var asked []string
	b := browser{t, New(Options{Store: newStore(t), Log: slog.New(slog.DiscardHandler), Itself: Box{
		ClockSet: func() bool { return false },
		SetClock: func(text string) error {
			asked = append(asked, text)
			if text == "yesterday" {
				return errors.New("this is no time")
			}
			return nil
		},
	}})}
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
	without := browser{t, New(Options{Store: newStore(t), Log: slog.New(slog.DiscardHandler)})}
	if w := without.post("/clock", url.Values{"csrf": {without.console.token}}); w.Code != http.StatusNotFound {
		t.Errorf("where there is no clock to set: %d", w.Code)
	}
}
