package instrument

import (
	"runtime"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/protocols/lis01"
)

// Senders that leave the terminator out show the end of a message by the next
// one's header, which may begin in any frame and be cut anywhere.
func TestASTMNextHeaderEndsAMessage(t *testing.T) {
	other := strings.Replace(order, "S1", "S2", 1)
	five := frame('5', header, true)
	five = five[:len(five)-4] + strings.ToLower(five[len(five)-4:]) // not as we would write it
	for _, tt := range []struct {
		name   string
		frames []string
		want   []string
	}{
		{
			"the header is split behind its H",
			[]string{frame('1', header+order+result+"H", false), frame('2', header[1:]+other+result+last, true)},
			[]string{
				"parked " + frame('1', header+order+result, true),
				"accepted " + frame('1', "H", false) + frame('2', header[1:]+other+result+last, true),
			},
		},
		{
			"the header has a frame for itself",
			[]string{
				frame('1', header, true), frame('2', order, true), frame('3', result, true), frame('4', result, true),
				five, frame('6', other+result+last, true),
			},
			[]string{
				"parked " + frame('1', header, true) + frame('2', order, true) + frame('3', result, true) + frame('4', result, true),
				"accepted " + five + frame('6', other+result+last, true),
			},
		},
		{
			"no record ends in CR",
			[]string{frame('1', strings.TrimSuffix(header+order+result, "\r"), true), frame('2', header+other+result+last, true)},
			[]string{
				"parked " + frame('1', strings.TrimSuffix(header+order+result, "\r"), true),
				"accepted " + frame('2', header+other+result+last, true),
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, Defaults())
			b.say("\x05", ack)
			for _, one := range tt.frames {
				b.say(one, ack)
			}
			b.say("\x04", "")
			b.silence()
			b.wantKept(tt.want...)
		})
	}
}

// Empty frames cost the box though they add no text: each must not cost more
// than the one before, and there is an end to them.
func TestASTMEmptyFrames(t *testing.T) {
	newLink := func() *astm {
		b := newBench(t, Defaults())
		a := &astm{line: &line{Service: b.service, members: []Instrument{{Name: "analyser", Settings: Defaults()}}, log: b.service.Log, remote: "peer", progress: func() {}}}
		a.members[0].Settings.Limits.Message = 1 << 20
		a.step(t.Context(), []byte("\x05"))
		a.step(t.Context(), []byte(frame('1', header+order, true)))
		return a
	}
	number := 1
	next := func() []byte {
		number = (number + 1) % 8
		return []byte(frame('0'+byte(number), "", false))
	}
	a := newLink()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	held := a.kept()
	for range 10_000 {
		if reply := a.step(t.Context(), next()); reply != lis01.ACK {
			t.Fatalf("reply %#x", reply)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / 10_000; each > 2_000 {
		t.Errorf("%d bytes of memory a frame", each)
	}
	if grown := a.kept() - held; grown < 10_000*len(next()) {
		t.Errorf("%d bytes are said to be held", grown)
	}
	reply := byte(lis01.ACK)
	a, number = newLink(), 1
	for range 1 << 20 / 7 {
		if reply = a.step(t.Context(), next()); reply != lis01.ACK {
			break
		}
	}
	if reply != lis01.NAK {
		t.Error("frames without end are acknowledged in spite of limits.message")
	}
}

// Some senders end every record in an intermediate frame and leave the last CR
// out, so that only EOT tells that no more will come.
func TestASTMWholeTerminatorAtEOT(t *testing.T) {
	for _, tt := range []struct {
		last, intake string
	}{
		{"L|1|N", "accepted"},
		{"L||F", "accepted"},
		{"L|1|N|", "accepted"},
		{"L|1|N\n", "accepted"},
		{"L|1", "incomplete"}, // more may have been meant to come
		{"L|1|", "incomplete"},
		{"L", "incomplete"},
		{"L|1|No", "incomplete"},
		{"R|2|^^^L|1|N", "incomplete"},
	} {
		t.Run(tt.last, func(t *testing.T) {
			b := newBench(t, Defaults())
			whole := frame('1', header+order+result, false) + frame('2', tt.last, false)
			b.say("\x05", ack)
			b.say(frame('1', header+order+result, false), ack)
			b.say(frame('2', tt.last, false), ack)
			// What is acknowledged is on the card, should the box be cut off now.
			if status, err := b.store.Status(t.Context()); err != nil || status.Drafts == 1 != (tt.intake == "accepted") {
				t.Errorf("%d drafts before EOT (%v)", status.Drafts, err)
			}
			b.say("\x04", "")
			b.silence()
			b.wantKept(tt.intake + " " + whole)
			if status, err := b.store.Status(t.Context()); err != nil || status.Drafts != 0 {
				t.Errorf("%d drafts after EOT (%v)", status.Drafts, err)
			}
		})
	}
	t.Run("a refused frame behind it", func(t *testing.T) {
		b := newBench(t, Defaults())
		b.say("\x05", ack)
		b.say(frame('1', header+order+result+"L|1|N", false), ack)
		b.say("\x022x\x0300\r\n", nak)
		b.say("\x04", "")
		b.silence()
		b.wantKept("incomplete " + frame('1', header+order+result+"L|1|N", false))
	})
	t.Run("the line is lost before EOT", func(t *testing.T) {
		b := newBench(t, Defaults())
		b.say("\x05", ack)
		b.say(frame('1', header+order+result+"L|1|N", false), ack)
		b.hangUp()
		b.wantKept("parked " + frame('1', header+order+result+"L|1|N", false))
	})
	t.Run("its CR in a frame of its own", func(t *testing.T) {
		b := newBench(t, Defaults())
		b.say("\x05", ack)
		b.say(frame('1', header+order+result+"L|1|N", false), ack)
		b.say(frame('2', "\r", true), ack)
		b.say("\x04", "")
		b.silence()
		b.wantKept("accepted " + frame('1', header+order+result+"L|1|N", false) + frame('2', "\r", true))
	})
}

// commits counts what is stored.
type commits struct {
	silent
	n int
}

func (c *commits) Commits(delta int) { c.n += max(delta, 0) }

// A frame without text changes no draft, so none is written for it: each would
// be longer than the one before.
func TestASTMEmptyFramesMakeNoDraft(t *testing.T) {
	b := newBench(t, Defaults())
	b.hangUp()
	stored := &commits{}
	b.service.Observer = stored
	b.connect(Defaults())
	b.say("\x05", ack)
	whole := frame('1', header+order+result+"L|1|N", false)
	b.say(whole, ack)
	for range 10 {
		for n := range byte(8) {
			one := frame('0'+(n+2)%8, "", false)
			b.say(one, ack)
			whole += one
		}
	}
	b.say("\x04", "")
	b.hangUp()
	b.connect(Defaults()) // for the bench's own end
	b.wantKept("accepted " + whole)
	if stored.n != 2 {
		t.Errorf("stored %d times, want a draft and the message", stored.n)
	}
}
