package instrument

import (
	"testing"
	"testing/synctest"
	"time"
)

// The receiver's timer waits for the sender. How long the box needs for its
// answer is not the sender's fault: here the answer is stuck on the line for
// longer than the timer runs.
func TestSlowAnswerIsNotTheSendersSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := Defaults()
		settings.Quirks.ReceiverTimeout = time.Second
		b := newPipedBench(t, settings)
		b.say("\x05", ack)
		if _, err := b.line.Write([]byte(frame('1', header, false))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if _, err := b.line.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		b.say(frame('2', order+result+last, true), ack)
		b.hangUp()
		b.wantKept("accepted " + frame('1', header, false) + frame('2', order+result+last, true))
	})
}
