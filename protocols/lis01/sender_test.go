package lis01

import (
	"strconv"
	"strings"
	"testing"
)

// play steps a sender and writes down what it does: bytes, waits, outcome.
func play(s *Sender, events ...Event) string {
	var out []string
	for _, e := range events {
		m := s.Step(e)
		var does string
		switch {
		case len(m.Write) == 1 && m.Write[0] == ENQ:
			does = "ENQ"
		case len(m.Write) == 1 && m.Write[0] == EOT:
			does = "EOT"
		default:
			does = string(m.Write)
		}
		if m.Wait > 0 {
			does += "+" + strconv.Itoa(m.Wait)
		}
		if m.Interrupt {
			does += "!"
		}
		if m.Outcome != "" {
			does += "=" + string(m.Outcome)
		}
		out = append(out, does)
	}
	return strings.Join(out, " ")
}

func TestSender(t *testing.T) {
	times := func(n int, e ...Event) (out []Event) {
		for range n {
			out = append(out, e...)
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		host   bool
		frames string
		events []Event
		want   string
	}{
		{"session", false, "a b", []Event{Begin, ACK, ACK, ACK}, "ENQ+15 a+15 b+15 EOT=sent"},
		{"empty session", false, "", []Event{Begin, ACK}, "ENQ+15 EOT=sent"},
		{"bytes before it begins", false, "a", []Event{ACK, ENQ, Expired, Begin}, "   ENQ+15"},
		{"after the end", false, "", []Event{Begin, ACK, ACK, ENQ, Expired, Begin, Stop}, "ENQ+15 EOT=sent     "},
		{"no reply to ENQ", false, "a", []Event{Begin, Expired}, "ENQ+15 EOT=timeout"},
		{"no reply to a frame", false, "a", []Event{Begin, ACK, Expired}, "ENQ+15 a+15 EOT=timeout"},
		{"busy", false, "a", []Event{Begin, NAK, Expired, ACK}, "ENQ+15 +10 ENQ+15 a+15"},
		{"busy without end", false, "a", append(times(5, Begin, NAK, Expired), NAK), "ENQ+15 +10 ENQ+15  +10 ENQ+15  +10 ENQ+15  +10 ENQ+15  +10 ENQ+15 =busy"},
		{"noise while busy", false, "a", []Event{Begin, NAK, 'x', ENQ, ACK, Expired}, "ENQ+15 +10    ENQ+15"},
		{"noise in place of a reply to ENQ", false, "a", []Event{Begin, 'x', EOT, ACK}, "ENQ+15   a+15"},
		{"contention, instrument", false, "a", []Event{Begin, ENQ, Expired, ACK}, "ENQ+15 +1 ENQ+15 a+15"},
		{"contention without end", false, "a", append(times(5, Begin, ENQ, Expired), ENQ), "ENQ+15 +1 ENQ+15  +1 ENQ+15  +1 ENQ+15  +1 ENQ+15  +1 ENQ+15 =contention"},
		{"contention, host", true, "a", []Event{Begin, ENQ, ACK}, "ENQ+15 =contention "},
		{"the instrument begins while the host waits", true, "a", []Event{Begin, NAK, ENQ, Expired}, "ENQ+15 +10 =yielded "},
		{"the instrument begins anew during transfer", true, "a b", []Event{Begin, ACK, ENQ, ACK}, "ENQ+15 a+15 EOT=yielded "},
		{"frame refused once", false, "a b", []Event{Begin, ACK, NAK, ACK, ACK}, "ENQ+15 a+15 a+15 b+15 EOT=sent"},
		{"frame refused to the end", false, "a b", append([]Event{Begin, ACK}, times(6, NAK)...), "ENQ+15 a+15 a+15 a+15 a+15 a+15 a+15 EOT=refused"},
		{"count starts anew with each frame", false, "a b", append(append([]Event{Begin, ACK}, times(5, NAK)...), ACK, NAK), "ENQ+15 a+15 a+15 a+15 a+15 a+15 a+15 b+15 b+15"},
		{"anything else counts as NAK", false, "a", []Event{Begin, ACK, 'x', ENQ}, "ENQ+15 a+15 a+15 a+15"},
		{"line ends after a reply", false, "a b", []Event{Begin, ACK, CR, LF, NUL, ACK}, "ENQ+15 a+15    b+15"},
		{"interrupt ignored", false, "a b", []Event{Begin, ACK, EOT, ACK}, "ENQ+15 a+15 b+15! EOT=sent"},
		{"interrupt at the last frame", false, "a", []Event{Begin, ACK, EOT}, "ENQ+15 a+15 EOT!=sent"},
		{"interrupt granted", false, "a b", []Event{Begin, ACK, EOT, Stop}, "ENQ+15 a+15 b+15! EOT=stopped"},
		{"stopped before it began", false, "a", []Event{Stop, Begin}, "=stopped "},
		{"stopped while busy", false, "a", []Event{Begin, NAK, Stop}, "ENQ+15 +10 =stopped"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &Sender{Host: tt.host}
			for _, f := range strings.Fields(tt.frames) {
				s.Frames = append(s.Frames, []byte(f))
			}
			if got := play(s, tt.events...); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A sender and a receiver over a line that loses or damages every third
// message either way: what the sender believes sent was delivered, once.
func TestSenderToReceiver(t *testing.T) {
	text := strings.Repeat("R|1|^^^WBC|8.13|10*3/uL\r", 30)
	for bad := range 12 {
		s := &Sender{Frames: AppendMessage(nil, []byte("H|\\^&\r"+text+"L|1|N\r"), 20)}
		r := &Receiver{}
		var got strings.Builder
		m, n := s.Step(Begin), 0
		for m.Outcome == "" {
			n++
			tokens, _, _ := read(t, m.Write, true, len(m.Write))
			answer := Event(NAK) // as any damaged byte counts
			for _, token := range tokens {
				if n%12 == bad && token[0] == STX {
					token = strings.Replace(token, "|", "!", 1)
				}
				f, deliver, reply := r.Step([]byte(token))
				if deliver {
					got.Write(f.Text)
					reply = r.Commit(true)
				}
				answer = Event(reply)
				if n%12 == (bad+5)%12 && token[0] == STX {
					answer = 'x' // the reply was damaged
				}
			}
			m = s.Step(answer)
		}
		if m.Outcome != Sent || got.String() != "H|\\^&\r"+text+"L|1|N\r" {
			t.Errorf("fault %d: %s, %d bytes delivered", bad, m.Outcome, got.Len())
		}
	}
}
