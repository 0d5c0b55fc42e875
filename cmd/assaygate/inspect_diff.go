package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

type inspectDiff struct {
	Old string `arg:"" help:"A capture." type:"existingfile"`
	New string `arg:"" help:"Another capture." type:"existingfile"`
}

var errDiffers = errors.New("the captures differ")

// Run implements a kong command.
func (c *inspectDiff) Run(parent *inspectCommand, s *streams) error {
	older, err := parent.meaning(c.Old, s)
	if err != nil {
		return err
	}
	newer, err := parent.meaning(c.New, s)
	if err != nil {
		return err
	}
	differences := 0
	for _, place := range slices.Sorted(maps.Keys(merged(older, newer))) {
		if older[place] != newer[place] {
			fmt.Fprintf(s.out, "%s: %s -> %s\n", place, shown(older, place), shown(newer, place))
			differences++
		}
	}
	if differences > 0 {
		return errDiffers
	}
	return nil
}

// meaning flattens the envelopes of a capture to a value for each place. What
// every reading makes anew, and the framing, means nothing.
func (c *inspectCommand) meaning(file string, s *streams) (map[string]string, error) {
	read, err := c.reader(time.Unix(0, 0))
	if err != nil {
		return nil, err
	}
	capture, err := readCapture(file)
	if err == nil {
		err = sayProblems(s.err, file, capture)
	}
	if err != nil {
		return nil, err
	}
	places, n := map[string]string{}, 0
	for _, m := range capture.Transmissions {
		for _, e := range read(m).envelopes {
			e.ID, e.MessageID, e.Digest = "", "", ""
			e.Metadata.ASTM, e.Metadata.LIS2A, e.Metadata.HL7 = "", "", ""
			text, err := e.MarshalJSON()
			if err != nil {
				return nil, err
			}
			var v map[string]any
			if err := json.Unmarshal(text, &v); err != nil {
				return nil, err
			}
			delete(v["assaygate"].(map[string]any), "received_at")
			flatten(fmt.Sprintf("[%d]", n), v, places)
			n++
		}
	}
	return places, nil
}

// flatten gives every scalar its place, such as [0].R[3].value.
func flatten(place string, v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			flatten(place+"."+key, value, into)
		}
	case []any:
		for i, value := range v {
			flatten(fmt.Sprintf("%s[%03d]", place, i), value, into)
		}
	default:
		text, _ := json.Marshal(v) // scalars always can be
		into[place] = string(text)
	}
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func shown(places map[string]string, place string) string {
	if value, there := places[place]; there {
		return value
	}
	return "(not there)"
}
