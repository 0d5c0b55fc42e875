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
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	sources  map[string]source
	names    []string // sorted: recognition must not depend on the order of a map
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
		maps.Copy(sources, own)
	}
	return build(o, sources)
}

func ownSources(directory string) (map[string]source, error) {
	if _, err := os.Stat(directory); err != nil {
		return nil, err
	}
	own, err := sources(os.DirFS(directory), ".")
	if err != nil {
		return nil, err
	}
	for name, s := range own {
		own[name] = source{filepath.Join(directory, s.file), s.text, true}
	}
	return own, misnamed(directory)
}

// misnamed finds files that look like profiles and would not be read.
func misnamed(directory string) error {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	var wrong Mistakes
	for _, e := range entries {
		extension := filepath.Ext(e.Name())
		if lower := strings.ToLower(extension); (lower == ".yml" || lower == ".yaml") && extension != ".yaml" {
			wrong = append(wrong, Mistake{filepath.Join(directory, e.Name()), 1, 1, "profiles are read from files that end in .yaml; rename it"})
		}
	}
	if wrong == nil {
		return nil
	}
	return wrong
}

// source is a definition as its file has it.
type source struct {
	file string // its name, with the directory where it is not a built-in one
	text []byte
	own  bool // from the user's directory
}

// sources returns the definitions by name.
func sources(files fs.FS, directory string) (map[string]source, error) {
	names, err := fs.Glob(files, directory+"/*.yaml")
	if err != nil {
		return nil, err
	}
	found := map[string]source{}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		file := filepath.Base(name)
		found[strings.TrimSuffix(file, ".yaml")] = source{file, text, false}
	}
	return found, nil
}

func build(o Options, texts map[string]source) (*Set, error) {
	profiles := map[string]*profile{}
	if !texts[genericASTM].own && !texts[genericHL7].own {
		maps.Copy(profiles, builtinProfiles())
		maps.DeleteFunc(profiles, func(name string, _ *profile) bool { return texts[name].own })
	}
	if mistakes := decodeInto(profiles, texts); len(mistakes) > 0 {
		return nil, mistakes
	}
	return &Set{options: o, profiles: profiles, sources: texts, names: slices.Sorted(maps.Keys(profiles))}, nil
}

// builtinProfiles are the built-in definitions over the built-in bases. They are read once: each start needs them
// twice, and reading them is a tenth of it. There is none where one is wrong, which is found where it is read again.
var builtinProfiles = sync.OnceValue(func() map[string]*profile {
	profiles := map[string]*profile{}
	texts, err := sources(builtin, "definitions")
	if err != nil || len(decodeInto(profiles, texts)) > 0 {
		return nil
	}
	return profiles
})

// decodeInto reads the definitions that are not there yet. The generic ones come first, for they lie under all
// others. A vendor's own format has ASTM's records once it is read, and so ASTM's names.
func decodeInto(profiles map[string]*profile, texts map[string]source) (mistakes Mistakes) {
	decode := func(name string, over bases) *profile {
		if profiles[name] == nil {
			p, wrong := decodeDefinition(texts[name], over)
			profiles[name], mistakes = p, append(mistakes, wrong...)
		}
		return profiles[name]
	}
	astm, hl7 := decode(genericASTM, nil), decode(genericHL7, nil)
	over := bases{envelope.ASTM: astm, envelope.Vendor: astm, envelope.HL7: hl7}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		decode(name, over)
	}
	return mistakes
}

// Check returns all that is wrong in the definition with the given file name, and
// in the built-in ones with it among them.
func Check(file string, text []byte) (Mistakes, error) {
	texts, err := sources(builtin, "definitions")
	if err != nil {
		return nil, fmt.Errorf("built-in profiles: %w", err)
	}
	texts[strings.TrimSuffix(filepath.Base(file), ".yaml")] = source{file, text, true}
	if extension := filepath.Ext(file); extension != ".yaml" {
		return Mistakes{{file, 1, 1, "profiles are read from files that end in .yaml; rename it"}}, nil
	}
	_, err = build(Options{}, texts)
	var mistakes Mistakes
	if errors.As(err, &mistakes) {
		return mistakes, nil
	}
	return nil, err
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
	Format     string         // of a maker's own: one of vendor's formats

	// Frames are the accepted frames as received, STX to LF (ASTM only).
	// Text is what they carry joined, or an HL7 message. Whole is that message as
	// received, with what stood around it in its block; nil where that is Text.
	Frames [][]byte
	Text   []byte
	Whole  []byte

	Intake  envelope.Intake
	Reason  string          // why Intake is not Accepted
	Deliver []envelope.Kind // the kinds that go to a LIMS; nil for all but test
}
