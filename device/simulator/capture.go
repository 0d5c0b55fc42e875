package simulator

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/lis02"
	"github.com/assaygate/assaygate/protocols/mllp"
)

//go:embed captures/*.astm captures/*.hl7 captures/*.bin
var captures embed.FS

// Captures returns the names of the captures that Capture has: of messages
// made up for tests and demo, with sample ids such as SIM-0001.
func Captures() []string {
	entries, err := fs.ReadDir(captures, "captures")
	if err != nil {
		panic(err) // the folder is part of the binary
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Capture returns the bytes of one of Captures.
func Capture(name string) ([]byte, error) {
	data, err := captures.ReadFile("captures/" + name)
	if err != nil {
		return nil, fmt.Errorf("no capture %s; there are %s", name, strings.Join(Captures(), ", "))
	}
	return data, nil
}

// ErrNotCapture says that a file holds nothing that is known.
var ErrNotCapture = errors.New("neither ASTM (frames, or records from H on) nor HL7 (segments from MSH on) nor a maker's format that is known")

// Read takes a capture file apart into what was transmitted. It reads ASTM as
// frames (raw bytes of the line, with or without ENQ, EOT and the receiver's
// replies, or one frame a line) and as bare records, and HL7 as MLLP blocks
// and as bare segments. Records and segments end in CR, LF or CR LF. The packets
// of the mini VIDAS and the Spotchem EL may stand among frames; those of the
// CELL-DYN Emerald alone.
func Read(data []byte) ([]Message, error) {
	data = bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))
	start := bytes.TrimLeft(data, " \t\r\n\x00\x02\x0B")
	var messages []Message
	var err error
	switch {
	case startsWithAny(start, "MSH", "FHS", "BHS"):
		messages = readHL7(data)
	case bytes.IndexByte(data, lis01.STX) >= 0:
		messages, err = readFrames(data)
	case isHeader(start):
		messages = readRecords(start)
	default:
		messages = readEmerald(data)
	}
	if err == nil && len(messages) == 0 {
		err = ErrNotCapture
	}
	return messages, err
}

func startsWithAny(data []byte, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if bytes.HasPrefix(data, []byte(prefix)) {
			return true
		}
	}
	return false
}

// isHeader says whether a record is an H record: an H and its delimiters.
func isHeader(record []byte) bool {
	return len(record) > 1 && record[0] == 'H' && isDelimiter(record[1])
}

// isDelimiter says whether a character can be a field delimiter.
func isDelimiter(b byte) bool {
	switch {
	case b <= ' ', b >= 0x7F, '0' <= b && b <= '9', 'A' <= b && b <= 'Z', 'a' <= b && b <= 'z':
		return false
	}
	return true
}

// lines cuts text at CR, LF or CR LF and leaves empty lines out.
func lines(text []byte) [][]byte {
	return bytes.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' })
}

func readHL7(data []byte) (messages []Message) {
	if bytes.IndexByte(data, 0x0B) >= 0 {
		for len(data) > 0 {
			advance, block, _ := mllp.Split(data, true) // its error is always nil
			if advance == 0 {
				break
			}
			if len(block) > 0 {
				messages = append(messages, Message{Protocol: HL7, Text: bytes.Clone(block)})
			}
			data = data[advance:]
		}
		return messages
	}
	for _, segment := range lines(bytes.TrimLeft(data, " \t\x00\x02")) {
		switch {
		case startsWithAny(segment, "FHS", "BHS", "BTS", "FTS"):
			continue // a batch's wrapping; its messages go one by one
		case startsWithAny(segment, "MSH"):
			messages = append(messages, Message{Protocol: HL7})
		}
		if len(messages) == 0 {
			continue
		}
		m := &messages[len(messages)-1]
		m.Text = append(append(m.Text, segment...), '\r')
	}
	return messages
}

// readRecords makes a message from each H record on.
func readRecords(data []byte) (messages []Message) {
	for _, record := range lines(data) {
		if isHeader(record) {
			messages = append(messages, Message{Protocol: ASTM})
		}
		m := &messages[len(messages)-1]
		m.Text = append(append(m.Text, record...), '\r')
	}
	return messages
}

// readFrames makes a message from each session. A file without ENQ and EOT
// shows a new session by frame number 1 with an H record, after a whole
// message.
func readFrames(data []byte) ([]Message, error) {
	var messages []Message
	var current Message
	complete := false
	finish := func() {
		if len(current.Frames) > 0 {
			messages = append(messages, current)
		}
		current, complete = Message{Protocol: ASTM}, false
	}
	finish()
	for at := 0; at < len(data); {
		if m, n := readPacket(data[at:]); n > 0 {
			finish()
			messages, at = append(messages, m), at+n
			continue
		}
		advance, token, _ := lis01.Split(data[at:], true) // its error is always nil
		if advance == 0 {
			if len(bytes.TrimRight(data[at:], "\r\n\x00")) > 0 {
				return nil, fmt.Errorf("byte %d: a frame without end", at)
			}
			break
		}
		switch {
		case len(token) == 1 && (token[0] == lis01.ENQ || token[0] == lis01.EOT):
			finish()
		case len(token) > 1:
			frame, err := lis01.ParseFrame(token)
			if err != nil && !errors.Is(err, lis01.ErrChecksum) {
				return nil, fmt.Errorf("byte %d: %w", at, err)
			}
			if complete && frame.Number == '1' && isHeader(frame.Text) {
				finish()
			}
			whole := append([]byte(nil), bytes.TrimRight(token, "\r\n")...)
			current.Frames = append(current.Frames, append(whole, '\r', '\n'))
			current.Text = append(current.Text, frame.Text...)
			complete = frame.End && lis02.Complete(current.Text)
		}
		at += advance
	}
	finish()
	return messages, nil
}
