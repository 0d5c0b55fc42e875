package main

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is a person's window on the console. Whatever page it loads is watched:
//
//   - nothing is said in the browser's console: no error, no warning, nothing
//     that the Content-Security-Policy held back
//   - no request goes to any other host
//   - the policy comes with every page, and allows nothing inline
//   - each page has the status that was expected
//
// A page that is visited is inspected beyond that, see [tab.inspect].
type tab struct {
	t       testing.TB
	ctx     context.Context
	console string      // scheme, host and port
	mute    bool        // runs no scripts
	alike   [][2]string // see [fixed]

	mu       sync.Mutex // guards what follows, which events change
	problems []problem
	loaded   []network.Response // documents
	expected []*expectation
	reported int
}

func newTab(t testing.TB, console string) *tab {
	return &tab{t: t, console: console}
}

// do runs steps in the tab. One that fails ends the test.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if b.ctx.Err() != nil {
		b.t.Fatal("the tab is closed")
	}
	// The first step of all binds the tab to its context: that must not end with the step.
	if chromedp.FromContext(b.ctx).Target == nil {
		if err := chromedp.Do(b.ctx); err != nil {
			b.t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(b.ctx, browserPatience)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// load runs steps that lead to another page, waits for that, and expects its
// status. Where there were redirections it is that of the last.
func (b *tab) load(status int64, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if got := b.leads(steps...); got != status {
		b.t.Errorf("%s: status %d, want %d\n%.1000s", b.path(), got, status, b.text())
	}
}

// leads is load that returns the status.
func (b *tab) leads(steps ...chromedp.Action[chromedp.Void]) int64 {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, browserPatience)
	defer stop()
	response, err := chromedp.RunResponse(ctx, steps...)
	if err != nil {
		b.t.Fatalf("waiting for a page: %v", err)
	}
	if response == nil {
		b.t.Fatal("no page came")
	}
	return response.Status
}

// visit opens a path of the console, such as /messages, and inspects the page.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.visitAs(path, 200)
}

// visitAs is visit of a page whose status is another.
func (b *tab) visitAs(path string, status int64) {
	b.t.Helper()
	b.load(status, chromedp.Navigate(b.console+path))
	b.inspect()
}

// open is visit without the inspection: for one more page of a kind.
func (b *tab) open(path string) {
	b.t.Helper()
	b.load(200, chromedp.Navigate(b.console+path))
	b.check()
}

// path is where the tab is: path and query.
func (b *tab) path() string {
	b.t.Helper()
	at, err := url.Parse(evaluate[string](b, "location.href"))
	if err != nil {
		b.t.Fatal(err)
	}
	return at.RequestURI()
}

// withoutScripts makes the tab one of a browser that runs no scripts.
func (b *tab) withoutScripts() *tab {
	b.t.Helper()
	b.mute = true
	b.silence(true)
	return b
}

func (b *tab) silence(on bool) {
	b.t.Helper()
	b.do(perform(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: on}))
}

// evaluate returns what an expression is worth in the page, in a world of its
// own: it sees the page's content, and the page does not see it. Where another
// page comes just then, it is asked.
func evaluate[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, browserPatience)
	defer stop()
	for {
		value, err := chromedp.Run(ctx, inOwnWorld[T](expression))
		if err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "Cannot find context") {
			continue
		}
		if err != nil {
			b.t.Fatalf("%.200s: %v", expression, err)
		}
		return value
	}
}

func inOwnWorld[T any](expression string) chromedp.Action[T] {
	return func(ctx context.Context, target *chromedp.Target) (T, error) {
		world, err := cdp.Call(ctx, target, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{
			FrameID: cdp.FrameID(target.TargetID), WorldName: "test",
		})
		if err != nil {
			var none T
			return none, err
		}
		return chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise, func(p *runtime.EvaluateParams) {
			p.ContextID = world.ExecutionContextID
		})(ctx, target)
	}
}
