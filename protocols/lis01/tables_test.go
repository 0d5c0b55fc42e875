package lis01

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The tables of the package's documentation as data, row by row, and a walk
// over every state that can be reached with every event that can come.

// receiverRow is a row of the receiver's table.
type receiverRow struct {
	state string // "in any": begun or transfer; "every": all
	event string
	reply byte
	next  string // "the same", or a state
}

func receiverTable() []receiverRow {
	return []receiverRow{
		{"neutral", "ENQ", ACK, "begun"},
		{"neutral", "frame", 0, "neutral"},
		{"neutral", "EOT", 0, "neutral"},
		{"neutral", "ACK", 0, "neutral"},
		{"neutral", "NAK", 0, "neutral"},
		{"begun", "frame 1", 0, "pending"},
		{"begun", "frame of another number", NAK, "begun"},
		{"transfer", "frame expected", 0, "pending"},
		{"transfer", "frame repeated", ACK, "transfer"},
		{"transfer", "frame of the last number with other bytes", NAK, "transfer"},
		{"transfer", "frame of another number", NAK, "transfer"},
		{"in any", "frame with a wrong checksum", NAK, "the same"},
		{"in any", "frame without a checksum", NAK, "the same"},
		{"in any", "frame malformed", NAK, "the same"},
		{"in any", "ENQ", ACK, "begun"},
		{"in any", "EOT", 0, "neutral"},
		{"in any", "ACK", 0, "the same"},
		{"in any", "NAK", 0, "the same"},
		{"every", "timer", 0, "neutral"},
		{"pending", "Commit(true)", ACK, "transfer"},
		{"pending", "Commit(false)", NAK, "before"},
		{"other", "Commit(true)", 0, "the same"},
		{"other", "Commit(false)", 0, "the same"},
	}
}

// place is a state of the receiver, as the table sees it.
type place struct {
	state   string // neutral, begun, transfer
	last    byte   // transfer: number of the last frame
	pending byte   // number of the frame that waits for Commit; 0: none
}

func (p place) expected() byte {
	if p.state == "transfer" {
		return '0' + (p.last-'0'+1)%8
	}
	return '1'
}

