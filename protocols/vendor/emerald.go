package vendor

import (
	"bytes"
	"strconv"
	"strings"
)

// SplitLine is a [bufio.SplitFunc] whose tokens are an Emerald's lines, each
// with the CR or LF that ends it; of CR LF the LF is a line of its own. The
// error is always nil. A line without its end is left in place, and is no token
// at the end either.
func SplitLine(data []byte, _ bool) (advance int, token []byte, err error) {
	n := bytes.IndexAny(data, "\r\n") + 1
	if n == 0 {
		return 0, nil, nil
	}
	return n, data[:n:n], nil
}

// EmeraldSum is the check sum of a frame: of all bytes before its END line.
func EmeraldSum(frame []byte) uint16 {
	sum := uint16(0xFFFF)
	for _, c := range frame {
		sum ^= uint16(c)
		for range 8 {
			odd := sum & 1
			sum >>= 1
			if odd != 0 {
				sum ^= 0xA001
			}
		}
	}
	return sum
}

// verifyEmerald checks the sum of a frame. A frame that needs none, STARTUP, has
// it right.
func verifyEmerald(raw []byte) error {
	line := bytes.TrimRight(raw, "\r\n")
	start := bytes.LastIndexAny(line, "\r\n") + 1
	word, rest, found := bytes.Cut(line[start:], []byte{';'})
	if word := string(bytes.TrimSpace(word)); word != endResult && word != endCalibration {
		if word == startUp {
			return nil
		}
		return ErrNoSum
	}
	number, _, _ := bytes.Cut(rest, []byte{';'})
	want, err := strconv.ParseUint(string(bytes.TrimSpace(number)), 10, 16)
	if !found || err != nil {
		return ErrNoSum
	}
	body := raw[:start]
	// Where lines end in CR LF, the last LF may not count.
	if EmeraldSum(body) == uint16(want) || EmeraldSum(bytes.TrimSuffix(body, []byte{lf})) == uint16(want) {
		return nil
	}
	return ErrSum
}

// The words that lines begin with.
const (
	connect        = "CONNECT"
	disconnect     = "DISCONNECT"
	resultReady    = "RESULT_READY"
	result         = "RESULT"
	calibration    = "CALIBRATION"
	startUp        = "STARTUP"
	endResult      = "END_RESULT"
	endCalibration = "END_CALI"
)

// word is what a line begins with.
func word(line []byte) string {
	first, _, _ := bytes.Cut(bytes.Trim(line, "\r\n"), []byte{';'})
	return string(bytes.TrimSpace(first))
}

// fieldsOf splits a line; blanks around a field are padding. No line that is
// read field by field has many, a curve's are left alone.
func fieldsOf(line string) []string {
	fields := strings.SplitN(line, ";", 17)
	for i, f := range fields {
		fields[i] = strings.TrimSpace(f)
	}
	return fields
}

// frame is a frame on its way to be records.
type frame struct {
	info              map[string]string
	results, comments []Record
	behind            bool  // behind the parameters
	unread            []int // lines that look like values
}

