package main

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// The windows that pages are looked at in, in CSS pixels: a laptop, a tablet and
// a small telephone.
const (
	wide, between, narrow = 1280, 800, 360
	tall                  = 800
)

// inspect holds the page that is open to what every page has to be:
//
//   - nothing is inline
//   - no window scrolls sideways
//   - the Tab key reaches every control, and each shows that it has the keyboard
//   - axe-core finds nothing, in a wide and in a narrow window, in light and in
//     dark colours
//
// The last two take most of the time of all tests together. A page that is made of
// the same parts as one before, with other words in them, is spared them.
func (b *tab) inspect() {
	b.t.Helper()
	if !evaluate[bool](b, "document.contentType === 'text/html'") {
		b.check() // a line of text, which no page leads to
		return
	}
	where := b.path()
	for _, found := range evaluate[[]string](b, inlineParts) {
		b.t.Errorf("%s: inline: %s", where, found)
	}
	for _, width := range []int64{narrow, between, wide} {
		b.window(width)
		for _, found := range evaluate[[]string](b, sidewaysParts) {
			b.t.Errorf("%s at %d px: scrolls sideways: %s", where, width, found)
		}
	}
	if _, known := inspected.LoadOrStore(evaluate[string](b, madeOf), true); !known {
		b.inspectKeyboard(where)
		b.inspectAccess(where)
	}
	b.check()
}

// inspected are what the pages were made of that axe-core has seen.
var inspected sync.Map

// madeOf are the parts of a page, each once: what it is and where, and what gives
// it its looks and its role.
const madeOf = `[...new Set([...document.querySelectorAll('*')].map(e => {
	const one = e => e.localName + ['class', 'type', 'role', 'rel', 'scope', 'hidden', 'open', 'disabled'].map(name =>
		e.hasAttribute(name) ? '[' + name + '=' + e.getAttribute(name) + ']' : '').join('') +
		(e.matches('link, script') ? e.getAttribute('href') + e.getAttribute('src') : '') +
		[...e.attributes].filter(a => a.name.startsWith('aria-')).map(a => a.name).join();
	let path = '';
	for (let at = e; at; at = at.parentElement) path = one(at) + '>' + path;
	return path;
}))].sort().join('\n')`

// inspectAccess has axe-core look at the page in each window.
func (b *tab) inspectAccess(where string) {
	b.t.Helper()
	windows := map[string][]string{} // by what is wrong in them
	for _, width := range []int64{narrow, wide} {
		b.window(width)
		for _, scheme := range []string{"dark", "light"} {
			b.colours(scheme)
			for _, found := range b.axe() {
				windows[found] = append(windows[found], fmt.Sprintf("%d px %s", width, scheme))
			}
		}
	}
	for found, in := range windows {
		b.t.Errorf("%s at %s: axe %s", where, strings.Join(in, ", "), found)
	}
}

// window makes the window that wide.
func (b *tab) window(width int64) {
	b.t.Helper()
	b.do(perform(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: tall, DeviceScaleFactor: 1,
	}))
}

// colours makes the person one who prefers light or dark.
func (b *tab) colours(scheme string) {
	b.t.Helper()
	b.do(perform(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}))
}

// inlineParts are scripts and styles that stand in the page itself. The policy
// would hold them back, and what they are for would not work.
const inlineParts = `[...document.querySelectorAll('*')].filter(e =>
	e.matches('script:not([src]), style') || [...e.attributes].some(a =>
		a.name.startsWith('on') || /^\s*javascript:/i.test(a.value))).map(e => e.outerHTML.slice(0, 200))`

// sidewaysParts are the elements that reach out of the window to the right,
// where the page as a whole does.
const sidewaysParts = `document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
	[document.documentElement.scrollWidth + ' px wide'].concat([...document.body.querySelectorAll('*')].filter(e =>
		e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).map(e => e.outerHTML.slice(0, 200)).slice(0, 5))`

// tabStops are the controls that the Tab key has to reach; of a group of radio
// buttons it is one.
const tabStops = `const stops = [...document.querySelectorAll(
	'a[href], button, summary, input:not([type=hidden]), select, textarea, [tabindex], [contenteditable]')].filter(e => {
	if (e.disabled || e.tabIndex < 0 || !e.checkVisibility({ visibilityProperty: true })) return false;
	if (e.type !== 'radio') return true;
	const group = [...document.querySelectorAll('input[type=radio]')].filter(r => r.name === e.name && r.form === e.form);
	return e === (group.find(r => r.checked) || group[0]);
});`

// inspectKeyboard goes through the page with the Tab key.
func (b *tab) inspectKeyboard(where string) {
	b.t.Helper()
	// What gets the keyboard is noted as it gets it: to ask after each key would take longer.
	count := evaluate[int](b, `(() => {
		document.activeElement?.blur();
		getSelection().removeAllRanges();
		`+tabStops+`
		globalThis.stops = stops;
		globalThis.reached = new Map();
		document.addEventListener('focusin', event => {
			const style = getComputedStyle(event.target);
			globalThis.reached.set(event.target,
				style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none');
		});
		// A date has a stop for each of its parts, and one for the calendar.
		return stops.reduce((sum, e) => sum + (/date|time|month|week/.test(e.type) ? 9 : 1), 0);
	})()`)
	var steps []chromedp.Action[chromedp.Void]
	for range count + 1 {
		for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
			steps = append(steps, perform(input.DispatchKeyEvent, input.DispatchKeyEventParams{
				Type: kind, Key: "Tab", Code: "Tab", WindowsVirtualKeyCode: 9,
			}))
		}
	}
	b.do(steps...)
	for _, found := range evaluate[[]string](b, `globalThis.stops.flatMap(e => {
		const name = e.outerHTML.slice(0, 200);
		if (!globalThis.reached.has(e)) return ['the Tab key does not reach ' + name];
		return globalThis.reached.get(e) ? [] : ['nothing shows that the keyboard is at ' + name];
	})`) {
		b.t.Errorf("%s: %s", where, found)
	}
	evaluate[bool](b, "(() => { document.activeElement?.blur(); scrollTo(0, 0); return true })()")
}

// axe returns what axe-core finds wrong with the page as it stands.
func (b *tab) axe() []string {
	b.t.Helper()
	source, err := axeSource()
	if err != nil {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			b.t.Fatalf("axe-core is not here: %v", err)
		}
		b.t.Log("*** NOT TESTED: accessibility, for axe-core is not here; make test-browser installs it ***")
		return nil
	}
	if b.mute { // axe-core needs timers; for the page's own scripts it is too late
		b.silence(false)
		defer b.silence(true)
	}
	if !evaluate[bool](b, "Boolean(globalThis.axe)") { // a page has to be given it once
		evaluate[chromedp.Void](b, source)
	}
	var found []string
	for _, violation := range evaluate[[]struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}](b, `axe.run(document, { resultTypes: ['violations'], preload: false }).then(r => r.violations)`) {
		for _, node := range violation.Nodes {
			found = append(found, fmt.Sprintf("%s: %s: %s: %s", violation.ID, violation.Help, node.HTML,
				strings.ReplaceAll(node.FailureSummary, "\n", " ")))
		}
	}
	return found
}
