package senaitetest

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Import is what the importer behind the push consumer does. The consumer says
// success in every case.
type Import string

// The importers. The first does what it is for; each other one is a way in which
// a stock SENAITE fails without a word.
const (
	ImportAll      Import = "all"       // sets the results of the analyses that await them
	ImportFails    Import = "fails"     // raises an exception, which the consumer logs
	ImportNowhere  Import = "nowhere"   // none is registered for the instrument: the default one raises
	ImportUnmapped Import = "unmapped"  // finds no analysis for any test
	ImportFirst    Import = "the first" // sets the first result and stops
	ImportOther    Import = "other"     // sets another value than the instrument's
	ImportNoLimit  Import = "no limit"  // loses the < of a result beyond a limit
)

// SetImport changes the importer.
func (s *Server) SetImport(i Import) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.importer = i
}

// Map makes the importer take a test of an instrument for the analysis of a
// keyword, as a laboratory's table does.
func (s *Server) Map(test, keyword string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mapping[test] = keyword
}

// AppearAfter makes imported results show that much later than they were set,
// as where SENAITE imports from a queue. It holds for those already set, too.
func (s *Server) AppearAfter(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appear = d
}

// OrderAsPushed makes a sample that is not known, and an analysis that it lacks,
// the moment a result for it is pushed: a laboratory where everything was
// ordered. It is off in a new Server, for no SENAITE does this.
func (s *Server) OrderAsPushed(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders = on
}

// imported is the part of a message that the importer reads: it stands for any
// importer that understands the instrument.
type imported struct {
	Own struct {
		Sample  string `json:"sample_id"`
		Kind    string `json:"kind"`
		Results []struct {
			Test, Value, Kind string
		} `json:"results"`
	} `json:"assaygate"`
}

// importMessage does what the importer does with a message.
func (s *Server) importMessage(message string) {
	var m imported
	if json.Unmarshal([]byte(message), &m) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.importer {
	case ImportFails, ImportNowhere, ImportUnmapped:
		return
	case ImportAll, ImportFirst, ImportOther, ImportNoLimit:
	}
	one := s.forImport(m.Own.Sample)
	if one == nil {
		return
	}
	for _, result := range m.Own.Results {
		if result.Kind == "" {
			result.Kind = m.Own.Kind
		}
		if m.Own.Kind == "test" || result.Kind != "result" || strings.TrimSpace(result.Value) == "" {
			continue
		}
		test := result.Test
		if keyword, mapped := s.mapping[test]; mapped {
			test = keyword
		}
		set := s.place(one, test, result.Value)
		if set && s.importer == ImportFirst {
			return
		}
	}
}

// forImport finds a sample as the stock importers do: by its id, or else by the
// client's id where only one has it.
func (s *Server) forImport(id string) *sample {
	if one := s.find(id); one != nil || id == "" {
		return one
	}
	var found []*sample
	for _, one := range s.samples {
		if one.client == id {
			found = append(found, one)
		}
	}
	switch {
	case len(found) == 1:
		return found[0]
	case len(found) == 0 && s.orders:
		s.add(&sample{id: id}, nil)
		return s.find(id)
	}
	return nil
}

// place sets the result of an analysis that awaits it, in the sample or in its
// partitions.
func (s *Server) place(one *sample, test, value string) bool {
	known, done := false, false
	for _, partition := range s.samples {
		if !slices.Contains(partition.ancestors(), one.uid) {
			continue
		}
		for _, a := range partition.analyses {
			if !a.named(test) || !a.valid() {
				continue
			}
			known = true
			if !a.Calculated && a.State != "verified" && a.State != "published" {
				a.setResult(value, s.importer)
				done = true
			}
		}
	}
	if !known && s.orders {
		s.addAnalysis(one, Analysis{Keyword: test})
		return s.place(one, test, value)
	}
	return done
}

// setResult stores a value in the way of SENAITE: a limit's operand has a field
// of its own, and of a choice the value is stored.
func (a *Analysis) setResult(value string, how Import) {
	if how == ImportOther {
		value = "4711"
	}
	before := a.Result
	a.Operand, a.Result = "", strings.TrimSpace(value)
	for stored, text := range a.Options {
		if strings.EqualFold(text, a.Result) {
			a.Result = stored
		}
	}
	if a.Result[0] == '<' || a.Result[0] == '>' {
		a.Operand, a.Result = a.Result[:1], strings.TrimSpace(a.Result[1:])
		if how == ImportNoLimit {
			a.Operand = ""
		}
	}
	a.State, a.before, a.set = "to_be_verified", before, time.Now()
}
