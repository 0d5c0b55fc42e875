package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// recorder takes what a test would have failed for.
type recorder struct {
	testing.TB
	said []string
}

func (r *recorder) Error(args ...any) { r.said = append(r.said, fmt.Sprintln(args...)) }

func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

// Each fault that a page can have is planted in one, and the tests of pages say
// so; the page without it they let pass.
func TestBrowserFindsPlantedFaults(t *testing.T) {
	chromiumProgram(t)
	const strict = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'"
	for _, fault := range []struct{ name, says, policy, head, body string }{
		{name: "none"},
		{name: "inline script", says: "inline: <script>", body: `<script>document.title = 'x'</script>`},
		{name: "inline style", says: "inline style", body: `<p style="color: red">x</p>`},
		{name: "handler", says: "inline: <button onclick", body: `<button onclick="x()">x</button>`},
		{name: "javascript link", says: "inline: <a href=\"javascript:", body: `<a href="javascript:x()">x</a>`},
		{name: "console error", says: "console.error: broken", head: `<script src="/error.js"></script>`},
		{name: "console warning", says: "console.warning: odd", head: `<script src="/warning.js"></script>`},
		{name: "exception", says: "exception: Uncaught: Error: thrown", head: `<script src="/throw.js"></script>`},
		{name: "dialog", says: "a dialog opened: hello", head: `<script src="/alert.js" defer></script>`},
		{name: "missing file", says: "status of 404", body: `<img alt="x" src="/none.png">`},
		{name: "foreign picture", says: "somebody else: GET http://cdn.test/", policy: "default-src 'none'; img-src http://cdn.test", body: `<img alt="x" src="http://cdn.test/x.png">`},
		{name: "lax policy", says: "comes with the policy", policy: "default-src 'self' 'unsafe-inline'"},
		{name: "no label", says: "axe label", body: `<input>`},
		{name: "pale on white", says: "axe color-contrast", head: `<link rel="stylesheet" href="/pale.css">`, body: `<p class="pale">pale words</p>`},
		{name: "pale in the dark", says: "360 px dark, 1280 px dark: axe color-contrast", head: `<link rel="stylesheet" href="/dark.css">`, body: `<p class="pale">pale words</p>`},
		{name: "too wide", says: "at 360 px: scrolls sideways", head: `<link rel="stylesheet" href="/wide.css">`, body: `<div class="wide">x</div>`},
		{name: "stolen tabs", says: "the Tab key does not reach", head: `<script src="/trap.js" defer></script>`, body: `<button id="trap">x</button><button>y</button>`},
		{name: "unseen focus", says: "nothing shows that the keyboard is at", head: `<link rel="stylesheet" href="/unseen.css">`, body: `<button>x</button>`},
	} {
		t.Run(fault.name, func(t *testing.T) {
			files := map[string]string{
				"/error.js": "console.error('broken')", "/warning.js": "console.warn('odd')", "/throw.js": "throw new Error('thrown')",
				"/alert.js": "alert('hello')",
				"/pale.css": ".pale { color: #ccc; background: #fff; }",
				"/dark.css": "html { background: #fff } @media (prefers-color-scheme: dark) { .pale { color: #222; background: #000; } }",
				"/wide.css": ".wide { width: 500px }", "/unseen.css": "button:focus { outline: none }",
				"/trap.js": "document.querySelector('#trap').addEventListener('keydown', e => e.preventDefault())",
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				text, known := files[r.URL.Path]
				switch {
				case strings.HasSuffix(r.URL.Path, ".js"):
					w.Header().Set("Content-Type", "text/javascript")
				case known:
					w.Header().Set("Content-Type", "text/css")
				case r.URL.Path != "/":
					http.NotFound(w, r)
					return
				default:
					policy := fault.policy
					if policy == "" {
						policy = strict
					}
					w.Header().Set("Content-Type", "text/html")
					w.Header().Set("Content-Security-Policy", policy)
					text = `<!doctype html><html lang="en"><title>x</title>` + fault.head + `<main><h1>x</h1>` + fault.body + `</main>`
				}
				fmt.Fprint(w, text)
			}))
			defer server.Close()
			heard := &recorder{TB: t}
			b := browse(t, server.URL)
			b.t = heard
			b.visit("/")
			b.t = t
			said := strings.Join(heard.said, "\n")
			if !strings.Contains(said, fault.says) || (fault.says == "") != (said == "") {
				t.Errorf("want %q, got\n%s", fault.says, said)
			}
		})
	}
}
