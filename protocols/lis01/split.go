package lis01

import "bytes"

// Split is a [bufio.SplitFunc]. A token is a single ENQ, EOT, ACK or NAK, or
// one whole frame from STX on. The error is always nil.
//
// An advance without a token skips bytes that belong to nothing; [Junk] tells
// how many of them are worth counting.
//
// A frame ends with the first ETX or ETB after its STX, up to two checksum
// characters, an optional CR and an optional LF, because real senders leave
// each of these out. Therefore a frame without its LF is given out once a byte
// came that cannot be part of it, or with atEOF. Here atEOF means that this is
// all there is for now: callers set it after a short quiet time.
//
// STX inside an open frame starts the frame anew. ENQ before that STX is given
// out first: the sender began its session anew. All other control characters
// inside an open frame are its data, for a damaged byte must not end the
// session; the checksum refuses the frame. Only when the line is quiet does an
// ENQ or EOT at the end of an open frame count as what it is. An open frame
// that ends otherwise is left in place; how long to wait for its rest is the
// caller's decision, and so is the largest size.
//
// Without atEOF the tokens do not depend on how the stream was cut.
func Split(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if len(data) == 0 {
		return 0, nil, nil
	}
	switch class(data[0]) {
	case control:
		return 1, data[:1], nil
	case start:
		advance, token = splitFrame(data, atEOF)
		return advance, token, nil
	}
	n := 1
	for n < len(data) && class(data[n]) == class(data[0]) {
		n++
	}
	return n, nil, nil
}

// Junk counts the bytes of a skipped part that are worth counting: all but CR,
// LF and NUL, which senders put between frames as line ends and fill.
func Junk(skipped []byte) int {
	n := 0
	for _, c := range skipped {
		if class(c) != fill {
			n++
		}
	}
	return n
}

// State is what a buffer holds that [Split] did not give out yet.
type State uint8

// The states of a buffer.
const (
	Idle       State = iota // nothing that a unit could start with
	OpenFrame               // a frame without its ETX or ETB
	EndedFrame              // a frame that may still get checksum, CR or LF
)

// Pending returns the state of data, which is what Split left over. It tells
// the caller which of its timers has to run: none, the receiver's, or the short
// one after which Split is called with atEOF.
func Pending(data []byte) State {
	for len(data) > 0 {
		n, _, _ := Split(data, false)
		if n > 0 {
			data = data[n:]
			continue
		}
		if markAfter(data) < len(data) {
			return EndedFrame
		}
		return OpenFrame
	}
	return Idle
}

// What a byte is between units.
type kind uint8

const (
	junk kind = iota
	fill
	control
	start
)

func class(c byte) kind {
	switch c {
	case ENQ, EOT, ACK, NAK:
		return control
	case STX:
		return start
	case CR, LF, NUL:
		return fill
	}
	return junk
}

// splitFrame splits data that begins with STX.
func splitFrame(data []byte, atEOF bool) (advance int, token []byte) {
	end := markAfter(data)
	if end == len(data) {
		last := end - 1
		if atEOF && last > 0 && (data[last] == ENQ || data[last] == EOT) {
			return last, nil
		}
		return 0, nil
	}
	if data[end] == STX {
		if end > 1 && data[end-1] == ENQ {
			end-- // the next call gives it out
		}
		return end, nil
	}
	n := end + 1
	for range 2 {
		if n < len(data) && printable(data[n]) {
			n++
		}
	}
	if n < len(data) && data[n] == CR {
		n++
	}
	switch {
	case n < len(data) && data[n] == LF:
		n++
	case n == len(data) && !atEOF:
		return 0, nil
	}
	return n, data[:n]
}

// markAfter returns the index of the first STX, ETX or ETB after the STX that
// data begins with, or len(data). It goes by windows, so that neither a large
// frame that comes byte by byte nor a buffer full of small ones costs much.
func markAfter(data []byte) int {
	const window = 512
	for from := 1; from < len(data); from += window {
		part := data[from:min(from+window, len(data))]
		first := len(part)
		for _, c := range [...]byte{STX, ETX, ETB} {
			if i := bytes.IndexByte(part[:first], c); i >= 0 {
				first = i
			}
		}
		if first < len(part) {
			return from + first
		}
	}
	return len(data)
}

// printable reports whether c may be a checksum character, a damaged one
// included.
func printable(c byte) bool { return c >= ' ' && c != 0x7F }
