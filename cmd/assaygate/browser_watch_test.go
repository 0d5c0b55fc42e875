package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// problem is one thing that was wrong.
type problem struct {
	text     string
	document string // of a document that did not load well: its URL
}

// expectation is a problem that a test is about.
type expectation struct {
	*regexp.Regexp
	came bool
}

// heard takes an event of the browser. It must not wait.
func (b *tab) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, arg := range e.Args {
			words = append(words, strings.Trim(string(arg.Value), `"`)+arg.Description)
		}
		b.note("console.%s: %s", e.Type, strings.Join(words, " "))
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if exception := e.ExceptionDetails.Exception; exception != nil {
			text += ": " + exception.Description
		}
		b.note("exception: %s (%s, line %d)", text, e.ExceptionDetails.URL, e.ExceptionDetails.LineNumber+1)
	case *log.EventEntryAdded:
		b.logged(e.Entry)
	case *network.EventRequestWillBeSent:
		// What stands in a data: URL, as the browser's own icons do, is asked of nobody. The policy holds back ours.
		if !b.own(e.Request.URL) && !strings.HasPrefix(e.Request.URL, "data:") {
			b.note("a request to somebody else: %s %s", e.Request.Method, e.Request.URL)
		}
	case *network.EventResponseReceived:
		if e.Type == network.ResourceTypeDocument {
			b.loaded = append(b.loaded, *e.Response)
			b.policy(e.Response)
		}
	case *page.EventJavascriptDialogOpening:
		b.note("a dialog opened: %s", e.Message)
		go func() { // the page stands still until then
			_, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
		}()
	}
}

// note keeps a problem. The caller holds the lock.
func (b *tab) note(format string, args ...any) {
	b.problems = append(b.problems, problem{text: fmt.Sprintf(format, args...)})
}

// logged takes what the browser itself wrote to the console.
func (b *tab) logged(e *log.Entry) {
	if e.URL == b.console+"/favicon.ico" {
		return // the browser looks for it by itself where a document that is no page names no icon
	}
	p := problem{text: fmt.Sprintf("%s %s: %s (%s)", e.Source, e.Level, e.Text, e.URL)}
	if e.Source == log.EntrySourceNetwork {
		p.document = e.URL
	}
	b.problems = append(b.problems, p)
}

// own reports whether the URL is one of the console.
func (b *tab) own(address string) bool {
	return address == b.console || strings.HasPrefix(address, b.console+"/")
}

// policy expects of a document of the console that nothing inline can run or
// style, whatever comes into it.
func (b *tab) policy(r *network.Response) {
	if !b.own(r.URL) || !strings.HasPrefix(r.MimeType, "text/html") {
		return
	}
	var policy string
	for name, value := range r.Headers {
		if strings.EqualFold(name, "Content-Security-Policy") {
			policy = fmt.Sprint(value)
		}
	}
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		b.note("%s comes with the policy %q", r.URL, policy)
	}
}

// expect makes problems that match the pattern what the test is about: each has
// to come by the end of the test.
func (b *tab) expect(pattern string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, &expectation{Regexp: regexp.MustCompile(pattern)})
}

// check fails the test for what was wrong since the last check. That a document
// did not load well is left to those who expect its status.
func (b *tab) check() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems[b.reported:] {
		wanted := slices.ContainsFunc(b.loaded, func(r network.Response) bool { return r.URL == p.document && p.document != "" })
		for _, e := range b.expected {
			if e.MatchString(p.text) {
				wanted, e.came = true, true
			}
		}
		if !wanted {
			b.t.Error(p.text)
		}
	}
	b.reported = len(b.problems)
}

// end closes the books on the tab.
func (b *tab) end() {
	b.t.Helper()
	b.check()
	for _, e := range b.expected {
		if !e.came {
			b.t.Errorf("no browser has said %q", e)
		}
	}
}
