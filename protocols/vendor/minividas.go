package vendor

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// What one packet or frame holds is far below these: a VIDAS has thirty places
// and sends a packet for each, and an Emerald has some two dozen parameters. Of a
// VIDAS each result may need an order and a patient too, which are much longer
// than what tells of them.
const (
	mostResults      = 200
	mostVIDASResults = 64
)

// verifyMiniVIDAS checks the two digits behind GS. Where records are parted by
// CR LF it is not known whether those count, so both sums are right.
func verifyMiniVIDAS(raw []byte) error {
	at := bytes.IndexByte(raw, gs)
	if at < 1 {
		return ErrNoSum
	}
	digits := raw[at+1:]
	if len(digits) > 2 {
		digits = digits[:2]
	}
	want, err := strconv.ParseUint(string(digits), 16, 8)
	if err != nil || len(digits) < 2 {
		return ErrNoSum
	}
	var sum, bare byte
	for _, c := range raw[1 : at+1] {
		sum += c
		if c != cr && c != lf {
			bare += c
		}
	}
	if sum != byte(want) && bare != byte(want) {
		return ErrSum
	}
	return nil
}

// MiniVIDASSum returns the two digits for a packet: text goes from behind STX up
// to and including GS.
func MiniVIDASSum(text []byte) string {
	const hex = "0123456789abcdef"
	var sum byte
	for _, c := range text {
		sum += c
	}
	return string([]byte{hex[sum>>4], hex[sum&0xF]})
}

// Tag is one field of a mini VIDAS's packet: two letters that name it, and its
// value.
type Tag struct{ Name, Value string }

// MiniVIDASTags returns the fields of a packet in their order. ok is false where
// something stands there that is no field.
func MiniVIDASTags(text string) (tags []Tag, ok bool) {
	text = strings.TrimPrefix(text, "\x02")
	if end := strings.IndexAny(text, "\x1d\x03"); end >= 0 {
		text = text[:end]
	}
	ok = true
	most := max(strings.Count(text, "|"), strings.Count(text, string(rune(rs)))) + 1
	tags = make([]Tag, 0, min(most, 20*mostResults+1))
	for piece := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '|' || r == rs }) {
		piece = strings.Trim(piece, "\r\n")
		switch {
		case strings.TrimSpace(piece) == "":
		case tagged(piece):
			tags = append(tags, Tag{piece[:2], strings.TrimSpace(piece[2:])})
		default:
			ok = false
		}
		if len(tags) > 20*mostResults {
			return nil, false
		}
	}
	return tags, ok
}

// tagged reports whether a field begins with a name: a small letter, and
// another or a digit.
func tagged(piece string) bool {
	if len(piece) < 2 || piece[0] < 'a' || piece[0] > 'z' {
		return false
	}
	c := piece[1]
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
}

// The fields by what they tell of. Where one comes again, the next patient,
// sample or result begins; and where a patient's or a sample's comes behind a
// result, for then that result and its sample are all there. All others are kept
// as they are, in records that are named as they.
var (
	patientTags = []string{"pi", "pn", "pb", "ps"}
	sampleTags  = []string{"so", "si", "ci"}
	resultTags  = []string{"rt", "rn", "tt", "td", "ql", "qn", "y3", "nc", "id", "m4"}
)

// vidas gathers fields until a patient's, sample's or result's are all there.
type vidas struct {
	packet                  Packet
	patient, sample, result map[string]string
	serial, processing      string
	ordered                 bool   // the sample has an O record, the last of them
	assay                   string // of this assay
	patients, orders        int
	results, all            int
	shown                   bool // the patient has a record
	single                  bool // there is one result, so that the order of the fields tells nothing
	time                    string
	others                  []Record
}

func parseMiniVIDAS(text string) (Packet, error) {
	tags, clean := MiniVIDASTags(text)
	if len(tags) == 0 {
		return Packet{}, ErrMalformed
	}
	v := vidas{patient: map[string]string{}, sample: map[string]string{}, result: map[string]string{}}
	if !clean {
		v.packet.Problems = append(v.packet.Problems, "text that is no field was left out")
	}
	v.single = single(tags)
	for _, t := range tags {
		// What stands once holds for the whole packet, wherever it stands.
		switch t.Name {
		case "sn":
			v.serial = t.Value
		case "xp":
			v.processing = t.Value
		}
	}
	v.time, _ = vidasTime(first(tags, "td"), first(tags, "tt"))
	header := newRecord("H", `\^&`, 14)
	header.setComponents(5, "miniVidas", "biomerieux", "1.0.0", v.serial)
	header.set(12, v.processing)
	header.set(14, v.time)
	v.packet.Records = append(v.packet.Records, header)
	for _, t := range tags {
		v.take(t)
		if v.all > mostVIDASResults {
			return Packet{}, ErrExcessive
		}
	}
	v.flush(true, true)
	if v.all == 0 {
		return Packet{}, ErrMalformed
	}
	terminator := newRecord("L", "1", 3)
	terminator.set(3, "N")
	v.packet.Records = append(append(v.packet.Records, v.others...), terminator)
	return v.packet, nil
}