// find returns the one row that the table has for a state and an event.
func find(t *testing.T, table []receiverRow, state, event string) (receiverRow, int) {
	t.Helper()
	var found []int
	for i, row := range table {
		session := state == "begun" || state == "transfer"
		fits := row.state == state || row.state == "in any" && session || row.state == "every" || row.state == "other" && state != "pending"
		isFrame := row.event == "frame" && strings.HasPrefix(event, "frame")
		if fits && (row.event == event || isFrame) {
			found = append(found, i)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s, %s: %d rows of the table, want one", state, event, len(found))
	}
	return table[found[0]], found[0]
}

// walked are the events: what a token is called, by state.
func receiverEvents(p place) map[string][]string {
	sound := func(number byte) string { return frame(number, "text\r", number%2 == 0) }
	events := map[string][]string{
		"ENQ": {"\x05"}, "EOT": {"\x04"}, "ACK": {"\x06"}, "NAK": {"\x15"},
		"frame malformed":          {"\x02\x03", "\x02x\x0300\r\n", "\x02" + "1text", frame('1', "text\r", true) + "more"},
		"frame without a checksum": {"\x021text\r\x03", "\x021text\r\x17\r\n", "\x021text\r\x03A"},
	}
	for _, number := range []byte("0123456789") {
		one := sound(number)
		sum := len(one) - 4
		events["frame with a wrong checksum"] = append(events["frame with a wrong checksum"], one[:sum]+"zz\r\n")
		name := "frame of another number"
		switch {
		case p.state == "neutral":
			name = "frame of any number"
		case p.state == "begun" && number == '1':
			name = "frame 1"
		case p.state == "transfer" && number == p.expected():
			name = "frame expected"
		case p.state == "transfer" && number == p.last:
			name = "frame repeated"
			events["frame of the last number with other bytes"] = []string{frame(number, "other\r", true)}
			events[name] = append(events[name], strings.TrimRight(one, "\r\n")) // its end may be lost
		}
		events[name] = append(events[name], one)
	}
	return events
}

// walkReceiver walks all and returns how often each row was used.
func walkReceiver(t *testing.T, table []receiverRow) []int {
	t.Helper()
	used := make([]int, len(table))
	type reached struct {
		r Receiver
		p place
	}
	start := reached{p: place{state: "neutral"}}
	known := map[reached]bool{start: true}
	for queue := []reached{start}; len(queue) > 0; queue = queue[1:] {
		from := queue[0]
		visit := func(r Receiver, p place, event string) {
			r.refusal = "" // only tells of the last step
			if r.InSession() != (p.state != "neutral") {
				t.Fatalf("%+v, %s: in session is %v", from.p, event, r.InSession())
			}
			if to := (reached{r, p}); !known[to] {
				known[to] = true
				queue = append(queue, to)
			}
		}
		// A pending frame that is never committed changes nothing.
		at := place{state: from.p.state, last: from.p.last}
		for event, tokens := range receiverEvents(at) {
			for _, token := range tokens {
				row, i := find(t, table, at.state, event)
				used[i]++
				r, p := from.r, at
				_, deliver, reply := r.Step([]byte(token))
				switch row.next {
				case "the same":
				case "pending":
					p.pending = token[1]
				case "begun", "neutral":
					p = place{state: row.next}
				default:
					p.state = row.next
				}
				if reply != row.reply || deliver != (row.next == "pending") || (r.Refusal() != "") != (reply == NAK) {
					t.Fatalf("%+v, %s (%q): reply %#x, delivered %v, refusal %q; the table says %#x, %s",
						from.p, event, token, reply, deliver, r.Refusal(), row.reply, row.next)
				}
				visit(r, p, event)
			}
		}
		state := from.p.state
		if from.p.pending != 0 {
			state = "pending"
		}
		for event, stored := range map[string]bool{"Commit(true)": true, "Commit(false)": false} {
			row, i := find(t, table, state, event)
			used[i]++
			r, p := from.r, from.p
			switch row.next {
			case "transfer":
				p = place{state: "transfer", last: p.pending}
			case "before":
				p.pending = 0
			}
			if reply := r.Commit(stored); reply != row.reply || (r.Refusal() != "") != (reply == NAK) {
				t.Fatalf("%+v, %s: reply %#x, refusal %q; the table says %#x", from.p, event, reply, r.Refusal(), row.reply)
			}
			visit(r, p, event)
		}
		row, i := find(t, table, at.state, "timer")
		used[i]++
		r := from.r
		r.Reset()
		visit(r, place{state: row.next}, "timer")
		if r != start.r {
			t.Fatalf("%+v: Reset leaves %+v", from.p, r)
		}
	}
	// neutral, begun, transfer with eight last numbers; the latter nine also
	// with the expected frame pending, one of which has two forms.
	if len(known) < 19 {
		t.Errorf("only %d states were reached", len(known))
	}
	return used
}

func TestReceiverTable(t *testing.T) {
	table := receiverTable()
	for i, n := range walkReceiver(t, table) {
		if n == 0 {
			t.Errorf("row %+v was never used", table[i])
		}
	}
}

// What a sender does, in the words of its table.
const (
	sendsENQ   = "ENQ, 15 s"
	sendsFirst = "first frame, 15 s"
	sendsNext  = "next frame, 15 s"
	sendsAgain = "the frame again, 15 s"
)

// senderRow is a row of the sender's table. Of rows that fit the first counts:
// "anything else" stands last in a state.
type senderRow struct {
	state, event, does, next string
}

func senderTable() []senderRow {
	return []senderRow{
		{"idle", "Begin", sendsENQ, "enquiry"},
		{"idle", "Stop", "stopped", "over"},
		{"idle", "anything else", "", "idle"},
		{"enquiry", "ACK, without frames", "EOT, sent", "over"},
		{"enquiry", "ACK", sendsFirst, "transfer"},
		{"enquiry", "NAK, the sixth time", "busy", "over"},
		{"enquiry", "NAK", "10 s", "waiting"},
		{"enquiry", "ENQ, host", "contention", "over"},
		{"enquiry", "ENQ, the sixth time", "contention", "over"},
		{"enquiry", "ENQ", "1 s", "waiting"},
		{"enquiry", "timer", "EOT, timeout", "over"},
		{"enquiry", "Stop", "EOT, stopped", "over"},
		{"enquiry", "anything else", "", "enquiry"},
		{"waiting", "timer", sendsENQ, "enquiry"},
		{"waiting", "ENQ, host", "yielded", "over"},
		{"waiting", "Stop", "stopped", "over"},
		{"waiting", "anything else", "", "waiting"},
		{"transfer", "ACK of the last frame", "EOT, sent", "over"},
		{"transfer", "EOT of the last frame", "EOT, sent, interrupt", "over"},
		{"transfer", "ACK", sendsNext, "transfer"},
		{"transfer", "EOT", sendsNext + ", interrupt", "transfer"},
		{"transfer", "fill", "", "transfer"},
		{"transfer", "Begin", "", "transfer"},
		{"transfer", "ENQ, host", "EOT, yielded", "over"},
		{"transfer", "timer", "EOT, timeout", "over"},
		{"transfer", "Stop", "EOT, stopped", "over"},
		{"transfer", "any other byte, the sixth time", "EOT, refused", "over"},
		{"transfer", "any other byte", sendsAgain, "transfer"},
		{"over", "anything else", "", "over"},
	}
}

// stage is a state of the sender, as the table sees it.
type stage struct {
	state string
	next  int // the frame that waits for its reply
	tries int // refusals of it, or of ENQ
}

// names are what an event is called, the most exact first.
func (s stage) names(e Event, host bool, frames int) []string {
	name := map[Event]string{Begin: "Begin", Stop: "Stop", Expired: "timer", ACK: "ACK", NAK: "NAK", ENQ: "ENQ", EOT: "EOT"}[e]
	var exact []string
	last := s.state == "transfer" && s.next == frames-1
	switch {
	case name == "ACK" && s.state == "enquiry" && frames == 0:
		exact = append(exact, "ACK, without frames")
	case (name == "ACK" || name == "EOT") && last:
		exact = append(exact, name+" of the last frame")
	case name == "ENQ" && host:
		exact = append(exact, "ENQ, host")
	case e == CR || e == LF || e == NUL:
		exact = append(exact, "fill")
	}
	if s.state == "enquiry" && s.tries == 5 {
		exact = append(exact, name+", the sixth time")
	}
	exact = append(exact, name)
	if e >= 0 && s.tries == 5 {
		exact = append(exact, "any other byte, the sixth time")
	}
	if e >= 0 {
		exact = append(exact, "any other byte")
	}
	return append(exact, "anything else")
}

func (s stage) row(t *testing.T, table []senderRow, names []string) int {
	t.Helper()
	for _, name := range names {
		for i, row := range table {
			if row.state == s.state && row.event == name {
				return i
			}
		}
	}
	t.Fatalf("%+v, %v: no row of the table", s, names)
	return 0
}

// does says what a move is, in the table's words.
func does(m Move, before stage, reply int) string {
	var said []string
	switch {
	case len(m.Write) == 0:
	case m.Write[0] == ENQ:
		said = append(said, "ENQ")
	case m.Write[0] == EOT:
		said = append(said, "EOT")
	case before.state == "enquiry" && m.Write[0] == 'a':
		said = append(said, "first frame")
	case before.state == "transfer" && m.Write[0] == byte('a'+before.next+1):
		said = append(said, "next frame")
	case before.state == "transfer" && m.Write[0] == byte('a'+before.next):
		said = append(said, "the frame again")
	default:
		said = append(said, fmt.Sprintf("%q", m.Write))
	}
	switch {
	case m.Wait == reply:
		said = append(said, "15 s")
	case m.Wait > 0:
		said = append(said, fmt.Sprintf("%d s", m.Wait))
	}
	if m.Outcome != "" {
		said = append(said, string(m.Outcome))
	}
	if m.Interrupt {
		said = append(said, "interrupt")
	}
	return strings.Join(said, ", ")
}

// walkSender walks all and returns how often each row was used.
func walkSender(t *testing.T, table []senderRow) []int {
	t.Helper()
	used := make([]int, len(table))
	events := []Event{Begin, Stop, Expired}
	for c := range Event(256) {
		events = append(events, c)
	}
	all := [][]byte{{'a'}, {'b'}, {'c'}}
	for _, frames := range [][][]byte{nil, all[:1], all} {
		for _, host := range []bool{false, true} {
			for _, reply := range []int{0, 40} {
				walkOneSender(t, table, events, Sender{Frames: frames, Host: host, Reply: reply}, used)
			}
		}
	}
	return used
}

func walkOneSender(t *testing.T, table []senderRow, events []Event, begin Sender, used []int) {
	t.Helper()
	names := map[phase]string{idle: "idle", enquiry: "enquiry", waiting: "waiting", transfer: "transfer", over: "over"}
	timeout := begin.Reply
	if timeout == 0 {
		timeout = 15
	}
	start := stage{state: "idle"}
	known := map[stage]Sender{start: begin}
	for queue := []stage{start}; len(queue) > 0; queue = queue[1:] {
		from := queue[0]
		for _, e := range events {
			i := from.row(t, table, from.names(e, begin.Host, len(begin.Frames)))
			row := table[i]
			used[i]++
			s := known[from]
			m := s.Step(e)
			if did := does(m, from, timeout); did != row.does || names[s.phase] != row.next {
				t.Fatalf("%+v, host %v, event %d: %s and %s; the table says %s and %s", from, begin.Host, e, did, names[s.phase], row.does, row.next)
			}
			if s.InTransfer() != (row.next == "transfer") {
				t.Fatalf("%+v, event %d: InTransfer is %v", from, e, s.InTransfer())
			}
			to := stage{state: row.next, next: from.next, tries: from.tries}
			switch {
			case row.next == "over":
				to.next, to.tries = 0, 0
			case from.state == "enquiry" && row.next == "waiting", row.does == sendsAgain:
				to.tries++
			case row.does == sendsFirst:
				to.next, to.tries = 0, 0
			case strings.HasPrefix(row.does, sendsNext):
				to.next, to.tries = from.next+1, 0
			}
			if _, seen := known[to]; !seen {
				known[to] = s
				queue = append(queue, to)
			}
		}
	}
	if want := 2 + 6 + 5 + 6*len(begin.Frames); len(known) != want { // ENQ refused up to five times, each frame as well
		t.Errorf("only %d states were reached, want %d: %v", len(known), want, slices.Collect(maps.Keys(known)))
	}
}

func TestSenderTable(t *testing.T) {
	table := senderTable()
	for i, n := range walkSender(t, table) {
		if n == 0 {
			t.Errorf("row %+v was never used", table[i])
		}
	}
}
