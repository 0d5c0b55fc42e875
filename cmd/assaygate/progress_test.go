package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// work does so many steps, each in the given time.
func work(p *progress, steps uint64, each time.Duration) {
	step := p.of("counting")
	for n := range steps {
		time.Sleep(each)
		step(n+1, steps)
	}
	p.end()
}

func TestProgressElsewhereIsFewLines(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps uint64
		each  time.Duration
		want  string
	}{
		{"quick work says nothing", 1000, time.Millisecond, ""},
		{"a line for each tenth", 1000, 100 * time.Millisecond, "10 20 30 40 50 60 70 80 90 100 "},
		{"a slow tenth says that it moves", 10000, 20 * time.Millisecond, "10 20 30 40 50 60 70 80 90 100 "},
		{"half a minute without a tenth", 1000, time.Second, strings.Join(strings.Fields(`3 6 9 10 13 16 19 20 23 26 29 30 33 36 39 40 43 46 49 50
			53 56 59 60 63 66 69 70 73 76 79 80 83 86 89 90 93 96 99 100`), " ") + " "},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				work(newProgress(&out), c.steps, c.each)
				said := ""
				for line := range strings.Lines(out.String()) {
					var percent, done, total int
					if _, err := fmt.Sscanf(line, "counting: %d%% (%d of %d)\n", &percent, &done, &total); err != nil {
						t.Fatalf("%q: %v", line, err)
					}
					said += fmt.Sprint(percent, " ")
				}
				if said != c.want {
					t.Errorf("it says %s, want %s", said, c.want)
				}
			})
		})
	}
}

func TestProgressOnATerminalIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out)
		p.terminal = true
		report := p.around(&out)
		step := p.of("counting")
		for n := range uint64(100) {
			time.Sleep(10 * time.Millisecond) // a second in all
			step(n+1, 100)
			if n == 49 {
				fmt.Fprintln(report, "half of it")
			}
		}
		p.end()
		drawn := strings.Count(out.String(), "counting:")
		if drawn < 4 || drawn > 6 {
			t.Errorf("drawn %d times in a second: %q", drawn, out.String())
		}
		if screen := onScreen(out.String()); screen != "half of it\n" {
			t.Errorf("in the end the terminal shows %q", screen)
		}
	})
}

// onScreen is what a terminal shows of a text in the end: what comes after a CR
// stands over what was there.
func onScreen(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		var shown []byte
		for part := range strings.SplitSeq(line, "\r") {
			shown = append([]byte(part), shown[min(len(part), len(shown)):]...)
		}
		lines = append(lines, strings.TrimRight(string(shown), " "))
	}
	return strings.Join(lines, "\n")
}

func TestProgressKnowsATerminal(t *testing.T) {
	_, path := terminal(t)
	for path, want := range map[string]bool{path: true, "progress.go": false} {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if is := newProgress(file).terminal; is != want {
			t.Errorf("%s is a terminal: %v", path, is)
		}
	}
}
