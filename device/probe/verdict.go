package probe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/protocols/vendor"
)

// Sureness says how far a verdict can be relied on.
type Sureness string

// From what cannot be chance to nothing.
const (
	Certain Sureness = "certain" // checksums or whole messages were right
	Likely  Sureness = "likely"  // several calls of the instrument, or records as text
	Guess   Sureness = "guess"   // something made sense, once
	Unknown Sureness = "unknown" // nothing did
)

// Verdict is the outcome of a probe.
type Verdict struct {
	Sure Sureness `json:"sure"`
	// Setting is that of the line; its zero value where Sure is Unknown.
	Setting Setting `json:"setting"`
	// Also are settings that fit as well.
	Also []string `json:"also"`
	// Protocol and Profile are as in the configuration; "" where they are not told.
	Protocol string `json:"protocol"`
	Profile  string `json:"profile"`
	// Saw is what was heard at each setting that was listened to.
	Saw []Observation `json:"saw"`
}

// sureness of one fit, with how much noise there was beside it.
func (f Fit) sureness(noise int) Sureness {
	switch {
	case f.proofs() > 0:
		return Certain
	case f.Bursts <= noise:
		return Guess
	case f.records, f.Calls > 0 && f.Ends > 0, f.Calls >= 3 && (f.DataBits == 7 || f.Parity == "none"):
		return Likely
	}
	return Guess
}

func (s Sureness) rank() int { return slices.Index([]Sureness{Unknown, Guess, Likely, Certain}, s) }

// verdict weighs all that was heard.
func (s *search) verdict() Verdict {
	v := Verdict{Sure: Unknown, Also: []string{}, Saw: []Observation{}}
	var best Fit
	for _, o := range s.seen {
		seen := *o
		if seen.Fits == nil {
			seen.Fits = []Fit{}
		}
		v.Saw = append(v.Saw, seen)
		if len(o.Fits) == 0 {
			continue
		}
		first := o.Fits[0]
		sure := first.sureness(o.Noise)
		switch rank := sure.rank() - v.Sure.rank(); {
		case rank > 0, rank == 0 && first.better(best) > 0:
			v.Sure, best, v.Also = sure, first, o.others()
		case rank == 0 && first.better(best) == 0:
			v.Also = append(append(v.Also, first.Setting.String()), o.others()...)
		}
	}
	if v.Sure == Unknown {
		return v
	}
	v.Setting = best.Setting
	slices.Sort(v.Also)
	v.Also = slices.DeleteFunc(slices.Compact(v.Also), func(name string) bool { return name == best.Setting.String() })
	v.Protocol, v.Profile = best.language()
	return v
}

// others are the formats that what was heard fits as well as the best one.
func (o *Observation) others() []string {
	names := []string{}
	for _, f := range o.Fits[1:] {
		if f.better(o.Fits[0]) == 0 {
			names = append(names, f.Setting.String())
		}
	}
	for _, one := range o.blurred(o.Fits[0]) {
		names = append(names, one.String())
	}
	return names
}

// language is what the line speaks, as the configuration has it.
func (e Evidence) language() (protocol, profile string) {
	switch {
	case e.Blocks > 0:
		return "hl7", ""
	case e.format == string(vendor.Emerald):
		return "vendor", "celldyn_emerald"
	case e.Frames+e.Calls+e.Packets > 0: // other makers' packets come over lines for ASTM
		return "astm", ""
	}
	return "", ""
}

// settled reports that more listening would say no more.
func (s *search) settled() bool {
	for _, o := range s.seen {
		if len(o.Fits) > 0 && o.Fits[0].sureness(o.Noise).rank() >= Likely.rank() {
			return true
		}
	}
	return false
}

// YAML is the line of the configuration for a port of this name, "" where nothing
// was found.
func (v Verdict) YAML(name string) string {
	if v.Sure == Unknown {
		return ""
	}
	text := fmt.Sprintf("serial: {port: %q, baud: %d, data_bits: %d, parity: %s, stop_bits: %d}\n",
		name, v.Setting.Baud, v.Setting.DataBits, v.Setting.Parity, v.Setting.StopBits)
	if v.Protocol != "" && v.Protocol != "astm" { // the default
		text += "protocol: " + v.Protocol + "\n"
	}
	if v.Profile != "" {
		text += "profile: " + v.Profile + "\n"
	}
	return text
}

// Describe says in words what was heard, for a person.
func (e Evidence) Describe() string {
	var parts []string
	for _, one := range []struct {
		n    int
		what string
	}{
		{e.Frames, "ASTM frames with right checksums"},
		{e.Blocks, "whole HL7 messages"},
		{e.Packets, "whole packets of " + e.format},
		{e.Calls, "ENQ"},
		{e.Ends, "EOT"},
		{e.Texts, "bursts of plausible text"},
	} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d", one.what, one.n))
		}
	}
	return strings.Join(parts, ", ")
}
