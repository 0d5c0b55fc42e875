package lis01

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/protocols/memorytest"
)

// frame returns an encoded frame.
func frame(number byte, text string, end bool) string {
	return string(AppendFrame(nil, Frame{number, []byte(text), end}))
}

// read splits in, which arrives in parts of the given sizes (the last one
// repeated), and with quiet also what is left once the line is quiet. Skipped
// parts are only counted.
func read(t testing.TB, in []byte, quiet bool, sizes ...int) (tokens []string, junk, rest int) {
	t.Helper()
	var buf []byte
	split := func(atEOF bool) {
		for {
			n, token, err := Split(buf, atEOF)
			if err != nil || n < 0 || n > len(buf) || len(token) > n {
				t.Fatalf("Split(%q, %v) = %d, %q, %v", buf, atEOF, n, token, err)
			}
			if token != nil {
				tokens = append(tokens, string(token))
			} else {
				junk += Junk(buf[:n])
			}
			buf = buf[n:]
			if n == 0 {
				return
			}
		}
	}
	for i := 0; len(in) > 0; i++ {
		n := min(max(1, sizes[min(i, len(sizes)-1)]), len(in))
		buf, in = append(buf, in[:n]...), in[n:]
		split(false)
	}
	if quiet {
		split(true)
	}
	return tokens, junk, len(buf)
}

func TestSplit(t *testing.T) {
	one, two := frame('1', "H|\\^&\r", false), frame('2', "L|1\r", true)
	short := strings.TrimSuffix(one, "\n")
	bare := strings.TrimSuffix(one, "\r\n")
	for _, tt := range []struct {
		name string
		in   string
		want []string // tokens before the line is quiet
		last []string // tokens that the quiet line adds
		junk int
		rest int
	}{
		{name: "nothing"},
		{name: "session", in: "\x05" + one + two + "\x04", want: []string{"\x05", one, two, "\x04"}},
		{name: "EOT and the next ENQ together", in: "\x04\x05", want: []string{"\x04", "\x05"}},
		{name: "replies", in: "\x06\x15", want: []string{"\x06", "\x15"}},
		{name: "line ends between units", in: "\r\n\x05\r\n\x00" + one + "\r\n\x04", want: []string{"\x05", one, "\x04"}},
		{name: "junk between units", in: "ab\x05c" + one + "d", want: []string{"\x05", one}, junk: 4},
		{name: "no LF, quiet", in: short, last: []string{short}},
		{name: "no LF, next frame", in: short + two, want: []string{short, two}},
		{name: "no CR", in: bare + "\n", want: []string{bare + "\n"}},
		{name: "no CR, next frame", in: bare + "\n" + two, want: []string{bare + "\n", two}},
		{name: "no CR and no LF, quiet", in: bare, last: []string{bare}},
		{name: "no CR and no LF, EOT", in: bare + "\x04", want: []string{bare, "\x04"}},
		{name: "no checksum", in: "\x021L\r\x03\r\n\x04", want: []string{"\x021L\r\x03\r\n", "\x04"}},
		{name: "no checksum, quiet", in: "\x021L\r\x03", last: []string{"\x021L\r\x03"}},
		{name: "one checksum character", in: "\x021L\r\x03A\r\n", want: []string{"\x021L\r\x03A\r\n"}},
		{name: "bytes after the checksum", in: "\x021L\r\x0312345\r\n", want: []string{"\x021L\r\x0312"}, junk: 3},
		{name: "damaged checksum", in: "\x021L\r\x03\x012\r\n", want: []string{"\x021L\r\x03"}, junk: 2},
		{name: "CR twice", in: bare + "\r\r\n", want: []string{bare + "\r"}},
		{name: "ETX in place of ETB's checksum", in: "\x021L\x17\x03\r\n", want: []string{"\x021L\x17"}, junk: 1},
		{name: "frame begun anew", in: "\x021H|\\" + one, want: []string{one}, junk: 5},
		{name: "STX twice", in: "\x02" + one, want: []string{one}, junk: 1},
		{name: "session begun anew", in: "\x021H|\\\x05" + one, want: []string{"\x05", one}, junk: 5},
		{name: "session begun anew right after STX", in: "\x02\x05" + one, want: []string{"\x05", one}, junk: 1},
		{name: "control characters are data", in: "\x021a\x05b\x04c\x06d\x15e\x0300\r\n", want: []string{"\x021a\x05b\x04c\x06d\x15e\x0300\r\n"}},
		{name: "open frame", in: "\x021H|", rest: 4},
		{name: "open frame, sender began anew", in: "\x021H|\x05", last: []string{"\x05"}, junk: 4},
		{name: "open frame, sender gave up", in: "\x021H|\x04", last: []string{"\x04"}, junk: 4},
		{name: "only STX", in: "\x02", rest: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for size := 1; size <= len(tt.in)+1; size++ {
				got, _, _ := read(t, []byte(tt.in), false, size)
				if !slices.Equal(got, tt.want) {
					t.Fatalf("read by %d: tokens %q, want %q", size, got, tt.want)
				}
				got, junk, rest := read(t, []byte(tt.in), true, size)
				if all := slices.Concat(tt.want, tt.last); !slices.Equal(got, all) || junk != tt.junk || rest != tt.rest {
					t.Fatalf("read by %d, then quiet: tokens %q, junk %d, rest %d; want %q, %d, %d", size, got, junk, rest, all, tt.junk, tt.rest)
				}
			}
		})
	}
}

