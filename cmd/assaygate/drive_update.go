package main

import (
	"time"
	"unicode"

	"github.com/assaygate/assaygate/image/update/agent"
)

// updateLine is what the first line of a stick's report says of updates. The report is
// written anew when it changes, so it has no details: these are in the section Updates.
type updateLine struct {
	wrong string // what is not well, as the end of a sentence; "" for nothing
	busy  string // what the box is at with the release on the stick, as its beginning; "" for nothing
}

// updateLine judges how it stands now, for a stick that has a release or has none.
func (s *sticks) updateLine(release bool) updateLine {
	known, err := s.d.updates.known()
	if err != nil {
		return updateLine{} // this is no box
	}
	if release {
		if line := known.ofStick(s.begun); line != (updateLine{}) {
			return line
		}
	}
	if known.outcome != nil && known.outcome.Result != agent.Installed {
		return updateLine{wrong: "the last update did not succeed"}
	}
	return updateLine{}
}

// ofStick is how it stands with the release on a stick that is in since then; the zero
// value where the box has taken it, or runs it already.
func (k knownUpdates) ofStick(since time.Time) updateLine {
	s, stick := k.status, agent.SourceStatus{}
	its := s.OfferedFrom == fromStick // what is offered
	for _, one := range s.Sources {
		if one.Name == fromStick {
			stick = one
		}
	}
	switch {
	case !k.runs:
		return updateLine{wrong: "the update agent does not run, so nothing is done with the release on this stick"}
	case s.Off != "":
		return updateLine{wrong: "this box takes no updates, and so not the release on this stick"}
	case stick.Error != "":
		return updateLine{wrong: "the release on this stick cannot be taken"}
	case its && s.Phase != agent.Idle && s.Phase != agent.Checking:
		return updateLine{busy: "the box is at work on version " + legible(s.Offered)}
	case stick.Checked.Before(since):
		return updateLine{busy: "the box looks at the release on this stick"}
	case its && s.Why != "":
		return updateLine{wrong: "version " + legible(s.Offered) + " is not installed"}
	case s.Offered == "" && len(stick.Warnings) > 0 && (k.outcome == nil || k.outcome.Source != fromStick):
		return updateLine{wrong: "nothing is installed of the release on this stick"}
	}
	return updateLine{}
}

// beside is the first line where the stick has done something else too, which is well.
func (l updateLine) beside(done string) string {
	switch {
	case l.wrong != "":
		return "Not all is well: " + done + ", but " + l.wrong + " (see Updates)."
	case l.busy != "":
		return upper(done) + ", and " + l.busy + ": leave the stick in (see Updates)."
	}
	return "All is well: " + done + "."
}

// upper begins a sentence.
func upper(text string) string {
	letters := []rune(text)
	letters[0] = unicode.ToUpper(letters[0])
	return string(letters)
}
