package capturefile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/assaygate/assaygate/protocols/lis01"
)

// Restoration is what a file had made of a frame.
type Restoration uint8

// What is known to happen on the way into a file.
const (
	AsSent     Restoration = iota
	Recoded                // ISO 8859-1 became UTF-8
	Rearranged             // its CRs became LFs or were left out, or its lines were wrapped
)

// Notes say for people what the File has otherwise than the file.
func (f File) Notes() (notes []string) {
	var recoded, rearranged, sealed int
	for _, t := range f.Transmissions {
		if t.Sealed {
			sealed++
		}
		for _, frame := range t.Frames {
			switch frame.Restored {
			case Recoded:
				recoded++
			case Rearranged:
				rearranged++
			}
		}
	}
	for _, note := range []struct {
		n    int
		what string
	}{
		{recoded, " held ISO 8859-1 as UTF-8; the bytes were put back that the checksum is of"},
		{rearranged, " had line ends other than were sent; the bytes were put back that the checksum is of"},
		{sealed, " of a CELL-DYN Emerald had no END line; it was added, so nothing tells whether the frame is whole"},
	} {
		switch {
		case note.n == 1:
			notes = append(notes, "1 frame"+note.what)
		case note.n > 1:
			notes = append(notes, fmt.Sprintf("%d frames%s", note.n, note.what))
		}
	}
	return notes
}

// newFrame judges a token of lis01.Split that data begins with, where data goes
// on up to the next STX. It returns how much of data the frame is. One without a
// number, or with other than a checksum at its end, is none: err.
func newFrame(token, data []byte, at int) (frame Frame, n int, err error) {
	_, err = lis01.ParseFrame(token)
	if err == nil {
		return Frame{At: at, Token: token}, len(token), nil
	}
	if sent, n, how := restore(token, data); how != AsSent {
		return Frame{At: at, Token: sent, Restored: how}, n, nil
	}
	if !errors.Is(err, lis01.ErrChecksum) {
		return Frame{}, len(token), err
	}
	return Frame{At: at, Token: token, Err: err}, len(token), nil
}

// restore looks for the frame that the checksum of a damaged one is of.
func restore(token, data []byte) (sent []byte, n int, how Restoration) {
	if latin, changed := latin1(token); changed && fits(latin) {
		return canonical(latin), len(token), Recoded
	}
	if bytes.IndexByte(data, lis01.LF) >= 0 {
		ends := bytes.ReplaceAll(bytes.ReplaceAll(token, []byte("\r\n"), []byte("\r")), []byte("\n"), []byte("\r"))
		if fitsAnyhow(&ends) {
			return canonical(ends), len(token), Rearranged
		}
		// Its lines were wrapped wherever they were full, in its end too.
		flat := bytes.ReplaceAll(data, []byte("\n"), nil)
		if n, whole, _ := lis01.Split(flat, true); whole != nil {
			whole = slices.Clone(whole)
			if fitsAnyhow(&whole) {
				return canonical(whole), unwrapped(data, n), Rearranged
			}
		}
	}
	// A CR that was left out at the end of its record.
	if end := bytes.IndexAny(token[1:], "\x03\x17") + 1; end > 2 && token[end-1] != lis01.CR && sumsTo(token, end, lis01.CR) {
		if whole := slices.Insert(slices.Clone(token), end, lis01.CR); fits(whole) {
			return canonical(whole), len(token), Rearranged
		}
	}
	return nil, 0, AsSent
}

// fitsAnyhow reports whether a token has the right checksum, as it is or with
// its UTF-8 taken back.
func fitsAnyhow(token *[]byte) bool {
	if fits(*token) {
		return true
	}
	latin, changed := latin1(*token)
	if changed && fits(latin) {
		*token = latin
		return true
	}
	return false
}

// fits reports whether a token is a sound frame. Other than lis01.ParseFrame it
// makes no error, for it is mostly asked in vain.
func fits(token []byte) bool {
	end := bytes.IndexAny(token[min(1, len(token)):], "\x02\x03\x17") + 1
	if end < 2 || token[end] == lis01.STX || token[1] < '0' || token[1] > '9' || !sumsTo(token, end) {
		return false
	}
	_, err := lis01.ParseFrame(token)
	return err == nil
}

// sumsTo reports whether the checksum behind ETX or ETB, which stands at end, is
// that of the frame with so many bytes more.
func sumsTo(token []byte, end int, more ...byte) bool {
	if len(token) < end+3 {
		return false
	}
	want := lis01.Checksum(token[1:end+1]) + lis01.Checksum(more)
	const digits = "0123456789ABCDEF"
	said := bytes.ToUpper(token[end+1 : end+3])
	return said[0] == digits[want>>4] && said[1] == digits[want&0xF]
}

// canonical writes a sound frame as it goes over a line.
func canonical(token []byte) []byte {
	frame, _ := lis01.ParseFrame(token)
	return lis01.AppendFrame(make([]byte, 0, len(token)+2), frame)
}

// unwrapped is how many bytes of data the first n are without its LFs, with the
// LFs behind them.
func unwrapped(data []byte, n int) (at int) {
	for ; at < len(data) && (n > 0 || data[at] == lis01.LF); at++ {
		if data[at] != lis01.LF {
			n--
		}
	}
	return at
}

// latin1 gives text back that was ISO 8859-1 and was written as UTF-8.
func latin1(text []byte) ([]byte, bool) {
	if !utf8.Valid(text) {
		return nil, false
	}
	runes := utf8.RuneCount(text)
	if runes == len(text) {
		return nil, false
	}
	out := make([]byte, 0, runes)
	for rest := text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r > 0xFF {
			return nil, false
		}
		out, rest = append(out, byte(r)), rest[size:]
	}
	return out, true
}
