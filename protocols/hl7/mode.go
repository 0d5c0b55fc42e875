package hl7

import "bytes"

// Mode is how the messages of a line are acknowledged. The package doc has the
// whole table.
type Mode uint8

// The modes.
const (
	Auto     Mode = iota // as MSH-15 and MSH-16 of each message ask
	Original             // one application acknowledgement, whatever they say
	Enhanced             // as they ask; where they ask for nothing, one accept acknowledgement
)

// Outcome is what became of a message.
type Outcome uint8

// The outcomes.
const (
	Stored   Outcome = iota // it is durable
	Failed                  // it is understood, but not stored; the sender may send it again
	Rejected                // it is not accepted, whatever its content
)

// Answers are the acknowledgements that one message gets, in this order. Each is
// a message of its own.
type Answers struct {
	Accept      string // MSA-1 of the accept acknowledgement, "" where there is none
	Application string // MSA-1 of the application acknowledgement, "" where there is none
	Enhanced    bool   // which mode they belong to
}

// None reports that the sender is not told of the outcome.
func (a Answers) None() bool { return a.Accept == "" && a.Application == "" }

// The conditions of table HL70155.
const (
	always  = "AL"
	never   = "NE"
	onError = "ER"
	success = "SU"
)

// Answers returns which acknowledgements a message gets; of it no more than MSH
// is needed.
func (m Mode) Answers(request Message, outcome Outcome) Answers {
	msh := request.First("MSH")
	accept, asksAccept := condition(msh.Field(15))
	application, asksApplication := condition(msh.Field(16))
	switch {
	case m == Original, m == Auto && !asksAccept && !asksApplication:
		return Answers{Application: applicationCode(outcome)}
	case !asksAccept && !asksApplication:
		return Answers{Accept: acceptCode(outcome), Enhanced: true}
	}
	a := Answers{Enhanced: true}
	if applies(accept, outcome) {
		a.Accept = acceptCode(outcome)
	}
	if applies(application, outcome) {
		a.Application = applicationCode(outcome)
	}
	return a
}

// condition reads MSH-15 or MSH-16. It asks for something only where it holds a
// value of the table; two quotation marks are HL7's null.
func condition(field []byte) (c string, asks bool) {
	c = string(upper(bytes.TrimSpace(field)))
	switch c {
	case always, never, onError, success:
		return c, true
	case "", `""`:
		return never, false
	}
	return always, false
}

// applies reports whether a condition is met.
func applies(condition string, outcome Outcome) bool {
	switch condition {
	case never:
		return false
	case onError:
		return outcome != Stored
	case success:
		return outcome == Stored
	}
	return true
}

func acceptCode(outcome Outcome) string {
	return [...]string{Stored: Commit, Failed: CommitError, Rejected: CommitReject}[outcome]
}

func applicationCode(outcome Outcome) string {
	return [...]string{Stored: Accept, Failed: Error, Rejected: Reject}[outcome]
}
