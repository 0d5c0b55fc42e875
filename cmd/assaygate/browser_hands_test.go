package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// What a person does: things are found by what they are called on the page, keys
// and mouse are those of the browser.

// named finds the controls that a person may mean by a name: buttons, links and
// headings of details by their text, fields by their label. Its arguments are a
// selector of the part of the page to look in and the name.
const named = `function named(part, name) {
	const plain = text => (text || '').replace(/\s+/g, ' ').trim();
	const labelled = control => {
		if (control.getAttribute('aria-label')) return plain(control.getAttribute('aria-label'));
		const by = control.getAttribute('aria-labelledby');
		if (by) return plain(by.split(' ').map(id => document.getElementById(id)?.textContent).join(' '));
		if (!control.matches('input, select, textarea')) return plain(control.textContent);
		if (control.matches('[type=submit], [type=button]')) return plain(control.value);
		return [...control.labels].map(label => {
			const words = label.cloneNode(true);
			words.querySelectorAll('input, select, textarea').forEach(e => e.remove());
			return plain(words.textContent);
		}).join(' ');
	};
	return [...document.querySelectorAll(part)].flatMap(e => [...e.querySelectorAll(
		'a[href], button, summary, input:not([type=hidden]), select, textarea, [role=button], [role=tab]')])
		.filter(e => e.checkVisibility({ visibilityProperty: true }) && labelled(e) === name);
}`

// find returns the one control of that name in a part of the page.
func (b *tab) find(part, name string) *runtime.RemoteObject {
	b.t.Helper()
	arguments := fmt.Sprintf("(%s, %s)", script(part), script(name))
	if n := evaluate[int](b, "("+named+")"+arguments+".length"); n != 1 {
		b.t.Fatalf("%s has %d controls %q in %s:\n%s", b.path(), n, name, part, b.text())
	}
	return evaluate[*runtime.RemoteObject](b, "("+named+")"+arguments+"[0]")
}

// script is a string as JavaScript writes it.
func script(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can always be written
	}
	return string(quoted)
}

// pointAt scrolls to a control and returns where its middle is. One that
// something else covers cannot be clicked.
func (b *tab) pointAt(control *runtime.RemoteObject) (x, y float64) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, browserPatience)
	defer stop()
	type point struct {
		X, Y    float64
		Covered string
	}
	at, err := chromedp.Run(ctx, chromedp.CallFunctionOn[point](`function() {
		this.scrollIntoView({ block: 'center', behavior: 'instant' });
		const box = this.getClientRects()[0];
		const x = box.left + box.width / 2, y = box.top + box.height / 2;
		const top = document.elementFromPoint(x, y);
		const reached = top && (this.contains(top) || top.contains(this));
		return { X: x, Y: y, Covered: reached ? '' : String(top && top.outerHTML) };
	}`, func(p *runtime.CallFunctionOnParams) { p.ObjectID = control.ObjectID }))
	if err != nil {
		b.t.Fatal(err)
	}
	if at.Covered != "" {
		b.t.Fatalf("%s lies over what was to be clicked", at.Covered)
	}
	return at.X, at.Y
}

// click clicks what has the name and leaves the page where it is.
func (b *tab) click(name string) { b.t.Helper(); b.clickIn("body", name) }

// clickIn is click in a part of the page.
func (b *tab) clickIn(part, name string) {
	b.t.Helper()
	x, y := b.pointAt(b.find(part, name))
	b.do(chromedp.MouseClickXY(x, y))
}

// press clicks what has the name and leads to another page, which it inspects.
func (b *tab) press(name string) { b.t.Helper(); b.pressIn("body", name) }

// pressIn is press in a part of the page.
func (b *tab) pressIn(part, name string) {
	b.t.Helper()
	b.pressAs(part, name, 200)
}

// pressAs is pressIn where the page's status is another.
func (b *tab) pressAs(part, name string, status int64) {
	b.t.Helper()
	x, y := b.pointAt(b.find(part, name))
	b.load(status, chromedp.MouseClickXY(x, y))
	b.inspect()
}

// fill types text into the field with that label, in place of what it holds.
func (b *tab) fill(label, text string) { b.t.Helper(); b.fillIn("body", label, text) }

