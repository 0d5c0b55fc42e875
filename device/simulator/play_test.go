package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// dialogue is a host that answers as a test says, and keeps what it got.
type dialogue struct {
	line  port.Line
	reply func(token []byte) []byte
	start time.Time
	// heard is what came, with the second at which it came.
	heard []string
}

// run reads tokens of either protocol until the line ends.
func (d *dialogue) run(protocol Protocol) {
	in := &tokens{line: d.line, split: lis01.Split}
	if protocol == HL7 {
		in.split = mllp.Split
	}
	d.start = time.Now()
	for {
		token, err := in.next(time.Time{})
		if err != nil {
			return
		}
		name := "block"
		switch {
		case protocol == ASTM && token[0] == lis01.STX:
			name = "frame " + string(token[1])
		case protocol == ASTM:
			name = fmt.Sprintf("%02X", token[0])
		}
		d.heard = append(d.heard, fmt.Sprintf("%d %s", int(time.Since(d.start)/time.Second), name))
		if answer := d.reply(token); answer != nil {
			if _, err := d.line.Write(answer); err != nil {
				return
			}
		}
	}
}

// takesAll answers as a host that takes everything.
func takesAll(token []byte) []byte {
	if token[0] == lis01.EOT {
		return nil
	}
	return []byte{lis01.ACK}
}

// converse plays against a dialogue in fake time.
func converse(t *testing.T, messages []Message, o Options, reply func([]byte) []byte) (result Result, heard []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		d := &dialogue{line: theirs, reply: reply}
		var wait sync.WaitGroup
		wait.Go(func() { d.run(messages[0].Protocol) })
		var err error
		if result, err = Play(t.Context(), ours, messages, o); err != nil {
			t.Error(err)
		}
		ours.Close()
		wait.Wait()
		heard = d.heard
	})
	return result, heard
}

func expect(t *testing.T, heard []string, want ...string) {
	t.Helper()
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q\nwant  %q", heard, want)
	}
}

// tiny is a message of two frames.
func tiny(t *testing.T) []Message {
	t.Helper()
	return read(t, append(frame(1, "H|\\^&\r", false), frame(2, "L|1|N\r", true)...))
}

func TestASTMTaken(t *testing.T) {
	result, heard := converse(t, tiny(t), Options{Count: 2, Interval: time.Minute}, takesAll)
	expect(t, heard, "0 05", "0 frame 1", "0 frame 2", "0 04", "60 05", "60 frame 1", "60 frame 2", "60 04")
	if len(result.Acknowledged) != 2 || result.Acknowledged[0] == result.Acknowledged[1] || len(result.Refused) != 0 {
		t.Errorf("%+v", result)
	}
}

func TestASTMBusyHost(t *testing.T) {
	n := 0
	result, heard := converse(t, tiny(t), Options{}, func(token []byte) []byte {
		if n++; n <= 2 {
			return []byte{lis01.NAK}
		}
		return takesAll(token)
	})
	expect(t, heard, "0 05", "10 05", "20 05", "20 frame 1", "20 frame 2", "20 04")
	if len(result.Acknowledged) != 1 {
		t.Errorf("%+v", result)
	}
	result, heard = converse(t, tiny(t), Options{}, func([]byte) []byte { return []byte{lis01.NAK} })
	expect(t, heard, "0 05", "10 05", "20 05", "30 05", "40 05", "50 05")
	if len(result.Refused) != 1 || !strings.Contains(result.Refused[0].Reason, "busy") {
		t.Errorf("%+v", result)
	}
}

func TestASTMContention(t *testing.T) {
	n := 0
	_, heard := converse(t, tiny(t), Options{}, func(token []byte) []byte {
		if n++; n == 1 {
			return []byte{lis01.ENQ}
		}
		return takesAll(token)
	})
	expect(t, heard, "0 05", "1 05", "1 frame 1", "1 frame 2", "1 04")
}

func TestASTMFrameRefused(t *testing.T) {
	n := 0
	result, heard := converse(t, tiny(t), Options{}, func(token []byte) []byte {
		if token[0] == lis01.STX && token[1] == '2' {
			if n++; n <= 5 {
				return []byte{lis01.NAK}
			}
		}
		return takesAll(token)
	})
	expect(t, heard, "0 05", "0 frame 1", "0 frame 2", "0 frame 2", "0 frame 2", "0 frame 2", "0 frame 2", "0 frame 2", "0 04")
	if len(result.Acknowledged) != 1 {
		t.Errorf("taken at the sixth time: %+v", result)
	}
	result, heard = converse(t, tiny(t), Options{}, func(token []byte) []byte {
		if token[0] == lis01.STX {
			return []byte{lis01.NAK}
		}
		return takesAll(token)
	})
	expect(t, heard, "0 05", "0 frame 1", "0 frame 1", "0 frame 1", "0 frame 1", "0 frame 1", "0 frame 1", "0 04")
	if len(result.Refused) != 1 || result.Refused[0].Reason != "a frame was not acknowledged six times" {
		t.Errorf("never taken: %+v", result)
	}
}

