package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/commission"
)

// Who reads the name of a layer in the console finds it in the manual's table, with
// the section that helps.
func TestManualNamesEveryLayer(t *testing.T) {
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n### The layers\n")
	table, _, _ = strings.Cut(table, "\n## ")
	named := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| [^|]+ \| \[.+\]\(#.+\) \|$`).FindAllStringSubmatch(table, -1) {
		for title := range strings.SplitSeq(row[1], ", ") {
			named[title] = false
		}
	}
	for _, line := range []commission.Line{commission.Serial, commission.Listener, commission.Dialled} {
		for _, language := range []commission.Language{commission.ASTM, commission.HL7, commission.Packets} {
			for _, layer := range commission.Judge(commission.Facts{Line: line, Language: language}) {
				if _, is := named[layer.Title]; !is {
					t.Errorf("docs/troubleshooting.md does not name the layer %q", layer.Title)
				}
				named[layer.Title] = true
			}
		}
	}
	for title, is := range named {
		if !is {
			t.Errorf("docs/troubleshooting.md names a layer %q that no line has", title)
		}
	}
}
