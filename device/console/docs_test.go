package console

import (
	"os"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

// TestTheAPIIsDocumented looks for each path that programs can ask for in the manual,
// with its method, as the code of a table.
func TestTheAPIIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	everywhere, control := api.Patterns()
	patterns := append(everywhere, control...)
	c := newConsole(spooltest.New(t), Overview{})
	own := 0
	for _, one := range c.routes() {
		method, path, _ := strings.Cut(one.pattern, " ")
		if !strings.HasPrefix(path, "/api/") || path == "/api/" {
			continue // a page, or what stands for all paths of the API
		}
		own++
		if pattern := method + " " + strings.TrimPrefix(path, "/api"); !strings.Contains(string(text), "`"+pattern+"`") {
			patterns = append(patterns, one.pattern)
		}
	}
	if own < 4 || len(everywhere) < 8 || len(control) < 4 {
		t.Fatalf("%d paths of the console, %d of the store, %d of the socket", own, len(everywhere), len(control))
	}
	for _, pattern := range patterns {
		if !strings.Contains(string(text), "\n| `"+pattern+"` |") {
			t.Errorf("docs/api.md says nothing of %s", pattern)
		}
	}
	// And it tells of none that is not there.
	for line := range strings.Lines(string(text)) {
		row, is := strings.CutPrefix(line, "| `")
		pattern, _, _ := strings.Cut(row, "`")
		method, path, isPath := strings.Cut(pattern, " ")
		if !is || !isPath || method != strings.ToUpper(method) || path == "/v1/ports" {
			continue
		}
		if strings.HasSuffix(path, "/v1/session") {
			continue // of the login
		}
		known := false
		for _, one := range patterns {
			known = known || one == pattern
		}
		if !known {
			t.Errorf("docs/api.md tells of %s, which is not there", pattern)
		}
	}
}
