package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// withAndWithoutScripts runs a test as a browser with scripts and as one without:
// what it is about works in both.
func withAndWithoutScripts(t *testing.T, test func(t *testing.T, open func(*running) *tab)) {
	chromiumProgram(t)
	t.Run("scripts", func(t *testing.T) {
		test(t, func(r *running) *tab { return r.browse() })
	})
	t.Run("no scripts", func(t *testing.T) {
		test(t, func(r *running) *tab { return r.browse().withoutScripts() })
	})
}

// laboratory is a gateway with lines on the network and a LIMS.
func laboratory(t *testing.T) (*running, *senaitetest.Server) {
	t.Helper()
	server, directory := newLIMS(t), t.TempDir()
	return start(t, base(directory)+lanInstruments+lims(server, directory)), server
}

// sendSample sends a result over the ASTM line.
func (r *running) sendSample(sample string) {
	r.t.Helper()
	if !sendASTM(dial(r.t, r.addresses["lan"]), astmText("SIM", "C-"+sample, sample)) {
		r.t.Fatalf("the gateway does not take %s", sample)
	}
}

// sendUnfinished sends a result that breaks off before its terminator record,
// which is parked.
func (r *running) sendUnfinished(sample string) {
	r.t.Helper()
	text, _, _ := strings.Cut(astmText("SIM", "C-"+sample, sample), "L|")
	if !sendASTM(dial(r.t, r.addresses["lan"]), text) {
		r.t.Fatalf("the gateway does not take %s", sample)
	}
	r.eventuallyState(sample, spool.Parked)
}

// eventuallyState waits until the one message of a sample is in that state at the
// LIMS.
func (r *running) eventuallyState(sample string, state spool.State) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%s is %s", sample, state), func() bool {
		found, err := r.store.List(r.t.Context(), spool.Filter{SampleID: sample})
		if err != nil {
			r.t.Fatal(err)
		}
		return len(found) == 1 && found[0].States["lims"] == state
	})
}

// openMessage goes to the one message of a sample by way of the search.
func (b *tab) openMessage(sample string) {
	b.t.Helper()
	b.visit("/messages")
	b.fill("Sample", sample)
	b.press("Search")
	b.wants(sample)
	if n := evaluate[int](b, "document.querySelectorAll('tbody tr').length"); n != 1 {
		b.t.Fatalf("%d messages of %s:\n%s", n, sample, b.text())
	}
	b.pressIn("tbody", evaluate[string](b, "document.querySelector('tbody a').textContent"))
}

func TestBrowserSearchAndRetry(t *testing.T) {
	withAndWithoutScripts(t, func(t *testing.T, open func(*running) *tab) {
		r, server := laboratory(t)
		for _, sample := range []string{"SIM-1001", "SIM-1002", "SIM-1003"} {
			r.sendSample(sample)
		}
		r.sendUnfinished("SIM-2002")
		b := open(r)
		b.visit("/messages")
		b.wants("SIM-1001", "SIM-1002", "SIM-1003", "SIM-2002")
		b.fill("Sample", "SIM-1002")
		b.press("Search")
		b.wants("SIM-1002", "!SIM-1001", "!SIM-2002")
		b.fill("Sample", "")
		b.choose("State", "parked")
		b.press("Search")
		b.wants("SIM-2002", "!SIM-100")
		b.fill("Sample", "SIM-9999")
		b.press("Search")
		b.wants("No messages", "!SIM-2002")

		b.openMessage("SIM-2002")
		b.wants("parked", "5.1", "mmol/L")
		b.press("Retry")
		r.eventuallyState("SIM-2002", spool.Delivered)
		b.openMessage("SIM-2002")
		b.wants("delivered", "console")
		if pushes := server.Pushes(); !strings.Contains(pushes[len(pushes)-1].Message, "SIM-2002") {
			t.Errorf("the LIMS has not got it last: %+v", pushes)
		}
		if b.offers("Retry") {
			t.Error("what was delivered can be tried again")
		}
	})
}

func TestBrowserDrop(t *testing.T) {
	withAndWithoutScripts(t, func(t *testing.T, open func(*running) *tab) {
		r, _ := laboratory(t)
		r.sendUnfinished("SIM-2002")
		b := open(r)
		b.openMessage("SIM-2002")
		at := b.path()
		b.click("Drop") // without a reason the browser itself holds it back
		if b.path() != at || b.has("dropped") {
			t.Errorf("dropped without a reason: %s", b.text())
		}
		b.fill("Reason", `a tube for <b>tests</b> & "trials"`)
		b.press("Drop")
		b.wants("dropped", `a tube for <b>tests</b> & "trials"`)
		r.eventuallyState("SIM-2002", spool.Dropped)
		b.visit("/audit")
		b.wants("dropped", `a tube for <b>tests</b> & "trials"`, "console")
	})
}

// Whatever a message holds is text on every page that shows it.
func TestBrowserShowsHostileContentAsText(t *testing.T) {
	chromiumProgram(t)
	r, _ := laboratory(t)
	for n, hostile := range []string{
		`<script>alert(1)</script>`,
		`"><img src=x onerror=alert(1)>`,
		`'-alert(1)-'`,
		`</textarea></pre><svg onload=alert(1)>`,
		`{{.}}javascript:alert(1)//`,
	} {
		control := fmt.Sprint("C-", n)
		text := fmt.Sprintf("H|\\^&|%s||%s|||||||P|1|20260102030405\rP|1|%[2]s\rO|1|%[2]s||^^^%[2]s\rR|1|^^^%[2]s|%[2]s|%[2]s|%[2]s\rC|1|I|%[2]s\rL|1|N\r",
			control, hostile)
		if !sendASTM(dial(t, r.addresses["lan"]), text) {
			t.Fatalf("the gateway does not take %s", text)
		}
	}
	unfinished := dial(t, r.addresses["lan"])
	for _, unit := range [][]byte{{lis01.ENQ}, lis01.AppendFrame(nil, lis01.Frame{Number: '1', Text: []byte("H|\\^&|<script>alert(2)</script>\r"), End: true}), {lis01.EOT}} {
		if _, err := unfinished.Write(unit); err != nil {
			t.Fatal(err)
		}
	}
	var found []spool.Summary
	eventually(t, "all are kept", func() bool {
		var err error
		if found, err = r.store.List(t.Context(), spool.Filter{}); err != nil {
			t.Fatal(err)
		}
		return len(found) == 6
	})
	b := r.browse()
	b.visit("/")
	b.visit("/messages")
	b.wants(`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`)
	for _, m := range found {
		b.open("/messages/" + m.ID)
		b.wants("alert(")
	}
	b.open(`/messages?sample_id=%22%3E%3Cscript%3Ealert(3)%3C/script%3E`)
	for _, path := range []string{"/live", "/live/lan", "/captures", "/commission", "/commission/lan", "/commission/lan/report", "/support", "/audit"} {
		b.open(path)
	}
	b.visitAs("/messages/%3Cscript%3Ealert(4)%3C%2Fscript%3E", 404)
}
