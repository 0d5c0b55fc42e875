package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/configdrive"
)

// report composes what a person reads on the stick: whether all is well, what has
// to be put right, what was done, and what runs now. It holds no secret and
// nothing of a message.
func (s *sticks) report(ctx context.Context, h configdrive.Handled) configdrive.Report {
	standing := s.d.standingConfig()
	s.trial, s.tried = standing.OnTrial, s.tried || standing.OnTrial
	takenBack := (s.adopted || s.tried) && standing.TakenBack != nil && !standing.OnTrial
	var errs, done, remarks []string
	if h.Refused != nil {
		errs = append(errs, h.Refused.Error())
	}
	errs = append(errs, h.Faults...)
	for _, one := range h.Outcomes {
		errs = append(errs, one.Errors...)
		done = append(done, one.Lines...)
		remarks = append(remarks, one.Remarks...)
	}
	if takenBack {
		errs = append(errs, "The new configuration was taken back: "+standing.TakenBack.Why+". Put that right and plug the stick in again.")
	}
	if s.untidied != nil && len(s.untidied.moved) > 0 && s.owner == nil && !h.Has(configdrive.ManifestName) {
		remarks = append(remarks, "The passwords are still on this stick: they are taken off it once the configuration stands.")
	}
	remarks = append(remarks, h.Notes...)
	destinations, waiting := s.destinations(ctx)
	s.release, s.told = h.Release, s.updateLine(h.Release)
	return configdrive.Report{
		Verdict: s.verdict(h, errs, standing, takenBack, waiting),
		Sections: []configdrive.Section{
			{Title: "To be put right", Lines: enumerated(errs)},
			{Title: "What was done with this stick", Lines: done},
			{Title: "To be noted", Lines: append(remarks, s.remarks(standing)...)},
			{Title: "This box", Lines: s.identity(ctx)},
			{Title: "The configuration that runs now", Lines: s.running(standing)},
			{Title: "Instruments", Lines: s.instruments()},
			{Title: "Destinations", Lines: destinations},
			{Title: "Updates", Lines: s.d.updateLines()},
			{Title: "Sealed stores", Lines: s.sealedLines()},
			{Title: "Serial ports that are there", Lines: s.d.portLines()},
			{Title: "What to do next", Lines: s.next(h, errs, standing)},
		},
	}
}

// verdict is the first line. A destination that takes nothing is no fault of
// the stick, but where somebody asks how the box is, all is not well.
func (s *sticks) verdict(h configdrive.Handled, errs []string, standing configStanding, takenBack bool, waiting []string) string {
	many := "one thing has"
	if len(errs) > 1 {
		many = fmt.Sprintf("%d things have", len(errs))
	}
	switch {
	case h.Refused != nil:
		return "Nothing was changed: this stick was not accepted. The reason is below."
	case len(h.Faults) > 0:
		return "Nothing was changed: this stick could not be used. The reason is below."
	case takenBack:
		return "Not all is well: the new configuration did not work here, and the one before is back. The reason is below."
	case len(errs) > 0 && s.adopted:
		return "Not all is well: the new configuration runs, but " + many + " to be put right (below)."
	case len(errs) > 0:
		return "Not all is well: " + many + " to be put right (below). The configuration was not changed."
	case s.d.brokenData() != nil:
		return "Not all is well: the box can store nothing, and takes no messages in (see what is to be noted)."
	case s.d.lostStore() != nil:
		return "Not all is well: the box has lost its store, and takes no messages in (see what is to be noted)."
	case standing.Refused != "":
		return "Not all is well: the box's own configuration cannot be used, and another runs in its place (below)."
	case standing.OnTrial:
		return "The new configuration runs, on trial: leave the stick in until this report says that it stands."
	case s.adopted:
		return s.told.beside("the new configuration runs")
	case s.told.busy != "":
		return upper(s.told.busy) + ": leave the stick in (see Updates)."
	case len(h.Notes) > 0 && len(h.Files) == 0 && !h.Release:
		return "Nothing was done: the box takes no file of this stick, because of their names. See what is to be noted."
	case len(waiting) > 0 && s.told.wrong != "":
		return "Not all is well with " + list(waiting) + " (see Destinations), and " + s.told.wrong + " (see Updates)."
	case len(waiting) > 0:
		return "Not all is well with " + list(waiting) + " (see Destinations)."
	case s.told.wrong != "":
		return "Not all is well: " + s.told.wrong + " (see Updates)."
	}
	return "All is well."
}

