package picture

import (
	"math"
	"strconv"
	"strings"

	"github.com/assaygate/assaygate/envelope"
)

// longestData bounds the base64 of a curve that is decoded.
const longestData = 64 << 10

// histogram stands between what a histogram is of and what a value is of it.
const histogram = " Histogram. "

// ofObservations finds the curves that stand in OBX of type ED as bare numbers. As
// Mindray's haematology analysers send it:
//
//	OBX|..|NM|15051^RBC Histogram. Left Line^99MRC||29
//	OBX|..|NM|15052^RBC Histogram. Right Line^99MRC||152
//	OBX|..|NM|15053^RBC Histogram. Binary Meta Length^99MRC||2
//	OBX|..|ED|15050^RBC Histogram. Binary^99MRC||^Application^Octet-stream^Base64^AAAA..
//
// Meta Length, which some write without Binary, is the bytes that one channel takes,
// the high byte first; without it nothing is known of the numbers, and nothing is
// drawn. Lines are thresholds, by channel.
func ofObservations(e envelope.Envelope) (list []Plot) {
	if e.Protocol != envelope.HL7 {
		return nil
	}
	size := map[string]int{}
	marks := map[string][]float64{}
	for _, r := range e.Results {
		name, what, is := strings.Cut(r.Name, histogram)
		value, err := strconv.ParseFloat(strings.TrimSpace(r.Value), 64)
		switch what = strings.ToLower(strings.TrimSuffix(what, ".")); {
		case !is || err != nil || len(size)+len(marks) > 2*mostPlots:
		case strings.HasSuffix(what, "meta length"):
			size[name] = int(value)
		case strings.HasSuffix(what, " line"):
			marks[name] = append(marks[name], value)
		}
	}
	for n, r := range e.Results {
		name, what, is := strings.Cut(r.Name, histogram)
		if !is || r.Kind != envelope.KindImage || !strings.EqualFold(what, "binary") || len(list) == mostPlots {
			continue
		}
		document, has := DocumentOf(e, n)
		if !has || len(document.data) > longestData {
			continue
		}
		data, err := document.Bytes()
		if err != nil {
			continue
		}
		if y := bigEndian(data, size[name]); y != nil {
			list = append(list, Plot{Test: name, X: channels(len(y)), Y: y, Marks: marks[name]})
		}
	}
	return list
}

// bigEndian reads numbers of 1, 2 or 4 bytes; nil where they do not come out even.
func bigEndian(data []byte, size int) (list []float64) {
	if size != 1 && size != 2 && size != 4 || len(data)%size != 0 || len(data)/size > mostChannels {
		return nil
	}
	for ; len(data) > 0; data = data[size:] {
		n := 0.0
		for _, b := range data[:size] {
			n = n*(math.MaxUint8+1) + float64(b)
		}
		list = append(list, n)
	}
	return list
}
