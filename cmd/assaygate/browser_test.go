package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// The browser tests drive the console in a real Chromium: `make test-browser`
// names it in ASSAYGATE_BROWSER. Without it they are skipped.

// browserPatience is how long one step of a test may take, on a busy machine.
const browserPatience = time.Minute

// chromium is one browser for all tests of the package: to start it takes
// longer than most of them. What a test sees of it is its own, see [browse].
type chromium struct {
	once sync.Once
	ctx  context.Context
	err  error
}

var browser chromium

// start starts the browser where it does not run yet.
func (c *chromium) start(program string) (context.Context, error) {
	c.once.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(program),
			chromedp.WindowSize(wide, tall),
			chromedp.Flag("lang", "en-GB"),
			chromedp.Flag("font-render-hinting", "none"), // letters have the same shape on every machine
			// Names for hostile pages; all others lead nowhere, whatever network there is.
			chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1, EXCLUDE 127.0.0.1, EXCLUDE localhost, MAP * ~NOTFOUND"),
			chromedp.Flag("no-proxy-server", true),
		)
		if os.Geteuid() == 0 {
			// As root, as in a container, Chromium refuses to start with its sandbox. All that it opens are our own
			// pages.
			options = append(options, chromedp.NoSandbox)
		}
		allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
		c.ctx, _ = chromedp.NewContext(allocator)
		c.err = chromedp.Do(c.ctx)
	})
	return c.ctx, c.err
}

// stop ends the browser, where it was started, and removes its files.
func (c *chromium) stop() error {
	if c.ctx == nil {
		return nil
	}
	return chromedp.Cancel(c.ctx)
}

// withBrowser are tests that share a browser.
type withBrowser struct{ *testing.M }

// Run implements testscript.TestingM.
func (m withBrowser) Run() int {
	code := m.M.Run()
	if err := browser.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the browser:", err)
		return max(code, 1)
	}
	return code
}

// chromiumProgram is the browser to drive. A test that was not asked for one
// ends here.
func chromiumProgram(t testing.TB) string {
	t.Helper()
	program := os.Getenv("ASSAYGATE_BROWSER")
	if program == "" {
		t.Skip("*** SKIPPED: no browser drives the console; make test-browser does it ***")
	}
	return program
}

// browse opens a tab on the console of a gateway: of a person with no cookies, no
// cache and nothing to do with any other. It is closed when the test ends. What
// then was wrong with any page fails the test, see [tab].
func (r *running) browse() *tab {
	r.t.Helper()
	return browse(r.t, "http://"+r.addresses[consoleServer])
}

// browse is running.browse for the console at an address: scheme, host and port.
func browse(t testing.TB, console string) *tab {
	t.Helper()
	program := chromiumProgram(t)
	parent, err := browser.start(program)
	if err != nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	b := newTab(t, console)
	ctx, _ := chromedp.NewContext(parent, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.heard))
	b.ctx = ctx
	b.do(
		// As if it were the window in front: others do not show where the keyboard is.
		perform(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}),
	)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("closing a tab: %v", err)
		}
		b.end()
	})
	return b
}

// perform is a step that is one command of the browser, whose result is of no
// interest.
func perform[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, c, params)
		return err
	})
}

// axeSource is the accessibility checker, which runs in every page.
var axeSource = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile(filepath.Join(os.Getenv("ASSAYGATE_PEERS"), "axe-core", "node_modules", "axe-core", "axe.min.js"))
	return string(text), err
})
