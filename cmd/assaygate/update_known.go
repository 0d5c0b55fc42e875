package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/image/update/agent"
)

// knownUpdates is what a box knows of its updates, as in the agent's files. Whoever
// shows it reads them: the agent may be at anything, or not run.
type knownUpdates struct {
	status  updateStatus
	runs    bool // the agent does; else the status is empty but for the outcome
	outcome *agent.Outcome
}

// errNoUpdates is for a host that is no box.
var errNoUpdates = errors.New("this host is not the box, and gets no updates of a box: put a new program in place of this one, and restart the gateway")

// known reads the files. Its error says why nothing is known.
func (p updatePlaces) known() (k knownUpdates, err error) {
	if _, err := p.box(); errors.Is(err, fs.ErrNotExist) {
		return k, errNoUpdates
	}
	k.status, err = p.statusNow()
	switch {
	case err == nil:
		k.runs = true
	case !errors.Is(err, fs.ErrNotExist):
		return k, fmt.Errorf("the status of updates cannot be read: %w", err)
	}
	var outcome agent.Outcome
	if text, err := readPlain(filepath.Join(p.state(), "outcome.json"), mostStatus); err == nil && json.Unmarshal(text, &outcome) == nil && outcome.Result != "" {
		k.outcome = &outcome
	}
	k.status.Outcome = k.outcome
	if !k.runs {
		started := p.started()
		k.status.Running = agent.Runs{Slot: started.slot, Version: started.version}
	}
	return k, nil
}

// statusNow is what the agent says of itself. Its error is fs.ErrNotExist where it does not run.
func (p updatePlaces) statusNow() (s updateStatus, err error) {
	if err := readWord(p.status(), &s); err != nil {
		return updateStatus{}, err
	}
	if s.Format != updateStatusFormat {
		return updateStatus{}, fmt.Errorf("it is of format %d, and this program knows %d", s.Format, updateStatusFormat)
	}
	return s, nil
}

// readWord decodes a file of the agent's, which may be at anything: it may be of
// any length, and of any kind.
func readWord(path string, into any) error {
	text, err := readPlain(path, mostStatus+1)
	switch {
	case err != nil:
		return err
	case len(text) > mostStatus:
		return fmt.Errorf("it has more than %d KiB", mostStatus>>10)
	}
	return json.Unmarshal(text, into)
}

// underWay reports whether a release is being installed, started or tried, so that
// whoever switches the box off now spoils it. A download goes on where it was cut off.
func (p updatePlaces) underWay() bool {
	s, err := p.statusNow()
	return err == nil && slices.Contains([]agent.Phase{agent.Installing, agent.Restarting, agent.OnTrial}, s.Phase)
}

// fact is one line of what is known: what it is about, and how that stands.
type fact struct{ name, value string }

// facts are what a person wants to know, the most important first.
func (k knownUpdates) facts() []fact {
	var list []fact
	add := func(name, value string) {
		if value != "" {
			list = append(list, fact{name, value})
		}
	}
	s := k.status
	running := s.Running.Version
	if s.Running.Slot != "" {
		running += ", in slot " + s.Running.Slot
	}
	add("Version", running)
	if s.Other.Name != "" {
		other := "slot " + s.Other.Name + ": " + orElse(s.Other.Version, "a version that is not known")
		if !s.Other.Good {
			other = "none: " + s.NoWayBack
		}
		add("Way back", other)
	}
	if !k.runs {
		add("Now", "the update agent does not run: no release comes, and none is installed")
	}
	add("Updates", prefixed("off: ", s.Off))
	add("Slots", prefixed("RAUC does not tell of them: ", s.SlotsError))
	add("Now", k.now())
	add("Offered", s.Offered)
	add("Waits", s.Why)
	for _, one := range s.Sources {
		add("From "+one.Name, source(one))
	}
	if k.runs && s.Off == "" && s.Repository == "" {
		add("Network", "no repository is configured: releases come by stick")
	}
	add("Window", s.Window)
	add("Last update", k.last())
	return list
}

func (k knownUpdates) now() string {
	switch s := k.status; s.Phase {
	case agent.Downloading, agent.Installing:
		return fmt.Sprintf("%s, %d%%", s.Phase, s.Percent)
	default:
		return string(s.Phase)
	}
}

// source is how it stands with one repository.
func source(s agent.SourceStatus) string {
	said := []string{}
	if !s.Checked.IsZero() {
		said = append(said, "asked at "+s.Checked.Local().Format(time.DateTime))
	}
	if s.Error != "" {
		said = append(said, "does not answer as it should: "+s.Error)
	}
	said = append(said, s.Warnings...)
	if len(said) == 0 && !s.Local {
		return "not asked yet"
	}
	return strings.Join(said, "; ")
}

// last is what became of the last update.
func (k knownUpdates) last() string {
	o := k.outcome
	if o == nil {
		return ""
	}
	at := ""
	if o.Clock == "set" {
		at = " on " + o.At.Local().Format(time.DateTime)
	}
	reason := prefixed(": ", o.Reason)
	switch o.Result {
	case agent.Installed:
		return fmt.Sprintf("version %s was installed%s and is good; before it ran %s", o.Version, at, o.From)
	case agent.FellBack:
		return fmt.Sprintf("version %s was tried, and the box went back to %s%s%s", o.Version, o.Running.Version, at, reason)
	case agent.Refused:
		return fmt.Sprintf("version %s was refused%s%s; nothing was changed", o.Version, at, reason)
	}
	return fmt.Sprintf("version %s could not be installed%s%s", o.Version, at, reason)
}

func (k knownUpdates) lines() []string {
	list := []string{}
	for _, one := range k.facts() {
		list = append(list, fmt.Sprintf("%-12s %s", one.name, one.value))
	}
	return list
}

// prefixed puts something before a text that there is.
func prefixed(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
