package instrument

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// ENQs that come together have one reply: a surplus ACK would be taken for that
// of a frame, and a write for each would take the time of the other lines.
func TestStormIsAnsweredOnce(t *testing.T) {
	b := newBench(t, Defaults())
	here, there := net.Pipe() // a Read takes one Write
	ended := make(chan error)
	go func() {
		ended <- b.service.Serve(t.Context(), there, "peer", []Instrument{{Name: "analyser", Settings: Defaults()}})
	}()
	if err := here.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, say := range []struct{ bytes, want string }{
		{strings.Repeat("\x05", 1000), ack},
		{frame('1', header, false), ack},
		{"\x05\x05\x05", ack},
		{frame('1', header+order+result+last, true), ack},
		{"\x04\x05\x05", ack},
	} {
		if _, err := io.WriteString(here, say.bytes); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 2000)
		if n, err := here.Read(got); err != nil || string(got[:n]) != say.want {
			t.Fatalf("%.40q got %.40q (%v), want %.40q", say.bytes, got[:n], err, say.want)
		}
	}
	here.Close()
	<-ended
	b.wantKept("incomplete "+frame('1', header, false), "accepted "+frame('1', header+order+result+last, true))
}
