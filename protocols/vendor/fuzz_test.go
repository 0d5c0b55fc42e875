package vendor

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/protocols/memorytest"
)

// Whatever comes, in whatever pieces: the same tokens, none of them lost.
func FuzzSplit(f *testing.F) {
	for _, stream := range []string{
		vidas1() + "\r\n\x03\r\n" + spotchem, "\x05" + vidas1() + "\x04", "\x02\x1emt\x05" + vidas1(), "\x0225/03", "\x02\r\n\x1e\x1d\x02", "x\x02\x02y\x03",
	} {
		f.Add([]byte(stream), uint(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, step uint) {
		want := cutAll(stream)
		var got []string
		var data []byte
		for rest := stream; ; {
			n := min(int(step%7)+1, len(rest))
			data, rest = append(data, rest[:n]...), rest[n:]
			for {
				n, token, err := Split(data, len(rest) == 0)
				if err != nil || n > len(data) || len(token) > n {
					t.Fatalf("%d of %d bytes, %v", n, len(data), err)
				}
				if token != nil {
					got = append(got, string(token))
				}
				data = data[n:]
				if n == 0 || len(data) == 0 {
					break
				}
			}
			if len(rest) == 0 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pieces %q\nat once %q", got, want)
		}
	})
}

// An Emerald's lines come to the same however they are cut, and no byte of a
// frame changes.
func FuzzReceiver(f *testing.F) {
	for _, stream := range []string{
		"CONNECT;1;2\r" + sealed(emeraldBody, "END_RESULT") + "DISCONNECT\r", "A\rRESULT\rB\rRESULT\r\n\nEND_CALI;1\r", "\n\r\rSTARTUP\rRESULT_READY\r",
	} {
		f.Add([]byte(stream))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		var r Receiver
		for data := stream; ; {
			n, line, _ := SplitLine(data, true)
			if n == 0 {
				break
			}
			data = data[n:]
			out := r.Step(line)
			for _, frame := range [][]byte{out.Broken, out.Frame} {
				if !bytes.Contains(stream, frame) {
					t.Fatalf("%q is not in what came", frame)
				}
			}
			if r.Size() > len(stream)-len(data) {
				t.Fatalf("%d bytes held", r.Size())
			}
			if len(out.Reply) > len(line)+len("ACK_CONNECT;READY") {
				t.Fatalf("reply %q to %q", out.Reply, line)
			}
		}
	})
}

// No packet unfolds to much, and what comes of it is well formed.
func FuzzParse(f *testing.F) {
	for _, text := range []string{vidas1(), spotchem, sealed(emeraldBody, "END_RESULT"), strings.Repeat("\x1epi\x1ernA\x1ertB", 300), strings.Repeat("A;1;;\r", 300)} {
		for n := range 3 {
			f.Add([]byte(text), n)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, which int) {
		format := []Format{MiniVIDAS, SpotchemEL, Emerald}[uint(which)%3]
		text := strings.ToValidUTF8(string(raw), "?")
		memorytest.Bounded(t, string(format), raw, func([]byte) {
			_ = Verify(format, raw)
			_, _ = Parse(format, text)
		})
		p, err := Parse(format, text)
		if err != nil {
			return
		}
		if len(p.Records) == 0 || p.Records[0][0] != "H" {
			t.Fatalf("records %q", p.Records)
		}
		for _, r := range p.Records {
			if strings.ContainsAny(strings.Join(r, ""), "\x1d\r\n") || r[0] == "" {
				t.Errorf("record %q", r)
			}
		}
		for _, r := range Session(format, p.Records, "20260101000000") {
			if len(r) < 3 {
				t.Errorf("session record %q", r)
			}
		}
	})
}
