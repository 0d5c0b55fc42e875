package profile

import (
	"strings"
	"time"
	"unicode"

	"github.com/assaygate/assaygate/envelope"
)

// sampleID is the first identifier the definition finds, without the blanks
// that instruments pad it with.
func (p *profile) sampleID(records []record) string {
	for _, at := range p.results[partSample] {
		id := strings.TrimSpace(first(records, []location{at}))
		switch {
		case id == "" || id == deleted:
		case p.generic && at.later() && !strings.ContainsAny(id, "0123456789"):
			// Behind the first component there may be anything, such as the kind
			// of material: an id has a digit.
		default:
			return id
		}
	}
	return ""
}

// flattened is what a group's results come to.
type flattened struct {
	results  []envelope.Result
	comments []string // of the order as a whole
	problems []string
}

// flatten lists a group's results, each with the comments that follow it.
func (p *profile) flatten(records []record, kind envelope.Kind, zone *time.Location) flattened {
	var f flattened
	rest := make([]record, 0, len(records))
	for _, r := range records {
		if !isResult(r.name) {
			rest = append(rest, r)
		}
	}
	f.results = make([]envelope.Result, 0, len(records)-len(rest))
	// A comment is the result's or the order's that it follows. What follows a
	// patient or anything else stays in its bucket alone.
	var comments *[]string
	for _, r := range records {
		switch r.name {
		case "R", "OBX": // as isResult has it
			result, problem := p.result(r, rest, kind, zone)
			if problem != "" {
				f.problems = append(f.problems, problem)
			}
			if text := first([]record{r}, p.results[partComment]); text != "" {
				result.Comments = append(result.Comments, text)
			}
			f.results = append(f.results, result)
			comments = &f.results[len(f.results)-1].Comments
		case "O", "OBR":
			comments = &f.comments
		case "C", "NTE":
			if text := first([]record{r}, p.results[partComment]); text != "" && comments != nil {
				*comments = append(*comments, text)
			}
		case "ORC", "TQ1", "TCD", "SID": // they say more of the same order or result
		default:
			comments = nil
			if image, drawn := p.plotted(r); drawn {
				f.results = append(f.results, image)
			}
		}
	}
	return f
}

// result flattens one result record. Places outside it (its order's time, the
// header's) are looked up in the rest of the group.
func (p *profile) result(r record, rest []record, kind envelope.Kind, zone *time.Location) (result envelope.Result, problem string) {
	own := []record{r}
	find := func(want part) string {
		for _, at := range p.results[want] {
			from := rest
			if at.record == r.name {
				from = own
			}
			for _, r := range from {
				if text, means := partOf(want, at, at.in(r), r.d); means {
					return r.d.unescape(text)
				}
			}
		}
		return ""
	}
	result = envelope.Result{
		Test: find(partTest), Name: find(partName), Value: find(partValue), Units: find(partUnits),
		Range: find(partRange), Flags: find(partFlags), Status: find(partStatus),
		ObservedAt: observedAt(find(partObservedAt), zone),
		Kind:       p.resultKind(r, kind),
	}
	if result.Kind == envelope.KindImage {
		problem = illustrate(&result, r)
	}
	return result, problem
}

// partOf is what a text at a place of a result says as a part of the result, and
// whether it says anything.
func partOf(want part, at location, text string, d delimiters) (string, bool) {
	switch want {
	case partValue, partRange: // components that were not sent say nothing of it
		text = strings.TrimRight(text, string(rune(d.component)))
	case partUnits:
		if d.hl7 {
			text = unit(text, d)
		}
		fallthrough
	case partTest, partName:
		if strings.TrimSpace(text) == deleted {
			return "", false
		}
	}
	// OBX-4 numbers what has the same OBX-3; a word there is a name. And no
	// name is without letters.
	worded := want == partName || want == partTest && at.record == "OBX" && at.field == 4
	if worded && !strings.ContainsFunc(text, unicode.IsLetter) {
		return "", false
	}
	return text, strings.TrimSpace(text) != ""
}

// observedAt writes a time as RFC 3339 where its zone is known: from its own
// offset, else as the instrument's.
func observedAt(text string, zone *time.Location) string {
	if sign := strings.LastIndexAny(text, "+-"); sign >= 12 {
		for _, layout := range []string{"20060102150405-0700", "200601021504-0700"} {
			if t, err := time.Parse(layout, text); err == nil { // takes a fraction of seconds too
				return t.Format(time.RFC3339Nano)
			}
		}
	}
	if zone == nil {
		return text
	}
	for _, layout := range []string{timeLayout, "200601021504"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t.Format(time.RFC3339Nano)
		}
	}
	return text
}

// messageKind is the first kind that applies in the order test, qc,
// calibration; but a rule that says result comes before all of them.
func (p *profile) messageKind(records []record) envelope.Kind {
	for _, kind := range []envelope.Kind{envelope.KindResult, envelope.KindTest, envelope.KindQC, envelope.KindCalibration} {
		for _, rule := range p.kinds {
			if rule.kind != kind || isResult(rule.at.record) {
				continue
			}
			for _, r := range records {
				if text := rule.at.in(r); text != "" && rule.holds(text) {
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
		if rule.at.record != r.name {
			continue
		}
		if text := rule.at.in(r); text != "" && rule.holds(text) {
			return rule.kind
		}
	}
	return message
}
