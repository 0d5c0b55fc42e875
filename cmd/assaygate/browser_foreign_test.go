package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/assaygate/assaygate/envelope/spool"
)

// foreign is somebody else's web site, at a name of its own, that tries what it
// can do to a console whose person looks at it.
type foreign struct {
	*httptest.Server
	origin string
}

// newForeign serves one page, whose script runs.
func newForeign(t *testing.T, page string) foreign {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><html lang=en><title>Free prizes</title><main><h1>Free prizes</h1>%s</main>", page)
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return foreign{server, "http://prizes.test:" + port}
}

// A form that another site sends by itself is refused, and changes nothing.
func TestBrowserRefusesForeignForms(t *testing.T) {
	chromiumProgram(t)
	r, _ := laboratory(t)
	r.sendUnfinished("SIM-2002")
	found, err := r.store.List(t.Context(), spool.Filter{SampleID: "SIM-2002"})
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	b := r.browse()
	b.expect("a request to somebody else: GET http://prizes.test")
	b.visit("/messages/" + found[0].ID) // whatever a person gets from the console, this browser has it
	for _, act := range []string{"drop", "retry"} {
		site := newForeign(t, fmt.Sprintf(`<form method="post" action="%s/messages/%s/%s"><input name="reason" value="for fun">
			<input name="csrf" value="guessed"><button>Get them</button></form>`, b.console, found[0].ID, act))
		b.load(200, chromedp.Navigate(site.origin))
		x, y := b.pointAt(b.find("body", "Get them"))
		b.load(403, chromedp.MouseClickXY(x, y))
	}
	r.eventuallyState("SIM-2002", spool.Parked)
}

// A script of another site can neither send, nor read, nor frame the console.
func TestBrowserRefusesForeignScripts(t *testing.T) {
	chromiumProgram(t)
	r, _ := laboratory(t)
	r.sendUnfinished("SIM-2002")
	found, err := r.store.List(t.Context(), spool.Filter{SampleID: "SIM-2002"})
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	b := r.browse()
	b.visit("/messages/" + found[0].ID)
	site := newForeign(t, fmt.Sprintf(`<p id=done>working</p><div id=frame></div><script>(async () => {
		const console = %q, message = console + '/messages/%s', said = [];
		const attempt = async (name, what) => { try { said.push(name + ': ' + await what()) } catch (e) { said.push(name + ' failed') } };
		await attempt('drop', async () => (await fetch(message + '/drop', { method: 'POST', mode: 'no-cors', credentials: 'include',
			headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: 'reason=fun&csrf=' })).type);
		await attempt('json', async () => (await fetch(console + '/v1/retry', { method: 'POST', mode: 'no-cors', credentials: 'include',
			headers: { 'Content-Type': 'text/plain' }, body: '{}' })).type);
		await attempt('token', async () => (await fetch(message + '/drop', { method: 'POST', credentials: 'include',
			headers: { 'X-CSRF-Token': 'guessed' }, body: 'reason=fun' })).status);
		await attempt('read', async () => await (await fetch(console + '/messages', { credentials: 'include' })).text());
		await attempt('picture', () => new Promise((yes, no) => { const i = new Image(); i.onload = yes; i.onerror = no; i.src = console + '/static/icon.svg' }));
		await attempt('script', () => new Promise((yes, no) => { const s = document.createElement('script'); s.onload = yes; s.onerror = no; s.src = console + '/static/console.js'; document.head.append(s) }));
		const frame = document.createElement('iframe'); frame.title = 'frame'; frame.src = console + '/messages';
		await new Promise(yes => { frame.onload = yes; document.querySelector('#frame').append(frame) });
		document.querySelector('#done').textContent = said.join(', ') + '. Done.';
	})()</script>`, b.console, found[0].ID))
	for _, pattern := range []string{
		"a request to somebody else: GET http://prizes.test", "blocked by CORS policy", "frame-ancestors 'none'",
		"Failed to load resource", // what CORS and the console's own policy hold back
	} {
		b.expect(pattern)
	}
	b.load(200, chromedp.Navigate(site.origin))
	b.see("Done.")
	// That something "opaque" came back is all that the browser tells of a request without CORS.
	b.wants("token failed", "read failed", "picture failed", "script failed", "!SIM-2002")
	r.eventuallyState("SIM-2002", spool.Parked)
}

// A name that leads to the console and is not its own, as by DNS rebinding, shows
// nothing of it.
func TestBrowserRefusesReboundNames(t *testing.T) {
	chromiumProgram(t)
	r, _ := laboratory(t)
	r.sendSample("SIM-1001")
	_, port, err := net.SplitHostPort(r.addresses[consoleServer])
	if err != nil {
		t.Fatal(err)
	}
	b := browse(t, "http://prizes.test:"+port)
	b.expect("Cross-Origin-Opener-Policy header has been ignored") // as for every site without TLS that is not on loopback
	b.visitAs("/messages", 421)
	b.wants("not known by that name", "!SIM-1001")
}
