package main

import "testing"

// Every page of the menu opens, and is as all pages have to be.
func TestBrowserMenu(t *testing.T) {
	chromiumProgram(t)
	server, directory := newLIMS(t), t.TempDir()
	r := start(t, base(directory)+lanInstruments+lims(server, directory))
	b := r.browse()
	b.visit("/")
	b.wants("lan", "hl7", "lims", "files")
	pages := evaluate[[]string](b, "[...document.querySelectorAll('nav a')].map(a => a.textContent)")
	if len(pages) < 5 {
		t.Errorf("the menu has only %q", pages)
	}
	for _, page := range pages {
		b.pressIn("nav", page)
		if heading := b.textOf("h1"); heading != page {
			t.Errorf("%s leads to %q at %s", page, heading, b.path())
		}
	}
	b.visitAs("/none", 404)
}
