package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/envelope/spool"
)

// consoleCaptures is what the console's page of that name shows and does.
func (d *daemon) consoleCaptures() console.Captures {
	return console.Captures{Destinations: d.captureDestinations, List: d.listCaptures, Open: d.openCapture}
}

// captureDestinations are the names of those that write files.
func (d *daemon) captureDestinations() (names []string) {
	for _, one := range d.config().Destinations {
		if one.Capture != nil {
			names = append(names, one.Name)
		}
	}
	return names
}

// captureRoot opens the directory of a destination that writes files, beyond which no
// name can lead.
func (d *daemon) captureRoot(destination string) (*os.Root, error) {
	for _, one := range d.config().Destinations {
		if one.Capture != nil && one.Name == destination {
			return os.OpenRoot(one.Capture.Directory)
		}
	}
	return nil, fmt.Errorf("%w: no destination %q writes files", spool.ErrNotFound, destination)
}

// ownTrace is how a capture destination calls the traces of lines.
var ownTrace = regexp.MustCompile(`^\d{8}T\d{6}\.\d{6}Z-(.+)\.wire$`)

// captureNamed is the file that a name tells of. Only names that a capture
// destination gives count: a configuration may name any directory, also one with
// other files in it.
func captureNamed(name string) (file console.CaptureFile, is bool) {
	const layout = "20060102T150405.000000Z"
	file = console.CaptureFile{Name: name, Partial: strings.HasSuffix(name, ".partial")}
	if parts := ownName.FindStringSubmatch(name); parts != nil {
		file.Instrument = parts[1]
	} else if parts := ownTrace.FindStringSubmatch(name); parts != nil {
		file.Instrument, file.Trace = parts[1], true // with its peer
	} else {
		return file, false
	}
	at, err := time.Parse(layout, name[:len(layout)])
	file.At = at
	return file, err == nil && !strings.ContainsAny(name, "/\\\"\r\n")
}

// ofInstrument reports whether the file is of an instrument.
func ofInstrument(file console.CaptureFile, instrument string) bool {
	return instrument == "" || file.Instrument == instrument || file.Trace && strings.HasPrefix(file.Instrument, instrument+"-")
}

// namesAtOnce is how many names of a directory are in memory, beside those that are
// listed: there may be a million.
const namesAtOnce = 1024

// listCaptures is console.Captures.List. Names begin with the time, so their order is
// that of time.
func (d *daemon) listCaptures(ctx context.Context, destination string, q console.CaptureQuery) (list console.CaptureList, err error) {
	root, err := d.captureRoot(destination)
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil // nothing was written yet
	}
	if err != nil {
		return list, err
	}
	defer root.Close()
	directory, err := root.Open(".")
	if err != nil {
		return list, err
	}
	defer directory.Close()
	for {
		names, err := directory.Readdirnames(namesAtOnce)
		for _, name := range names {
			file, is := captureNamed(name)
			if !is || !ofInstrument(file, q.Instrument) {
				continue
			}
			if list.Total++; q.Before == "" || name < q.Before {
				list.Files = append(list.Files, file)
			}
		}
		list.Files = newestFiles(list.Files, q.Limit+1)
		if errors.Is(err, io.EOF) {
			break
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return list, err
		}
	}
	if list.More = len(list.Files) > q.Limit; list.More {
		list.Files = list.Files[:q.Limit]
	}
	list.Files = withSizes(root, list.Files)
	return list, nil
}

// newestFiles are the first few of the files, the newest first.
func newestFiles(files []console.CaptureFile, most int) []console.CaptureFile {
	slices.SortFunc(files, func(a, b console.CaptureFile) int { return strings.Compare(b.Name, a.Name) })
	return files[:min(len(files), most)]
}

// withSizes fills in how large the files are, and leaves out what is none, or is gone
// meanwhile.
func withSizes(root *os.Root, files []console.CaptureFile) []console.CaptureFile {
	there := files[:0]
	for _, file := range files {
		if info, err := root.Lstat(file.Name); err == nil && info.Mode().IsRegular() {
			file.Size = info.Size()
			there = append(there, file)
		}
	}
	return there
}

// openCapture is console.Captures.Open.
func (d *daemon) openCapture(destination, name string) (file console.CaptureFile, _ io.ReadCloser, err error) {
	file, is := captureNamed(name)
	if !is {
		return file, nil, fmt.Errorf("%w: no capture is called so", spool.ErrNotFound)
	}
	root, err := d.captureRoot(destination)
	if err != nil {
		return file, nil, notThere(err)
	}
	defer root.Close()
	// A link is no capture, wherever it leads.
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return file, nil, fmt.Errorf("%w: there is no such capture; the oldest ones may have been removed", spool.ErrNotFound)
	}
	content, err := root.Open(name)
	if err != nil {
		return file, nil, notThere(err)
	}
	file.Size = info.Size()
	return file, content, nil
}

func notThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", spool.ErrNotFound, err)
	}
	return err
}
