package profile

import (
	"fmt"

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
	Record     string     `yaml:"record"`
	Kind       string     `yaml:"kind"` // the field that tells it
	Points     plotStream `yaml:"points"`
	Thresholds plotStream `yaml:"thresholds"`
}

// plotStream is one of the two: the field it comes from, and its lists' names
// by kind of plot.
type plotStream struct {
	From  string
	Lists map[string][]string
}

// UnmarshalYAML reads {from: axis_y, HISTOGRAM: [X, Y]}.
func (s *plotStream) UnmarshalYAML(node *yaml.Node) error {
	var entries map[string]yaml.Node
	if err := node.Decode(&entries); err != nil {
		return err
	}
	s.Lists = map[string][]string{}
	for key, value := range entries {
		if key == "from" {
			s.From = value.Value
			continue
		}
		var names []string
		if err := value.Decode(&names); err != nil {
			return fmt.Errorf("line %d: %s: %w", value.Line, key, err)
		}
		s.Lists[key] = names
	}
	return nil
}

// plot appends what a plot's streams hold to its record's object.
func (rd *reader) plot(r record, o envelope.Object) envelope.Object {
	spec := rd.profile.Plot
	if spec == nil || r.name != spec.Record {
		return o
	}
	kind := o.Text(spec.Kind)
	points, thresholds := spec.Points.Lists[kind], spec.Thresholds.Lists[kind]
	if points == nil {
		return o
	}
	curve, _ := o.Value(spec.Points.From).(envelope.Floats)
	limits, _ := o.Value(spec.Thresholds.From).(envelope.Floats)
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
