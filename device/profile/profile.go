// Package profile knows instruments, as data: one YAML definition a model says
// how to recognise it, what its fields are called, where its results stand and
// how its line deviates from the standard. From a message's bytes and the
// definition that fits, [Set.Envelopes] makes the envelopes that the box keeps
// and delivers.
//
// It never fails and never loses: what cannot be understood travels as raw
// bytes with a problem. It is also the one place where an allowlist is applied,
// before anything reaches disk, log, console or LIMS.
package profile

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

//go:embed definitions/*.yaml
var builtin embed.FS

// Names of the definitions that hold for an instrument nobody knows.
const (
	genericASTM = "generic_astm"
	genericHL7  = "generic_hl7"
)

// Options are what a [Set] needs to know of its box.
type Options struct {
	Directory string             // of the user's own definitions, which win over built-in ones; may be ""
	Box       string             // the box's name
	Key       []byte             // for digests, so that they give nothing away
	Allow     envelope.Allowlist // what may leave the line
}

// Set is a closed set of definitions, ready to use. It is not changed after
// [Load] and may be used by many goroutines.
type Set struct {
	options  Options
	profiles map[string]*profile
	sources  map[string][]byte // the definitions' texts
	names    []string          // sorted: recognition must not depend on the order of a map
}

// Load reads the built-in definitions and those of the directory.
func Load(o Options) (*Set, error) {
	sources, err := sources(builtin, "definitions")
	if err != nil {
		return nil, fmt.Errorf("built-in profiles: %w", err)
	}
	if o.Directory != "" {
		own, err := ownSources(o.Directory)
		if err != nil {
			return nil, fmt.Errorf("profiles in %s: %w", o.Directory, err)
		}
		for name, data := range own {
			sources[name] = data
		}
	}
	return build(o, sources)
}

func ownSources(directory string) (map[string][]byte, error) {
	if _, err := os.Stat(directory); err != nil {
		return nil, err
	}
	return sources(os.DirFS(directory), ".")
}

// sources returns the definitions' texts by the name of their files.
func sources(files fs.FS, directory string) (map[string][]byte, error) {
	names, err := fs.Glob(files, directory+"/*.yaml")
	if err != nil {
		return nil, err
	}
	texts := map[string][]byte{}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		texts[strings.TrimSuffix(filepath.Base(name), ".yaml")] = text
	}
	return texts, nil
}

func build(o Options, texts map[string][]byte) (*Set, error) {
	s := &Set{options: o, profiles: map[string]*profile{}, sources: texts}
	bases := map[envelope.Protocol]*profile{}
	for protocol, name := range map[envelope.Protocol]string{envelope.ASTM: genericASTM, envelope.HL7: genericHL7} {
		p, err := parseDefinition(name, texts[name], nil)
		if err != nil {
			return nil, err
		}
		bases[protocol], s.profiles[name] = p, p
	}
	var errs []error
	for name, text := range texts {
		if _, done := s.profiles[name]; done {
			continue
		}
		p, err := parseDefinition(name, text, bases)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.profiles[name] = p
	}
	for name := range s.profiles {
		s.names = append(s.names, name)
	}
	slices.Sort(s.names)
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return s, errors.Join(errs...)
}

// Names returns the names of all profiles, sorted.
func (s *Set) Names() []string { return slices.Clone(s.names) }

// Raw is one message as it came over the line.
type Raw struct {
	Protocol   envelope.Protocol
	Instrument string         // the configured name of the line
	Remote     string         // the peer's address, or the port's name
	Profile    string         // the configured profile; "" to recognise it
	Charset    string         // the configured character set; "" for the protocol's default
	Zone       *time.Location // of the instrument's clock; nil if unknown
	Clock      string         // envelope.ClockSet or envelope.ClockUnset

	// Frames are the accepted frames as received, STX to LF (ASTM only).
	// Text is what they carry joined, or an MLLP block's content.
	Frames [][]byte
	Text   []byte

	Intake  envelope.Intake
	Reason  string          // why Intake is not Accepted
	Deliver []envelope.Kind // the kinds that go to a LIMS; nil for all but test
}
