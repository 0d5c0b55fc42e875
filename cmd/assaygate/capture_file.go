package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/uplink/capture"
)

// readCapture reads a file for inspect, replay and simulate. Of a wire trace it is
// what the instrument sent.
func readCapture(file string) (capturefile.File, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return capturefile.File{}, err
	}
	read, err := captureIn(data)
	if err != nil {
		return capturefile.File{}, fmt.Errorf("%s: %w", file, err)
	}
	return read, nil
}

// captureIn is readCapture of what stands in a file.
func captureIn(data []byte) (read capturefile.File, err error) {
	if capture.IsTrace(data) {
		data, err = receivedIn(data)
	}
	if err != nil {
		return capturefile.File{}, err
	}
	return capturefile.Read(data)
}

// errVeiled is of a trace that says when something came, but not what.
var errVeiled = errors.New("this wire trace was written under an allowlist and holds no text; look at the capture files of the same time")

// receivedIn is what a wire trace says that the instrument sent.
func receivedIn(trace []byte) (data []byte, err error) {
	for e, err := range capture.Entries(trace) {
		if err != nil {
			return nil, err
		}
		if e.Mark != capture.Received {
			continue
		}
		for _, p := range e.Pieces {
			if p.Hidden > 0 {
				return nil, errVeiled
			}
			data = append(data, p.Bytes...)
		}
	}
	return data, nil
}

// captureFilesOf lists the files to read. A directory stands for its files in the
// order of their names, which is that of time; hidden ones are files that are
// being written. Directories in it are left out, and so are wire traces: what they
// hold stands in the captures beside them too.
func captureFilesOf(paths []string) (files []string, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		found := 0
		for _, entry := range entries {
			if entry.Type().IsRegular() && !strings.HasPrefix(entry.Name(), ".") && !strings.HasSuffix(entry.Name(), ".wire") {
				files = append(files, filepath.Join(path, entry.Name()))
				found++
			}
		}
		if found == 0 {
			return nil, fmt.Errorf("%s: there is no file in this directory", path)
		}
	}
	return files, nil
}

// rawMessages cuts a transmission into its messages.
func rawMessages(t capturefile.Transmission) (list []profile.Raw) {
	clock := newClock(board.System{}, slog.New(slog.DiscardHandler)).word()
	for _, m := range t.Messages() {
		list = append(list, profile.Raw{
			Protocol: envelope.Protocol(t.Protocol), Format: string(t.Format), Text: m.Text, Frames: m.Frames,
			Clock: clock, Intake: envelope.Accepted,
		})
	}
	return list
}
