package main

import (
	"fmt"
	"os"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/envelope"
)

// readCapture reads a file for inspect and replay. What capturefile does not
// know, a maker's own format, the simulator may.
func readCapture(file string) (capturefile.File, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return capturefile.File{}, err
	}
	if own := ownFormat(data); own != nil {
		return capturefile.File{Transmissions: own}, nil
	}
	capture, err := capturefile.Read(data)
	if err != nil {
		return capturefile.File{}, fmt.Errorf("%s: %w", file, err)
	}
	return capture, nil
}

// ownFormat reads a file that is neither ASTM nor HL7, nil where it is not such.
func ownFormat(data []byte) (list []capturefile.Transmission) {
	messages, err := simulator.Read(data)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if m.Protocol == simulator.ASTM || m.Protocol == simulator.HL7 {
			return nil
		}
		list = append(list, capturefile.Transmission{Protocol: capturefile.Protocol(m.Protocol), Format: m.Format, Text: m.Text})
	}
	return list
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
