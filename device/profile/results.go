package profile

import (
	"slices"
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
		case p.generic && at.uncertain() && !looksLikeID(id):
			// A wrong id is worse than none.
		default:
			return id
		}
	}
	return ""
}

// looksLikeID reports whether a text can only be an identifier, where it may as
// well be a rack, a position, the number of a run or the kind of material.
func looksLikeID(text string) bool {
	digits := strings.ContainsAny(text, "0123456789")
	letters := strings.ContainsFunc(text, unicode.IsLetter)
	return digits && (len(text) >= 5 || letters && len(text) >= 4)
}

// flattened is what a group's results come to.
type flattened struct {
	results  []envelope.Result
	comments []string // of the order as a whole
	problems []string
}

// flatten lists a group's results, each with the comments that follow it. Kinds
// are those of the results, in their order, as they were judged before anything
// was scrubbed. Objects are what the plots of the group became.
func (p *profile) flatten(records []record, kinds []envelope.Kind, plots []envelope.Object, zone *time.Location) flattened {
	var f flattened
	order := surroundings{profile: p, found: map[place]string{}}
	for _, r := range records {
		if !isResult(r.name) {
			order.records = append(order.records, r)
		}
	}
	f.results = make([]envelope.Result, 0, len(records)-len(order.records))
	// A comment is the result's or the order's that it follows. What follows a
	// patient or a specimen stays in its bucket alone.
	var comments *[]string
	n := 0
	for _, r := range records {
		switch {
		case isResult(r.name):
			result, problem := p.result(r, &order, kinds[n], zone)
			n++
			if problem != "" {
				f.problems = append(f.problems, problem)
			}
			f.results = append(f.results, result)
			comments = &f.results[len(f.results)-1].Comments
		case isComment(r.name):
			if text := first([]record{r}, p.results[partComment]); text != "" && comments != nil {
				*comments = append(*comments, text)
			}
		case r.name == "O" || r.name == "OBR":
			comments = &f.comments
		case slices.Contains([]string{"H", "MSH", "P", "PID", "PD1", "PV1", "NK1", "SPM", "SAC", "M", "Q"}, r.name):
			comments = nil
		}
		if p.plot != nil && r.name == p.plot.record && len(plots) > 0 {
			if image, drawn := p.plotted(r, plots[0]); drawn {
				f.results, comments = append(f.results, image), nil
			}
			plots = plots[1:]
		}
	}
	return f
}

// surroundings are the records of an order that are no results. What a result
// takes from them is the same for all, so it is looked for once.
type surroundings struct {
	*profile
	records []record
	found   map[place]string
}

// place is one of the places of a part.
type place struct {
	part  part
	index int
}

func (s *surroundings) text(want part, index int) string {
	at := place{want, index}
	text, known := s.found[at]
	if !known {
		text = textOf(want, s.results[want][index], s.records...)
		s.found[at] = text
	}
	return text
}

// result flattens one result record. Places outside it (its order's time, the
// header's) are looked up in the surroundings.
func (p *profile) result(r record, order *surroundings, kind envelope.Kind, zone *time.Location) (result envelope.Result, problem string) {
	find := func(want part) string {
		for i, at := range p.results[want] {
			text := ""
			if at.record == r.name {
				text = textOf(want, at, r)
			} else {
				text = order.text(want, i)
			}
			if text != "" {
				return text
			}
		}
		return ""
	}
	result = envelope.Result{
		Test: find(partTest), Name: find(partName), Value: find(partValue), Units: find(partUnits),
		Range: find(partRange), Flags: find(partFlags), Status: find(partStatus),
		ObservedAt: observedAt(find(partObservedAt), zone), Kind: kind,
	}
	if text := first([]record{r}, p.results[partComment]); text != "" {
		result.Comments = append(result.Comments, text)
	}
	if result.Kind == envelope.KindImage {
		problem = illustrate(&result, r)
	}
	return result, problem
}

// textOf is the first text at a place in some records that says something as a
// part of a result, unescaped.
func textOf(want part, at location, records ...record) string {
	for _, r := range records {
		if text, means := partOf(want, at, at.in(r), r.d); means {
			return r.d.unescape(text)
		}
	}
	return ""
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

// messageKind is the first kind that applies in the order test, result (which
// makes an exception), qc, calibration.
func (p *profile) messageKind(records []record) envelope.Kind {
	for _, kind := range []envelope.Kind{envelope.KindTest, envelope.KindResult, envelope.KindQC, envelope.KindCalibration} {
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

// resultKinds are the kinds of a group's results, in their order.
func (p *profile) resultKinds(records []record, group envelope.Kind) []envelope.Kind {
	var kinds []envelope.Kind
	for _, r := range records {
		if isResult(r.name) {
			kinds = append(kinds, p.resultKind(r, group))
		}
	}
	return kinds
}

// resultKind is the group's kind unless a rule of the result's own says more.
func (p *profile) resultKind(r record, group envelope.Kind) envelope.Kind {
	for _, rule := range p.kinds {
		if rule.at.record != r.name {
			continue
		}
		if text := rule.at.in(r); text != "" && rule.holds(text) {
			if rule.kind == envelope.KindImage && r.name == "OBX" && !illustrated(r) {
				continue // OBX-2 is often wrong
			}
			return rule.kind
		}
	}
	return group
}
