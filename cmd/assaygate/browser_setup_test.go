//go:build unix

package main

import (
	"strings"
	"testing"
)

// configurationLabel is that of the editor.
const configurationLabel = "Text of the configuration"

// A person makes a mistake, is led to its line, mends it, sees what would change,
// and applies it.
func TestBrowserSetup(t *testing.T) {
	withAndWithoutScripts(t, func(t *testing.T, open func(*running) *tab) {
		v, path := startSetup(t, setupConfig)
		b := open(v.r)
		b.console = "http://" + v.address
		b.visit("/setup")
		b.press("Change the configuration")
		right := b.valueOf(configurationLabel)
		b.fill(configurationLabel, strings.Replace(right, "name: one", "nome: one", 1))
		if b.mute {
			b.press("Check")
		}
		b.see("did you mean name?")
		if !strings.Contains(b.textOf("#summary"), "wrong") {
			t.Errorf("the page sums up: %q", b.textOf("#summary"))
		}
		if !b.mute { // the mistake leads to its line
			b.clickIn("#problems", evaluate[string](b, "document.querySelector('#problems a').textContent"))
			marked := evaluate[string](b, "(t => t.value.slice(t.selectionStart, t.selectionEnd))(document.querySelector('#text'))")
			if !strings.Contains(marked, "nome: one") {
				t.Errorf("marked is %q", marked)
			}
		}
		b.pressAs("body", "See what would change", 409)
		b.wants("did you mean name?", "!Apply")

		b.fill(configurationLabel, strings.Replace(right, "name: one", "name: two", 1))
		if b.mute {
			b.press("Check")
		}
		b.see("Nothing is wrong with it.")
		b.press("See what would change")
		b.wants("name: one", "name: two", "Lines drained and started again", "!"+planted)
		b.press("Apply")
		eventually(t, "it stands", func() bool {
			now := v.r.setupState()
			return now.By == "console" && !now.OnTrial && now.Applying == ""
		})
		if !strings.Contains(held(t, path), "name: two") {
			t.Error("the file is as before")
		}
		b.visit("/setup")
		b.wants("by console")
		b.press("Earlier configurations")
		b.wants("is what the file says now")
		b.press("Open number 1")
		if earlier := b.valueOf(configurationLabel); earlier != right {
			t.Errorf("the earlier one is\n%s\nwant\n%s", earlier, right)
		}
		b.visit("/audit")
		b.wants("configuration changed", "console")
	})
}

// What moves the console is kept by who comes to where it is then.
func TestBrowserSetupKeepsWhatWasOnTrial(t *testing.T) {
	chromiumProgram(t)
	v, path := startSetup(t, setupConfig)
	next := freePort(t)
	b := browse(t, "http://"+v.address)
	b.visit("/setup/config")
	b.fill(configurationLabel, strings.Replace(b.valueOf(configurationLabel), v.address, next, 1))
	b.see("Nothing is wrong with it.")
	b.press("See what would change")
	b.wants("It is about the way to this console.")
	b.click("Apply") // the page that follows may be gone with the address
	eventually(t, "the console is there", func() bool { return knocks(next) })
	eventually(t, "it was changed", func() bool { now := v.r.standingConfig(); return now.OnTrial && len(now.Missing) == 0 })

	at := browse(t, "http://"+next)
	at.visit("/setup")
	at.wants("on trial", "unless you keep it here within that time")
	at.press("Keep it now")
	at.wants("!on trial")
	if v.r.standingConfig().OnTrial || !strings.Contains(held(t, path), next) {
		t.Error("it does not stand")
	}
}
