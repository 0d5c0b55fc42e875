package profile

import (
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// resultParts are what a definition's `results` may locate.
var resultParts = []string{"sample", "test", "name", "value", "units", "reference_range", "flags", "status", "observed_at"}

// resultRecords are the records that carry one result each.
var resultRecords = []string{"R", "OBX"}

// sampleID is the first identifier the definition finds, without the blanks
// that instruments pad it with.
func (p *profile) sampleID(records []record) string {
	for _, at := range p.results["sample"] {
		if id := strings.TrimSpace(first(records, []location{at})); id != "" && id != deleted {
			return id
		}
	}
	return ""
}

// resultList flattens a group's result records.
func (p *profile) resultList(records []record, kind envelope.Kind, zone *time.Location) []envelope.Result {
	var list []envelope.Result
	rest := slices.DeleteFunc(slices.Clone(records), func(r record) bool { return slices.Contains(resultRecords, r.name) })
	for _, r := range records {
		if !slices.Contains(resultRecords, r.name) {
			continue
		}
		// Places outside the result record (its order's time, the header's)
		// are looked up in the whole group.
		find := func(what string) string {
			for _, at := range p.results[what] {
				from := rest
				if at.record == r.name {
					from = []record{r}
				}
				if text := first(from, []location{at}); text != "" {
					return text
				}
			}
			return ""
		}
		list = append(list, envelope.Result{
			Test: find("test"), Name: find("name"), Value: find("value"), Units: find("units"),
			Range: find("reference_range"), Flags: find("flags"), Status: find("status"),
			ObservedAt: observedAt(find("observed_at"), zone),
			Kind:       p.resultKind(r, kind),
		})
	}
	return list
}

// observedAt adds the offset where the instrument's zone is known.
func observedAt(text string, zone *time.Location) string {
	if zone == nil {
		return text
	}
	for _, layout := range []string{"20060102150405", "200601021504"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t.Format(time.RFC3339)
		}
	}
	return text
}

// messageKind is the first kind that applies in the order test, qc,
// calibration, result.
func (p *profile) messageKind(records []record) envelope.Kind {
	for _, kind := range []envelope.Kind{envelope.KindTest, envelope.KindQC, envelope.KindCalibration} {
		for _, rule := range p.kinds {
			if rule.Kind != kind || slices.Contains(resultRecords, rule.at.record) {
				continue
			}
			for _, r := range records {
				if text := rule.at.in(r); text != "" && rule.applies(text) {
					return kind
				}
			}
		}
	}
	return envelope.KindResult
}

// resultKind is the message's kind unless a rule of the result's own says more.
func (p *profile) resultKind(r record, message envelope.Kind) envelope.Kind {
	for _, rule := range p.kinds {
		if text := rule.at.in(r); text != "" && rule.applies(text) && rule.at.record == r.name {
			return rule.Kind
		}
	}
	return message
}