// mostErrors is how many are shown: nobody mends more at a time, and a stick
// could hold thousands.
const mostErrors = 100

func enumerated(lines []string) (list []string) {
	for i, line := range lines {
		if i == mostErrors {
			return append(list, fmt.Sprintf("... and %d more.", len(lines)-i))
		}
		list = append(list, fmt.Sprintf("%d. %s", i+1, line))
	}
	return list
}

// remarks are those on the box as it is.
func (s *sticks) remarks(standing configStanding) (lines []string) {
	c := s.d.config()
	lines = append(lines, s.d.dataNotes()...)
	if lost := s.d.lostStore(); lost != nil {
		lines = append(lines, lost.Error()+".")
	}
	for _, found := range c.missingFiles() {
		lines = append(lines, errorLines(found, "", "")...)
	}
	for _, part := range c.inactive() {
		lines = append(lines, part.Where+": is "+part.state()+": "+part.What)
	}
	if c.ConfigDrive == nil {
		lines = append(lines, "This configuration has no config_drive: the box reads no stick after this one. Who wants that back writes it into the configuration file, or resets the box.")
	}
	if standing.Refused != "" {
		lines = append(lines, "The configuration file on the box cannot be used as it stands now, so another runs in its place: "+standing.Refused)
	}
	return lines
}

// running says which configuration runs.
func (s *sticks) running(standing configStanding) (lines []string) {
	switch {
	case standing.Factory && standing.Refused != "":
		lines = append(lines, "The factory's, in place of the box's own, which cannot be used: nothing is received and nothing delivered.")
	case standing.Factory:
		lines = append(lines, "The factory's: this box has none of its own yet.")
	case standing.Path != "":
		text := standing.Path
		if standing.By != "" {
			text += ", by " + standing.By
		}
		if !standing.Since.IsZero() && clockSet() {
			text += " since " + shownMoment(standing.Since)
		}
		lines = append(lines, text)
	}
	if standing.OnTrial {
		lines = append(lines, fmt.Sprintf("It is on trial: if not all of its listeners are open in %s, the one before returns by itself.", standing.Left.Round(time.Second)))
	}
	for _, missing := range standing.Missing {
		lines = append(lines, "Not open: "+missing)
	}
	if standing.TakenBack != nil {
		lines = append(lines, "The last change was taken back: "+standing.TakenBack.Why)
	}
	return lines
}

// next says what a person can do now.
func (s *sticks) next(h configdrive.Handled, errs []string, standing configStanding) (lines []string) {
	switch {
	case len(errs) > 0:
		lines = append(lines, "Put right what stands at the top, on a computer, and plug the stick in again.")
	case standing.OnTrial:
		lines = append(lines, "Leave the stick in. This report is written again when the trial is over.")
	case s.told.busy != "":
		lines = append(lines, "Leave the stick in. This report is written again when the update is over, or the box needs you.")
	default:
		lines = append(lines, "The stick can be pulled.")
	}
	if standing.Factory && !h.Has(configdrive.Start) {
		lines = append(lines, "For a configuration to begin with, put an empty file called start on the stick: the box writes "+configdrive.StartName+" next to this report.")
	}
	key, err := s.owns.of(s.d.config())
	if err == nil && key != nil {
		return append(lines, "For help: put an empty file called collect on a stick that the owner signs, plug it in, and let the owner open what the box writes.")
	}
	lines = append(lines, "For help: put an empty file called collect on the stick, plug it in, and send what the box writes.")
	if err == nil {
		lines = append(lines, "This box has no owner: anybody can change it with a stick. To give it one, see owner in the manual.")
	}
	return lines
}

// stale reports whether the trial has ended since the last report, or the release of
// the stick has got on.
func (s *sticks) stale() bool {
	return s.trial && !s.d.standingConfig().OnTrial || s.release && s.updateLine(true) != s.told
}

func shownMoment(at time.Time) string { return at.Local().Format("2006-01-02 15:04:05 MST") }

// list joins names for a sentence.
func list(names []string) string { return strings.Join(names, ", ") }
