package vendor

import "bytes"

// The control characters of the packets and of the sessions around them.
const (
	stx = 0x02
	etx = 0x03
	eot = 0x04
	enq = 0x05
	lf  = '\n'
	cr  = '\r'
	gs  = 0x1D
	rs  = 0x1E
)

// datePattern is how a Spotchem's packet goes on behind STX; 0 stands for a
// digit.
const datePattern = "00/00/00 "

// Opens tells the format of the packet that data begins with, "" for none. It
// is not sure while data is too short to tell.
func Opens(data []byte) (format Format, sure bool) {
	if len(data) == 0 {
		return "", false
	}
	if data[0] != stx {
		return "", true
	}
	rest := data[1:]
	for _, end := range []byte{cr, lf} {
		if len(rest) > 0 && rest[0] == end {
			rest = rest[1:]
		}
	}
	if len(rest) == 0 {
		return "", false
	}
	if rest[0] == rs {
		return MiniVIDAS, true
	}
	for i, want := range []byte(datePattern) {
		if 1+i == len(data) {
			return "", false
		}
		c := data[1+i]
		if want == '0' && (c < '0' || c > '9') || want != '0' && c != want {
			return "", true
		}
	}
	return SpotchemEL, true
}

// Split is a [bufio.SplitFunc] whose tokens are the packets of a mini VIDAS or
// Spotchem EL, each from STX on; an advance without a token skips what belongs
// to none. The error is always nil.
//
// A packet in which the next one begins was broken off: what there is of it is
// a token that is not [Whole]. The ENQ and EOT between the two belong to
// neither.
//
// CR, LF and a mini VIDAS's ETX behind a packet are part of it, and need not
// come. So at the end of data Split waits for them, unless atEOF says that this
// is all there is for now: callers set it after a short quiet time. [Pending]
// tells when that is worth while.
//
// An open packet is left in place; how long to wait for its rest, and how large
// it may grow, is the caller's decision. Without atEOF the tokens do not depend
// on how the stream was cut.
func Split(data []byte, atEOF bool) (advance int, token []byte, err error) {
	format, sure := Opens(data)
	switch {
	case len(data) == 0:
		return 0, nil, nil
	case !sure && !atEOF:
		return 0, nil, nil
	case format == "":
		if next := bytes.IndexByte(data[1:], stx); next >= 0 {
			return 1 + next, nil, nil
		}
		return len(data), nil, nil
	}
	n, complete := end(data, format, atEOF)
	if !complete {
		return 0, nil, nil
	}
	return n, data[:n:n], nil
}

// Pending reports whether the packet that data begins with has its end, and
// only lacks what may stand behind it.
func Pending(data []byte) bool {
	format, _ := Opens(data)
	if format == "" {
		return false
	}
	n := mark(data, format)
	return n < len(data) && data[n] != stx
}

// Whole reports whether a token of [Split] was not broken off.
func Whole(token []byte) bool { return Pending(token) }

// mark is the place of the character that ends the packet, or of the STX that
// breaks it off, or the length of data.
func mark(data []byte, format Format) int {
	set := "\x02\x03"
	if format == MiniVIDAS {
		set = "\x02\x03\x1d"
	}
	if n := bytes.IndexAny(data[1:], set); n >= 0 {
		return 1 + n
	}
	return len(data)
}

// end returns how long the packet is that data begins with.
func end(data []byte, format Format, atEOF bool) (n int, complete bool) {
	n = mark(data, format)
	if n == len(data) && !(atEOF && (data[n-1] == enq || data[n-1] == eot)) {
		return 0, false
	}
	if n == len(data) || data[n] == stx {
		for data[n-1] == enq || data[n-1] == eot {
			n--
		}
		return n, true
	}
	tail := "\r\n"
	if data[n] == gs {
		for range 2 {
			if n+1 < len(data) && data[n+1] > ' ' && data[n+1] < 0x7F {
				n++
			}
		}
		tail = "\r\n\x03\r\n"
	}
	n++
	for i := 0; i < len(tail); i++ {
		if n == len(data) {
			return n, atEOF
		}
		if data[n] == tail[i] {
			n++
		}
	}
	return n, true
}
