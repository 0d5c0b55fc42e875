package main

import (
	"fmt"
	"os"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
)

// readCapture reads a file for inspect, replay and simulate.
func readCapture(file string) (capturefile.File, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return capturefile.File{}, err
	}
	capture, err := capturefile.Read(data)
	if err != nil {
		return capturefile.File{}, fmt.Errorf("%s: %w", file, err)
	}
	return capture, nil
}

// rawMessages cuts a transmission into its messages.
func rawMessages(t capturefile.Transmission) (list []profile.Raw) {
	for _, m := range t.Messages() {
		list = append(list, profile.Raw{
			Protocol: envelope.Protocol(t.Protocol), Format: string(t.Format), Text: m.Text, Frames: m.Frames,
			Clock: clockWord(), Intake: envelope.Accepted,
		})
	}
	return list
}