func parseEmerald(text string) (Packet, error) {
	f := frame{info: map[string]string{}}
	var header, opening string
	seen, number := 0, 0
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == cr || r == lf }) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		seen++
		number++
		switch {
		case seen == 1 && opens(word([]byte(line))):
			seen++ // there is no header line
			opening = line
		case seen == 1:
			header = line
		case seen == 2:
			opening = line
		default:
			f.take(line, number)
		}
		if len(f.results)+len(f.comments) > mostResults {
			return Packet{}, ErrExcessive
		}
	}
	begin := fieldsOf(opening)
	if !opens(strings.ToUpper(begin[0])) {
		return Packet{}, ErrMalformed
	}
	p := Packet{FrameID: strings.ToUpper(begin[0]), Mode: strings.ToUpper(f.info["MODE"]), UnitSystem: f.info["UNIT"]}
	if p.FrameID == result && len(f.unread) > 0 {
		p.Problems = append(p.Problems, unreadLines(f.unread))
	}
	at := emeraldTime(f.info["DATE"], f.info["TIME"])
	switch {
	case p.FrameID == calibration && len(begin) > 3:
		at = emeraldTime(begin[2], begin[3])
	case p.FrameID == startUp && len(begin) > 2:
		at = emeraldTime(begin[1], begin[2])
	}
	sender := append(fieldsOf(header), "", "", "", "")
	operator := f.info["OPERATOR"]
	h := newRecord("H", "", 14)
	h.setComponents(5, sender[0], sender[1], sender[2])
	h.set(11, operator)
	if operator == "" {
		h.set(11, sender[3])
	}
	h.set(12, p.Mode)
	if p.FrameID != result && p.Mode != testMark {
		h.set(12, p.FrameID)
	}
	h.set(14, at)
	p.Records = append(p.Records, h)
	if p.FrameID == result && !controls(p.Mode) {
		p.Records = append(p.Records, f.patient(), f.order())
	}
	for i, r := range f.results {
		r[1] = strconv.Itoa(i + 1)
		r.set(11, operator)
		r.set(13, at)
	}
	// They are of the whole sample: above the results nobody takes them for a
	// remark on the last one.
	p.Records = append(append(p.Records, f.comments...), f.results...)
	return p, nil
}

// opens reports whether a line with this word opens a frame.
func opens(word string) bool { return word == result || word == calibration || word == startUp }

// controls reports whether a frame of this mode is about no sample.
func controls(mode string) bool {
	return mode == "QC" || mode == "CALIBRATION" || mode == "REPEATABILITY"
}

// take reads one line behind the opening one. Number is its place among the
// frame's lines, those that are empty left out.
func (f *frame) take(line string, number int) {
	fields := fieldsOf(line)
	token := strings.ToUpper(fields[0])
	fields[0] = token
	switch token {
	case "ALARMS", "INTERPRETIVE_WBC", "INTERPRETIVE_RBC", "INTERPRETIVE_PLT", "COMMENT":
		f.behind = true
		f.comment(token, line)
		return
	}
	switch {
	case strings.HasSuffix(token, " CURVE"):
		f.behind = true
	case f.behind || strings.HasPrefix(token, "END_"):
	case informs(token):
		f.inform(token, fields)
	case parameter(fields):
		f.results = append(f.results, parameterRecord(fields))
	case resembles(fields):
		f.unread = append(f.unread, number)
	default:
		f.inform(token, fields)
	}
}

// informs reports whether a token is one of those above the parameters, which
// tell of the sample and how it was measured.
func informs(token string) bool {
	switch token {
	case "DATE", "TIME", "MODE", "UNIT", "SEQ", "SID", "PID", "ID", "TYPE", "TEST", "RTYPE", "RACK", "POS", "TUBE_TYPE", "BIRTH", "SEX", "PRESC", "LOCAT",
		"DRAW DATE", "DRAW TIME", "PATIENT COMMENT", "OPERATOR", "PREL", "CYCLE", "LOT":
		return true
	}
	return false
}

// inform keeps what a line tells, unless one before it told it.
func (f *frame) inform(token string, fields []string) {
	if _, known := f.info[token]; !known && len(fields) > 1 && len(f.info) < mostResults {
		f.info[token] = fields[1]
	}
}

// comment keeps what an alarm or remark says.
func (f *frame) comment(token, line string) {
	_, rest, _ := strings.Cut(line, ";")
	var said []string
	for part := range strings.SplitSeq(rest, ";") {
		if part = strings.TrimSpace(part); part != "" {
			said = append(said, part)
		}
	}
	if len(said) == 0 {
		return
	}
	r := newRecord("C", strconv.Itoa(len(f.comments)+1), 4)
	r.set(3, token)
	r.set(4, strings.Join(said, ";"))
	f.comments = append(f.comments, r)
}

