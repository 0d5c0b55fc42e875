package instrument

import (
	"strings"
	"testing"
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
