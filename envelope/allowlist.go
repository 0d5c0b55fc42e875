package envelope

import "slices"

// Allowlist says which fields may leave the line at all. What it drops touches
// neither disk, log, console nor LIMS. It is data: device/profile applies it,
// because only that knows delimiters. A nil list drops nothing.
type Allowlist struct {
	ASTM *Allowed // records by type letter
	HL7  *Allowed // segments by name
}

// Allowed is the part of an [Allowlist] for one protocol.
type Allowed struct {
	// Fields maps a record type or segment name to the 1-based numbers of the
	// fields that stay.
	Fields map[string][]int
	// DropUnmatched drops records and segments that Fields does not name;
	// otherwise they pass whole.
	DropUnmatched bool
}

// Keeps reports whether field n (1-based) of the named record or segment stays.
// Fields that carry structure always do: the record type, the delimiters (H-2,
// MSH-1, MSH-2) and the sequence number (field 2 of ASTM records, field 1 of
// numbered segments), which the caller names in structural.
func (a *Allowed) Keeps(name string, n int, structural ...int) bool {
	if a == nil || slices.Contains(structural, n) {
		return true
	}
	fields, named := a.Fields[name]
	if !named {
		return !a.DropUnmatched
	}
	return slices.Contains(fields, n)
}

// Drops reports whether the whole record or segment goes.
func (a *Allowed) Drops(name string) bool {
	if a == nil || !a.DropUnmatched {
		return false
	}
	_, named := a.Fields[name]
	return !named
}
