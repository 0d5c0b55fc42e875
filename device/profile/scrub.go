package profile

import (
	"slices"

	"github.com/assaygate/assaygate/envelope"
)

// scrub blanks the fields and drops the records that an allowlist does not
// name, and reports how many records it dropped.
func scrub(records []record, allowed *envelope.Allowed) (kept []record, dropped int) {
	for _, r := range records {
		if allowed.Drops(r.name) && !structural(r.name) {
			dropped++
			continue
		}
		keep := keptAlways(r)
		fields := slices.Clone(r.fields)
		for i := range fields {
			if !allowed.Keeps(r.name, i+1, keep...) {
				fields[i] = ""
			}
		}
		kept = append(kept, record{name: r.name, fields: fields, d: r.d})
	}
	return kept, dropped
}

// structural records hold a message together: without header and terminator
// there is none. They are scrubbed, not dropped.
func structural(name string) bool { return name == "H" || name == "L" || name == "MSH" }

// keptAlways are the fields that carry structure: the type, the delimiters and
// the sequence numbers.
func keptAlways(r record) []int {
	switch {
	case r.d.sub == 0: // ASTM
		return []int{1, 2}
	case r.name == "MSH":
		return []int{1, 2}
	case slices.Contains([]string{"PID", "OBR", "OBX", "NTE", "SPM", "TQ1"}, r.name):
		return []int{1}
	}
	return nil
}
