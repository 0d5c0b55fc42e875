package live

import (
	"bytes"
	"testing"
	"time"
)

// BenchmarkMessage is what looking on costs a line for an ASTM message of about
// 1 KiB: five frames with their acknowledgements, notes and timers. A message costs
// the line milliseconds, in which it becomes durable.
func BenchmarkMessage(b *testing.B) {
	h := newHub("a")
	o := h.Open(time.Now(), "a", "peer", false)
	frame, ack := []Piece{{Bytes: bytes.Repeat([]byte("x"), 247)}}, shown("\x06")
	b.ReportAllocs()
	for b.Loop() {
		for range 5 {
			o.Received(time.Now(), frame)
			o.Note(time.Now(), Note, "the frame is good")
			o.Sent(time.Now(), ack)
			o.Note(time.Now(), Timer, "30s for the next frame")
		}
	}
}