func TestASTMInterruptIsAnAcknowledgement(t *testing.T) {
	result, _ := converse(t, tiny(t), Options{}, func(token []byte) []byte {
		if token[0] == lis01.STX {
			return []byte{lis01.EOT}
		}
		return takesAll(token)
	})
	if len(result.Acknowledged) != 1 {
		t.Errorf("%+v", result)
	}
}

// The reply that came too late for one session is not taken for the next one's.
func TestASTMSilentHost(t *testing.T) {
	n := 0
	result, heard := converse(t, tiny(t), Options{Count: 2}, func(token []byte) []byte {
		switch n++; {
		case n == 2:
			time.Sleep(14 * time.Second)
			return nil
		case n == 3: // EOT of the session that was given up
			return []byte{lis01.ACK}
		}
		return takesAll(token)
	})
	expect(t, heard, "0 05", "0 frame 1", "15 04", "15 05", "15 frame 1", "15 frame 2", "15 04")
	if len(result.Refused) != 1 || len(result.Acknowledged) != 1 || result.Refused[0].Reason != "no reply within 15 s" {
		t.Errorf("%+v", result)
	}
}

func ack(code, controlID string) []byte {
	return mllp.AppendBlock(nil, []byte("MSH|^~\\&|BOX||A||20310405||ACK^R01^ACK|1|P|2.4\rMSA|"+code+"|"+controlID+"\r"))
}

// controlID returns MSH-10 of a block.
func controlID(block []byte) string { return strings.Split(string(block), "|")[9] }

func TestHL7Acknowledgments(t *testing.T) {
	one := capture(t, "hemoscreen.hl7")
	for name, test := range map[string]struct {
		reply func(id string) []byte
		want  string
	}{
		"AA":             {func(id string) []byte { return ack("AA", id) }, ""},
		"CA":             {func(id string) []byte { return ack("CA", id) }, ""},
		"AE":             {func(id string) []byte { return ack("AE", id) }, "answered with AE"},
		"AR, no MSA-2":   {func(string) []byte { return ack("AR", "") }, "answered with AR"},
		"AA, no MSA-2":   {func(string) []byte { return ack("AA", "") }, "AA with an empty MSA-2"},
		"late, then AA":  {func(id string) []byte { return append(ack("AE", "OLD"), ack("AA", id)...) }, ""},
		"of another":     {func(string) []byte { return ack("AA", "OLD") }, "no acknowledgment within 30s"},
		"none":           {func(string) []byte { return nil }, "no acknowledgment within 30s"},
		"no MSA":         {func(string) []byte { return mllp.AppendBlock(nil, []byte("MSH|^~\\&|BOX\r")) }, "an answer without MSA-1"},
		"something else": {func(string) []byte { return mllp.AppendBlock(nil, []byte("hello")) }, "an answer that is not HL7"},
	} {
		result, _ := converse(t, one, Options{}, func(block []byte) []byte { return test.reply(controlID(block)) })
		switch {
		case test.want == "" && len(result.Acknowledged) == 1:
		case test.want != "" && len(result.Refused) == 1 && strings.HasPrefix(result.Refused[0].Reason, test.want):
		default:
			t.Errorf("%s: %+v", name, result)
		}
	}
}

func TestPlayTellsABrokenLine(t *testing.T) {
	ours, theirs := net.Pipe()
	theirs.Close()
	if _, err := Play(t.Context(), ours, tiny(t), Options{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
}

func TestPlayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go io.Copy(io.Discard, theirs)
		start := time.Now()
		if _, err := Play(ctx, ours, tiny(t), Options{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if time.Since(start) != time.Second {
			t.Errorf("after %v", time.Since(start))
		}
	})
}

func TestDemoCountsSamplesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		var samples []string
		d := &dialogue{line: theirs, reply: func(block []byte) []byte {
			_, after, _ := strings.Cut(string(block), "SIM-3")
			samples = append(samples, after[:3])
			return ack("AA", controlID(block))
		}}
		var wait sync.WaitGroup
		wait.Go(func() { d.run(HL7) })
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		if err := Demo(ctx, ours, "hemoscreen.hl7", 10*time.Second); err != nil {
			t.Error(err)
		}
		wait.Wait()
		if want := []string{"001", "002", "003"}; !slices.Equal(samples, want) {
			t.Errorf("samples %q", samples)
		}
		expect(t, d.heard, "0 block", "10 block", "20 block")
	})
	if got := renumber(999)([]byte("SIM-3001 SIM-0002")); string(got) != "SIM-3000 SIM-0001" {
		t.Errorf("%s", got)
	}
}