func TestPending(t *testing.T) {
	for in, want := range map[string]State{
		"":                   Idle,
		"\r\n":               Idle,
		"\x05":               Idle,
		"\x02":               OpenFrame,
		"\x05\x021H|":        OpenFrame,
		"\x021a\x0300\r\n":   Idle,
		"\x021a\x0300\r":     EndedFrame,
		"\x021a\x0300":       EndedFrame,
		"\x021a\x17":         EndedFrame,
		"\x021a\x02":         OpenFrame,
		"\x021a\x0300\r\x02": OpenFrame,
	} {
		if got := Pending([]byte(in)); got != want {
			t.Errorf("Pending(%q) = %d, want %d", in, got, want)
		}
	}
}

// A buffer that an ill-meaning sender filled with the starts of frames must not
// cost its square.
func TestSplitManyStarts(t *testing.T) {
	for _, unit := range []string{"\x02", "\x02\x17", "\x02\x05", "a\r", "\x05"} {
		in := bytes.Repeat([]byte(unit), 1<<20/len(unit))
		read(t, in, true, len(in))
	}
}

func TestCaptures(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/captures/*.txt")
	if len(files) == 0 {
		t.Skip("no folder of further captures beside the project: only the tests' own are run")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if name == "mini_vidas" { // a format of its own, not LIS01
			continue
		}
		in, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tokens, junk, rest := read(t, in, true, len(in))
		if junk != 0 || rest != 0 {
			t.Errorf("%s: %d bytes of junk, %d left", name, junk, rest)
		}
		for i, token := range tokens {
			if _, err := ParseFrame([]byte(token)); err != nil {
				t.Errorf("%s: token %d: %v", name, i+1, err)
			}
		}
		for _, size := range []int{1, 2, 3, 7, 64} {
			if cut, _, _ := read(t, in, true, size); !slices.Equal(cut, tokens) {
				t.Errorf("%s: other tokens when read by %d", name, size)
			}
		}
	}
}

// FuzzSplit holds that tokens and junk do not depend on how the stream is cut,
// that what a token's bytes mean does not depend on what surrounds it, and that
// a frame survives decoding and encoding.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("\x05"+frame('1', "H|\\^&\r", false)+frame('2', "L|1|N\r", true)+"\x04"), 3, 1)
	f.Add([]byte("\x05\x05\x021H|\\\x05\x021L|\x0300\r\x04\x021x\x17"), 1, 2)
	f.Add([]byte("junk\x00\r\n\x02\x02\x05\x02\x03\x03\x17ZZ\n"), 2, 5)
	f.Add([]byte("\x021a\x17\x15\x06\r\x04"), 4, 4)
	f.Fuzz(func(t *testing.T, in []byte, a, b int) {
		if len(in) > 2000 { // read byte by byte, so long ones only cost time
			return
		}
		a, b = 1+(a&0x7FFFFFFF)%9, 1+(b&0x7FFFFFFF)%40
		for _, quiet := range []bool{false, true} {
			tokens, junk, rest := read(t, in, quiet, len(in)+1)
			for _, sizes := range [][]int{{a, b, 1}, {b, a}, {1}} {
				got, j, r := read(t, in, quiet, sizes...)
				if !slices.Equal(got, tokens) || j != junk || r != rest {
					t.Fatalf("read by %v: %q, junk %d, rest %d; at once: %q, %d, %d", sizes, got, j, r, tokens, junk, rest)
				}
			}
			for _, token := range tokens {
				checkToken(t, token)
			}
			if state := Pending(in[len(in)-rest:]); (state == Idle) != (rest == 0) || quiet && state == EndedFrame {
				t.Fatalf("%q is left, pending: %d", in[len(in)-rest:], state)
			}
		}
		for name, use := range everything() {
			memorytest.Bounded(t, name, memorytest.Repeated(in), use)
		}
	})
}

func checkToken(t *testing.T, token string) {
	switch token[0] {
	case ENQ, EOT, ACK, NAK:
		if len(token) != 1 {
			t.Fatalf("token %q", token)
		}
		return
	case STX:
	default:
		t.Fatalf("token %q", token)
	}
	if n, again, _ := Split([]byte(token), true); n != len(token) || string(again) != token {
		t.Fatalf("token %q alone is split into %q", token, again)
	}
	parsed, err := ParseFrame([]byte(token))
	if err != nil {
		return
	}
	encoded := AppendFrame(nil, parsed)
	if again, err := ParseFrame(encoded); err != nil || !bytes.Equal(again.Text, parsed.Text) || again.Number != parsed.Number || again.End != parsed.End {
		t.Fatalf("%q: %+v, encoded and decoded %+v, %v", token, parsed, again, err)
	}
}
