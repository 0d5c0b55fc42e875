package profile

import (
	"errors"
	"strings"

	"github.com/assaygate/assaygate/envelope"
)

// errExcessive says that a message is not taken apart: what it unfolds to would
// not fit into the box. It is kept as raw bytes then.
var errExcessive = errors.New("more records or fields than can be taken apart; the message is kept as raw bytes")

// These are far above what an analyser sends in one message, a day's archive
// included. A record costs some kilobytes of memory, a field some dozens.
const (
	maxRecords = 50_000
	maxFields  = 1_000_000
	maxOrders  = 2_000
)

// budget is what one message may still unfold to within its fields.
type budget struct {
	numbers int // of packed curves
	parts   int // repeats and components that become values of their own
}

// newBudget is far above what an analyser sends: a curve has some hundred
// numbers, a cloud some ten thousand, an order some dozen tests.
func newBudget() *budget { return &budget{numbers: 1_000_000, parts: 200_000} }

// take takes parts off, and reports whether that many are left.
func (b *budget) take(parts int) bool {
	if parts > b.parts {
		return false
	}
	b.parts -= parts
	return true
}

// maxUnfinished is how long input may be that is kept for the audit only and
// still be shown record by record.
const maxUnfinished = 1 << 20

// tooMany looks at a message before it is split.
func tooMany(text string) bool {
	return strings.Count(text, "\r")+strings.Count(text, "\n") > maxRecords
}

// unfolds reports whether a message makes too many orders, or too much of the
// header and the patient that each order repeats.
func unfolds(groups []group, m Raw) bool {
	size := len(m.Text)
	unfinished := m.Intake == envelope.Incomplete || m.Intake == envelope.Rejected
	if len(groups) > maxOrders || unfinished && size > maxUnfinished {
		return true
	}
	records, repeated := 0, 0
	for _, g := range groups {
		for _, list := range [][]record{g.header, g.own, g.terminator} {
			records += len(list)
			for _, r := range list {
				for _, f := range r.fields {
					repeated += len(f) + 1
				}
			}
		}
		if records > maxRecords || repeated > 16*size+1<<20 {
			return true
		}
	}
	return false
}
