package simulator

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/assaygate/assaygate/device/port"
)

// tokens reads a line as the units of a protocol.
type tokens struct {
	line    port.Line
	split   bufio.SplitFunc
	pending []byte
}

// longestReply is far above what a host answers.
const longestReply = 1 << 20

// next returns the next unit. After the deadline its error wraps
// os.ErrDeadlineExceeded.
func (t *tokens) next(deadline time.Time) ([]byte, error) {
	if err := t.line.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	chunk := make([]byte, 4096)
	for {
		for len(t.pending) > 0 {
			advance, token, err := t.split(t.pending, false)
			if err != nil {
				return nil, err
			}
			if token != nil {
				token = append([]byte{}, token...)
			}
			t.pending = t.pending[advance:]
			if token != nil {
				return token, nil
			}
			if advance == 0 {
				break
			}
		}
		if len(t.pending) > longestReply {
			return nil, fmt.Errorf("an answer of more than %d bytes", longestReply)
		}
		n, err := t.line.Read(chunk)
		t.pending = append(t.pending, chunk[:n]...)
		if err != nil && n == 0 {
			return nil, err
		}
	}
}

// flush forgets what came in unasked, as an instrument does before it sends.
func (t *tokens) flush() error {
	t.pending = nil
	for chunk := make([]byte, 4096); ; {
		if err := t.line.SetReadDeadline(time.Now().Add(flushWait)); err != nil {
			return err
		}
		_, err := t.line.Read(chunk)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		}
	}
}

// flushWait is long enough to find what is there; a deadline that has passed
// already would find nothing.
const flushWait = time.Millisecond

func write(line port.Line, data []byte, deadline time.Time) error {
	if err := line.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := line.Write(data)
	return err
}
