package profile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/envelope"
)

// recognise returns the profile for a message: the configured one; else the one
// whose match fits the sender (H-5, MSH-3, MSH-4); else one that fits in any
// other place; else the generic one. Two equal matches are a problem, never a
// loss.
func (s *Set) recognise(protocol envelope.Protocol, configured string, records []record) (p *profile, problem string) {
	if p := s.profiles[configured]; p != nil && p.protocol == protocol {
		return p, ""
	}
	var best, tie *profile
	rank := 0
	for _, name := range s.names {
		p := s.profiles[name]
		if p.protocol != protocol {
			continue
		}
		r := 2 * p.fits(records)
		if r > 0 && p.own {
			r++
		}
		switch {
		case r > rank:
			best, rank, tie = p, r, nil
		case r == rank && r > 0:
			tie = p
		}
	}
	switch {
	case tie != nil:
		return s.generic(protocol), fmt.Sprintf("two profiles match this header equally, %s and %s; name one with profile: in the configuration", best.name, tie.name)
	case best == nil:
		return s.generic(protocol), ""
	}
	return best, ""
}

func (s *Set) generic(protocol envelope.Protocol) *profile {
	if protocol == envelope.HL7 {
		return s.profiles[genericHL7]
	}
	return s.profiles[genericASTM]
}

// fits returns the rank of the best place where the profile's match fits, 0
// for none.
func (p *profile) fits(records []record) int {
	rank := 0
	for _, m := range p.match {
		for _, r := range records {
			if text := m.at.in(r); text != "" && m.holds(canonical(text, r.d)) {
				rank = max(rank, m.rank)
			}
		}
	}
	return rank
}

// canonical writes a field with the standard's delimiters, in which matches
// are written.
func canonical(text string, d delimiters) string {
	standard := delimiters{repeat: '\\', component: '^'}
	if d.hl7 {
		standard.repeat = '~'
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case rune(d.component):
			return rune(standard.component)
		case rune(d.repeat):
			return rune(standard.repeat)
		}
		return r
	}, text)
}

// Quirks returns how the line of the instrument that sent this header deviates
// from the standard. Text is what the first frame of a message carries.
func (s *Set) Quirks(configured string, text []byte) Quirks {
	p, _ := s.recognise(envelope.ASTM, configured, headerOf(envelope.ASTM, text))
	return p.quirks
}

// Ack returns how the HL7 messages of the sender of this one are acknowledged:
// auto, original, enhanced, or "" where its profile does not say.
func (s *Set) Ack(configured string, text []byte) string {
	if p := s.profiles[configured]; p != nil && p.protocol == envelope.HL7 {
		return p.quirks.Ack
	}
	said := func(name string) bool {
		return s.profiles[name].protocol == envelope.HL7 && s.profiles[name].quirks.Ack != ""
	}
	if !slices.ContainsFunc(s.names, said) {
		return "" // as mostly: no need to look for the sender again
	}
	p, _ := s.recognise(envelope.HL7, "", headerOf(envelope.HL7, text))
	return p.quirks.Ack
}

// Recognise returns the name of the profile that fits a message's text by its
// beginning alone.
func (s *Set) Recognise(protocol envelope.Protocol, text []byte) string {
	records := headerOf(protocol, text)
	p, _ := s.recognise(protocol, "", records)
	return p.name
}

// beginning is how much of an HL7 message is looked at to recognise its sender:
// some leave MSH-3 empty and name themselves in OBR. What follows may be
// megabytes.
const beginning = 4 << 10

// headerOf splits no more than what tells the sender: of an ASTM message the
// header, of an HL7 message its beginning. Where that meets a mistake of this
// program there is no header: the message itself is still to be kept.
func headerOf(protocol envelope.Protocol, text []byte) (records []record) {
	defer func() {
		if recover() != nil {
			records = nil
		}
	}()
	if protocol == envelope.HL7 {
		if len(text) > beginning {
			text = text[:max(bytes.LastIndexAny(text[:beginning], "\r\n"), 0)]
		}
		records, _ = parseHL7(string(text))
		return records
	}
	if end := bytes.IndexByte(text, '\r'); end >= 0 {
		text = text[:end+1]
	}
	records, _ = parseASTM(string(text))
	return records
}

// Protocol returns the protocol of the named profile; known is false where
// there is no such profile.
func (s *Set) Protocol(name string) (protocol envelope.Protocol, known bool) {
	p, known := s.profiles[name]
	if !known {
		return "", false
	}
	return p.protocol, true
}

// Title returns for which instruments a profile is.
func (s *Set) Title(name string) string {
	if p := s.profiles[name]; p != nil {
		return p.title
	}
	return ""
}

// Generic reports whether a profile is for any instrument, so that it says nothing
// of which one has sent.
func Generic(name string) bool { return name == genericASTM || name == genericHL7 }

// Source returns the text of a profile's definition.
func (s *Set) Source(name string) (text []byte, known bool) {
	from, known := s.sources[name]
	return from.text, known
}

// Place is a field of a record or segment, counted from 1.
type Place struct {
	Record string
	Field  int
}

// Reads returns the places where a profile looks for a part of its results:
// sample, test, value or units. The name "" stands for the protocol's generic
// profile. Known is false where there is no such profile.
func (s *Set) Reads(name string, protocol envelope.Protocol, part string) (places []Place, known bool) {
	p := s.generic(protocol)
	if name != "" {
		if p, known = s.profiles[name]; !known {
			return nil, false
		}
	}
	i := slices.Index(partNames[:], part)
	if i < 0 {
		return nil, true
	}
	for _, at := range p.results[i] {
		if place := (Place{at.record, at.field}); !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	return places, true
}