func first(tags []Tag, name string) string {
	for _, t := range tags {
		if t.Name == name && t.Value != "" {
			return t.Value
		}
	}
	return ""
}

// single reports whether no field of a result comes twice.
func single(tags []Tag) bool {
	seen := map[string]bool{}
	for _, t := range tags {
		if seen[t.Name] && slices.Contains(resultTags, t.Name) {
			return false
		}
		seen[t.Name] = true
	}
	return true
}

// measured reports whether the fields of a result so far hold one.
func (v *vidas) measured() bool {
	r := v.result
	return r["rt"] != "" || r["rn"] != "" || r["qn"] != "" || r["ql"] != ""
}

// ends reports whether a field of a patient or a sample, of which these came
// before, stands behind the result.
func (v *vidas) ends(before map[string]string) bool {
	return v.measured() && (!v.single || len(before) > 0)
}

func (v *vidas) take(t Tag) {
	switch {
	case slices.Contains(patientTags, t.Name):
		if _, again := v.patient[t.Name]; again || v.ends(v.patient) {
			v.flush(true, true)
			clear(v.patient)
			v.shown = false
		}
		v.patient[t.Name] = t.Value
	case slices.Contains(sampleTags, t.Name):
		if _, again := v.sample[t.Name]; again || v.ends(v.sample) {
			v.flush(true, false)
		}
		v.sample[t.Name] = t.Value
	case slices.Contains(resultTags, t.Name):
		if _, again := v.result[t.Name]; again {
			v.flush(false, false)
			clear(v.result)
		}
		v.result[t.Name] = t.Value
	case t.Name == "sn" || t.Name == "xp" || t.Name == "mt" && t.Value == "rsl" || t.Value == "":
	case len(v.others) < mostResults:
		r := newRecord(t.Name, strconv.Itoa(len(v.others)+1), 3)
		r.set(3, t.Value)
		v.others = append(v.others, r)
	}
}

// flush writes the result that is all there. With it ends its sample, or its
// patient, or neither.
func (v *vidas) flush(sample, patient bool) {
	if r := v.result; v.measured() {
		v.showPatient()
		at, ok := vidasTime(r["td"], r["tt"])
		if at == "" {
			at = v.time
		}
		if !ok {
			v.packet.Problems = append(v.packet.Problems, "a date or time is not of the form MM/DD/YY HH:MM")
		}
		// SENAITE reads the assay's name from the order, so each has its own.
		if !v.ordered || r["rn"] != "" && v.assay != r["rn"] {
			v.newOrder(at)
		}
		v.results++
		v.all++
		v.packet.Records = append(v.packet.Records, compactRecord("R", strconv.Itoa(v.results), map[int]string{
			3: r["rt"], 4: r["qn"], 5: r["y3"], 7: r["nc"], 9: r["ql"], 11: r["m4"], 13: at, 14: r["id"],
		}))
		clear(v.result)
	}
	if sample {
		clear(v.sample)
		v.ordered = false
	}
	if patient {
		v.orders = 0
	}
}

func (v *vidas) showPatient() {
	if v.shown {
		return
	}
	v.shown = true
	v.patients++
	v.packet.Records = append(v.packet.Records, compactRecord("P", strconv.Itoa(v.patients), map[int]string{
		5: v.patient["pi"], 6: v.patient["pn"], 8: vidasBirth(v.patient["pb"]), 9: v.patient["ps"],
	}))
}

func (v *vidas) newOrder(at string) {
	v.orders++
	v.results = 0
	v.ordered, v.assay = true, v.result["rn"]
	v.packet.Records = append(v.packet.Records, compactRecord("O", strconv.Itoa(v.orders), map[int]string{
		3: v.sample["ci"], 4: v.sample["si"], 5: v.assay, 16: v.sample["so"], 23: at,
	}))
}

// vidasTime makes YYYYMMDDHHMM of MM/DD/YY and HH:MM. A time without a date is
// none. What cannot be read stays as it is, and is not ok.
func vidasTime(date, time string) (text string, ok bool) {
	if date == "" {
		return "", time == ""
	}
	day := strings.Split(date, "/")
	if len(day) != 3 || !digits(day[0], 2) || !digits(day[1], 2) || !digits(day[2], 2) {
		return strings.TrimSpace(date + " " + time), false
	}
	text = fullYear(day[2]) + day[0] + day[1]
	hour, minute, _ := strings.Cut(time, ":")
	if time == "" {
		return text, true
	}
	if !digits(hour, 2) || !digits(minute, 2) {
		return date + " " + time, false
	}
	return text + hour + minute, true
}

// vidasBirth makes YYYYMMDD of MM/DD/YYYY; anything else stays as it is, for a
// year of two digits does not tell the century.
func vidasBirth(text string) string {
	day := strings.Split(text, "/")
	if len(day) != 3 || !digits(day[0], 2) || !digits(day[1], 2) || !digits(day[2], 4) {
		return text
	}
	return day[2] + day[0] + day[1]
}
