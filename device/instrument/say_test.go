package instrument

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// tapAsking is a line in a bubble of synctest that is tapped, with a peer at its end.
func tapAsking(t *testing.T, settings Settings) (*asking, *recorder) {
	t.Helper()
	a := newAsking(t, nil)
	a.hangUp()
	r := &recorder{}
	a.service.Tap = r.tap
	a.connect(settings)
	a.plug()
	return a, r
}

// wantSaid expects what a person reads, once all has come to rest: timers, notes and
// control characters; text is cut to what its frame or block begins with.
func (r *recorder) wantSaid(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, what := range r.heard() {
		direction, text, isText := strings.Cut(what, " ")
		if !isText || strings.HasSuffix(direction, ":") {
			got = append(got, what)
			continue
		}
		text = spell([]byte(text))
		if at := strings.Index(text, ">"); at >= 0 && strings.ContainsAny(text[:min(5, len(text))], "SV") {
			text = text[:at+1]
		}
		got = append(got, direction+" "+text)
	}
	if !slices.Equal(got, want) {
		t.Errorf("said\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// heard returns what was said since the last time, once all has come to rest.
func (r *recorder) heard() (list []string) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	list, r.said = r.said, nil
	return list
}

const receiverTimerNote = "timer: 30s for the next frame or EOT (LIS01-A2 8.5.2)"

func TestSayOfASession(t *testing.T) {
	bubble(t, "in order", func(t *testing.T) {
		a, r := tapAsking(t, Defaults())
		a.says("<STX>1H|<CR><ETX><SUM><CR><LF>", "")
		r.wantSaid(t, "< <STX>", "note: a frame outside of a session is not answered: ENQ has to come first (LIS01-A2 8.2)")
		a.says("<ENQ>", "<ACK>")
		r.wantSaid(t, "< <ENQ>", "note: a session begins: ACK (LIS01-A2 8.2)", "> <ACK>", receiverTimerNote)
		a.says("<STX>1H|\\^&<CR><ETB>00<CR><LF>", "<NAK>")
		r.wantSaid(t, "< <STX>", "note: checksum wrong or missing: NAK (LIS01-A2 8.5.1)", "> <NAK>", receiverTimerNote)
		a.says("<STX>2H|\\^&<CR><ETB><SUM><CR><LF>", "<NAK>")
		r.wantSaid(t, "< <STX>", "note: not the frame number that comes next: NAK (LIS01-A2 8.5.1)", "> <NAK>", receiverTimerNote)
		first := "<STX>1H|\\^&<CR>P|1<CR>O|1|S1<CR><ETB><SUM><CR><LF>"
		a.says(first, "<ACK>")
		r.wantSaid(t, "< <STX>", "note: the frame is good, its message goes on: ACK", "> <ACK>", receiverTimerNote)
		a.says(first, "<ACK>")
		r.wantSaid(t, "< <STX>", "note: the same frame again: ACK, and not taken twice (LIS01-A2 8.3.2)", "> <ACK>", receiverTimerNote)
		a.says("<STX>2R|1|^^^GLU|5<CR>L|1|N<CR><ETX><SUM>", "")
		time.Sleep(frameEndQuiet)
		r.wantSaid(t, "< <STX>", "timer: ran out: nothing came for 250ms, so what has come is taken as it stands",
			"note: the message is stored, now ACK", "> <ACK>", receiverTimerNote)
		a.gets(0, "<ACK>")
		a.says("<EOT>", "")
		r.wantSaid(t, "< <EOT>", "note: the session has ended (LIS01-A2 8.4)")
		a.hangUp()
		r.wantSaid(t, "note: the other side has closed the line", "ended")
	})
	bubble(t, "silence inside a message", func(t *testing.T) {
		a, r := tapAsking(t, Defaults())
		a.says("<ENQ>", "<ACK>")
		a.says("<STX>1H|\\^&<CR>P|1<CR><ETB><SUM><CR><LF>", "<ACK>")
		r.heard()
		time.Sleep(receiverTimer)
		r.wantSaid(t, "timer: ran out: nothing came for 30s", "note: the session is over inside a message; what there is of it is kept for the audit")
	})
	bubble(t, "a limit", func(t *testing.T) {
		settings := Defaults()
		settings.Limits.Idle = time.Minute
		_, r := tapAsking(t, settings)
		time.Sleep(time.Minute)
		r.wantSaid(t, "note: the box closes the line: nothing came for as long as limits.idle allows", "ended")
	})
	bubble(t, "another language", func(t *testing.T) {
		a, r := tapAsking(t, Defaults())
		a.says("GET / HTTP/1.1<CR><LF>", "")
		a.says("Host: x<CR><LF>", "")
		r.wantSaid(t, "< GET / HTTP/1.1<CR><LF>", "note: bytes that belong to no frame or block are left out", "< Host: x<CR><LF>")
	})
}

func TestSayOfASessionOfTheBox(t *testing.T) {
	const begins = "note: the box begins a session: ENQ (LIS01-A2 8.2)"
	const reply = "timer: 15 s for the reply (LIS01-A2 8.5.2)"
	query := func(t *testing.T) (*asking, *recorder) {
		a, r := tapAsking(t, Defaults())
		a.ask()
		said := r.heard()
		if got := said[len(said)-2:]; got[0] != "note: the session has ended (LIS01-A2 8.4)" || got[1] != "timer: 500ms of silence until the box begins a session of its own" {
			t.Errorf("after the query is said %q", said)
		}
		a.gets(time.Second, "<ENQ>")
		r.wantSaid(t, begins, "> <ENQ>", reply)
		return a, r
	}
	bubble(t, "contention", func(t *testing.T) {
		a, r := query(t)
		a.says("<ENQ>", "")
		r.wantSaid(t, "< <ENQ>", "note: contention: both want to send, and the instrument goes first (LIS01-A2 8.2)",
			"timer: 20 s until the box begins anew, unless the instrument ends a session before")
		a.says("<ENQ>", "<ACK>")
	})
	bubble(t, "busy, a frame again, and done", func(t *testing.T) {
		a, r := query(t)
		a.says("<NAK>", "")
		r.wantSaid(t, "< <NAK>", "timer: 10 s until ENQ again: the instrument is busy, it answered with NAK (LIS01-A2 8.2)")
		a.gets(10*time.Second, "<ENQ>")
		r.wantSaid(t, "timer: ran out: ENQ again (LIS01-A2 8.2)", "> <ENQ>", reply)
		a.says("<ACK>", none)
		r.wantSaid(t, "< <ACK>", "> <STX>", reply)
		a.says("<NAK>", none)
		r.wantSaid(t, "< <NAK>", "note: NAK: the same frame again (LIS01-A2 8.5.1.2)", "> <STX>", reply)
		a.says("<ACK>", "<EOT>")
		r.wantSaid(t, "< <ACK>", "note: all frames are acknowledged: EOT (LIS01-A2 8.4)", "> <EOT>")
	})
	bubble(t, "no reply", func(t *testing.T) {
		a, r := query(t)
		a.gets(15*time.Second, "<EOT>")
		r.wantSaid(t, "timer: ran out: no reply came; EOT, the session is over (LIS01-A2 8.5.2)", "> <EOT>")
	})
}

func TestSayOfBlocks(t *testing.T) {
	bubble(t, "HL7", func(t *testing.T) {
		a, r := tapAsking(t, hl7Settings())
		send := func(text string) {
			t.Helper()
			if err := a.peer.send(text); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			a.peer.clear()
		}
		msh := "<VT>MSH|^~\\&|Lab||||20260102030405||"
		send(msh)
		r.wantSaid(t, "< <VT>", "timer: 30s for the rest of the block, from its last byte")
		send("ORU^R01|1|P|2.5<CR>PID|1<CR><FS><CR>")
		if got := strings.Join(r.heard(), "\n"); !strings.Contains(got, "note: the message is stored, now AA") {
			t.Errorf("said %s", got)
		}
		send(msh + "ADT^A01|2|P|2.5<CR><FS><CR>")
		if got := strings.Join(r.heard(), "\n"); !strings.Contains(got, "note: the message is refused: AR") {
			t.Errorf("said %s", got)
		}
		send("<VT>MSH|^~\\&")
		time.Sleep(blockTimer)
		r.wantSaid(t, "< <VT>", "timer: 30s for the rest of the block, from its last byte", "timer: ran out: nothing came for 30s",
			"note: the block has no end; what there is of it is kept for the audit")
	})
}

// Where nobody wants digests none are made, and text that began so gets none.
func TestVeilWithoutDigests(t *testing.T) {
	wanted := false
	v := newVeil(func() bool { return wanted })
	long := strings.Repeat("x", leastDigested)
	say := func(text string) string { return render(v.received.pieces([]byte(text), shownPart{})) }
	got := []string{say("\x021" + long + "\x03")}
	got = append(got, say("\x021"+long))
	wanted = true
	got = append(got, say(long+"\x03"), say("\x021"+long+"\x03"))
	if want := []string{"\x021[16]\x03", "\x021[16]", "[16]\x03", "\x021[16 d]\x03"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Under an allowlist notes go on: they have nothing of a message in them.
func TestSayUnderAnAllowlist(t *testing.T) {
	b, r := tapBench(t, Defaults(), envelope.Allowlist{ASTM: &envelope.Allowed{Fields: map[string][]int{"R": {4}}, DropUnmatched: true}})
	b.say("\x05", ack)
	b.say(frame('1', header+order+result+last, true), ack)
	b.hangUp()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.said, "note: the message is stored, now ACK") || strings.Contains(strings.Join(r.said, ""), "GLU") {
		t.Errorf("said %q", r.said)
	}
}
