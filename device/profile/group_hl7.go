package profile

import (
	"slices"

	"github.com/assaygate/assaygate/protocols/hl7"
)

// layout is where specimen, container and common order stand relative to OBR.
// Structures differ (HL7 2.5.1 chapters 4 and 7):
//
//	OUL^R22, OUL^R23, OML^O33   SPM, SAC, OBR, ORC (OML: ORC, OBR)
//	OUL^R21                     SAC, ORC, OBR
//	OUL^R24                     OBR, ORC, SPM, SAC
//	ORU                         ORC, OBR, SPM behind the results
//
// and makers differ from them, so where the segments stand counts first, and the
// event only where that says nothing.
type layout struct {
	specimenFirst  bool
	containerFirst bool
	orderBehind    bool
}

func layoutOf(records []record) layout {
	event := eventOf(records)
	return layout{
		specimenFirst:  above("SPM", records, slices.Contains([]string{"R22", "R23", "O33"}, event)),
		containerFirst: above("SAC", records, slices.Contains([]string{"R21", "R22", "R23", "O33"}, event)),
		orderBehind:    orderBehind(records, slices.Contains([]string{"R22", "R23", "R24"}, event)),
	}
}

// eventOf is MSH-9's event, as the protocol package reads it.
func eventOf(records []record) string {
	if len(records) == 0 || records[0].name != "MSH" {
		return ""
	}
	m, err := hl7.ParseHeader(records[0].appendTo(nil))
	if err != nil {
		return ""
	}
	_, event, _ := hl7.MessageType(m)
	return event
}

// above reports whether such segments stand above their orders: the first one
// does above the first order. Where the first order has none above it, it may
// have come without one; then the last one tells, if the structure has them
// above.
func above(name string, records []record, structure bool) bool {
	at := func(r record) bool { return r.name == name }
	order := func(r record) bool { return r.name == "OBR" }
	first := slices.IndexFunc(records, at)
	if first < 0 {
		return structure
	}
	if first < slices.IndexFunc(records, order) {
		return true
	}
	last, lastOrder := 0, 0
	for i, r := range records {
		switch {
		case at(r):
			last = i
		case order(r):
			lastOrder = i
		}
	}
	return structure && last < lastOrder
}

// orderBehind reports whether ORC stands behind its OBR. An ORC between two
// orders may be of either; those that have only one beside them tell, and where
// none does the structure.
func orderBehind(records []record, structure bool) bool {
	behind, before := 0, 0
	for i, r := range records {
		if r.name != "ORC" {
			continue
		}
		up := beside(records, i, -1, "NTE", "TQ1", "TQ2")
		down := beside(records, i, 1, "NTE", "TQ1", "TQ2", "SPM", "SAC", "INV")
		switch {
		case up && !down:
			behind++
		case down && !up:
			before++
		}
	}
	if behind == before {
		return structure
	}
	return behind > before
}

// beside reports whether the nearest segment but the named ones is OBR.
func beside(records []record, from, step int, but ...string) bool {
	for i := from + step; i >= 0 && i < len(records); i += step {
		if !slices.Contains(but, records[i].name) {
			return records[i].name == "OBR"
		}
	}
	return false
}

// shared is what stands above orders and goes with each of them, until the next
// of its kind.
type shared struct {
	records []record
	used    bool // it went with an order
}

func (s *shared) begin(r record) { *s = shared{records: []record{r}} }

// waits reports whether nothing has taken it yet.
func (s *shared) waits() bool { return len(s.records) > 0 && !s.used }

// grouper cuts a message at its OBR segments.
type grouper struct {
	layout
	header                       []record
	patient, specimen, container shared
	loose                        []record // goes with the next order only
	groups                       []group
	open                         bool // the last group takes more
}

// groupHL7 makes one group an order. Patient, specimen and container go with
// each of their orders; what else stands above an order with the first order
// below it only. A result never goes with an order below it, but for one that is
// the specimen's own.
func groupHL7(records []record) []group {
	g := grouper{layout: layoutOf(records)}
	for _, r := range records {
		g.take(r)
	}
	if g.patient.waits() || g.specimen.waits() || g.container.waits() || len(g.loose) > 0 {
		g.end()
	}
	return withShared(g.groups, g.header, nil)
}

func (g *grouper) take(r record) {
	switch {
	case r.name == "MSH" || r.name == "SFT":
		g.header = append(g.header, r)
	case r.name == "OBR":
		if hasResult(g.loose) && !g.specimenFirst {
			g.end()
		}
		g.end(r)
		g.open = true
	case r.name == "PID":
		if g.patient.waits() || g.specimen.waits() || g.container.waits() || hasResult(g.loose) {
			g.end()
		}
		g.patient.begin(r)
		g.specimen, g.container, g.open = shared{}, shared{}, false
	case r.name == "SPM" && g.specimenFirst:
		if g.specimen.waits() || hasResult(g.loose) {
			g.end()
		}
		g.specimen.begin(r)
		if g.container.used {
			g.container = shared{}
		}
		g.open = false
	case r.name == "SAC" && g.containerFirst:
		if g.container.used {
			g.container = shared{}
		}
		g.container.records, g.open = append(g.container.records, r), false
	case r.name == "ORC" && !(g.orderBehind && g.open):
		g.loose, g.open = append(g.loose, r), false
	case g.open:
		last := &g.groups[len(g.groups)-1]
		last.own = append(last.own, r)
	case r.name == "INV" && len(g.container.records) > 0:
		g.container.records = append(g.container.records, r)
	case (r.name == "PV1" || r.name == "PD1") && len(g.patient.records) > 0:
		g.patient.records = append(g.patient.records, r)
	default:
		g.loose = append(g.loose, r)
	}
}

// end makes a group of all that stands above, and of the order if there is one.
func (g *grouper) end(order ...record) {
	g.groups = append(g.groups, group{
		own: slices.Concat(g.patient.records, g.specimen.records, g.container.records, g.loose, order),
	})
	g.loose = nil
	g.patient.used, g.specimen.used, g.container.used = true, true, true
}

// hasResult reports whether segments above an order hold a result.
func hasResult(loose []record) bool {
	return slices.ContainsFunc(loose, func(r record) bool { return r.name == "OBX" })
}
