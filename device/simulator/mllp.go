package simulator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// ackWait is how long an HL7 sender waits for an acknowledgment.
const ackWait = 30 * time.Second

// mllpHost is a host at the other end of an MLLP line.
type mllpHost struct {
	line    port.Line
	replies *tokens
}

func newMLLPHost(line port.Line) *mllpHost {
	return &mllpHost{line: line, replies: &tokens{line: line, split: mllp.Split}}
}

// send writes one block and waits for the acknowledgment that names the
// message (MSA-2). One that names another message came too late for it, and is
// not counted for this one.
func (h *mllpHost) send(_ context.Context, m outgoing) (refusal string, err error) {
	block := mllp.AppendBlock(nil, m.text)
	if err := write(h.line, block, time.Now().Add(writeTime(len(block)))); err != nil {
		return "", err
	}
	deadline := time.Now().Add(ackWait)
	for {
		block, err := h.replies.next(deadline)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Sprintf("no acknowledgment within %v", ackWait), nil
		case err != nil:
			return "", err
		}
		reply, err := hl7.Parse(block)
		if err != nil {
			return fmt.Sprintf("an answer that is not HL7: %v", err), nil
		}
		code, of := acknowledged(reply)
		switch {
		case code == "":
			return "an answer without MSA-1", nil
		case of != m.controlID && of != "":
			continue
		case code == "AA" || code == "CA":
			if of == m.controlID {
				return "", nil
			}
			return code + " with an empty MSA-2", nil
		}
		return "answered with " + code, nil
	}
}

// acknowledged returns MSA-1 and MSA-2.
func acknowledged(reply hl7.Message) (code, controlID string) {
	for _, segment := range reply.Segments {
		if segment.Name == "MSA" {
			return string(segment.Field(1)), string(segment.Field(2))
		}
	}
	return "", ""
}
