// Package capture is the destination that writes every message as a file, byte
// for byte as kept: for the audit, and for whoever writes a profile.
//
// A file appears under its name only when all of it is on the disk. The name
// holds the time, the instrument and the sequence, so a message that is
// delivered again after a crash replaces its own file by the same bytes.
//
// Beside the messages a [Trace] writes what went over the lines, for a person who
// looks for what is wrong with one.
package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/assaygate/assaygate/envelope"
)

const (
	directoryMode = 0o700
	fileMode      = 0o600
	// timeFormat sorts, and holds no character that a file system refuses.
	timeFormat = "20060102T150405.000000Z"
	// longestName leaves room for the rest within the 255 bytes of a file name.
	longestName = 100
)

// Settings is a destination's `capture` section of the configuration.
type Settings struct {
	// Directory is made with mode 0700 where it is missing.
	Directory string `yaml:"directory" required:"true"`
	// Wire asks for both directions of every line with times: see [Trace].
	Wire bool `yaml:"wire"`
}

// Validate reports what cannot work; the error begins with the key.
func (s Settings) Validate() error {
	if s.Directory == "" {
		return errors.New("directory: is missing; name the directory that the files are written to")
	}
	return nil
}

// Writer writes files into one directory. It is an uplink.Destination.
type Writer struct {
	name      string
	directory string

	mu   sync.Mutex
	made bool // the directory is durably there
}

// New returns the writer of a destination. It touches nothing: a directory that
// cannot be made now may be there later, and messages wait for it.
func New(name string, s Settings) *Writer {
	return &Writer{name: name, directory: filepath.Clean(s.Directory)}
}

// Name implements uplink.Destination.
func (w *Writer) Name() string { return w.name }

// Probe implements uplink.Destination: the directory is there or can be made.
func (w *Writer) Probe(context.Context) error { return w.prepare() }

// Deliver implements uplink.Destination. The envelopes of one message have the
// same bytes, so the first one writes the file and the others have nothing to
// do.
func (w *Writer) Deliver(ctx context.Context, e envelope.Envelope) error {
	if e.Part > 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("writing a capture: %w", err)
	}
	if err := w.prepare(); err != nil {
		return err
	}
	if err := write(filepath.Join(w.directory, FileName(e)), e.Raw); err != nil {
		w.mu.Lock()
		w.made = false // someone may have removed it
		w.mu.Unlock()
		return fmt.Errorf("writing a capture: %w", err)
	}
	return nil
}

// prepare makes the directory once. One that is there already may have been
// made just before a crash, so its parent is synced all the same.
func (w *Writer) prepare() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.made {
		return nil
	}
	if err := makeDirectory(w.directory); err != nil {
		return fmt.Errorf("making the directory for captures: %w", err)
	}
	w.made = true
	return nil
}

// FileName is YYYYMMDDTHHMMSS.ffffffZ-INSTRUMENT-SEQ with what the bytes are.
func FileName(e envelope.Envelope) string {
	name := e.ReceivedAt.UTC().Format(timeFormat) + "-" + safe(e.Instrument) + "-" + strconv.FormatUint(e.Sequence, 10)
	switch e.Protocol {
	case envelope.ASTM:
		name += ".astm"
	case envelope.HL7:
		name += ".hl7"
	default:
		name += ".bin"
	}
	if e.Intake == envelope.Incomplete || e.Intake == envelope.Rejected {
		name += ".partial"
	}
	return name
}

// safe replaces what does not belong into a file name by underscores.
func safe(instrument string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, instrument)
	if name == "" {
		return "unnamed"
	}
	return name[:min(len(name), longestName)]
}

// write makes the file appear whole or not at all, and returns when it is
// durable.
func write(path string, data []byte) error {
	// The name is always the same, so what a crash leaves behind is used again.
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		// A full disk needs the room.
		return errors.Join(err, os.Remove(temporary))
	}
	return syncDirectory(filepath.Dir(path))
}

// makeDirectory makes the directory and its parents, durably.
func makeDirectory(path string) error {
	parent := filepath.Dir(path)
	if _, err := os.Stat(parent); errors.Is(err, os.ErrNotExist) && parent != path {
		if err := makeDirectory(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, directoryMode); err != nil {
		if info, failed := os.Stat(path); failed != nil || !info.IsDir() {
			return err
		}
	}
	// Where this user may not look into the parent, it was not made by us.
	if err := syncDirectory(parent); err != nil && !errors.Is(err, os.ErrPermission) {
		return err
	}
	return nil
}

func syncDirectory(path string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call, and its file system does it by itself
	}
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
