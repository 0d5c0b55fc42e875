package lis02

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	for in, want := range map[string]bool{
		"":                               false,
		"\r":                             false,
		"H|\\^&\r":                       false,
		"H|\\^&\rL|1|N\r":                true,
		"H|\\^&\rL|1|N":                  true,
		"H|\\^&\rL|1|N\r\n":              true,
		"H|\\^&\r\nL|1|N\r\n":            true,
		"H|\\^&\nL|1|N\n":                true,
		"H|\\^&\rL\r":                    true,
		"H|\\^&\rL":                      true,
		"H|\\^&\rL||\r":                  true,
		"H|\\^&\rL||N\r\r":               true,
		"H|\\^&\r  L|1|N\r":              true,
		"H!~$%\rL!1!N\r":                 true,
		"H!~$%\rL|1|N\r":                 false,
		"H|\\^&\rLU|5\r":                 false,
		"H|\\^&\rLU|5":                   false,
		"H|\\^&\rC|1|I|L|1|N\r":          false,
		"H|\\^&\rR|1|^^^L|5\r":           false,
		"H|\\^&\rl|1|n\r":                true,
		"H|\\^&\rL|1|N\rH|\\^&\r":        false,
		"H|\\^&\rL|1|N\rH|\\^&\rL|1|N\r": true,
		"L|1|N\r":                        true,
		"H|\\^&\rR|1|x\nL|1|N":           true,
		"H|\\^&\rL|1|N\nR|1|x\r":         false,
		"H|\\^&\rC|1|I|a\nL\nb\r":        false,
	} {
		if got := Complete([]byte(in)); got != want {
			t.Errorf("Complete(%q) = %v", in, got)
		}
	}
}

func TestTerminated(t *testing.T) {
	for in, want := range map[string]bool{
		"":                      false,
		"H|\\^&\rL|1|N":         true,
		"H|\\^&\rL|1|n|":        true,
		"H|\\^&\r L||F ":        true,
		"H|\\^&\rL|1|N\r\n":     true,
		"H|\\^&\rR|1|x\nL|1|N":  true,
		"H|\\^&\nR|1|x\nL|1|N":  true,
		"H!~$%\rL!1!N":          true,
		"H!~$%\rL|1|N":          false,
		"H|\\^&\rL|1":           false,
		"H|\\^&\rL|1|":          false,
		"H|\\^&\rL":             false,
		"H|\\^&\rL|1|No":        false,
		"H|\\^&\rL|1|N|x":       false,
		"H|\\^&\rL|x|N":         false,
		"H|\\^&\rLU|1|N":        false,
		"H|\\^&\rR|1|N":         false,
		"H|\\^&\rC|1|I|L|1|N":   false,
		"H|\\^&\rL|1|N\rH|\\^&": false,
		"H|\\^&\rL|" + strings.Repeat("1", 100) + "|N": false,
		strings.Repeat("x", 100) + "\nL|1|N":           true,
	} {
		if got := Terminated([]byte(in)); got != want {
			t.Errorf("Terminated(%q) = %v", in, got)
		}
	}
}

func TestCut(t *testing.T) {
	const a, b = "H|\\^&\rR|1|x\rL|1|N\r", "H|@^\\\rL|1\r"
	for _, tt := range []struct {
		name, in, message, rest string
		complete                bool
	}{
		{"nothing", "", "", "", false},
		{"unfinished", "H|\\^&\rR|1", "", "H|\\^&\rR|1", false},
		{"one", a, a, "", true},
		{"one and line ends", a + "\r\n", a + "\r\n", "", true},
		{"two", a + b, a, b, true},
		{"one and the start of the next", a + "H|", a, "H|", true},
		{"no CR at the end", "H|\\^&\rL|1|N", "H|\\^&\rL|1|N", "", true},
		{"no terminator, next header", "H|\\^&\rR|1|x\r" + b, "H|\\^&\rR|1|x\r", b, true},
		{"no terminator, blank-led header", "H|\\^&\rR|1|x\r " + b, "H|\\^&\rR|1|x\r", " " + b, true},
		{"no terminator, start of a header", "H|\\^&\rR|1|x\rH", "", "H|\\^&\rR|1|x\rH", false},
		{"free text that begins with H", "H|\\^&\rH-index 5\rHb|5\rR|1\r", "", "H|\\^&\rH-index 5\rHb|5\rR|1\r", false},
		{"free text that begins with H and delimiters", "H|\\^&\rH++ hemolytic\rH----\rH+-+*5\rR|1\r", "", "H|\\^&\rH++ hemolytic\rH----\rH+-+*5\rR|1\r", false},
		{"no terminator, next header with other delimiters", "H|\\^&\rR|1|x\rH!~$%\r", "H|\\^&\rR|1|x\r", "H!~$%\r", true},
		{"no terminator, next header with other delimiters, cut", "H|\\^&\rR|1|x\rH!~$", "", "H|\\^&\rR|1|x\rH!~$", false},
		{"free text that begins with L", "H|\\^&\rLU|5\rL-5\r", "", "H|\\^&\rLU|5\rL-5\r", false},
		{"line ends first", "\r\n" + a, "\r\n" + a, "", true},
		{"LF only", "H|\\^&\nL|1\nH|\\^&\n", "H|\\^&\nL|1\n", "H|\\^&\n", true},
		{"LFs among CRs", "H|\\^&\rR|1|x\nL|1|N\nH|\\^&\rL|1\r", "H|\\^&\rR|1|x\nL|1|N\n", "H|\\^&\rL|1\r", true},
		{"LFs among CRs, no terminator", "H|\\^&\rR|1|x\nH|\\^&\rL|1\r", "H|\\^&\rR|1|x\n", "H|\\^&\rL|1\r", true},
		{"keep-alive", "H|\\^&\rL||\r", "H|\\^&\rL||\r", "", true},
		{"terminator only", "L|1|N\r" + a, "L|1|N\r", a, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			message, rest, complete := Cut([]byte(tt.in))
			if string(message) != tt.message || string(rest) != tt.rest || complete != tt.complete {
				t.Errorf("%q, %q, %v; want %q, %q, %v", message, rest, complete, tt.message, tt.rest, tt.complete)
			}
		})
	}
}

