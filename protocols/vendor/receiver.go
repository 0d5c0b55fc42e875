package vendor

import "bytes"

// Receiver is the host's side of an Emerald's line: it gathers lines to frames
// and knows the answers. The zero value is ready. It is not safe for concurrent
// use.
type Receiver struct {
	header []byte // a line that may be the header of what comes
	frame  []byte // the open frame, nil for none
	last   int    // where its last line begins
	open   string // its opening word
	lot    string // of a calibration
}

// Outcome is what one line led to. At most one of Reply, Frame and Stray is set.
type Outcome struct {
	Broken []byte // a frame that was open and will not be ended
	Frame  []byte // a whole frame, to be stored and then to be answered
	Reply  []byte // an answer that may be sent at once
	Stray  int    // bytes that belong to nothing
}

// Verdict is what became of a frame.
type Verdict string

// The verdicts, as they stand in the answers.
const (
	Stored    Verdict = "OK"
	SumFailed Verdict = "CRC_ERROR"
	NotStored Verdict = "ERROR"
)

// Step consumes one token of [SplitLine]. A frame is the caller's from then on;
// it is answered with what [Receiver.Answer] returns, once it is stored.
func (r *Receiver) Step(line []byte) (out Outcome) {
	first := word(line)
	if r.frame != nil {
		switch {
		case first == endResult || first == endCalibration:
			frame := append(r.frame, line...)
			r.frame, r.last = nil, 0
			return Outcome{Frame: frame}
		case first == connect || first == disconnect:
			out.Broken = r.frame
			r.Reset()
		case opens(first) || first == resultReady:
			// The line before this one is the header of the new frame.
			out.Broken, r.header = r.frame[:r.last:r.last], bytes.Clone(r.frame[r.last:])
			r.frame, r.last = nil, 0
		default:
			if first != "" {
				r.last = len(r.frame)
			}
			r.frame = append(r.frame, line...)
			return out
		}
	}
	switch {
	case first == "":
		if r.header != nil && len(r.header) < len(line)+maxHeader {
			r.header = append(r.header, line...)
		}
	case first == connect:
		r.header = nil
		out.Reply = answer("ACK_CONNECT", bytes.SplitN(bytes.Trim(line, "\r\n"), []byte{';'}, 4), 2)
	case first == disconnect:
		r.header = nil
	case first == resultReady:
		r.header, out.Reply = nil, answer("ACK_RESULT_READY", nil, 0)
	case opens(first):
		frame := append(r.header, line...)
		r.header, r.open, r.lot = nil, first, ""
		if parts := bytes.SplitN(bytes.Trim(line, "\r\n"), []byte{';'}, 6); first == calibration && len(parts) > 4 {
			r.lot = string(bytes.TrimSpace(parts[4]))
		}
		if first == startUp {
			out.Frame = frame
			return out
		}
		r.frame, r.last = frame, len(frame)-len(line)
	case first == endResult || first == endCalibration:
		out.Stray = len(line) + len(r.header)
		r.header = nil
	default:
		out.Stray = len(r.header)
		r.header = bytes.Clone(line)
	}
	return out
}

// maxHeader bounds what is added to a header line.
const maxHeader = 4 << 10

// Answer is what the last frame is to be answered with; nil for one that gets no
// answer.
func (r *Receiver) Answer(v Verdict) []byte {
	switch r.open {
	case result:
		return []byte("ACK_RESULT;" + string(v) + "\r")
	case calibration:
		return []byte("ACK_CALI;" + r.lot + ";" + string(v) + "\r")
	}
	return nil
}

// Rest returns what there is of an open frame, nil where none is open.
func (r *Receiver) Rest() []byte { return r.frame }

// Size is how many bytes are held.
func (r *Receiver) Size() int { return len(r.frame) + len(r.header) }

// Reset forgets what is open.
func (r *Receiver) Reset() { *r = Receiver{} }

// answer gives element n of what was asked back, if there is one.
func answer(command string, asked [][]byte, n int) []byte {
	if n < len(asked) {
		command += ";" + string(asked[n])
	}
	return append([]byte(command), cr)
}
