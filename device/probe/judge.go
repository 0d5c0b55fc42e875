package probe

import (
	"bytes"

	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// Evidence is what characters turned out to be.
type Evidence struct {
	Calls   int `json:"enq"`     // ENQ: an ASTM instrument asks for the line
	Ends    int `json:"eot"`     // EOT: it gives up
	Frames  int `json:"frames"`  // ASTM frames with right checksums
	Blocks  int `json:"blocks"`  // MLLP blocks with an HL7 message
	Packets int `json:"packets"` // packets of makers' own formats
	Texts   int `json:"texts"`   // bursts of plausible text

	records bool   // the text has records of ASTM or HL7
	format  string // of the packets
}

func (e Evidence) plus(more Evidence) Evidence {
	e.Calls += more.Calls
	e.Ends += more.Ends
	e.Frames += more.Frames
	e.Blocks += more.Blocks
	e.Packets += more.Packets
	e.Texts += more.Texts
	e.records = e.records || more.records
	if e.format == "" {
		e.format = more.format
	}
	return e
}

// proofs cannot come about by chance.
func (e Evidence) proofs() int { return e.Frames + e.Blocks + e.Packets }

// leastText is how long text must be to count as such.
const leastText = 12

// judge looks for sense in a burst of characters; ok is false where there is none.
func judge(text []byte) (e Evidence, ok bool) {
	if len(text) == 0 {
		return e, false
	}
	calls := bytes.Count(text, []byte{lis01.ENQ})
	ends := bytes.Count(text, []byte{lis01.EOT})
	if calls+ends == len(text) {
		return Evidence{Calls: calls, Ends: ends}, true
	}
	tokens(lis01.Split, text, func(token []byte) {
		switch {
		case token[0] == lis01.ENQ:
			e.Calls++
		case token[0] == lis01.EOT:
			e.Ends++
		case token[0] == lis01.STX:
			if _, err := lis01.ParseFrame(token); err == nil {
				e.Frames++
			}
		}
	})
	tokens(mllp.Split, text, func(content []byte) {
		if bytes.HasPrefix(content, []byte("MSH")) {
			e.Blocks++
		}
	})
	tokens(vendor.Split, text, func(packet []byte) {
		format, _ := vendor.Opens(packet)
		if vendor.Whole(packet) && vendor.Verify(format, packet) == nil {
			e.Packets++
			e.format = string(format)
		}
	})
	if vendor.Verify(vendor.Emerald, text) == nil {
		e.Packets++
		e.format = string(vendor.Emerald)
	}
	if len(text) >= leastText && readable(text) {
		e.Texts = 1
		e.records = bytes.Contains(text, []byte("H|\\^")) || bytes.Contains(text, []byte("MSH|")) || bytes.Count(text, []byte("|")) > len(text)/20
	}
	if e.proofs() == 0 && e.Texts == 0 {
		return Evidence{}, false // an ENQ among noise is noise
	}
	return e, true
}

// tokens gives out what a split function finds; this is all there is.
func tokens(split func([]byte, bool) (int, []byte, error), data []byte, each func([]byte)) {
	for len(data) > 0 {
		n, token, _ := split(data, true)
		if len(token) > 0 {
			each(token)
		}
		if n == 0 {
			if data = data[1:]; len(data) == 0 {
				return
			}
			next := bytes.IndexAny(data, "\x02\x0b") // behind what stays open
			if next < 0 {
				return
			}
			n = next
		}
		data = data[n:]
	}
}

// readable reports whether nearly all characters are of text or frame it, and
// some are letters or digits: of a line at a wrong speed they are not.
func readable(text []byte) bool {
	plain, word := 0, 0
	for _, b := range text {
		switch {
		case b >= '0' && b <= '9', b >= 'A' && b <= 'Z', b >= 'a' && b <= 'z':
			word++
			plain++
		case b >= ' ' && b < 0x7F, bytes.IndexByte(framing, b) >= 0:
			plain++
		}
	}
	return plain*100 >= len(text)*95 && word*5 >= len(text)
}

// framing are the control characters that text is sent with.
var framing = []byte("\x02\x03\x04\x05\x0b\x17\x1c\x1d\x1e\t\r\n")

// resembles reports whether characters look like a line that is heard at the right
// speed with the wrong format: it begins as sessions and packets do, or half of it
// is text.
func resembles(data []byte) bool {
	if len(data) == 0 {
		return false
	}
	good := 0
	for _, b := range data {
		if b &= 0x7F; b >= ' ' && b < 0x7F || bytes.IndexByte(framing, b) >= 0 {
			good++
		}
	}
	return bytes.IndexByte([]byte{lis01.ENQ, lis01.EOT, lis01.STX, mllp.StartBlock}, data[0]&0x7F) >= 0 || good*2 >= len(data) && len(data) >= leastText
}
