// Package capturefile takes capture files apart into what was transmitted: the
// files of the capture destination, those that senaite.astm writes, recordings
// of a line, and bare records or segments that a person has typed.
//
//	ASTM   frames, with or without ENQ, EOT and the receiver's replies, in one
//	       piece or one a line; or records from H on
//	HL7    MLLP blocks; or segments from MSH on, in batches (FHS, BHS) or not
//
// Nothing is lost silently: what does not fit is a [Problem] with its byte. A
// frame with a wrong checksum is read all the same and says so; the reader
// decides what that means. The package is pure: functions over bytes.
package capturefile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// Protocol is the language of a transmission.
type Protocol string

// The protocols.
const (
	ASTM   Protocol = "astm"
	HL7    Protocol = "hl7"
	Vendor Protocol = "vendor" // a maker's own format
)

// Transmission is one ASTM session, or one HL7 message.
type Transmission struct {
	Protocol Protocol
	Format   vendor.Format // of a maker's own
	At       int           // the byte of the file where it begins, from 0

	// Text is what the frames carry joined, bare records ended by CR, or the
	// content of an MLLP block.
	Text []byte
	// Frames are those of a session, without the ones that their sender
	// repeated. Bare records have none.
	Frames []Frame
}

// Frame is one frame of a file.
type Frame struct {
	At    int    // the byte of the file where it begins
	Token []byte // STX to the end of its line, as far as it is there
	// Err wraps lis01.ErrChecksum or lis01.ErrMalformed; nil for a sound one.
	Err error
	// Restored says that the file had the frame's ISO 8859-1 bytes as UTF-8,
	// which is proven by the checksum: it fits the bytes in Token only.
	Restored bool
}

// Problem is what does not fit.
type Problem struct {
	At   int // the byte of the file
	Text string
	// Broken says that something could not be read. Else it was read, and it
	// is doubtful.
	Broken bool
	// Frame says that it is a Frame's Err.
	Frame bool
}

// String gives the problem with its place.
func (p Problem) String() string { return fmt.Sprintf("byte %d: %s", p.At, p.Text) }

// File is what a capture file holds.
type File struct {
	Transmissions []Transmission
	Problems      []Problem
}

func (f *File) broken(at int, format string, args ...any) {
	f.Problems = append(f.Problems, Problem{At: at, Text: fmt.Sprintf(format, args...), Broken: true})
}

func (f *File) doubtful(at int, format string, args ...any) {
	f.Problems = append(f.Problems, Problem{At: at, Text: fmt.Sprintf(format, args...)})
}

// Restored counts the frames that got their bytes back.
func (f File) Restored() (n int) {
	for _, t := range f.Transmissions {
		for _, frame := range t.Frames {
			if frame.Restored {
				n++
			}
		}
	}
	return n
}

// The errors of Read.
var (
	ErrEmpty      = errors.New("the file is empty")
	ErrNotCapture = errors.New("neither ASTM (frames, or records from H on) nor HL7 (blocks, or segments from MSH on)")
)

// Read takes a file apart. The error says that it is no capture; then the File
// is empty. The File shares data's memory.
func Read(data []byte) (File, error) {
	base := len(data)
	data = bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))
	base -= len(data) // places count from the file's first byte
	start := bytes.TrimLeft(data, " \t\r\n\x00\x02\x0B")
	var f File
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return File{}, ErrEmpty
	case beginsWith(bytes.TrimLeft(data, " \r\n\x00"), "\x0B"), beginsWith(start, "MSH", "FHS", "BHS") && bytes.IndexByte(data, 0x0B) >= 0:
		f.blocks(data, base)
	case beginsWith(start, "MSH", "FHS", "BHS"):
		f.segments(start, base+len(data)-len(start))
	case bytes.IndexByte(data, lis01.STX) >= 0:
		f.frames(data, base)
	case isHeader(start):
		f.records(start, base+len(data)-len(start))
	}
	begins := bytes.TrimLeft(data, " \r\n\x00\x05\x06\x15")
	if !f.readable() && (len(f.Problems) == 0 || !beginsWith(begins, "\x02", "\x0B")) {
		return File{}, ErrNotCapture
	}
	return f, nil
}

// readable reports whether anything of it was read: chance makes a frame of two
// control characters, but hardly one with a number.
func (f *File) readable() bool {
	return slices.ContainsFunc(f.Transmissions, func(t Transmission) bool { return len(t.Text) > 0 })
}

func beginsWith(data []byte, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if bytes.HasPrefix(data, []byte(prefix)) {
			return true
		}
	}
	return false
}

// isHeader reports whether a record is an H record: an H and its delimiters.
func isHeader(record []byte) bool {
	if len(record) < 2 || record[0] != 'H' {
		return false
	}
	switch b := record[1]; {
	case b <= ' ', b >= 0x7F, '0' <= b && b <= '9', 'A' <= b && b <= 'Z', 'a' <= b && b <= 'z':
		return false
	}
	return true
}

// line is a record or segment with its place.
type line struct {
	at   int
	text []byte
}

// lines cuts at CR, with any LF after it; where there is no CR at all, at LF, as
// the standards' readers do. Empty lines are left out.
func lines(data []byte, base int) (list []line) {
	end := byte('\n')
	if bytes.IndexByte(data, '\r') >= 0 {
		end = '\r'
	}
	for at := 0; at < len(data); {
		n := bytes.IndexByte(data[at:], end)
		if n < 0 {
			n = len(data) - at
		}
		text := bytes.TrimLeft(data[at:at+n], "\n")
		if trimmed := bytes.TrimRight(text, "\n\x00"); len(trimmed) > 0 {
			list = append(list, line{base + at + n - len(text), trimmed})
		}
		at += n + 1
	}
	return list
}

// records makes a transmission from each H record on.
func (f *File) records(data []byte, base int) {
	for _, l := range lines(data, base) {
		if isHeader(l.text) {
			f.Transmissions = append(f.Transmissions, Transmission{Protocol: ASTM, At: l.at})
		}
		t := &f.Transmissions[len(f.Transmissions)-1] // data begins with a header
		t.Text = append(append(t.Text, l.text...), '\r')
	}
}
