package lis01

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// What is wrong with a frame. Callers test with [errors.Is].
var (
	ErrChecksum  = errors.New("checksum does not match")
	ErrMalformed = errors.New("malformed frame")
)

// These need no more than two bytes of a sender each, and are therefore made
// once.
var (
	errNoNumber = fmt.Errorf("%w: no frame number", ErrMalformed)
	errShortSum = fmt.Errorf("%w: it is not there as a whole", ErrChecksum)
)

// Frame is one frame.
type Frame struct {
	Number byte   // frame number as on the wire, '0' to '7'
	Text   []byte // what stands between number and ETB or ETX
	End    bool   // end frame (ETX); else intermediate frame (ETB)
}

// ParseFrame decodes a frame as [Split] gives it out. Text shares the token's
// memory.
//
// With an error that is [ErrChecksum] the frame is whole but for its checksum,
// which is wrong, short or missing; the returned Frame is filled all the same.
// Numbers up to '9' are returned as sent: there are senders that count so.
func ParseFrame(token []byte) (Frame, error) {
	if len(token) == 0 || token[0] != STX {
		return Frame{}, fmt.Errorf("%w: no STX", ErrMalformed)
	}
	end := markAfter(token)
	if end == len(token) || token[end] == STX {
		return Frame{}, fmt.Errorf("%w: neither ETX nor ETB in %d bytes", ErrMalformed, len(token))
	}
	if end < 2 || token[1] < '0' || token[1] > '9' {
		return Frame{}, errNoNumber
	}
	f := Frame{Number: token[1], Text: token[2:end:end], End: token[end] == ETX}
	sum := trimEnd(token[end+1:])
	for _, c := range sum {
		if !printable(c) {
			return f, fmt.Errorf("%w: %#02x in place of a checksum character", ErrMalformed, c)
		}
	}
	switch want := Checksum(token[1 : end+1]); {
	case len(sum) > 2:
		return f, fmt.Errorf("%w: %d bytes after its end", ErrMalformed, len(sum))
	case len(sum) < 2:
		return f, errShortSum
	case upper(sum[0]) != hexDigits[want>>4] || upper(sum[1]) != hexDigits[want&0xF]:
		return f, fmt.Errorf("%w: want %02X", ErrChecksum, want)
	}
	return f, nil
}

// trimEnd cuts the optional CR and LF off.
func trimEnd(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte{LF}), []byte{CR})
}

const hexDigits = "0123456789ABCDEF"

// upper makes hex digits upper-case: the standard wants them so, not all do.
func upper(c byte) byte {
	if 'a' <= c && c <= 'f' {
		return c - 'a' + 'A'
	}
	return c
}

// Checksum sums body, which goes from the frame number up to and including ETX
// or ETB, modulo 256.
func Checksum(body []byte) byte {
	var sum byte
	for _, c := range body {
		sum += c
	}
	return sum
}

// Clean removes from text, in place, the characters that a frame's text must not
// hold (SOH STX ETX EOT ENQ ACK DLE NAK SYN ETB LF and DC1 to DC4) and NUL,
// and returns what is left.
func Clean(text []byte) []byte {
	return slices.DeleteFunc(text, func(c byte) bool {
		return c <= ACK || c == LF || DLE <= c && c <= ETB
	})
}

// AppendFrame appends the encoded frame to dst. The caller sees to it that the
// text holds none of the characters that the protocol forbids there: see [Clean].
func AppendFrame(dst []byte, f Frame) []byte {
	dst = append(dst, STX)
	body := len(dst)
	dst = append(append(dst, f.Number), f.Text...)
	if f.End {
		dst = append(dst, ETX)
	} else {
		dst = append(dst, ETB)
	}
	sum := Checksum(dst[body:])
	return append(dst, hexDigits[sum>>4], hexDigits[sum&0xF], CR, LF)
}

// AppendMessage appends the encoded frames of one message to dst. Each carries
// at most size bytes of text; a size that is not within 1 to [MaxText] means
// [SafeText]. Frame numbers go on from what is in dst, so that the frames of
// several messages make one session.
func AppendMessage(dst [][]byte, text []byte, size int) [][]byte {
	if size < 1 || size > MaxText {
		size = SafeText
	}
	for len(text) > 0 {
		n := min(size, len(text))
		f := Frame{Number: '0' + byte((len(dst)+1)%8), Text: text[:n], End: n == len(text)}
		dst = append(dst, AppendFrame(make([]byte, 0, n+7), f))
		text = text[n:]
	}
	return dst
}
