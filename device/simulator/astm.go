package simulator

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// astmHost is a host at the other end of an ASTM line.
type astmHost struct {
	line    port.Line
	replies *tokens
	// stale says that the last session ended without its reply, which may
	// still come and must not be taken for that to the next ENQ.
	stale bool
}

func newASTMHost(line port.Line) *astmHost {
	return &astmHost{line: line, replies: &tokens{line: line, split: bufio.ScanBytes}}
}

// send plays one session, with the timers of LIS01-A2.
func (h *astmHost) send(_ context.Context, m outgoing) (refusal string, err error) {
	if h.stale {
		if err := h.replies.flush(); err != nil {
			return "", err
		}
		h.stale = false
	}
	sender := lis01.Sender{Frames: m.frames}
	var deadline time.Time
	for event := lis01.Begin; ; {
		move := sender.Step(event)
		if len(move.Write) > 0 {
			if err := write(h.line, move.Write, time.Now().Add(writeTime(len(move.Write)))); err != nil {
				return "", err
			}
		}
		if move.Outcome != "" {
			h.stale = move.Outcome == lis01.TimedOut
			return refusalOf(move.Outcome), nil
		}
		if move.Wait > 0 {
			deadline = time.Now().Add(time.Duration(move.Wait) * time.Second)
		}
		reply, err := h.replies.next(deadline)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			event = lis01.Expired
		case err != nil:
			return "", err
		default:
			event = lis01.Event(reply[0])
		}
	}
}

// writeTime is how long a line may take to get rid of n bytes: at 1200 baud
// these are 120 a second.
func writeTime(n int) time.Duration {
	return 15*time.Second + time.Duration(n)*time.Second/100
}

// refusalOf says in words what the host did.
func refusalOf(o lis01.Outcome) string {
	switch o {
	case lis01.Sent:
		return ""
	case lis01.Refused:
		return "a frame was not acknowledged six times"
	case lis01.TimedOut:
		return fmt.Sprintf("no reply within %d s", lis01.ReplyTimeout)
	case lis01.Busy:
		return "busy: ENQ was answered with NAK six times"
	}
	return string(o)
}
