package console

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

// supported is a console with that support, over a store or the reason for none.
func supported(t *testing.T, s Support, store func() (*spool.Spool, error)) browser {
	return browser{t, New(Options{
		Store: store, Box: func() string { return "haematology-1" }, Log: slog.New(slog.DiscardHandler), Support: s,
	})}
}

func TestSupportBundle(t *testing.T) {
	store := spooltest.New(t)
	s := Support{
		Facts:  func() []Fact { return []Fact{{Name: "Serial number", Value: "<0042>"}} },
		Health: func() []Fact { return []Fact{{Name: "Ready", Value: "waiting for :4010", Bad: true}} },
		Log:    func(context.Context) ([]byte, error) { return []byte("one\x1b[31m\ntwo <b>\n"), nil },
		Bundle: func(_ context.Context, to io.Writer) error {
			_, err := io.WriteString(to, "the bundle")
			return err
		},
		BundleName: func() (string, string) { return "assaygate-support-0042.tar.gz.age", "the owner KEY" },
	}
	b := supported(t, s, func() (*spool.Spool, error) { return store, nil })
	contains(t, b.page("/support"), "&lt;0042&gt;", `class="bad">waiting for :4010`, "one&lt;ESC&gt;[31m\ntwo &lt;b&gt;", "only the owner KEY can read it")
	if w := b.post("/support/bundle", nil); w.Code != http.StatusForbidden {
		t.Errorf("without a token: %d", w.Code)
	}
	w := b.post("/support/bundle", url.Values{"csrf": {b.token("/support")}})
	if w.Code != http.StatusOK || w.Body.String() != "the bundle" || !strings.Contains(w.Header().Get("Content-Disposition"), "assaygate-support-0042.tar.gz.age") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if rows, err := store.Trail(t.Context(), 0, 1); err != nil || len(rows) != 1 || rows[0].What != string(spool.SupportMade) || rows[0].Who != "console" {
		t.Errorf("the audit says %+v, error %v", rows, err)
	}
}

// TestSupportWithoutAStore: that is when it is needed.
func TestSupportWithoutAStore(t *testing.T) {
	away := func() (*spool.Spool, error) { return nil, errors.New("the card is gone") }
	s := Support{
		Log:        func(context.Context) ([]byte, error) { return nil, errors.New("no journal here") },
		Bundle:     func(_ context.Context, to io.Writer) error { _, err := io.WriteString(to, "all of it"); return err },
		BundleName: func() (string, string) { return "bundle.tar.gz", "" },
	}
	b := supported(t, s, away)
	contains(t, b.page("/support"), "The log cannot be read: no journal here")
	if w := b.post("/support/bundle", url.Values{"csrf": {b.token("/support")}}); w.Code != http.StatusOK || w.Body.String() != "all of it" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.Bundle = func(_ context.Context, to io.Writer) error {
		_, _ = io.WriteString(to, "half of")
		return errors.New("the card went away")
	}
	b = supported(t, s, away)
	if w := b.post("/support/bundle", url.Values{"csrf": {b.token("/support")}}); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "half of") {
		t.Errorf("a bundle that broke off: %d %s", w.Code, w.Body)
	}
	if w := supported(t, Support{}, away).get("/support/bundle"); w.Code == http.StatusOK {
		t.Error("a bundle by looking at an address")
	}
}

func TestTheNewestLinesAreShown(t *testing.T) {
	for text, want := range map[string]string{"one\ntwo\n": "one\ntwo\n", "": "", "0123456789\nabc\ndef\n": "abc\ndef\n"} {
		if got := newestLines([]byte(text), 12); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