func TestCarries(t *testing.T) {
	for in, want := range map[string]bool{
		"":                       false,
		"H|\\^&\rL|1|N\r":        false,
		"H|\\^&\rP|1\rC|1|R|O\r": false,
		"H|\\^&\rP|1\rO|1|s\r":   true,
		"H|\\^&\r R|1":           true,
		"H!~$%\rR!1\r":           true,
		"H|\\^&\rROW|1\rOUT\r":   false,
		"H|\\^&\nR|1|5\rL|1\r":   true,
		"H|\\^&\rC|1|I|a\nR|\r":  false,
	} {
		if got := Carries([]byte(in)); got != want {
			t.Errorf("Carries(%q) = %v", in, got)
		}
	}
}

// join adds text in frames of the given sizes (the last repeated); a frame is an
// end frame where the text ends.
func join(text []byte, sizes ...int) (messages []string, rest string) {
	var j Joiner
	for i := 0; len(text) > 0; i++ {
		n := min(max(1, sizes[min(i, len(sizes)-1)]), len(text))
		j.Add(text[:n], n == len(text))
		text = text[n:]
		for m, ok := j.Next(); ok; m, ok = j.Next() {
			messages = append(messages, string(m))
		}
	}
	return messages, string(j.Rest())
}

func TestJoiner(t *testing.T) {
	const a, b, open = "H|\\^&\rR|1|x\rL|1|N\r", "H|@^\\\rLU|5\rL||\r", "H|\\^&\rO|1|s\r"
	for _, tt := range []struct {
		in   string
		want []string
		rest string
	}{
		{"", nil, ""},
		{a, []string{a}, ""},
		{a + b + a, []string{a, b, a}, ""},
		{a + open, []string{a}, open},
		{open + a, []string{open, a}, ""},
		{"H|\\^&\rL|1|N", []string{"H|\\^&\rL|1|N"}, ""},
		{"\r\n" + a, []string{a}, ""},
		{"H|\\^&\rR|1|x\nL|1|N\n" + a, []string{"H|\\^&\rR|1|x\nL|1|N", a}, ""},
		{"H|\\^&\nR|1|x\nL|1|N\nH|\\^&\n", []string{"H|\\^&\nR|1|x\nL|1|N"}, "H|\\^&\n"},
	} {
		for size := 1; size <= len(tt.in)+1; size++ {
			if got, rest := join([]byte(tt.in), size); !slices.EqualFunc(got, tt.want, sameMessage) || rest != tt.rest {
				t.Fatalf("%q by %d: %q, rest %q; want %q, %q", tt.in, size, got, rest, tt.want, tt.rest)
			}
		}
	}
}

// A Terminator that is split over frames does not count before its record ends,
// and what was handed out is not changed by what comes next.
func TestJoinerSplitTerminator(t *testing.T) {
	var j Joiner
	j.Add([]byte("H|\\^&\rL|1"), false)
	if m, ok := j.Next(); ok {
		t.Fatalf("half a terminator gives %q", m)
	}
	j.Add([]byte("|N\rH|\\^&\r"), false)
	m, ok := j.Next()
	if !ok || string(m) != "H|\\^&\rL|1|N\r" || string(j.Rest()) != "H|\\^&\r" {
		t.Fatalf("%q, %v, rest %q", m, ok, j.Rest())
	}
	j.Add(bytes.Repeat([]byte("x"), 100), false)
	if string(m) != "H|\\^&\rL|1|N\r" {
		t.Errorf("the message became %q", m)
	}
	if j.Reset(); len(j.Rest()) != 0 {
		t.Errorf("rest %q after Reset", j.Rest())
	}
}

