package commission

import (
	"fmt"
	"strings"
)

const (
	recordsTitle    = "Message"
	recognisedTitle = "Analyser recognised"
	storedTitle     = "Stored"
)

// records: is the newest message complete, and of a kind that is taken?
func (f Facts) records() Layer {
	is := func(v Verdict, seen, do string) Layer { return layer(RecordsLayer, recordsTitle, v, seen, do) }
	m := f.Newest
	refused := is(Fault, "The message was refused with AR (application reject): the box does not take this kind, or it is no HL7 v2 message.",
		"Set the analyser to send results as ORU^R01 or OUL^R22 (orders with results: OML^O33).")
	switch {
	case m == nil && f.Refused.Rejected.Now > 0:
		return refused
	case f.onlyAsked():
		return is(Waiting, fmt.Sprintf("The analyser has asked for orders, and sent no result; questions: %d.", f.Queries), f.send())
	case m == nil:
		return is(Waiting, "No message of this analyser has come so far.", f.send())
	}
	because := ""
	if m.Reason != "" {
		because = ": " + strings.TrimSuffix(m.Reason, ".")
	}
	switch m.Intake {
	case Rejected:
		if f.Language != HL7 {
			refused = is(Fault, "The message was refused.", "Look at the message for why.")
		}
		refused.Detail = m.Reason
		return refused
	case Incomplete:
		return is(Fault, "The newest message broke off"+because+".",
			"Look whether the analyser itself gave up, and at the connection; then have it send the result again.")
	case Parked:
		seen, do := m.Flaw.found()
		return is(Fault, seen+because+".", do)
	}
	return is(OK, "The message is complete; whole messages since the check began: "+fmt.Sprint(f.Whole)+".", "")
}

// found tells what is wrong with a message that is parked, and what to do.
func (f Flaw) found() (seen, do string) {
	switch f {
	case NoEnd:
		return "The newest message does not end as it should",
			"If the analyser never sends a terminator record (L), set quirks.end: eot. The message is kept: retry delivers it."
	case NoHeader:
		return "The newest message does not begin as it should",
			"Have the analyser send the whole result again. If it never sends a header record (H), set it to ASTM records (LIS02, E1394). Drop the message that is kept: no retry makes it readable."
	case WrongSum:
		return "The newest message arrived damaged",
			"Look at cable, plugs, ground, speed and parity. The message is kept: compare it with the analyser's display, then retry or drop it."
	}
	return "The newest message is parked for a person", "Look at the message, then retry or drop it."
}

// onlyAsked reports whether all that came are questions. Those of ASTM are messages
// too; a LIMS takes them, and no result will ever stand there.
func (f Facts) onlyAsked() bool {
	if f.Newest == nil || f.Language == HL7 {
		return f.Newest == nil && f.Queries > 0
	}
	return f.Queries > 0 && f.Whole <= f.Queries && f.Newest.Intake == Accepted
}

// taken reports whether there is a complete message to look at.
func (f Facts) taken() bool {
	return f.Newest != nil && f.Newest.Intake == Accepted && !f.onlyAsked()
}

// recognised: is it known whose message it is, and was all of it understood?
func (f Facts) recognised() Layer {
	is := func(v Verdict, seen, do string) Layer {
		return layer(RecognisedLayer, recognisedTitle, v, seen, do)
	}
	switch m := f.Newest; {
	case !f.taken() && m == nil && f.Others > 0 && f.due():
		return is(Fault, fmt.Sprintf("Messages that came over this address: %d, all taken for those of %s.", f.Others, strings.Join(f.Shared, ", ")),
			"If this analyser has sent them: set profile of each instrument behind the address to that of its model, so that the messages can be told apart. If not, nothing has come of this one: look at its host address, its cable, and whether its host connection is on.")
	case !f.taken():
		return is(Waiting, "No complete message to look at so far.", f.send())
	case m.Problem != "":
		l := is(Fault, "Read by the profile "+m.Profile+", and a part of it was not understood.",
			"Look at the message for the places. Set profile to the analyser's model, or have a profile of your own made from this message.")
		l.Detail = m.Problem
		return l
	case m.Generic && f.Profile == "":
		return is(Fault, "No profile knows the header of this analyser, so the general one ("+m.Profile+") has read the message.",
			"Look at the results of the message: if they are right, set profile: "+m.Profile+" for this instrument; else set that of its model, or have one made.")
	default:
		return is(OK, "Read by the profile "+m.Profile+", all of it.", "")
	}
}

// stored: is it on the card?
func (f Facts) stored() Layer {
	s := f.Store
	is := func(v Verdict, seen, do string) Layer { return layer(StoredLayer, storedTitle, v, seen, do) }
	because := func(why string) string { return strings.TrimSuffix(why, ".") + "." }
	switch {
	case s.Away != "":
		return is(Fault, "The store is not open, so all lines are closed: "+because(s.Away),
			"Look whether the card is in and mounted; if it is, check or replace it. The box opens the store by itself when it can.")
	case s.NoRoom != "":
		return is(Fault, "The card is full: "+because(s.NoRoom), "Make room on the card, or set spool.keep_days or keep_size lower.")
	case s.ReadOnly:
		return is(Fault, "The file system of the card is read-only.", "Unmount the card, check it with fsck and mount it again, or replace it.")
	case f.Refused.Store.Now > 0 || s.Failing != "":
		seen := "The card did not take the message, so the box did not acknowledge it"
		if s.Failing != "" {
			seen += ": " + strings.TrimSuffix(s.Failing, ".")
		}
		return is(Fault, seen+".", "Check the card with fsck, or replace it. The analyser keeps the result and sends it again.")
	case f.Newest != nil:
		seen := "Message " + f.Newest.ID + " is on the card."
		if f.Newest.Sample != "" {
			seen = "Message " + f.Newest.ID + " (sample " + f.Newest.Sample + ") is on the card."
		}
		return is(OK, seen, "")
	}
	return is(Waiting, "No message to store has come so far.", f.send())
}
