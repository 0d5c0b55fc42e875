package profile

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/assaygate/assaygate/envelope"
)

// plot says that a record holds a curve or a cloud of points in two streams:
//
//	thresholds:  4 bounds, then lists
//	points:      4 bounds, n and n ticks of x, m and m ticks of y, then lists
//	lists:       how many, how long, then one after the other
//
// The lists' names depend on the kind of plot that another field tells.
type plot struct {
	record     string
	kind       string // the name of the field that tells it
	points     plotStream
	thresholds plotStream
	test, name []location // what the plot shows
}

// plotStream is one of the two: the name of the field it comes from, and its
// lists' names by kind of plot.
type plotStream struct {
	from  string
	lists map[string][]string
}

func (d *definition) readPlot(n *yaml.Node) {
	p := &plot{}
	was := len(d.mistakes)
	places := func(what string, into *[]location) func(*yaml.Node) {
		return func(n *yaml.Node) {
			d.items(n, what, func(item *yaml.Node) { *into = append(*into, d.location(item, what)) })
		}
	}
	d.mapping(
		n, "plot",
		key{"record", func(n *yaml.Node) { p.record = d.full(n, "plot.record") }},
		key{"kind", func(n *yaml.Node) { p.kind = d.full(n, "plot.kind") }},
		key{"points", func(n *yaml.Node) { p.points = d.readPlotStream(n, "plot.points") }},
		key{"thresholds", func(n *yaml.Node) { p.thresholds = d.readPlotStream(n, "plot.thresholds") }},
		key{"test", places("plot.test", &p.test)},
		key{"name", places("plot.name", &p.name)},
	)
	if len(d.mistakes) > was {
		return
	}
	if d.protocol == envelope.HL7 {
		d.fail(n, "plot: an ASTM record holds a plot, a segment does not")
		return
	}
	for _, name := range []string{p.kind, p.points.from, p.thresholds.from} {
		if !slices.ContainsFunc(d.fields[p.record], func(f *field) bool { return f != nil && f.name == name }) {
			d.fail(n, "plot: record %s has no field called %q; record, kind, points.from and thresholds.from are needed", p.record, name)
			return
		}
	}
	d.plot = p
}

// readPlotStream reads {from: axis_y, HISTOGRAM: [X, Y]}.
func (d *definition) readPlotStream(n *yaml.Node, what string) plotStream {
	s := plotStream{lists: map[string][]string{}}
	d.entries(n, what, func(name, value *yaml.Node) {
		if name.Value == "from" {
			s.from = d.full(value, what+".from")
			return
		}
		s.lists[name.Value] = d.texts(value, what+"."+name.Value)
	})
	return s
}

// plot appends what a plot's streams hold to its record's object.
func (rd *reader) plot(r record, o envelope.Object) envelope.Object {
	spec := rd.profile.plot
	if spec == nil || r.name != spec.record {
		return o
	}
	kind := o.Text(spec.kind)
	points, thresholds := spec.points.lists[kind], spec.thresholds.lists[kind]
	if points == nil {
		return o
	}
	curve, _ := o.Value(spec.points.from).(envelope.Floats)
	limits, _ := o.Value(spec.thresholds.from).(envelope.Floats)
	if len(curve) < 4 || len(limits) < 4 {
		return o
	}
	for i, name := range []string{"x_min", "x_max", "y_min", "y_max"} {
		o = append(o, envelope.Member{Key: name, Value: limits[i]})
	}
	xTicks, rest := counted(curve[4:])
	yTicks, rest := counted(rest)
	return append(o,
		envelope.Member{Key: "x_ticks", Value: xTicks},
		envelope.Member{Key: "y_ticks", Value: yTicks},
		envelope.Member{Key: "points", Value: lists(points, rest)},
		envelope.Member{Key: "thresholds", Value: lists(thresholds, limits[4:])})
}

// counted reads a count and that many numbers.
func counted(numbers envelope.Floats) (list, rest envelope.Floats) {
	if len(numbers) == 0 || numbers[0] < 0 || int(numbers[0]) > len(numbers)-1 {
		return envelope.Floats{}, nil
	}
	n := int(numbers[0])
	return numbers[1 : 1+n], numbers[1+n:]
}

// lists reads the number of lists, their length, and the lists; nil where the
// numbers are not laid out so, or the lists are empty.
func lists(names []string, numbers envelope.Floats) any {
	if len(numbers) < 2 {
		return nil
	}
	count, length := int(numbers[0]), int(numbers[1])
	if count != len(names) || length <= 0 || len(numbers)-2 != count*length {
		return nil
	}
	o := envelope.Object{}
	for i, name := range names {
		o = append(o, envelope.Member{Key: name, Value: numbers[2+i*length : 2+(i+1)*length]})
	}
	return o
}
