// Package capturefile takes capture files apart into what was transmitted: the
// files of the capture destination, those that senaite.astm writes, recordings
// of a line, and bare records or segments that a person has typed.
//
//	ASTM     frames, with or without ENQ, EOT and the receiver's replies, in one
//	         piece or one a line; or records from H on, also with their frame
//	         numbers before them
//	HL7      MLLP blocks; or segments from MSH on, in batches (FHS, BHS) or not
//	vendor   packets of the mini VIDAS and the Spotchem EL, alone or among
//	         frames; what a CELL-DYN Emerald sends, or its frames alone
//
// Nothing is lost silently: what does not fit is a [Problem] with its byte. A
// frame with a wrong checksum is read all the same and says so; the reader
// decides what that means. Where a file does not have the bytes that were sent
// and the checksum proves what they were, they are put back. The package is
// pure: functions over bytes.
package capturefile

import (
	"bytes"
	"errors"
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

// Transmission is one ASTM session, one HL7 message, or one packet or frame in
// a maker's own format.
type Transmission struct {
	Protocol Protocol
	Format   vendor.Format // of a maker's own
	At       int           // the byte of the file where it begins, from 0

	// Text is what the frames carry joined, with the CRs that end frames left
	// out; bare records or segments ended by CR; the content of an MLLP block;
	// or a packet or frame as it was received.
	Text []byte
	// Frames are those of a session, without the ones that their sender
	// repeated. Bare records have none.
	Frames []Frame
	// Sealed says that the file had an Emerald's frame without its END line, and
	// that it was given one: such files are known, and no line takes it without.
	Sealed bool
}

// Frame is one frame of a file.
type Frame struct {
	At    int    // the byte of the file where it begins
	In    int    // where its text begins in the transmission's
	Token []byte // STX to the end of its line, as far as it is there
	// Err wraps lis01.ErrChecksum; nil for a sound one.
	Err error
	// Restored says what the file had made of the frame, where the checksum
	// proves it: Token is what was sent.
	Restored Restoration
}

// Name is the frame's number for people.
func (f Frame) Name() string { return string(f.Token[1:2]) }

// text is what a frame carries, and whether it is an end frame. It is whole but
// perhaps for its checksum.
func (f Frame) text() (text []byte, end bool) {
	mark := bytes.IndexAny(f.Token[1:], "\x03\x17") + 1
	return f.Token[2:mark], f.Token[mark] == lis01.ETX
}

// File is what a capture file holds.
type File struct {
	Transmissions []Transmission
	Problems      []Problem

	more int // problems in the last one
}

// The errors of Read.
var (
	ErrEmpty      = errors.New("the file is empty")
	ErrNotCapture = errors.New("neither ASTM (frames, or records from H on) nor HL7 (blocks, or segments from MSH on) nor a maker's format that is known")
)

// Read takes a file apart. The error says that it is no capture; then the File
// is empty. The File shares data's memory.
func Read(data []byte) (File, error) {
	base := len(data)
	data = bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))
	base -= len(data) // places count from the file's first byte
	start := bytes.TrimLeft(data, " \t\r\n\x00\x02\x0B")
	records := bytes.TrimLeft(data, " \t\r\n\x00\x05\x06\x15")
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
	case IsHeader(records), numbered(records) && IsHeader(records[1:]):
		f.records(records, base+len(data)-len(records))
	default:
		f.emerald(data, base)
	}
	begins := bytes.TrimLeft(data, " \r\n\x00\x05\x06\x15")
	if !f.readable() && (!f.anyBroken() || !beginsWith(begins, "\x02", "\x0B", "CONNECT;")) {
		return File{}, ErrNotCapture
	}
	f.finishProblems()
	return f, nil
}

// readable reports whether anything of it was read: chance makes a frame of two
// control characters, but hardly one with a number.
func (f *File) readable() bool {
	return slices.ContainsFunc(f.Transmissions, func(t Transmission) bool { return len(t.Text) > 0 })
}

// expect makes room for at most so many transmissions at once: grown one by one
// they would take several times the memory, and a file may hold very many.
func (f *File) expect(most int) {
	f.Transmissions = make([]Transmission, 0, most)
}

func beginsWith(data []byte, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if bytes.HasPrefix(data, []byte(prefix)) {
			return true
		}
	}
	return false
}

// IsHeader reports whether a record is an H record: an H and its delimiters.
func IsHeader(record []byte) bool {
	if len(record) < 2 || record[0] != 'H' {
		return false
	}
	switch b := record[1]; {
	case b <= ' ', b >= 0x7F, '0' <= b && b <= '9', 'A' <= b && b <= 'Z', 'a' <= b && b <= 'z':
		return false
	}
	return true
}
