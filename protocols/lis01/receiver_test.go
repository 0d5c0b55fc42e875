package lis01

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// dialogue steps a receiver with tokens and returns the replies, '.' for none.
// A token that ends in "!" is one whose storing fails.
func dialogue(r *Receiver, tokens ...string) (replies string, texts []string) {
	for _, token := range tokens {
		token, fails := strings.CutSuffix(token, "!")
		f, deliver, reply := r.Step([]byte(token))
		if deliver {
			if reply = r.Commit(!fails); !fails {
				texts = append(texts, string(f.Text))
			}
		}
		switch reply {
		case ACK:
			replies += "A"
		case NAK:
			replies += "N"
		case 0:
			replies += "."
		default:
			replies += fmt.Sprintf("<%02X>", reply)
		}
	}
	return replies, texts
}

func TestReceiver(t *testing.T) {
	const enq, eot, ack, nak = "\x05", "\x04", "\x06", "\x15"
	f := func(number byte) string { return frame(number, "text "+string(number)+"\r", false) }
	other := func(number byte) string { return frame(number, "other "+string(number)+"\r", true) }
	bad := strings.Replace(f('1'), "\x17", "\x1700", 1)[:len(f('1'))-4] + "\r\n"
	noSum := strings.TrimRight(f('1'), "0123456789ABCDEF\r\n")
	for _, tt := range []struct {
		name    string
		rules   Rules
		in      []string
		replies string
		texts   int
		refusal Refusal
	}{
		{"session", Rules{}, []string{enq, f('1'), f('2'), eot}, "AAA.", 2, ""},
		{"nine frames", Rules{}, []string{enq, f('1'), f('2'), f('3'), f('4'), f('5'), f('6'), f('7'), f('0'), f('1')}, "AAAAAAAAAA", 9, ""},
		{"neutral ignores all but ENQ", Rules{}, []string{f('1'), eot, ack, nak, bad, "\x02"}, "......", 0, ""},
		{"ENQ twice", Rules{}, []string{enq, enq, f('1')}, "AAA", 1, ""},
		{"ENQ during transfer", Rules{}, []string{enq, f('1'), enq, f('1'), f('2')}, "AAAAA", 3, ""},
		{"ENQ during transfer, going on as before", Rules{}, []string{enq, f('1'), enq, f('2')}, "AAAN", 1, RefusedNumber},
		{"replies during transfer", Rules{}, []string{enq, ack, nak, f('1')}, "A..A", 1, ""},
		{"lost ACK", Rules{}, []string{enq, f('1'), f('1'), f('2')}, "AAAA", 2, ""},
		{"lost ACK, without LF", Rules{}, []string{enq, f('1'), strings.TrimSuffix(f('1'), "\n")}, "AAA", 1, ""},
		{"same number, other bytes", Rules{}, []string{enq, f('1'), other('1'), f('2')}, "AANA", 2, ""},
		{"repeat of the one before", Rules{}, []string{enq, f('1'), f('2'), f('1')}, "AAAN", 2, RefusedNumber},
		{"first frame 0", Rules{}, []string{enq, f('0')}, "AN", 0, RefusedNumber},
		{"first frame 2", Rules{}, []string{enq, f('2')}, "AN", 0, RefusedNumber},
		{"frame left out", Rules{}, []string{enq, f('1'), f('3'), f('2')}, "AANA", 2, ""},
		{"checksum wrong, then sent again", Rules{}, []string{enq, bad, f('1')}, "ANA", 1, ""},
		{"checksum wrong", Rules{}, []string{enq, bad}, "AN", 0, RefusedChecksum},
		{"checksum missing", Rules{}, []string{enq, noSum}, "AN", 0, RefusedChecksum},
		{"malformed", Rules{}, []string{enq, "\x02\x03"}, "AN", 0, RefusedMalformed},
		{"storing fails, then sent again", Rules{}, []string{enq, f('1') + "!", f('1')}, "ANA", 1, ""},
		{"storing fails", Rules{}, []string{enq, f('1') + "!"}, "AN", 0, RefusedStore},
		{"checksum ignored", Rules{IgnoreChecksum: true}, []string{enq, bad, f('2')}, "AAA", 2, ""},
		{"checksum missing and ignored", Rules{IgnoreChecksum: true}, []string{enq, noSum, noSum, f('2')}, "AAAA", 2, ""},
		{"malformed is never ignored", Rules{true, true}, []string{enq, "\x02\x03"}, "AN", 0, RefusedMalformed},
		{"numbers ignored", Rules{IgnoreNumbers: true}, []string{enq, f('1'), other('1'), f('1'), f('4'), f('9')}, "AAAAAA", 5, ""},
		{"numbers ignored, repeat", Rules{IgnoreNumbers: true}, []string{enq, f('4'), f('4')}, "AAA", 1, ""},
		{"new session", Rules{}, []string{enq, f('1'), eot, f('2'), enq, f('1')}, "AA..AA", 2, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Receiver{Rules: tt.rules}
			replies, texts := dialogue(r, tt.in...)
			if replies != tt.replies || len(texts) != tt.texts || r.Refusal() != tt.refusal {
				t.Errorf("replies %s, %d texts, refusal %q; want %s, %d, %q", replies, len(texts), r.Refusal(), tt.replies, tt.texts, tt.refusal)
			}
		})
	}
}

