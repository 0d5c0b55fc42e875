package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/envelope/spool"
)

// supportSources is where a support bundle comes from. A function that is nil, or
// fails, leaves its part out; the bundle then says why.
type supportSources struct {
	version string
	board   board.System
	// directories are those of store and captures, for the room they have.
	directories map[string]string
	config      func() (text []byte, name string, err error) // as it is, with its secrets
	metrics     func(context.Context) ([]byte, error)
	status      func(context.Context) (spool.Status, error)
	ports       func(context.Context) (any, error)
	log         func(context.Context) ([]byte, error)
	updates     updatePlaces
}

// Bounds of a support bundle.
const (
	maxSupportPart = 8 << 20          // bytes of one part
	supportTimeout = 20 * time.Second // for one part
)

const supportReadme = `This is a support bundle of an Assaygate box, for whoever helps with it.

versions.json   the program
config.yaml     the configuration, without its secrets and comments
metrics.txt     the counters of the gateway, as at /metrics
spool.json      how many messages wait, are delivered or parked; none of them
ports.json      the serial ports
system.json     board, card, kernel, network addresses, time
log.txt         the newest lines of the gateway's log
update.json     of a box: what runs, what is offered, and what became of the last update
errors.txt      of a box: the errors of all its parts, over many starts
missing.txt     what could not be had, and why

There is no message, no sample number and no patient's data in it, and no
password. It does tell names and addresses of machines.
`

// writeSupport writes a support bundle, a gzipped tar, encrypted to the key where
// there is one. Its error says that it is not whole.
func writeSupport(ctx context.Context, to io.Writer, key ed25519.PublicKey, s supportSources) error {
	if key == nil {
		return s.write(ctx, to)
	}
	encrypted, err := owner.Encrypt(to, key)
	if err != nil {
		return err
	}
	return errors.Join(s.write(ctx, encrypted), encrypted.Close())
}

func (s supportSources) write(ctx context.Context, to io.Writer) error {
	zipped := gzip.NewWriter(to)
	out := tar.NewWriter(zipped)
	now := time.Now().UTC()
	put := func(name string, data []byte) error {
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600, ModTime: now, Format: tar.FormatPAX}); err != nil {
			return err
		}
		_, err := out.Write(data)
		return err
	}
	if err := put("README.txt", []byte(supportReadme)); err != nil {
		return err
	}
	var missing strings.Builder
	for _, part := range s.parts(now) {
		data, err := gather(ctx, part.read)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(&missing, "%s: %v\n", part.name, err)
			continue
		}
		if err := put(part.name, data); err != nil {
			return err
		}
	}
	if missing.Len() > 0 {
		if err := put("missing.txt", []byte(missing.String())); err != nil {
			return err
		}
	}
	return errors.Join(out.Close(), zipped.Close())
}

// supportPart is one file of a bundle.
type supportPart struct {
	name string
	read func(context.Context) ([]byte, error)
}

func (s supportSources) parts(now time.Time) []supportPart {
	parts := []supportPart{
		{"versions.json", func(context.Context) ([]byte, error) {
			return indented(map[string]string{
				"version": s.version, "commit": commit, "go": runtime.Version(), "target": runtime.GOOS + "/" + runtime.GOARCH,
			})
		}},
		{"config.yaml", func(context.Context) ([]byte, error) {
			if s.config == nil {
				return nil, errUnknown
			}
			text, name, err := s.config()
			if err != nil {
				return nil, err
			}
			return publicConfig(text, name)
		}},
		{"metrics.txt", s.metrics},
		{"spool.json", func(ctx context.Context) ([]byte, error) {
			if s.status == nil {
				return nil, errUnknown
			}
			status, err := s.status(ctx)
			if err != nil {
				return nil, err
			}
			return indented(countsOnly(status))
		}},
		{"ports.json", func(ctx context.Context) ([]byte, error) {
			if s.ports == nil {
				return nil, errUnknown
			}
			list, err := s.ports(ctx)
			if err != nil {
				return nil, err
			}
			return indented(list)
		}},
		{"system.json", func(context.Context) ([]byte, error) { return indented(s.system(now)) }},
		{"log.txt", s.log},
	}
	if known, err := s.updates.known(); err == nil {
		parts = append(parts, supportPart{"update.json", func(context.Context) ([]byte, error) { return indented(known.status) }})
	}
	if there(keptErrorsFile) || there(keptErrorsFile+".1") {
		parts = append(parts, supportPart{"errors.txt", keptErrors})
	}
	return parts
}

var errUnknown = errors.New("not known here")

// gather reads one part, with its limits.
func gather(ctx context.Context, read func(context.Context) ([]byte, error)) ([]byte, error) {
	if read == nil {
		return nil, errUnknown
	}
	ctx, cancel := context.WithTimeout(ctx, supportTimeout)
	defer cancel()
	data, err := read(ctx)
	if err == nil && len(data) > maxSupportPart {
		return nil, fmt.Errorf("it has more than %d MiB", maxSupportPart>>20)
	}
	return data, err
}

// countsOnly leaves the reasons out: they may quote what a LIMS has answered.
func countsOnly(status spool.Status) spool.Status {
	const yes = "yes; the reason is left out"
	destinations := make([]spool.DestinationStatus, len(status.Destinations))
	for i, d := range status.Destinations {
		if d.Held != "" {
			d.Held = yes
		}
		if d.Unread != "" {
			d.Unread = yes
		}
		destinations[i] = d
	}
	status.Destinations = destinations
	return status
}

func indented(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(value)
	return text.Bytes(), err
}
