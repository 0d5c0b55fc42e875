package simulator

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/protocols/lis01"
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

// Read takes a capture file apart into what can be played. An error says that
// it is no capture; what of it cannot be read is left out. capturefile.Read and
// [Messages] tell more.
func Read(data []byte) ([]Message, error) {
	file, err := capturefile.Read(data)
	if err != nil {
		return nil, err
	}
	messages := Messages(file)
	if len(messages) == 0 {
		return nil, ErrUnreadable
	}
	return messages, nil
}

// ErrUnreadable says that nothing of a capture can be played.
var ErrUnreadable = errors.New("nothing of it can be read")

// Messages are what a capture file holds, as it is played: each session, HL7
// message and packet by itself.
func Messages(file capturefile.File) (messages []Message) {
	for _, t := range file.Transmissions {
		m := Message{Protocol: t.Protocol, Format: t.Format, Text: t.Text}
		for _, frame := range t.Frames {
			token := bytes.TrimRight(frame.Token, "\r\n")
			m.Frames = append(m.Frames, slices.Concat(token, []byte{lis01.CR, lis01.LF}))
		}
		messages = append(messages, m)
	}
	return messages
}
