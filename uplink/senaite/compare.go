package senaite

import (
	"slices"
	"strings"
	"unicode"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/uplink"
)

// observation is what a message says of one test. An instrument may give it
// several times: a preliminary value and the final one, a number and its
// interpretation, a first run and a repeat. Which of them the laboratory wants
// is its importer's choice, so that any of them will do.
type observation struct {
	label  string   // for people
	names  []string // folded
	values []string
}

// notGiven are the statuses (LIS02-A2 R.9, HL7 table 0085) of what is no result,
// whatever stands in its value. Importers leave these out.
func notGiven(protocol envelope.Protocol, status string) bool {
	none := "XIN"
	if protocol == envelope.HL7 {
		none = "XINODW"
	}
	status = strings.TrimSpace(status)
	return status != "" && len(status) == 1 && strings.Contains(none, status)
}

// observations returns the patient's results of a message, in order.
func observations(e envelope.Envelope) []*observation {
	var list []*observation
	byName := make(map[string]*observation)
	for _, r := range e.Results {
		kind := r.Kind
		if kind == "" {
			kind = e.Kind
		}
		if e.Kind == envelope.KindTest || kind != envelope.KindResult ||
			strings.TrimSpace(r.Value) == "" || notGiven(e.Protocol, r.Status) {
			continue
		}
		key := fold(r.Test)
		if key == "" {
			key = fold(r.Name)
		}
		o := byName[key]
		if o == nil || key == "" {
			o = &observation{label: label(r)}
			byName[key] = o
			list = append(list, o)
		}
		for _, name := range []string{fold(r.Test), fold(r.Name)} {
			if name != "" && !slices.Contains(o.names, name) {
				o.names = append(o.names, name)
			}
		}
		o.values = append(o.values, r.Value)
	}
	return list
}

// mostLabel bounds a test's name, in runes: it is the instrument's text.
const mostLabel = 40

// label names a result for people.
func label(r envelope.Result) string {
	name := strings.TrimSpace(r.Name)
	if name == "" {
		name = strings.TrimSpace(r.Test)
	}
	name = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return -1
	}, name)
	if runes := []rune(name); len(runes) > mostLabel {
		name = string(runes[:mostLabel]) + "…"
	}
	if name == "" {
		return "a result without a name"
	}
	return name
}

func (o *observation) heldBy(a analysis) bool { return slices.ContainsFunc(o.values, a.holds) }

// verdict is what became of one observation.
type verdict struct {
	stands    bool
	wanted    bool // the sample has an analysis for it that awaits it
	complaint string
}

// compare looks for the observations among the analyses of the sample. interims
// are other places where a result may have gone. all is Confirm.Require.
func compare(wanted []*observation, analyses, interims []analysis, all bool) uplink.Finding {
	verdicts := make([]verdict, len(wanted))
	claimed := make([]bool, len(analyses), len(analyses)+len(interims))
	for n, o := range wanted {
		verdicts[n] = o.named(analyses, claimed)
	}
	// What has no analysis of its name may have one of another: importers map
	// codes to keywords. There only the value tells.
	places := slices.Concat(analyses, interims)
	claimed = claimed[:len(places)]
	for n, o := range wanted {
		if verdicts[n].stands || verdicts[n].complaint != noAnalysis {
			continue
		}
		for p, place := range places {
			if !claimed[p] && o.heldBy(place) {
				claimed[p], verdicts[n] = true, verdict{stands: true}
				break
			}
		}
	}
	return finding(wanted, verdicts, all)
}

// The complaints of results that nobody waits for.
const (
	noAnalysis   = "has no analysis"
	isCalculated = "is calculated by SENAITE"
)

// named looks at the analyses of the observation's names, and claims them.
func (o *observation) named(analyses []analysis, claimed []bool) verdict {
	v := verdict{complaint: noAnalysis}
	for n, a := range analyses {
		if !slices.ContainsFunc(a.names, func(name string) bool { return slices.Contains(o.names, name) }) {
			continue
		}
		claimed[n] = true
		switch {
		case o.heldBy(a):
			v.stands = true
		case a.calculated:
			if v.complaint == noAnalysis {
				v.complaint = isCalculated
			}
		case a.hidden:
			v.wanted, v.complaint = true, "has a result that the account may not see"
		case len(a.texts) > 0:
			v.wanted, v.complaint = true, "holds another result"
		case !v.wanted:
			v.wanted, v.complaint = true, "has no result"
		}
	}
	return v
}

// finding sums up. Laboratories order fewer tests than an analyser reports, so
// what the sample has no analysis for is not missing; but where nothing of a
// message stands there, nothing says that it was imported at all. With all it is
// missing too.
func finding(wanted []*observation, verdicts []verdict, all bool) uplink.Finding {
	none := !slices.ContainsFunc(verdicts, func(v verdict) bool { return v.stands })
	var f uplink.Finding
	leftOut := make(map[string][]string)
	for n, v := range verdicts {
		switch {
		case v.stands:
		case v.wanted || none || all && v.complaint == noAnalysis:
			f.Missing = append(f.Missing, wanted[n].label+" "+v.complaint)
		default:
			leftOut[v.complaint] = append(leftOut[v.complaint], wanted[n].label)
		}
	}
	var notes []string
	if labels := leftOut[noAnalysis]; labels != nil {
		notes = append(notes, "the sample has no analysis for "+strings.Join(labels, ", "))
	}
	if labels := leftOut[isCalculated]; labels != nil {
		notes = append(notes, "SENAITE calculates "+strings.Join(labels, ", "))
	}
	f.Note = strings.Join(notes, "; ")
	return f
}