// The receiver keeps nothing of the caller's buffer, which is used again.
func TestReceiverCopies(t *testing.T) {
	r := &Receiver{}
	r.Step([]byte{ENQ})
	token := []byte(frame('1', "H|\\^&\r", true))
	f, _, _ := r.Step(token)
	clear(token)
	if string(f.Text) != "H|\\^&\r" {
		t.Errorf("the frame changed to %q", f.Text)
	}
	if r.Commit(true) != ACK {
		t.Fatal("no ACK")
	}
	if replies, texts := dialogue(r, frame('1', "H|\\^&\r", true)); replies != "A" || texts != nil {
		t.Errorf("the repeat got %s and was delivered %d times", replies, len(texts))
	}
}

// model is the state table again, written for reading and not for speed.
type model struct {
	session             bool
	next, last, pending string
}

func (m *model) step(rules Rules, token string) (deliver bool, reply byte) {
	m.pending = ""
	switch {
	case token == "\x05":
		*m = model{session: true, next: "1"}
		return false, ACK
	case token == "\x04":
		*m = model{}
		return false, 0
	case !m.session || token == "\x06" || token == "\x15":
		return false, 0
	}
	_, err := ParseFrame([]byte(token))
	sound := err == nil || rules.IgnoreChecksum && strings.Contains(err.Error(), ErrChecksum.Error())
	switch {
	case !sound:
		return false, NAK
	case token == m.last:
		return false, ACK
	case token[1:2] == m.next, rules.IgnoreNumbers:
		m.pending = token
		return true, 0
	}
	return false, NAK
}

func (m *model) commit(stored bool) (reply byte) {
	if m.pending == "" {
		return 0
	}
	token := m.pending
	m.pending = ""
	if !stored {
		return NAK
	}
	m.last, m.next = token, string("1234567012"[token[1]-'0'])
	return ACK
}

// Every state that can be reached, with every event, under all rules.
func TestReceiverEveryStateEveryEvent(t *testing.T) {
	tokens := []string{"\x04", "\x05", "\x06", "\x15", "\x02\x03", "\x021x\x03", "\x021x\x0300\r\n", "\x022x\x0300\r\n"}
	for number := byte('0'); number <= '9'; number++ {
		tokens = append(tokens, frame(number, "a\r", number%2 == 0))
	}
	tokens = append(tokens, frame('1', "b\r", true), frame('2', "b\r", false), frame('0', "b\r", true))
	type both struct {
		r Receiver
		m model
	}
	for _, rules := range []Rules{{}, {IgnoreChecksum: true}, {IgnoreNumbers: true}, {IgnoreChecksum: true, IgnoreNumbers: true}} {
		start := both{r: Receiver{Rules: rules}}
		known := map[both]bool{start: true}
		for queue := []both{start}; len(queue) > 0; queue = queue[1:] {
			visit := func(b both) {
				if b.r.InSession() != b.m.session {
					t.Fatalf("in session: %v, want %v", b.r.InSession(), b.m.session)
				}
				if !known[b] {
					known[b] = true
					queue = append(queue, b)
				}
			}
			for _, token := range tokens {
				b := queue[0]
				f, deliver, reply := b.r.Step([]byte(token))
				wantDeliver, wantReply := b.m.step(rules, token)
				if deliver != wantDeliver || reply != wantReply || (b.r.Refusal() != "") != (reply == NAK) {
					t.Fatalf("rules %+v, state %+v, token %q: %v, %#x, refusal %q; want %v, %#x",
						rules, queue[0].m, token, deliver, reply, b.r.Refusal(), wantDeliver, wantReply)
				}
				if deliver && !bytes.Contains([]byte(token), f.Text) {
					t.Fatalf("token %q: text %q", token, f.Text)
				}
				visit(b)
			}
			for _, stored := range []bool{true, false} {
				b := queue[0]
				if reply, want := b.r.Commit(stored), b.m.commit(stored); reply != want {
					t.Fatalf("rules %+v, state %+v: Commit(%v) = %#x, want %#x", rules, queue[0].m, stored, reply, want)
				}
				visit(b)
			}
			b := queue[0]
			b.r.Reset()
			b.m = model{}
			if b != start {
				t.Fatalf("Reset leaves %+v", b.r)
			}
		}
		if len(known) < 50 {
			t.Errorf("only %d states were reached", len(known))
		}
	}
}

// FuzzReceiver feeds any bytes: whatever comes, each unit gets at most one
// reply, and what is delivered was in the input.
func FuzzReceiver(f *testing.F) {
	f.Add([]byte("\x05"+frame('1', "H|\\^&\r", false)+frame('2', "L|1|N\r", true)+"\x04"), true)
	f.Add([]byte("\x05\x05\x021\x03\x021\x17\x04"), false)
	f.Fuzz(func(t *testing.T, in []byte, loose bool) {
		r := &Receiver{Rules: Rules{loose, loose}}
		tokens, _, _ := read(t, in, true, len(in)+1)
		for _, token := range tokens {
			got, deliver, reply := r.Step([]byte(token))
			switch {
			case deliver && (reply != 0 || !r.InSession() || !strings.Contains(token, string(got.Text))):
				t.Fatalf("token %q: delivers %+v with reply %#x", token, got, reply)
			case deliver && r.Commit(true) != ACK:
				t.Fatalf("token %q: no ACK", token)
			case reply != 0 && reply != ACK && reply != NAK:
				t.Fatalf("token %q: reply %#x", token, reply)
			}
		}
	})
}
