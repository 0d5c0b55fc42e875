package mllp

import (
	"bytes"
	"slices"
	"testing"

	"github.com/assaygate/assaygate/protocols/memorytest"
)

// read splits in, which arrives in parts of the given sizes (the last one
// repeated), and with quiet also what is left once the line is quiet.
func read(t testing.TB, in []byte, quiet bool, sizes ...int) (contents []string, junk, rest int) {
	t.Helper()
	var buf []byte
	split := func(atEOF bool) {
		for {
			n, token, err := Split(buf, atEOF)
			if err != nil || n < 0 || n > len(buf) || len(token) > n {
				t.Fatalf("Split(%q, %v) = %d, %q, %v", buf, atEOF, n, token, err)
			}
			if token != nil {
				contents = append(contents, string(token))
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
	return contents, junk, len(buf)
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string
		want []string // contents before the line is quiet
		last []string // contents that the quiet line adds
		junk int
		rest int
	}{
		{name: "nothing"},
		{name: "block", in: "\x0bMSH|\r\x1c\r", want: []string{"MSH|\r"}},
		{name: "two blocks", in: "\x0ba\x1c\r\x0bb\x1c\r", want: []string{"a", "b"}},
		{name: "empty block", in: "\x0b\x1c\r", want: []string{""}},
		{name: "junk between", in: "\x02\x02\x0ba\x1c\rxy\x0bb\x1c\r", want: []string{"a", "b"}, junk: 4},
		{name: "line ends between", in: "\r\n\x0ba\x1c\r\n\x00\x0bb\x1c\r\n", want: []string{"a", "b"}},
		{name: "start block in an open block", in: "\x0bMSH|\x0bMSH|^\x1c\r", want: []string{"MSH|^"}, junk: 5},
		{name: "start block twice", in: "\x0b\x0ba\x1c\r", want: []string{"a"}, junk: 1},
		{name: "LF for CR", in: "\x0ba\x1c\n\x0bb\x1c\n", want: []string{"a", "b"}},
		{name: "no CR, next block", in: "\x0ba\x1c\x0bb\x1c\r", want: []string{"a", "b"}},
		{name: "no CR, quiet", in: "\x0ba\x1c", last: []string{"a"}},
		{name: "end block within", in: "\x0ba\x1cb\x1c\r", want: []string{"a\x1cb"}},
		{name: "end block twice", in: "\x0ba\x1c\x1c\r", want: []string{"a\x1c"}},
		{name: "end block within, then begun anew", in: "\x0ba\x1cb\x0bc\x1c\r", want: []string{"c"}, junk: 4},
		{name: "open block", in: "\x0ba", rest: 2},
		{name: "open block with end block within", in: "\x0ba\x1cb", rest: 4},
		{name: "no block", in: "MSH|^~\\&|\r", junk: 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for size := 1; size <= len(tt.in)+1; size++ {
				got, _, _ := read(t, []byte(tt.in), false, size)
				if !slices.Equal(got, tt.want) {
					t.Fatalf("read by %d: %q, want %q", size, got, tt.want)
				}
				got, junk, rest := read(t, []byte(tt.in), true, size)
				if all := slices.Concat(tt.want, tt.last); !slices.Equal(got, all) || junk != tt.junk || rest != tt.rest {
					t.Fatalf("read by %d, then quiet: %q, junk %d, rest %d; want %q, %d, %d", size, got, junk, rest, all, tt.junk, tt.rest)
				}
			}
		})
	}
}

// FuzzSplit holds that contents and junk do not depend on how the stream is
// cut, and that what is left is an open block, which quiet does not leave where it
// ends in the end block character.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("\x0bMSH|^~\\&|A\rPID|1\r\x1c\r"), 3, 1)
	f.Add([]byte("x\x0ba\x1c\x0b\x0bb\x1c\n\x1c\r\x0bc\x1cd\x1c"), 1, 2)
	f.Fuzz(func(t *testing.T, in []byte, a, b int) {
		if len(in) > 2000 { // read byte by byte, so long ones only cost time
			return
		}
		a, b = 1+(a&0x7FFFFFFF)%9, 1+(b&0x7FFFFFFF)%40
		for _, quiet := range []bool{false, true} {
			contents, junk, rest := read(t, in, quiet, len(in)+1)
			for _, sizes := range [][]int{{a, b, 1}, {b, a}, {1}} {
				got, j, r := read(t, in, quiet, sizes...)
				if !slices.Equal(got, contents) || j != junk || r != rest {
					t.Fatalf("read by %v: %q, junk %d, rest %d; at once: %q, %d, %d", sizes, got, j, r, contents, junk, rest)
				}
			}
			if left := in[len(in)-rest:]; rest > 0 && (left[0] != StartBlock || quiet && left[rest-1] == EndBlock) {
				t.Fatalf("%q is left", left)
			}
		}
		for name, use := range everything() {
			memorytest.Bounded(t, name, memorytest.Repeated(in), use)
		}
	})
}

// Content that holds none of the block's own bytes comes back as it was.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("MSH|^~\\&|A\r"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		if bytes.ContainsAny(content, "\x0b\x1c") {
			return
		}
		block := AppendBlock([]byte("kept"), content)
		n, token, _ := Split(block[4:], false)
		if string(block[:4]) != "kept" || n != len(block)-4 || token == nil || !bytes.Equal(token, content) {
			t.Fatalf("%q came back as %q", content, token)
		}
	})
}
