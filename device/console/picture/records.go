package picture

import "github.com/assaygate/assaygate/envelope"

// ofRecords finds the plots that the profile has unfolded from M records: four
// bounds, ticks, points and thresholds.
func ofRecords(records []envelope.Object) (list []Plot) {
	for _, o := range records {
		points, drawn := o.Value("points").(envelope.Object)
		if !drawn || len(list) == mostPlots {
			continue
		}
		p := Plot{
			Test: o.Text("stream"), Name: o.Text("domain"),
			X: floats(points, "X"), Y: floats(points, "Y"), Quantities: floats(points, "Qty"), Populations: floats(points, "Pop"),
			Left: float(o, "x_min"), Right: float(o, "x_max"), Bottom: float(o, "y_min"), Top: float(o, "y_max"),
			Ticks: floats(o, "x_ticks"),
			Cloud: o.Text("kind") == "MATRIX",
		}
		// The thresholds of a scattergram are corners of boxes, not places on an axis.
		if thresholds, has := o.Value("thresholds").(envelope.Object); has && !p.Cloud {
			p.Marks = floats(thresholds, "X")
		}
		if len(p.Quantities) != len(p.X) {
			p.Quantities = nil
		}
		if len(p.Populations) != len(p.X) {
			p.Populations = nil
		}
		list = append(list, p)
	}
	return list
}

// floats is a list of numbers, nil where there is none of that name.
func floats(o envelope.Object, name string) []float64 {
	list, _ := o.Value(name).(envelope.Floats)
	return list
}

func float(o envelope.Object, name string) float64 {
	f, _ := o.Value(name).(float64)
	return f
}
