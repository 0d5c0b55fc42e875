package hl7

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/assaygate/assaygate/protocols/memorytest"
)

func TestParts(t *testing.T) {
	const one, two = "MSH|^~\\&|A|||||||1\rOBX|1\r", "MSH|^~\\&|B|||||||2\rOBX|1\r"
	for _, tt := range []struct {
		name, in string
		want     []string // messages as they are, batch segments in < >
	}{
		{"nothing", "", nil},
		{"blanks", "\r\n \x00", nil},
		{"one message", one, []string{one}},
		{"one message, nothing trimmed", "\xEF\xBB\xBF \r\n" + one + "\n\x00", []string{"\xEF\xBB\xBF \r\n" + one + "\n\x00"}},
		{"one message behind junk", "\x02junk: " + one, []string{"\x02junk: " + one}},
		{"no message", "GET / HTTP/1.1\r\nHost: x\r\n", []string{"GET / HTTP/1.1\r\nHost: x\r\n"}},
		{"headless", "PID|1\rOBX|1\r", []string{"PID|1\rOBX|1\r"}},
		{"two messages", one + two, []string{one, two}},
		{"two messages behind junk", "\x02" + one + two, []string{"\x02" + one, two}},
		{"two messages, a segment first", "PID|1\r" + one + two, []string{"PID|1\r" + one, two}},
		{"two messages, line ends between", one + "\r\n\r\n" + two, []string{one + "\r\n\r\n", two}},
		{"two messages of one segment", "MSH|^\rMSH|^", []string{"MSH|^\r", "MSH|^"}},
		{"LF only", "MSH|^\nPID|1\nMSH$%\nPID$1", []string{"MSH|^\nPID|1\n", "MSH$%\nPID$1"}},
		{"CR LF", "MSH|^\r\nPID|1\r\nMSH|^\r\n", []string{"MSH|^\r\nPID|1\r\n", "MSH|^\r\n"}},
		{"LF within a segment", "MSH|^\rNTE|1||a\nMSH|b\r" + two, []string{"MSH|^\rNTE|1||a\nMSH|b\r", two}},
		{"LF, then CR", "MSH|^~\\&|A\nPID|1\nOBX|1\n" + two, []string{"MSH|^~\\&|A\nPID|1\nOBX|1\n", two}},
		{"CR, then LF", one + "MSH|^~\\&|B\nPID|1\nOBX|1\n", []string{one, "MSH|^~\\&|B\nPID|1\nOBX|1\n"}},
		{"an LF before a header of other delimiters", "MSH|^\rPID|1\nMSH$%\rPID$1\nBTS$1", []string{"MSH|^\rPID|1\n", "MSH$%\rPID$1\n", "<BTS$1>"}},
		{"an LF before a trailer", "BHS|^\rMSH|^\rPID|1\nBTS|1\rMSH|^\nBHS|^\rMSH|^\r", []string{"<BHS|^>", "MSH|^\rPID|1\n", "<BTS|1>", "MSH|^\n", "<BHS|^>", "MSH|^\r"}},
		{"lower case, blanks first", "msh|^\r msh|^\r", []string{"msh|^\r ", "msh|^\r"}},
		{"MSH within a name or a field", "MSH|^\rZMSH|1\rNTE|1||MSH|^\r", []string{"MSH|^\rZMSH|1\rNTE|1||MSH|^\r"}},
		{
			"whole batch", "FHS|^~\\&|F\rBHS|^~\\&|B\r" + one + two + "BTS|2\rFTS|1\r",
			[]string{"<FHS|^~\\&|F>", "<BHS|^~\\&|B>", one, two, "<BTS|2>", "<FTS|1>"},
		},
		{
			"two batches, CR LF", "FHS|^\r\nBHS|^\r\nMSH|^\r\nBTS|1\r\nBHS|^\r\nMSH|^\r\nBTS|1\r\nFTS|2\r\n",
			[]string{"<FHS|^>", "<BHS|^>", "MSH|^\r\n", "<BTS|1>", "<BHS|^>", "MSH|^\r\n", "<BTS|1>", "<FTS|2>"},
		},
		{
			"LF only", "FHS|^\nBHS|^\nMSH|^\nPID|1\nBTS|1\nFTS|1\n\r",
			[]string{"<FHS|^>", "<BHS|^>", "MSH|^\nPID|1\n", "<BTS|1>", "<FTS|1>"},
		},
		{"batch segments in LF, messages in CR", "FHS|^\nBHS|^\n" + one + "BTS|1\nFTS|1", []string{"<FHS|^>", "<BHS|^>", one, "<BTS|1>", "<FTS|1>"}},
		{"only a batch header", "BHS|^\r" + one + two, []string{"<BHS|^>", one, two}},
		{"only trailers", one + two + "BTS\rFTS", []string{one, two, "<BTS>", "<FTS>"}},
		{"mark and lower case first", "\xEF\xBB\xBFfhs|^\r" + one, []string{"<fhs|^>", one}},
		{"batch without a message", "FHS|^\rBHS|^\rBTS|0\rFTS|1\r", []string{"<FHS|^>", "<BHS|^>", "<BTS|0>", "<FTS|1>"}},
		{"junk at the edges", "\x02\rFHS|^\r\n\x01\r\n" + one + "FTS|1\r\n\x1a", []string{"<FHS|^>", "\x01\r\n" + one, "<FTS|1>"}},
		{"headless in a batch", "BHS|^\rPID|1\rBTS|1\rDSC|x", []string{"<BHS|^>", "PID|1\r", "<BTS|1>", "DSC|x"}},
		{"names that only begin so", "MSH|^\rFHSX|1\rBTSS\rBT\r", []string{"MSH|^\rFHSX|1\rBTSS\rBT\r"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for p := range Parts([]byte(tt.in)) {
				if p.Message == nil {
					got = append(got, fmt.Sprintf("<%s>", p.Segment.Raw))
				} else {
					got = append(got, string(p.Message))
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
			for range Parts([]byte(tt.in)) {
				break // whoever asks for one gets no second
			}
		})
	}
}

// FHS and BHS have delimiters of their own, which hold for their trailers.
func TestPartsDelimitersAndCounts(t *testing.T) {
	var got []string
	for p := range Parts([]byte("FHS$%*!@$App\rBHS#^~\\&#Dep^x\rMSH|^~\\&|A\rBTS# 3 #text\rFTS$x\rBTS|-1\rFTS$2\rBTS")) {
		if p.Message != nil {
			continue
		}
		n, stated := p.Count()
		got = append(got, fmt.Sprintf("%s %c%c %s %d %v", p.Segment.Name, p.Segment.Delimiters.Field, p.Segment.Delimiters.Component, p.Segment.Field(3), n, stated))
	}
	want := []string{
		"FHS $% App 0 false", "BHS #^ Dep^x 0 false", "BTS #^  3 true", "FTS $%  0 false",
		"BTS |^  -1 false", "FTS $%  2 true", "BTS #^  0 false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// The answers to the messages of a block name each by its own control ID, in
// its own delimiters, also where two are the same or there is none.
func TestAckOfParts(t *testing.T) {
	const in = "FHS|^~\\&\rMSH|^~\\&|A||||||ORU^R01|same|P|2.4\rOBX|1\rMSH$%*!@$B$$$$$$ORU%R01$ a%b $P$2.4\rOBX$1\r" +
		"MSH|^~\\&|A||||||ORU^R01|same|P|2.4\rMSH|^~\\&|A||||||ORU^R01||P|2.4\rMSH|^~&|A||||||ORU^R01|a\\b|P|2.4\rMSH|^~\\&#|A||||||ORU^R30|#|P|2.7\rFTS|1\r"
	var got []string
	for p := range Parts([]byte(in)) {
		if p.Message != nil {
			got = append(got, string(Ack(p.Message, Acknowledgment{Code: Accept, ControlID: "7", Time: "T"})))
		}
	}
	want := []string{
		"MSH|^~\\&|||A||T||ACK^R01^ACK|7|P|2.4\rMSA|AA|same\r",
		"MSH$%*!@$$$B$$T$$ACK%R01%ACK$7$P$2.4\rMSA$AA$ a%b \r",
		"MSH|^~\\&|||A||T||ACK^R01^ACK|7|P|2.4\rMSA|AA|same\r",
		"MSH|^~\\&|||A||T||ACK^R01^ACK|7|P|2.4\rMSA|AA|\r",
		"MSH|^~&|||A||T||ACK^R01^ACK|7|P|2.4\rMSA|AA|a\\b\r",
		"MSH|^~\\&#|||A||T||ACK^R30^ACK|7|P|2.7\rMSA|AA|#\r",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// FuzzParts holds that parts are slices of the content in its order, that no
// segment is outside of them, that each holds at most one message, and that a
// message taken apart again is the same message.
func FuzzParts(f *testing.F) {
	f.Add([]byte("FHS|^~\\&|F\rBHS|^~\\&|B\rMSH|^~\\&|A\rOBX|1\rMSH|^~\\&|A\r\nBTS|2\rFTS|1\r"))
	f.Add([]byte("MSH|^\nPID|1\nMSH|^\n\r"))
	f.Add([]byte("\xEF\xBB\xBF\x02PID|1\rMSH|^\r\n BHS$\nmsh|"))
	f.Add([]byte("MSH|^\nOBX|1\nMSH|^\rOBX|1\nOBX|2\nBTS|2"))
	f.Add([]byte("junk\rBTS\r\x1a\rZZ1|\rfts"))
	f.Fuzz(func(t *testing.T, content []byte) {
		at, some := 0, false
		_, end := segmentEnd(content)
		gap := func(to int) {
			for line := range lines(content[at:to], end) {
				if len(line) > 3 && delimiter(line[3]) && looksLikeSegment(line, line[3]) {
					t.Fatalf("%q: %q is in no part", content, line)
				}
			}
		}
		for p := range Parts(content) {
			some = true
			part := p.Message
			if part == nil {
				part = p.Segment.Raw
			}
			from := int(uintptr(unsafe.Pointer(unsafe.SliceData(part))) - uintptr(unsafe.Pointer(unsafe.SliceData(content))))
			if from < at || len(part) == 0 || from+len(part) > len(content) || !bytes.Equal(content[from:from+len(part)], part) {
				t.Fatalf("%q: part %q at %d, after %d", content, part, from, at)
			}
			gap(from)
			at = from + len(part)
			if p.Message == nil {
				if batchName(part) != p.Segment.Name || bytes.ContainsAny(part, "\r\n") {
					t.Fatalf("%q: batch segment %q", content, part)
				}
				continue
			}
			headers := 0
			for line := range lines(part, end) {
				if declares("MSH", line) {
					headers++
				}
			}
			if headers > 1 {
				t.Fatalf("%q: message %q has %d headers", content, part, headers)
			}
			if m, err := Parse(part); err == nil && !bytes.Contains(part, m.Segments[0].Raw) {
				t.Fatalf("%q: message %q begins with %q", content, part, m.Segments[0].Raw)
			}
		}
		gap(len(content))
		if blank := len(bytes.TrimLeft(content, blanks+"\r")) == 0; blank == some {
			t.Fatalf("%q: parts: %v", content, some)
		}
		memorytest.Bounded(t, "Parts", memorytest.Repeated(content), everything()["Parts"])
	})
}

// A result with an image of some megabytes costs as much a byte as a small one.
func BenchmarkParse(b *testing.B) {
	for _, size := range []int{64 << 10, 1 << 20, 16 << 20} {
		in := []byte("MSH|^~\\&|A||||||ORU^R01|1|P|2.5.1\rOBX|1|ED|IMG||^IM^PNG^Base64^" + strings.Repeat("iVBORw0KGgo=", size/12) + "|||\r")
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				m, err := Parse(in)
				if err != nil || len(m.Segments) != 2 || len(m.Segments[1].Field(5)) < size {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(in)), "ns/byte")
		})
	}
}
