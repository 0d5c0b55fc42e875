package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
)

// A person looks on while an instrument sends, holds the page, clears it, and
// chooses one of two connections.
func TestBrowserLive(t *testing.T) {
	chromiumProgram(t)
	r, _ := laboratory(t)
	b := r.browse()
	b.visit("/live")
	b.wants("never opened: nobody has connected")
	b.pressIn("main", "lan")
	b.see("Live.")
	r.sendSample("S-1")
	for _, text := range []string{"<ENQ>", "<ACK>", "30s for the next frame or EOT (LIS01-A2 8.5.2)", "the message is stored, now ACK", "S-1", "<EOT>", "the session has ended"} {
		b.see(text)
	}
	b.inspect()
	if at := evaluate[bool](b, "(() => { const e = document.querySelector('#traffic'); return e.scrollHeight - e.scrollTop - e.clientHeight < 8 })()"); !at {
		t.Error("the page does not follow")
	}

	b.click("Pause")
	b.see("Paused.")
	r.sendSample("S-2")
	b.click("Go on")
	b.see("S-2")
	b.click("Clear")
	b.see("Cleared.")
	b.wants("!S-1", "!S-2")

	one, two := dial(t, r.addresses["lan"]), dial(t, r.addresses["lan"])
	if !sendASTM(one, astmText("SIM", "C-3", "S-3")) || !sendASTM(two, astmText("SIM", "C-4", "S-4")) {
		t.Fatal("not taken")
	}
	b.see("S-3")
	b.see("S-4")
	options := evaluate[[]string](b, "[...document.querySelectorAll('#opening option')].map(o => o.textContent)")
	first := ""
	for _, option := range options {
		if strings.HasPrefix(option, one.LocalAddr().String()) {
			first = option
		}
	}
	if len(options) != 3 || first == "" {
		t.Fatalf("connections to choose from: %q", options)
	}
	b.choose("Connection", first)
	b.wants("S-3", "!S-4")
	b.choose("Connection", "all")
	b.wants("S-3", "S-4")
	b.check()

	rows, err := r.store.Trail(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	noted := 0
	for _, row := range rows {
		if row.What == string(spool.WatchedLive) {
			noted++
		}
	}
	if noted != 1 {
		t.Errorf("noted %d times", noted)
	}
}

// Without scripts the page is how it was when it was loaded.
func TestBrowserLiveWithoutScripts(t *testing.T) {
	chromiumProgram(t)
	r, _ := laboratory(t)
	b := r.browse().withoutScripts()
	r.sendSample("S-1")
	b.visit("/live/lan")
	b.wants("<ENQ>", "S-1", "the message is stored, now ACK", "This is how it was when the page was loaded.")
	r.sendSample("S-2")
	b.press("Load it again")
	b.wants("S-2")
	if b.offers("Pause") {
		t.Error("a button that does nothing")
	}
}

// The page keeps a bounded number of lines, and what is too much for the gateway to
// keep is said to be lost.
func TestBrowserLiveBounded(t *testing.T) {
	chromiumProgram(t)
	r, _ := laboratory(t)
	b := r.browse()
	b.visit("/live/lan")
	b.see("Live.")
	line := dial(t, r.addresses["lan"])
	for n := range 250 {
		if !sendASTM(line, astmText("SIM", fmt.Sprint("C", n), fmt.Sprint("S-", n))) {
			t.Fatal("not taken")
		}
	}
	b.see("S-249")
	if n := evaluate[int](b, "document.querySelectorAll('#traffic li').length"); n > 2000 || n < 1000 {
		t.Errorf("the page holds %d lines", n)
	}
}
