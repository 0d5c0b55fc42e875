package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

// checks is what a test's console knows of checks.
type checks struct {
	begun, sent []CheckOf
	check       Check
}

func (c *checks) commission() Commission {
	return Commission{
		Lines: func() []CheckedLine {
			return []CheckedLine{{"xn", "astm", "serial usb:1-1.3"}, {"c311", "astm", "listens on :4010"}}
		},
		Destinations: func() []string { return []string{"lims", "trial"} },
		Look: func(_ context.Context, of CheckOf) (Check, bool) {
			now := c.check
			now.Instrument, now.Destination, now.Begun = of.Instrument, of.Destination, time.Now()
			return now, true
		},
		Begin: func(_ context.Context, of CheckOf) { c.begun = append(c.begun, of) },
		Sent:  func(of CheckOf) { c.sent = append(c.sent, of) },
		Box:   func() []Fact { return []Fact{{Name: "Serial number", Value: "0042"}} },
	}
}

func newChecksBrowser(t *testing.T, store func() (*spool.Spool, error), c *checks) browser {
	b := newBrowser(t, nil)
	b.console.options.Store = store
	b.console.options.Commission = c.commission()
	return b
}

func stored(t *testing.T) func() (*spool.Spool, error) {
	store := spooltest.New(t)
	return func() (*spool.Spool, error) { return store, nil }
}

func faulty() *checks {
	return &checks{check: Check{
		Conclusion: Conclusion{"fault", "At fault: Frames – Refused frames: 6.", "Look at the cable."},
		Layers: []Layer{
			{Key: "port", Title: "Serial port", Verdict: "ok", Seen: "usb:1-1.3 is open."},
			{Key: "frames", Title: "Frames", Verdict: "fault", Seen: "Refused frames: 6.", Detail: "Kowalski", Do: "Look at the cable."},
		},
		Message: "018f", Help: []string{"Open the settings."}, Settings: []Fact{{Name: "Speed and format", Value: "9600 8N1"}},
	}}
}

func TestCommissionListsTheLines(t *testing.T) {
	page := newChecksBrowser(t, stored(t), faulty()).page("/commission")
	contains(t, page, `<a href="/commission/xn">xn</a> (astm)`, "serial usb:1-1.3", `<a href="/commission/c311">`)
}

func TestCheckNamesTheLayerAtFault(t *testing.T) {
	b := newChecksBrowser(t, stored(t), faulty())
	page := b.page("/commission/xn?destination=trial")
	contains(t, page,
		`<p id="conclusion" class="conclusion bad" role="status" data-part>At fault: Frames – Refused frames: 6.<br><span class="do">Look at the cable.</span></p>`,
		`<tr id="layer-frames" data-part>`, "Kowalski", `<a href="/messages/018f">`, "Open the settings.",
		`<option selected>trial</option>`, `href="/commission/xn/report?destination=trial"`, `src="/static/commission.js"`,
	)
	for _, path := range []string{"/commission/none", "/commission/xn?destination=none", "/commission/none/report"} {
		if w := b.get(path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestCheckIsBegunAndTold(t *testing.T) {
	c := faulty()
	b := newChecksBrowser(t, stored(t), c)
	form := url.Values{"csrf": {b.token("/commission/xn")}, "destination": {"trial"}}
	for _, act := range []string{"begin", "sent"} {
		if w := b.post("/commission/xn/"+act, form); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/commission/xn?destination=trial" {
			t.Errorf("%s: %d to %s", act, w.Code, w.Header().Get("Location"))
		}
	}
	want := CheckOf{"console", "xn", "trial"}
	if len(c.begun) != 1 || c.begun[0] != want || len(c.sent) != 1 || c.sent[0] != want {
		t.Errorf("begun %+v, sent %+v", c.begun, c.sent)
	}
	if w := b.post("/commission/xn/begin", url.Values{}); w.Code != http.StatusForbidden || len(c.begun) != 1 {
		t.Errorf("without a token: %d", w.Code)
	}
}

func TestReportIsToldToTheAuditAndHoldsNoMessage(t *testing.T) {
	store := stored(t)
	b := newChecksBrowser(t, store, faulty())
	for range 2 {
		page := b.page("/commission/xn/report")
		contains(t, page, "At fault: Frames", "0042", "v1.2.3", "9600 8N1", "by console", "Refused frames: 6.", "Signature")
		if strings.Contains(page, "Kowalski") {
			t.Error("the report quotes a message")
		}
	}
	kept, err := store()
	if err != nil {
		t.Fatal(err)
	}
	trail, err := kept.Trail(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, row := range trail {
		if row.What == string(spool.ReportMade) && row.Detail == "xn" && row.Who == "console" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the audit tells of %d reports, want 1: %+v", n, trail)
	}
}

// A card that fails is what such a report may have to prove.
func TestReportWithoutAStore(t *testing.T) {
	b := newChecksBrowser(t, func() (*spool.Spool, error) { return nil, errors.New("the card is not mounted") }, faulty())
	contains(t, b.page("/commission/xn"), "At fault: Frames")
	contains(t, b.page("/commission/xn/report"), "At fault: Frames", "could not be told of this report: the card is not mounted")
}

func TestCommissionOfABoxWithoutLines(t *testing.T) {
	b := newBrowser(t, spooltest.New(t))
	contains(t, b.page("/commission"), "No instrument is configured.", "No destination is configured")
}
