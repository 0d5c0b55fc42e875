//go:build unix

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"

	"github.com/assaygate/assaygate/envelope/spool"
)

// The users of the tests, and their passwords.
const (
	adminName, adminPassword   = "anna", "correct horse battery"
	viewerName, viewerPassword = "ward", "staple and four more"
)

const consoleUsers = `users: {` + adminName + `: {password: "` + adminPassword + `", role: admin}, ` +
	viewerName + `: {password: "` + viewerPassword + `", role: viewer}}`

// guarded is a laboratory whose console has users.
func guarded(t *testing.T) *running {
	t.Helper()
	server, directory := newLIMS(t), t.TempDir()
	config := strings.Replace(base(directory), `console: {listen: "127.0.0.1:0"}`, `console: {listen: "127.0.0.1:0", `+consoleUsers+`}`, 1)
	return start(t, config+lanInstruments+lims(server, directory))
}

// logIn comes in by the page that asks for it, which is open.
func (b *tab) logIn(name, password string) {
	b.t.Helper()
	b.fill("User name", name)
	b.fill("Password", password)
	b.press("Log in")
}

func TestBrowserLogin(t *testing.T) {
	chromiumProgram(t)
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprint("scripts ", scripts), func(t *testing.T) {
			r := guarded(t)
			r.sendSample("SIM-1001")
			b := r.browse()
			if !scripts {
				b.withoutScripts()
			}
			b.visit("/messages?sample_id=SIM-1001")
			b.wants("Log in", "!SIM-1001", "!Overview")
			b.fill("User name", adminName)
			b.fill("Password", "a guess")
			b.pressAs("form", "Log in", 401)
			b.wants("!SIM-1001", "!a guess")
			if name := b.valueOf("User name"); name != adminName {
				t.Errorf("the name has to be typed again: %q", name)
			}
			b.fill("Password", adminPassword)
			b.press("Log in")
			b.wants("SIM-1001", adminName, "Log out") // where the person wanted to go
			b.press("Log out")
			b.wants("Log in", "!SIM-1001")
			b.visit("/messages")
			b.wants("Log in", "!SIM-1001")

			b.logIn(adminName, adminPassword)
			b.visit("/audit")
			b.wants(string(spool.LoggedIn), string(spool.LoggedOut), adminName)
		})
	}
}

// Who goes back after logging out sees nothing that was on the screen before.
func TestBrowserKeepsNothingAfterLogout(t *testing.T) {
	chromiumProgram(t)
	r := guarded(t)
	r.sendSample("SIM-1001")
	b := r.browse()
	b.visit("/messages")
	b.logIn(adminName, adminPassword)
	b.wants("SIM-1001")
	b.press("Log out")
	b.load(200, chromedp.NavigateBack())
	b.wants("Log in", "!SIM-1001")
}

// Who guesses has to wait, longer each time, and is told for how long.
func TestBrowserLoginMakesGuessersWait(t *testing.T) {
	chromiumProgram(t)
	r := guarded(t)
	b := r.browse()
	b.visit("/login")
	status := int64(401)
	for guesses := 0; status == 401; guesses++ {
		if guesses == 20 {
			t.Fatal("nobody has to wait")
		}
		b.fill("User name", adminName)
		b.fill("Password", fmt.Sprint("guess ", guesses))
		x, y := b.pointAt(b.find("form", "Log in"))
		status = b.leads(chromedp.MouseClickXY(x, y))
	}
	if status != 429 {
		t.Errorf("status %d", status)
	}
	b.wants("Too many failed logins; try again in", "Log in")
	b.inspect()
}

// A session ends with its user.
func TestBrowserSessionEndsWithItsUser(t *testing.T) {
	chromiumProgram(t)
	directory := t.TempDir()
	text := strings.Replace(base(directory), `console: {listen: "127.0.0.1:0"}`, fmt.Sprintf(`console: {listen: %q, %s}`, freePort(t), consoleUsers), 1)
	path := configFile(t, directory, text)
	r := startFile(t, path)
	b := browse(t, "http://"+r.config().Console.Listen)
	b.visit("/")
	b.logIn(viewerName, viewerPassword)
	b.wants("Overview")
	edit(t, path, strings.Replace(text, viewerName+":", "other:", 1))
	eventually(t, "the user is gone", func() bool { _, is := r.config().Console.Users[viewerName]; return !is })
	b.visit("/messages")
	b.wants("Log in")
}