// fillIn is fill in a part of the page.
func (b *tab) fillIn(part, label, text string) {
	b.t.Helper()
	control := b.find(part, label)
	b.do(
		perform(dom.Focus, dom.FocusParams{ObjectID: control.ObjectID}),
		perform(input.DispatchKeyEvent, input.DispatchKeyEventParams{
			Type: input.DispatchKeyEventTypeRawKeyDown, Key: "a", Code: "KeyA", WindowsVirtualKeyCode: 'A', Modifiers: 2,
			Commands: []string{"selectAll"},
		}),
		perform(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: "a", Code: "KeyA"}),
	)
	if text == "" {
		b.key("Backspace", 8)
		return
	}
	b.do(perform(input.InsertText, input.InsertTextParams{Text: text}))
}

// choose takes an option of the list with that label.
func (b *tab) choose(label, option string) {
	b.t.Helper()
	control := b.find("body", label)
	b.do(perform(runtime.CallFunctionOn, runtime.CallFunctionOnParams{
		ObjectID: control.ObjectID,
		FunctionDeclaration: `function(text) {
			const option = [...this.options].find(o => o.textContent.trim() === text);
			if (!option) throw new Error('no option ' + text);
			option.selected = true;
			this.dispatchEvent(new Event('input', { bubbles: true }));
			this.dispatchEvent(new Event('change', { bubbles: true }));
		}`,
		Arguments: []*runtime.CallArgument{{Value: []byte(script(option))}},
	}))
	if now := evaluate[string](b, fmt.Sprintf("(%s)('body', %s)[0].selectedOptions[0].textContent.trim()", named, script(label))); now != option {
		b.t.Fatalf("%s is %q, want %q", label, now, option)
	}
}

// valueOf is what the field with that label holds.
func (b *tab) valueOf(label string) string {
	b.t.Helper()
	return evaluate[string](b, fmt.Sprintf("(%s)('body', %s)[0].value", named, script(label)))
}

// key presses and lets go of a key, by its name and its code of old.
func (b *tab) key(name string, code int64) {
	b.t.Helper()
	text := ""
	if name == "Enter" {
		text = "\r"
	}
	kind := input.DispatchKeyEventTypeRawKeyDown
	if text != "" {
		kind = input.DispatchKeyEventTypeKeyDown
	}
	b.do(
		perform(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: name, Code: name, WindowsVirtualKeyCode: code, Text: text}),
		perform(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: name, Code: name, WindowsVirtualKeyCode: code}),
	)
}

// text is what a person reads on the page, from the top.
func (b *tab) text() string {
	b.t.Helper()
	return evaluate[string](b, "document.body ? document.body.innerText : ''")
}

// textOf is what a person reads in the first element that the selector finds.
func (b *tab) textOf(selector string) string {
	b.t.Helper()
	return evaluate[string](b, fmt.Sprintf("document.querySelector(%s)?.innerText ?? ''", script(selector)))
}

// has reports whether the page says it now.
func (b *tab) has(text string) bool { b.t.Helper(); return strings.Contains(b.text(), text) }

// see waits until the page says it.
func (b *tab) see(text string) {
	b.t.Helper()
	var last string
	seen := false
	defer func() {
		if !seen {
			b.t.Logf("looked for %q in\n%s", text, last)
		}
	}()
	eventually(b.t, "the page says "+text, func() bool {
		last = b.text()
		seen = strings.Contains(last, text)
		return seen
	})
}

// wants expects that the page says each of these now, and none of those that
// begin with a "!".
func (b *tab) wants(texts ...string) {
	b.t.Helper()
	all := b.text()
	for _, text := range texts {
		unwanted, not := strings.CutPrefix(text, "!")
		if strings.Contains(all, unwanted) == not {
			b.t.Errorf("%s: want %q in\n%s", b.path(), text, all)
		}
	}
}

// offers reports whether a control of that name is on the page.
func (b *tab) offers(name string) bool {
	b.t.Helper()
	return evaluate[int](b, fmt.Sprintf("(%s)('body', %s).length", named, script(name))) > 0
}
