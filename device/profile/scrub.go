package profile

import (
	"slices"
	"strings"
	"unicode"

	"github.com/assaygate/assaygate/envelope"
)

// Scrubs reports whether an allowlist is configured, for whatever protocol.
func (s *Set) Scrubs() bool { return s.options.Allow != (envelope.Allowlist{}) }

// scrub blanks the fields and drops the records that an allowlist does not
// name, and reports how many records it dropped.
func scrub(records []record, allowed *envelope.Allowed) (kept []record, dropped int) {
	for _, r := range records {
		name := strings.ToUpper(r.name) // some instruments write it small
		if (allowed.Drops(name) || !plausible(r, name)) && !structural(name) {
			dropped++
			continue
		}
		keep := keptAlways(r)
		fields := slices.Clone(r.fields)
		for i, text := range fields {
			switch n := i + 1; {
			case allowed.Keeps(name, n):
			case slices.Contains(keep, n):
				fields[i] = structure(r, n, text)
			default:
				fields[i] = ""
			}
		}
		kept = append(kept, record{name: r.name, fields: fields, d: r.d})
	}
	return kept, dropped
}

// plausible reports whether a record's name can be one. What is none may hide a
// record that the list names, so it does not pass as one that it does not name.
func plausible(r record, name string) bool {
	if r.d.hl7 {
		return segmentName.MatchString(name)
	}
	return len(name) == 1 && 'A' <= name[0] && name[0] <= 'Z'
}

// scrubGroups scrubs the records of each group, and leaves out the groups of
// which nothing of their own is left; one stays in any case.
func scrubGroups(groups []group, allowed *envelope.Allowed) []group {
	kept := make([]group, 0, len(groups))
	for _, g := range groups {
		g.header, _ = scrub(g.header, allowed)
		g.own, _ = scrub(g.own, allowed)
		g.terminator, _ = scrub(g.terminator, allowed)
		if len(g.own) > 0 || len(groups) == 1 {
			kept = append(kept, g)
		}
	}
	if len(kept) == 0 && len(groups) > 0 {
		return scrubGroups(groups[:1], allowed)
	}
	return kept
}

// structure is what may stay of a field that always stays: of delimiters and
// sequence numbers only what can be such. Anything else there may be a name.
func structure(r record, n int, text string) string {
	switch {
	case n == 1 && (!r.d.hl7 || r.name == "MSH"):
		return text // the type of the record, or MSH-1
	case n == 2 && (r.name == "H" || r.name == "MSH"):
		if end := strings.IndexFunc(text, func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }); end >= 0 {
			return text[:end]
		}
		return text
	case strings.Trim(text, " 0123456789") == "":
		return text
	}
	return ""
}

// structural records hold a message together: without header and terminator
// there is none. They are scrubbed, not dropped.
func structural(name string) bool { return name == "H" || name == "L" || name == "MSH" }

// keptAlways are the fields that carry structure: the type, the delimiters and
// the sequence numbers.
func keptAlways(r record) []int {
	switch {
	case !r.d.hl7: // ASTM
		return []int{1, 2}
	case r.name == "MSH":
		return []int{1, 2}
	case slices.Contains([]string{"PID", "OBR", "OBX", "NTE", "SPM", "TQ1"}, r.name):
		return []int{1}
	}
	return nil
}