// A viewer sees how things stand, and neither what was sent nor a control that
// changes anything; by address neither.
func TestBrowserViewer(t *testing.T) {
	chromiumProgram(t)
	r := guarded(t)
	r.sendSample("SIM-1001")
	r.sendUnfinished("SIM-2002")
	b := r.browse()
	b.visit("/")
	b.logIn(viewerName, viewerPassword)
	b.wants("lan", "lims", "SIM-1001")
	for _, page := range []string{"Live", "Captures", "Setup"} {
		if b.offers(page) {
			t.Errorf("a viewer is offered %s", page)
		}
	}
	b.openMessage("SIM-2002")
	b.wants("5.1", "mmol/L", "parked", "!<STX>", "!Raw", "!Envelope")
	for _, act := range []string{"Retry", "Drop", "Download"} {
		if b.offers(act) {
			t.Errorf("a viewer is offered to %s", act)
		}
	}
	at := b.path()
	for _, path := range []string{
		"/live", "/live/lan", "/live/lan/events", "/captures", "/setup", "/setup/config", "/setup/ports", "/setup/earlier",
		at + "/raw", at + "/envelope", at + "/replay",
	} {
		b.visitAs(path, 403)
		b.wants("!SIM-2002")
	}
	for _, page := range []string{"Commissioning", "Update", "Support", "Audit"} {
		b.visit("/")
		b.press(page)
	}
	if b.offers("Make and download") {
		t.Error("a viewer is offered the support bundle")
	}
	b.expect("Failed to load resource.*status of 403")
	for _, path := range []string{at + "/retry", at + "/drop", "/clock", "/support/bundle", "/setup/apply", "/setup/keep", "/messages/retry"} {
		if status := b.posts(path, "reason=fun&time=2026-11-27 14:05"); status != 403 {
			t.Errorf("a viewer posts to %s: %d", path, status)
		}
	}
	r.eventuallyState("SIM-2002", spool.Parked)
}

// posts sends a form with the token of the page, as its scripts could, and returns
// the status of the answer.
func (b *tab) posts(path, form string) int {
	b.t.Helper()
	return evaluate[int](b, fmt.Sprintf(`fetch(%s, { method: 'POST', redirect: 'manual', body: %s, headers: {
		'Content-Type': 'application/x-www-form-urlencoded',
		'X-CSRF-Token': document.querySelector('meta[name=csrf]').content,
	} }).then(r => r.status)`, script(path), script(form)))
}

// Another site gets nowhere in the browser of an admin who is logged in.
func TestBrowserSessionIsNotForOthers(t *testing.T) {
	chromiumProgram(t)
	r := guarded(t)
	r.sendUnfinished("SIM-2002")
	b := r.browse()
	b.visit("/")
	b.logIn(adminName, adminPassword)
	b.openMessage("SIM-2002")
	at := b.path()
	b.expect("a request to somebody else: GET http://prizes.test")
	for _, path := range []string{at + "/drop", at + "/retry", "/logout"} {
		site := newForeign(t, fmt.Sprintf(`<form method="post" action="%s%s"><input name="reason" value="for fun"><button>Get them</button></form>
			<p><a href="%s/messages">See</a></p>`, b.console, path, b.console))
		b.load(200, chromedp.Navigate(site.origin))
		x, y := b.pointAt(b.find("body", "Get them"))
		if status := b.leads(chromedp.MouseClickXY(x, y)); status != 403 && status != 401 {
			t.Errorf("%s: status %d", path, status)
		}
	}
	r.eventuallyState("SIM-2002", spool.Parked)
	b.visit("/messages")
	b.wants("SIM-2002", adminName)
}

// With TLS who types http:// comes to https:// at the same port, and the session's
// cookie is one that only TLS sets.
func TestBrowserTLS(t *testing.T) {
	chromiumProgram(t)
	server, directory := newLIMS(t), t.TempDir()
	files := issued(t, t.TempDir(), "box")
	config := strings.Replace(base(directory), `console: {listen: "127.0.0.1:0"}`,
		fmt.Sprintf(`console: {listen: "127.0.0.1:0", tls: {certificate: %q, key: %q}, %s}`, files.Certificate, files.Key, consoleUsers), 1)
	r := start(t, config+lanInstruments+lims(server, directory))
	address := r.addresses[consoleServer]
	b := browse(t, "https://"+address)
	// As a person who has compared the fingerprint.
	b.do(perform(security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true}))
	b.expect("a request to somebody else: GET http://" + address)
	b.load(200, chromedp.Navigate("http://"+address+"/messages"))
	if at := evaluate[string](b, "location.href"); !strings.HasPrefix(at, b.console+"/login") {
		t.Errorf("led to %s", at)
	}
	b.logIn(adminName, adminPassword)
	b.wants("No messages")
	if seen := evaluate[string](b, "document.cookie"); seen != "" {
		t.Errorf("scripts can read the cookie %q", seen)
	}
}
