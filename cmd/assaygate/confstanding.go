package main

import (
	"encoding/json"
	"time"
)

// configStanding is what is known of the configuration that runs, for reports.
type configStanding struct {
	Path    string    // of its file; "" for the built-in one
	Factory bool      // it is the factory's: there is no file of the box's own yet
	Since   time.Time // when it was taken, as far as the box knew the time
	By      string    // who brought it: "start", "file", "stick", "the one before"
	// Refused is why the file as it stands is not used; "" where it is.
	Refused string
	OnTrial bool
	Left    time.Duration // of the trial
	// NeedsKeeping says that a person has to keep it, however well it runs.
	NeedsKeeping bool
	// Missing are the listeners that are not open, each with the reason.
	Missing   []string
	TakenBack *takenBack // the last change, where it was taken back
}

// standingConfig tells what runs, since when, whether on trial and for how long
// still, and whether and why the last change was taken back.
func (d *daemon) standingConfig() configStanding {
	s := &d.changes
	s.mu.Lock()
	is := s.standing
	if s.trial != nil {
		is.OnTrial, is.Left, is.NeedsKeeping = true, max(0, s.trial.left()), s.trial.person
	}
	s.mu.Unlock()
	is.Missing = d.notOpen()
	if s.journal == nil {
		return is
	}
	if text, err := s.journal.TakenBack(); err == nil && text != nil {
		var back takenBack
		if json.Unmarshal(text, &back) == nil {
			is.TakenBack = &back
		}
	}
	return is
}

// taken notes that a configuration is used from now on.
func (s *changes) taken(by string) {
	path, err := s.source.file(systemConfig)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standing.By, s.standing.Since = by, time.Now()
	if err == nil {
		s.standing.Path, s.standing.Factory = path, path != "" && path == s.source.Factory
	}
}

func (s *changes) atFactory() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.standing.Factory
}

// refused reports whether the files are refused as they stood last.
func (s *changes) refused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.standing.Refused != ""
}

// refuses notes why the files are refused, "" where they are not. It reports
// whether that was known.
func (s *changes) refuses(why string) (known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known = s.standing.Refused == why
	s.standing.Refused = why
	return known
}
