package instrument

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// recorder is a tap that remembers what it is told.
type recorder struct {
	mu   sync.Mutex
	line LineName
	told []string
	said []string // timers and notes too
	last time.Time
	most int // calls before it panics; 0: any number
}

func (r *recorder) tap(line LineName) Tap {
	r.line = line
	return r
}

func (r *recorder) Received(at time.Time, pieces []Piece) { r.tell(at, "< "+render(pieces)) }
func (r *recorder) Sent(at time.Time, pieces []Piece)     { r.tell(at, "> "+render(pieces)) }
func (r *recorder) Ended(at time.Time)                    { r.tell(at, "ended") }

func (r *recorder) Timer(at time.Time, text string) { r.say("timer: " + text) }
func (r *recorder) Note(at time.Time, text string)  { r.say("note: " + text) }

func (r *recorder) say(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, what)
}

func (r *recorder) tell(at time.Time, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.said = append(r.said, what) }()
	if r.most > 0 && len(r.told) == r.most {
		panic("a fault")
	}
	if at.Before(r.last) {
		what += " before its time"
	}
	r.last = at
	r.told = append(r.told, what)
}

// wants expects that exactly this was told, however reads cut what came: what
// follows in the same direction is one.
func (r *recorder) wants(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var got []string
	for _, what := range r.told {
		if last := len(got) - 1; last >= 0 && got[last][:2] == what[:2] {
			got[last] += what[2:]
			continue
		}
		got = append(got, what)
	}
	if !slices.Equal(got, want) {
		t.Errorf("told\n%q\nwant\n%q", got, want)
	}
}

// render shows what is left out in brackets, and each digest as d.
func render(pieces []Piece) string {
	var text strings.Builder
	for _, p := range pieces {
		text.Write(p.Bytes)
		switch {
		case p.Digest != "":
			fmt.Fprintf(&text, "[%d d]", p.Hidden)
		case p.Hidden > 0:
			fmt.Fprintf(&text, "[%d]", p.Hidden)
		}
	}
	return text.String()
}

// tapBench is a bench whose line is tapped.
func tapBench(t *testing.T, settings Settings, allow envelope.Allowlist) (*bench, *recorder) {
	b := newScrubbedBench(t, settings, allow)
	b.hangUp()
	r := &recorder{}
	b.service.Tap = r.tap
	b.connect(settings)
	return b, r
}

func TestTapSeesBothDirections(t *testing.T) {
	b, r := tapBench(t, Defaults(), envelope.Allowlist{})
	whole := frame('1', header+order+result+last, true)
	bad := "\x021P|M\xfcller\r\x0300\r\n"
	b.say("\x05", ack)
	b.say(bad, nak)
	b.say(whole, ack)
	b.say("\x04", "")
	b.hangUp()
	r.wants(t, "< \x05", "> \x06", "< "+bad, "> \x15", "< "+whole, "> \x06", "< \x04", "ended")
	if want := (LineName{Instrument: "analyser", Remote: "peer"}); r.line != want {
		t.Errorf("tapped %+v, want %+v", r.line, want)
	}
}

// A fault in looking on ends only that.
func TestTapPanics(t *testing.T) {
	b, r := tapBench(t, Defaults(), envelope.Allowlist{})
	r.mu.Lock()
	r.most = 2 // no call has come yet
	r.mu.Unlock()
	b.say("\x05", ack)
	b.say(frame('1', header+order+result+last, true), ack)
	b.say("\x04", "")
	b.silence()
	b.hangUp()
	r.wants(t, "< \x05", "> \x06")
}

func TestLineWithoutTap(t *testing.T) {
	b := newBench(t, Defaults())
	b.hangUp()
	b.service.Tap = func(LineName) Tap { return nil }
	b.connect(Defaults())
	b.silence()
	b.hangUp()
	b.service.Tap = func(LineName) Tap { panic("a fault") }
	b.connect(Defaults())
	b.silence()
}

// Under an allowlist, of whatever protocol, a tap gets no text.
func TestTapUnderAnAllowlist(t *testing.T) {
	only := &envelope.Allowed{Fields: map[string][]int{"OBX": {5}, "R": {4}, "O": {3}}, DropUnmatched: true}
	for name, allow := range map[string]envelope.Allowlist{"of ASTM": {ASTM: only}, "of HL7": {HL7: only}} {
		t.Run(name, func(t *testing.T) {
			b, r := tapBench(t, Defaults(), allow)
			whole := frame('1', header+order+result+last, true)
			b.say("\x05", ack)
			b.say(whole, ack)
			b.say("\x04", "")
			b.hangUp()
			r.mu.Lock()
			if cut := fmt.Sprintf("[%d d]", len(header+order+result+last)); len(r.told) == 7 {
				if want := "< \x021" + cut + "\x03[2]\r\n"; r.told[2] != want { // where it came in one read
					t.Errorf("the frame is told as %q, want %q", r.told[2], want)
				}
			}
			all := strings.Join(r.told, "")
			r.mu.Unlock()
			for _, what := range []string{"S1", "GLU", "Lab", "mmol", "|"} {
				if strings.Contains(all, what) {
					t.Errorf("%s is told: %q", what, all)
				}
			}
			if !r.line.Veiled || !strings.Contains(all, "> \x06") || !strings.HasSuffix(all, "ended") {
				t.Errorf("told %q of %+v", all, r.line)
			}

			b, r = tapBench(t, hl7Settings(), allow)
			b.ask(block(oru), 1)
			b.hangUp()
			r.mu.Lock()
			defer r.mu.Unlock()
			all = regexp.MustCompile(`\[\d+( d)?\]`).ReplaceAllString(strings.Join(r.told, ""), "[]")
			all = strings.ReplaceAll(all, "[]< []", "[]") // a read may end inside
			if want := "< \x0b[]\x1c\r> \x0b[]MSA|AA[]\x1c\rended"; all != want {
				t.Errorf("told %q, want %q", all, want)
			}
		})
	}
}

