package senaitetest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Analysis is one analysis of a sample, as SENAITE keeps it.
type Analysis struct {
	Keyword    string
	Title      string // "" is the keyword
	ShortTitle string
	Result     string            // as stored; for a choice its value, for several a JSON list
	Operand    string            // < or >, of a result beyond a detection limit
	State      string            // "" is unassigned; see senaite.core's analysis workflow
	Options    map[string]string // choices: value to text
	Calculated bool              // from other results: importers leave it alone

	uid      string
	number   int // among all analyses: ids are unique within a sample
	retestOf string
	before   string    // the result that shows until appears
	set      time.Time // when an import set it; zero: shows at once
}

// sample is a sample, or a partition of one.
type sample struct {
	id, client string
	uid        string
	parent     *sample
	analyses   []*Analysis
}

// AddSample registers a received sample with an analysis for each keyword. A
// push for a sample that was not added is answered with success, and leaves
// nothing behind, as with a stock SENAITE; see [Server.OrderAsPushed].
func (s *Server) AddSample(id string, keywords ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(&sample{id: id}, keywords)
}

// AddPartition is AddSample for a partition of a sample.
func (s *Server) AddPartition(of, id string, keywords ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(&sample{id: id, parent: s.known(of)}, keywords)
}

func (s *Server) add(one *sample, keywords []string) {
	one.uid = s.newUID()
	s.samples = append(s.samples, one)
	for _, keyword := range keywords {
		s.addAnalysis(one, Analysis{Keyword: keyword})
	}
}

// SetClientID gives a sample the client's own id, which need not be unique.
func (s *Server) SetClientID(sample, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known(sample).client = id
}

// AddAnalysis adds an analysis to a sample, with whatever it holds.
func (s *Server) AddAnalysis(sample string, a Analysis) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addAnalysis(s.known(sample), a)
}

func (s *Server) addAnalysis(one *sample, a Analysis) {
	a.uid, a.number = s.newUID(), s.uids
	if a.State == "" {
		a.State = "unassigned"
	}
	one.analyses = append(one.analyses, &a)
}

// Retract makes the analyses of a keyword invalid, and adds one that awaits the
// result of a retest.
func (s *Server) Retract(sample, keyword string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.known(sample)
	for _, a := range slices.Clone(one.analyses) {
		if a.Keyword == keyword && a.valid() {
			a.State = "retracted"
			s.addAnalysis(one, Analysis{Keyword: a.Keyword, Title: a.Title, ShortTitle: a.ShortTitle, Options: a.Options, retestOf: a.uid})
		}
	}
}

// Change changes the analyses of a keyword, as a person at SENAITE may.
func (s *Server) Change(sample, keyword string, change func(a *Analysis)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.known(sample).analyses {
		if a.Keyword == keyword {
			change(a)
		}
	}
}

// Analyses returns the analyses of a sample, without those of its partitions.
func (s *Server) Analyses(sample string) []Analysis {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Analysis
	if one := s.find(sample); one != nil {
		for _, a := range one.analyses {
			list = append(list, *a)
		}
	}
	return list
}

func (s *Server) find(id string) *sample {
	for _, one := range s.samples {
		if one.id == id {
			return one
		}
	}
	return nil
}

// known is find for callers who added the sample.
func (s *Server) known(id string) *sample {
	one := s.find(id)
	if one == nil {
		panic("senaitetest: sample " + id + " was not added")
	}
	return one
}

func (s *Server) newUID() string {
	s.uids++
	return fmt.Sprintf("%032x", s.uids)
}

// ancestors are the sample's own UID and those of what it is a partition of.
func (one *sample) ancestors() []string {
	if one == nil {
		return nil
	}
	return append([]string{one.uid}, one.parent.ancestors()...)
}

func (a *Analysis) title() string {
	if a.Title == "" {
		return a.Keyword
	}
	return a.Title
}

func (a *Analysis) valid() bool {
	return a.State != "retracted" && a.State != "rejected" && a.State != "cancelled"
}

// named reports whether an importer would take the analysis for a test.
func (a *Analysis) named(test string) bool {
	return strings.EqualFold(strings.TrimSpace(test), a.Keyword)
}
