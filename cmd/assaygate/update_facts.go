package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/assaygate/assaygate/image/update/agent"
)

// fact is one line of what is known: what it is about, and how that stands.
type fact struct{ name, value string }

const (
	// mostOfAFact is how many letters of one fact are shown.
	mostOfAFact = 600
	// mostSources is of how many repositories is told. An agent has three.
	mostSources = 8
)

// legible is a text of the agent's as people see it: on one line, without what plays
// with a screen, and no longer than one reads. Reasons and versions come from
// afar.
func legible(text string) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) })
	text = strings.Join(words, " ")
	if letters := []rune(text); len(letters) > mostOfAFact {
		return string(letters[:mostOfAFact]) + "…"
	}
	return text
}

// facts are what a person wants to know, the most important first.
func (k knownUpdates) facts() []fact {
	var list []fact
	add := func(name, value string) {
		if value = legible(value); value != "" {
			list = append(list, fact{legible(name), value})
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
	add("Not known", s.Unread)
	add("Updates", prefixed("off: ", s.Off))
	add("Slots", prefixed("RAUC does not tell of them: ", s.SlotsError))
	add("Now", k.now())
	add("Offered", s.Offered)
	add("Waits", s.Why)
	for _, one := range s.Sources[:min(len(s.Sources), mostSources)] {
		add("From "+one.Name, source(one))
	}
	if k.runs && s.Unread == "" && s.Off == "" && s.Repository == "" {
		add("Network", "no repository is configured: releases come by stick")
	}
	add("Window", s.Window)
	add("Last update", k.last())
	return list
}

func (k knownUpdates) now() string {
	switch s := k.status; s.Phase {
	case agent.Downloading, agent.Installing:
		return fmt.Sprintf("%s, %d%%", s.Phase, min(max(s.Percent, 0), 100))
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