// parameter reports whether a line is a measured value: token;value;flag;flag
// and its limits.
func parameter(fields []string) bool {
	if len(fields) < 4 || fields[1] == "" || !named(fields[0]) {
		return false
	}
	// A full line is one whatever its value says: nothing else has so many fields.
	return strings.Trim(fields[1], "0123456789.,+-*<>") == "" || len(fields) == 8
}

// resembles reports whether a line that is no measured value looks like one: it
// has a number, or the fields for it.
func resembles(fields []string) bool {
	if len(fields) < 2 || fields[0] == "" || len(fields) < 4 && !named(fields[0]) {
		return false
	}
	if fields[1] == "" {
		return len(fields) > 3
	}
	return strings.IndexByte("0123456789.,+-*<>", fields[1][0]) >= 0
}

// named reports whether a token has the characters of a parameter's name.
func named(token string) bool {
	if token == "" || token[0] < 'A' || token[0] > 'Z' {
		return false
	}
	for _, c := range []byte(token) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("#%_-", c) < 0 {
			return false
		}
	}
	return true
}

// unreadLines names lines by their numbers, for they may hold anything.
func unreadLines(numbers []int) string {
	if len(numbers) == 1 {
		return "line " + strconv.Itoa(numbers[0]) + " looks like a value and cannot be read"
	}
	const most = 10
	var list []string
	for _, n := range numbers[:min(len(numbers), most)] {
		list = append(list, strconv.Itoa(n))
	}
	text := "lines " + strings.Join(list, ", ")
	if more := len(numbers) - len(list); more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return text + " look like values and cannot be read"
}

func parameterRecord(fields []string) Record {
	r := newRecord("R", "", 14)
	r.setComponents(3, fields[0])
	r.set(4, fields[1])
	var flags []string
	for _, flag := range fields[2:4] {
		if flag != "" {
			flags = append(flags, clean(flag))
		}
	}
	r[6] = strings.Join(flags, string(rune(Repeat)))
	switch limits := fields[4:min(len(fields), 8)]; len(limits) {
	case 4: // a patient's: panic and normal limits
		r.setComponents(6, limits...)
	case 2, 3: // a control's: its limits only
		r.setComponents(6, "", limits[0], limits[1])
	}
	r.set(9, "F")
	return r
}

func (f *frame) patient() Record {
	r := newRecord("P", "1", 26)
	for n, token := range map[int]string{5: "PID", 6: "ID", 14: "PRESC", 26: "LOCAT"} {
		r.set(n, f.info[token])
	}
	r.set(8, emeraldTime(f.info["BIRTH"], ""))
	switch f.info["SEX"] {
	case "1":
		r.set(9, "M")
	case "2":
		r.set(9, "F")
	default:
		r.set(9, "U")
	}
	return r
}

func (f *frame) order() Record {
	r := newRecord("O", "1", 26)
	r.set(3, f.info["SID"])
	r.setComponents(4, f.info["RACK"], f.info["POS"])
	r.set(5, f.info["TEST"])
	r.set(16, f.info["TYPE"])
	r.set(26, "F")
	return r
}

// emeraldTime makes YYYYMMDD or YYYYMMDDHHMMSS of DD/MM/YYYY and HH:MM:SS. What
// cannot be read stays as it is.
func emeraldTime(date, time string) string {
	day := strings.Split(date, "/")
	if len(day) != 3 || len(day[0]) > 2 || len(day[1]) > 2 || len(day[2]) != 4 || strings.Trim(date, "0123456789/") != "" {
		return strings.TrimSpace(date + " " + time)
	}
	two := func(text string) string { return strings.Repeat("0", 2-len(text)) + text }
	text := day[2] + two(day[1]) + two(day[0])
	if clock := strings.ReplaceAll(time, ":", ""); digits(clock, 6) {
		text += clock
	}
	return text
}