func TestVeil(t *testing.T) {
	long := strings.Repeat("x", leastDigested)
	for name, test := range map[string]struct {
		reads string // parted by |
		want  string
	}{
		"control characters":             {"\x05|\x06|\x15|\x04", "\x05|\x06|\x15|\x04"},
		"a short frame":                  {"\x021Hans\r\x03E5\r\n", "\x021[5]\x03[2]\r\n"},
		"a long frame":                   {"\x027" + long + "\x17E5\r\n", "\x027[16 d]\x17[2]\r\n"},
		"a frame in parts":               {"\x02|1|" + long + "|y|\x03|E|5\r|\n", "\x02|1|[16]|[1]|[0 d]\x03|[1]|[1]\r|\n"},
		"no frame number":                {"\x029Hans\x03\x02Hans\x03", "\x02[5]\x03\x02[4]\x03"},
		"a number elsewhere":             {"1\x0211\x031", "[1]\x021[1]\x03[1]"},
		"line ends inside a frame":       {"\x021a\rb\nc\x03", "\x021[5]\x03"},
		"line ends outside":              {"Hans\rAdam\r\n", "[4]\r[4]\r\n"},
		"a frame begun anew":             {"\x021" + long + "\x022" + long + "\x03", "\x021[16]\x022[16 d]\x03"},
		"a session begun inside a frame": {"\x021" + long + "\x05\x021" + long + "\x03", "\x021[16]\x05\x021[16 d]\x03"},
		"a block":                        {"\x0bMSH~" + long + "\r\x1c\r", "\x0b[21 d]\x1c\r"},
		"an end block inside":            {"\x0b" + long + "\x1cHans\r\x1c\r", "\x0b[16 d]\x1c[4]\r\x1c\r"},
		"other control characters":       {"\x1ePN\x1d\x00\x1b\x7f", "[7]"},
		"a mini VIDAS packet":            {"\x02\x1emtrsl\x1d" + "00\r\n", "\x02[11]"},
		"an acknowledgement received":    {"\x0bMSA\rMSA~AA~\x1c\r", "\x0b[11]\x1c\r"},
		"beyond ASCII":                   {"\xff\x80\x85M\xfcller", "[9]"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVeil(nil)
			var got []string
			for read := range strings.SplitSeq(test.reads, "|") {
				got = append(got, render(v.received.pieces([]byte(strings.ReplaceAll(read, "~", "|")), shownPart{})))
			}
			if got := strings.Join(got, "|"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// The same text has the same digest on one line, and another one on another.
func TestVeilDigests(t *testing.T) {
	digests := func(v *veil, data string) (list []string) {
		for _, direction := range []*veiled{&v.received, &v.sent} {
			for _, p := range direction.pieces([]byte(data), shownPart{}) {
				if p.Digest != "" {
					list = append(list, p.Digest)
				}
			}
		}
		return list
	}
	one, other := newVeil(nil), newVeil(nil)
	a, b := frame('1', header, true), frame('1', header+order, true)
	first := digests(one, a)
	if len(first) != 2 || first[0] != first[1] || len(first[0]) != 2*shownDigest {
		t.Fatalf("digests %q", first)
	}
	if again := digests(one, a); !slices.Equal(again, first) {
		t.Errorf("the same frame again has %q, want %q", again, first)
	}
	for what, next := range map[string][]string{"another frame": digests(one, b), "another line": digests(other, a)} {
		if len(next) != 2 || next[0] == first[0] {
			t.Errorf("%s has %q beside %q", what, next, first)
		}
	}
}

func TestAcknowledgmentCode(t *testing.T) {
	for answer, want := range map[string]string{
		"\x0bMSH|^~\\&|\rMSA|AA|17\r\x1c\r": "MSA|AA", "\rMSA|AR|": "MSA|AR", "\rMSA|CE|1": "MSA|CE",
		"\rMSA|AA": "", "\rMSA|Hans|": "", "\rMSA||": "", "MSA|AA|": "", "\rMSA~AA~": "", "\x06": "", "": "",
	} {
		at := acknowledgmentCode([]byte(answer))
		if got := answer[at.from:at.to]; got != want {
			t.Errorf("%q shows %q, want %q", answer, got, want)
		}
	}
}

// FuzzVeil: whatever comes and wherever it is cut, only the characters that
// steer a line, digits behind STX and line ends are shown, and nothing is lost.
func FuzzVeil(f *testing.F) {
	f.Add([]byte("\x05\x021H|\\^&|Hans\r\x03E5\r\n\x04"), 7)
	f.Add([]byte("\x0bMSH|^~\\&|Hans\rPID|1\r\x1c\r"), 3)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		cut = max(0, min(cut, len(data)))
		v := newVeil(nil)
		size, before := 0, byte(0)
		for _, read := range [][]byte{data[:cut], data[cut:]} {
			for _, p := range v.received.pieces(read, shownPart{}) {
				for _, c := range p.Bytes {
					if kindOf(c) == plainByte && !lineEnd(c) && (c < '0' || c > '7' || before != lis01.STX) {
						t.Errorf("%q is shown of %q", c, data)
					}
					before = c
				}
				if p.Hidden > 0 {
					before = 0
				}
				size += len(p.Bytes) + p.Hidden
			}
		}
		if size != len(data) {
			t.Errorf("%d bytes are accounted for, of %d", size, len(data))
		}
	})
}
