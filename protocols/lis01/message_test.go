package lis01

import (
	"bytes"
	"testing"
)

// FuzzMessage holds that a text that is sent in frames of any size arrives as
// it was, whatever the reads cut it into.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("H|\\^&\rR|1|^^^WBC|8.13\rL|1|N\r"), 7, 3)
	f.Add([]byte("C|1|I|\x80\xFF\x00 &X0A&\r"), 1, 1)
	f.Fuzz(func(t *testing.T, text []byte, size, part int) {
		if len(text) > 2000 || bytes.ContainsAny(text, "\x02\x03\x17") { // the frame's own
			return
		}
		size, part = 1+(size&0x7FFFFFFF)%300, 1+(part&0x7FFFFFFF)%50
		sent := []byte{ENQ}
		for _, encoded := range AppendMessage(nil, text, size) {
			sent = append(sent, encoded...)
		}
		sent = append(sent, EOT)
		tokens, junk, rest := read(t, sent, true, part)
		if junk != 0 || rest != 0 {
			t.Fatalf("%d bytes of junk, %d left", junk, rest)
		}
		var r Receiver
		var got []byte
		for _, token := range tokens {
			frame, deliver, reply := r.Step([]byte(token))
			if deliver {
				got = append(got, frame.Text...)
				reply = r.Commit(true)
			}
			if token[0] != EOT && reply != ACK {
				t.Fatalf("%q is answered with %#x", token, reply)
			}
		}
		if !bytes.Equal(got, text) {
			t.Fatalf("%q arrived as %q", text, got)
		}
	})
}

// FuzzSender holds that whatever the other side and the timers do, a session
// writes nothing but its own frames, ENQ and EOT, and comes to an end.
func FuzzSender(f *testing.F) {
	f.Add([]byte("\x06\x06\x15\x06"), true)
	f.Add([]byte("\x15t\x05t\x06\x04t"), false)
	f.Fuzz(func(t *testing.T, events []byte, host bool) {
		frames := AppendMessage(nil, []byte("H|\\^&\rL|1|N\r"), 8)
		s := &Sender{Frames: frames, Host: host}
		ended := step(t, s, frames, Begin)
		for _, c := range events {
			event := Event(c)
			switch c {
			case 't':
				event = Expired
			case 's':
				event = Stop
			}
			if ended = ended || step(t, s, frames, event); ended {
				return
			}
		}
		for range 20 { // the line stays silent
			if step(t, s, frames, Expired) {
				return
			}
		}
		t.Fatalf("%q: the session does not end", events)
	})
}

// step reports whether the session is over.
func step(t *testing.T, s *Sender, frames [][]byte, event Event) bool {
	t.Helper()
	move := s.Step(event)
	own := len(move.Write) == 0 || string(move.Write) == string([]byte{ENQ}) || string(move.Write) == string([]byte{EOT})
	for _, encoded := range frames {
		own = own || bytes.Equal(move.Write, encoded)
	}
	if !own {
		t.Fatalf("event %d: writes %q", event, move.Write)
	}
	if move.Outcome == "" && move.Wait < 0 {
		t.Fatalf("event %d: waits %d s", event, move.Wait)
	}
	return move.Outcome != ""
}