// FuzzJoiner holds that messages do not depend on where frames end, that they
// are those that Cut finds, and that no byte is lost.
func FuzzJoiner(f *testing.F) {
	f.Add([]byte("H|\\^&\rR|1|x\rL|1|N\rH|@^\\\rLU|5\rL||\r"), 3, 1)
	f.Add([]byte("\r H|\\^&\rO|1\r\nH|\\^&\rL\r\rL"), 1, 5)
	f.Add([]byte("H|\\^&\rR|1|x\nL|1|N\nH|\\^&\nO|1\rL||\n\nC|1"), 1, 3)
	f.Add([]byte("H!!!\rHH\rH!\rL!"), 2, 2)
	f.Fuzz(func(t *testing.T, text []byte, a, b int) {
		if len(text) > 2000 { // read byte by byte, so long ones only cost time
			return
		}
		a, b = 1+(a&0x7FFFFFFF)%9, 1+(b&0x7FFFFFFF)%40
		messages, rest := join(text, len(text)+1)
		for _, sizes := range [][]int{{a, b, 1}, {b, a}, {1}} {
			got, r := join(text, sizes...)
			if !slices.EqualFunc(got, messages, sameMessage) || strings.TrimLeft(r, between) != strings.TrimLeft(rest, between) {
				t.Fatalf("%q by %v: %q, rest %q; at once: %q, %q", text, sizes, got, r, messages, rest)
			}
		}
		if all := strings.Join(messages, "") + rest; !bytes.HasSuffix(text, []byte(all)) || len(bytes.TrimLeft(text[:len(text)-len(all)], between)) > 0 {
			t.Fatalf("%q became %q", text, all)
		}
		left := bytes.TrimLeft(text, between)
		for i := 0; ; i++ {
			if bytes.IndexByte(left, cr) < 0 && bytes.IndexByte(left, lf) >= 0 {
				return // a Joiner cannot know that no CR will come
			}
			message, after, ok := Cut(left)
			if !ok {
				if i != len(messages) {
					t.Fatalf("%q: Cut finds %d messages, Joiner %d", text, i, len(messages))
				}
				return
			}
			if i >= len(messages) || messages[i] != string(message) {
				t.Fatalf("%q: message %d is %q", text, i, message)
			}
			left = after
		}
	})
}

// sameMessage compares but for the line ends and blanks after the terminator:
// those that come in a later frame are dropped instead.
func sameMessage(a, b string) bool {
	return strings.TrimRight(a, between) == strings.TrimRight(b, between)
}

// FuzzCut holds that the parts of Cut are the text, that it makes progress, and
// that Complete and Carries agree with what Parse finds.
func FuzzCut(f *testing.F) {
	f.Add([]byte("H|\\^&\rR|1|x\rL|1|N\r\nH|@^\\\rO|1\rL||"))
	f.Add([]byte("H|\\^&\nL|1\n H!~\n"))
	f.Add([]byte("H|\\^&\rR|1|x\nL|1|N|"))
	f.Add([]byte("L\r\x00\rH\rLU|5"))
	f.Fuzz(func(t *testing.T, text []byte) {
		message, rest, complete := Cut(text)
		switch {
		case complete && len(message) == 0, !complete && len(message) > 0:
			t.Fatalf("%q: message %q, %v", text, message, complete)
		case !bytes.Equal(slices.Concat(message, rest), text):
			t.Fatalf("%q is cut into %q and %q", text, message, rest)
		}
		m, _ := Parse(text)
		last := byte(0)
		if n := len(m.Records); n > 0 {
			last = m.Records[n-1].Type
		}
		one := !slices.ContainsFunc(m.Records, func(r Record) bool { return r.Delimiters.Field != m.Field })
		// Complete asks about text without the blanks and NUL at its end.
		if end := bytes.TrimRight(text, between); one && len(end) == len(text) && Complete(text) != (last == 'L') {
			t.Fatalf("%q: complete: %v, last record %q", text, Complete(text), last)
		}
		if Terminated(text) && !Complete(text) {
			t.Fatalf("%q: terminated, but not complete", text)
		}
		if found := slices.ContainsFunc(m.Records, func(r Record) bool { return r.Type == 'O' || r.Type == 'R' }); one && found != Carries(text) {
			t.Fatalf("%q: carries a result: %v", text, !found)
		}
	})
}
