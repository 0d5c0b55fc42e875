package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

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

// captureFilesOf lists the files to read. A directory stands for its files in the
// order of their names, which is that of time; hidden ones are files that are
// being written. Directories in it are left out.
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
			if entry.Type().IsRegular() && !strings.HasPrefix(entry.Name(), ".") {
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
	for _, m := range t.Messages() {
		list = append(list, profile.Raw{
			Protocol: envelope.Protocol(t.Protocol), Format: string(t.Format), Text: m.Text, Frames: m.Frames,
			Clock: clockWord(), Intake: envelope.Accepted,
		})
	}
	return list
}
