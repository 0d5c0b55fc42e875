package agent

import (
	"fmt"
	"time"
)

// Phase is what the agent does.
type Phase string

// The phases.
const (
	Idle        Phase = ""
	Checking    Phase = "checking"
	Downloading Phase = "downloading"
	Waiting     Phase = "waiting" // for the right moment
	Installing  Phase = "installing"
	Restarting  Phase = "restarting"
	OnTrial     Phase = "on trial"
)

// Status is what people, the metrics and the report of a stick are told.
type Status struct {
	Phase   Phase `json:"phase"`
	Percent int   `json:"percent"` // of the download, or of the installation
	Running Runs  `json:"running"`
	Other   Slot  `json:"other"`
	// NoWayBack says that the other slot holds nothing that could be started, empty
	// where it does.
	NoWayBack  string `json:"no_way_back,omitempty"`
	SlotsError string `json:"slots_error,omitempty"` // RAUC could not be asked
	// Offered is the release that is, or would be, installed next, and Why what it
	// waits for. OfferedFrom is the name of its source.
	Offered     string         `json:"offered,omitempty"`
	OfferedFrom string         `json:"offered_from,omitempty"`
	Notes       string         `json:"notes,omitempty"`
	Why         string         `json:"why,omitempty"`
	Checked     time.Time      `json:"checked,omitzero"` // the last answer over the network
	Sources     []SourceStatus `json:"sources,omitempty"`
	Outcome     *Outcome       `json:"outcome,omitempty"`
	Draw        float64        `json:"draw"`
}

// SourceStatus is what is known of a repository.
type SourceStatus struct {
	Name     string    `json:"name"`
	Local    bool      `json:"local,omitempty"`
	Checked  time.Time `json:"checked,omitzero"`
	Next     time.Time `json:"next,omitzero"`
	Error    string    `json:"error,omitempty"`
	Warnings []string  `json:"warnings,omitempty"`
}

// Status returns how things are now.
func (a *Agent) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}

// set changes the status, and reports it where it is another one.
func (a *Agent) set(change func(*Status)) {
	a.mu.Lock()
	change(&a.status)
	status := a.status
	a.mu.Unlock()
	if a.Report != nil {
		a.Report(status)
	}
}

// percent passes on how far something is, where that is news. To the log each tenth is.
func (a *Agent) percent(percent int) {
	a.mu.Lock()
	before := a.status
	a.mu.Unlock()
	if percent == before.Percent {
		return
	}
	if percent/10 > before.Percent/10 {
		a.log.Info("an update gets on", "version", before.Offered, "phase", string(before.Phase), "percent", percent)
	}
	a.set(func(s *Status) { s.Percent = percent })
}

// tell says what was decided.
func (a *Agent) tell(d decision) {
	sources := []SourceStatus{}
	for _, source := range a.sources {
		s := SourceStatus{Name: source.Name, Local: source.Local, Checked: source.checked, Next: source.due, Warnings: source.warnings}
		if source.err != nil {
			s.Error = source.err.Error()
		}
		sources = append(sources, s)
	}
	a.set(func(s *Status) {
		if s.Why != d.why && d.why != "" {
			a.log.Info("an update waits", "version", d.offer.version(), "reason", d.why)
		}
		s.Phase, s.Percent, s.Sources, s.Why, s.Offered, s.OfferedFrom, s.Notes = d.phase, 0, sources, d.why, "", "", d.offer.Release.Notes
		if d.offer.Hash != "" {
			s.Offered, s.OfferedFrom = d.offer.version(), d.offer.source
		}
	})
}

// noWayBack says that there is nothing to fall back to.
func noWayBack(other Slot) string {
	if other.Good {
		return ""
	}
	return fmt.Sprintf("slot %s holds no system that could be started: its installation was cut off, or the boot loader gave it up. "+
		"Until the next update has succeeded there is no way back from the system that runs", other.Name)
}
