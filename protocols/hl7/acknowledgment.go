package hl7

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Acknowledgment codes (MSA-1, table HL70008): of an application
// acknowledgement, and of an accept acknowledgement, which there is in enhanced
// mode only.
const (
	Accept = "AA" // stored
	Error  = "AE" // not stored, the sender may send it again
	Reject = "AR" // not accepted, whatever its content

	Commit       = "CA" // stored
	CommitError  = "CE" // not stored, the sender may send it again
	CommitReject = "CR" // not accepted, whatever its content
)

// Acknowledgment is what the caller knows of an answer. The rest of it is taken
// from the request.
type Acknowledgment struct {
	Code      string       // MSA-1
	Text      string       // MSA-3, for people; never content of the message
	ControlID string       // MSH-10 of the answer
	Time      string       // MSH-7 of the answer, formatted
	Err       *ErrorDetail // ERR, if any
	Enhanced  bool         // the answer belongs to enhanced mode: see [Answers]

	profiled bool // MSH-21 is repeated whatever the mode
}

// ErrorDetail says what is wrong with a message.
type ErrorDetail struct {
	Location string // where, as SEGMENT^SEQUENCE^FIELD, e.g. MSH^1^9; may be empty
	Code     string // table HL70357, e.g. CodeUnsupportedType
	Severity string // E error, W warning, I information, F fatal; empty means E
	Text     string // for people; may be empty
}

// Error codes (table HL70357).
const (
	CodeSequence           = "100"
	CodeRequiredField      = "101"
	CodeDataType           = "102"
	CodeTableValue         = "103"
	CodeUnsupportedType    = "200"
	CodeUnsupportedEvent   = "201"
	CodeUnsupportedProcess = "202"
	CodeUnsupportedVersion = "203"
	CodeInternal           = "207"
)

// fallbackVersion is the MSH-12 of an answer to something that has none.
const fallbackVersion = "2.5.1"

// Ack returns one acknowledgement of request, as the package doc says; which
// ones a message gets is told by [Mode.Answers]. The request may be anything;
// one that [Parse] refuses gets an answer with the recommended delimiters and an
// empty MSA-2.
func Ack(request []byte, a Acknowledgment) []byte {
	m, err := Parse(request)
	if err != nil {
		m = Message{Delimiters: DefaultDelimiters()}
	}
	return ack(m, err == nil, a)
}

// AckParsed is Ack for a message that [Parse] or [ParseHeader] has read. What
// only a whole message can tell, such as the orders of OML^O33, is missing in the
// answer to a header.
func AckParsed(m Message, a Acknowledgment) []byte { return ack(m, true, a) }

func ack(m Message, readable bool, a Acknowledgment) []byte {
	r := reply{Delimiters: m.Delimiters}
	r.header(m, readable, a, r.messageType(m, a))
	r.msa(m, a)
	if a.Err != nil {
		r.err(*a.Err, version(m) >= modernErr || !readable)
	}
	if orderMessage(m) && !a.accepts() {
		r.orders(m, a.Code == Accept)
	}
	return r.out
}

// accepts reports whether it is an accept acknowledgement.
func (a Acknowledgment) accepts() bool {
	return a.Code == Commit || a.Code == CommitError || a.Code == CommitReject
}

// orderMessage reports whether m is OML^O33, whose answer names the orders.
func orderMessage(m Message) bool {
	parts := messageType(m)
	return string(parts[0]) == "OML" && string(parts[1]) == "O33"
}

// reply is an answer while it is written.
type reply struct {
	Delimiters
	out []byte
}

// header writes MSH. In enhanced mode an answer says of itself that it needs
// none, and repeats which message profile (MSH-21) it belongs to.
func (r *reply) header(m Message, readable bool, a Acknowledgment, messageType []byte) {
	msh := m.First("MSH")
	chars := oneLine(msh.Field(2))
	if len(chars) == 0 {
		chars = []byte{r.Component, r.Repeat, r.Escape, r.Subcomponent}
	}
	process, version := oneLine(msh.Field(11)), oneLine(msh.Field(12))
	if !readable {
		process, version = []byte("P"), []byte(fallbackVersion)
	}
	var conditions, profile []byte
	if a.Enhanced || a.accepts() {
		conditions = []byte(never)
	}
	if a.Enhanced || a.accepts() || a.profiled {
		profile = oneLine(msh.Field(21))
	}
	r.segment("MSH", chars,
		oneLine(msh.Field(5)), oneLine(msh.Field(6)), oneLine(msh.Field(3)), oneLine(msh.Field(4)),
		r.time(a.Time), nil, messageType, []byte(a.ControlID), process, version,
		nil, nil, conditions, conditions, nil, oneLine(msh.Field(18)), nil, nil, profile)
}

// time is a time without the offset whose sign is a delimiter of this message.
func (r *reply) time(text string) []byte {
	if end := strings.LastIndexAny(text, "+-"); end >= 0 && bytes.IndexByte(r.text(text), text[end]) < 0 {
		text = text[:end]
	}
	return []byte(text)
}

// oneLine leaves an LF out. As data of the request it did no harm; with another
// neighbour, what stands behind it could be taken for a segment: [OpensSegment].
func oneLine(field []byte) []byte {
	if bytes.IndexByte(field, lf) < 0 {
		return field
	}
	return bytes.ReplaceAll(field, []byte{lf}, nil)
}

// msa writes MSA. The sender looks for its control id as it sent it, so an
// LF stays there, and nothing that could make a segment of it follows.
func (r *reply) msa(m Message, a Acknowledgment) {
	id, text := m.First("MSH").Field(10), r.text(a.Text)
	if bytes.IndexByte(id, lf) >= 0 || version(m) >= withoutText {
		text = nil
	}
	r.segment("MSA", []byte(a.Code), id, text)
}

// messageType returns MSH-9 of the answer. An accept acknowledgement is always
// the general one.
func (r *reply) messageType(m Message, a Acknowledgment) []byte {
	trigger := oneLine(messageType(m)[1])
	if bytes.ContainsFunc(trigger, func(c rune) bool { return c >= utf8.RuneSelf }) {
		trigger = nil // no event is called so; and half a character would take the separator behind it with it
	}
	switch {
	case orderMessage(m) && !a.accepts():
		return r.components("ORL", "O34", string(r.text("ORL_O34")))
	case len(trigger) > 0 && version(m) > 0 && version(m) < threePartType:
		return r.components("ACK", string(trigger))
	case len(trigger) > 0:
		return r.components("ACK", string(trigger), "ACK")
	}
	return []byte("ACK")
}

// err writes ERR, in the form of version 2.5 or the older one.
func (r *reply) err(e ErrorDetail, modern bool) {
	location := bytes.ReplaceAll([]byte(e.Location), []byte{'^'}, []byte{r.Component})
	meaning, known := meanings(e.Code)
	if !modern {
		code := []byte(e.Code)
		if known && r.Subcomponent != 0 {
			code = bytes.Join([][]byte{code, []byte(meaning), []byte("HL70357")}, []byte{r.Subcomponent})
		}
		if parts := bytes.SplitN(location, []byte{r.Component}, 4); len(parts) > 3 {
			location = bytes.Join(parts[:3], []byte{r.Component}) // below 2.5 it ends with the field
		}
		// The code is component 4, whether there is a location or not.
		for n := bytes.Count(location, []byte{r.Component}); n < 3; n++ {
			location = append(location, r.Component)
		}
		r.segment("ERR", append(location, code...))
		return
	}
	code := []byte(e.Code)
	if known {
		code = r.components(e.Code, meaning, "HL70357")
	}
	severity := e.Severity
	if severity == "" {
		severity = "E"
	}
	r.segment("ERR", nil, location, code, []byte(severity), nil, nil, nil, r.text(e.Text))
}

// meanings returns the text of an error code.
func meanings(code string) (text string, known bool) {
	switch code {
	case CodeSequence:
		text = "Segment sequence error"
	case CodeRequiredField:
		text = "Required field missing"
	case CodeDataType:
		text = "Data type error"
	case CodeTableValue:
		text = "Table value not found"
	case CodeUnsupportedType:
		text = "Unsupported message type"
	case CodeUnsupportedEvent:
		text = "Unsupported event code"
	case CodeUnsupportedProcess:
		text = "Unsupported processing id"
	case CodeUnsupportedVersion:
		text = "Unsupported version id"
	case CodeInternal:
		text = "Application internal error"
	}
	return text, text != ""
}

// orders writes the response group of ORL_O34: [PID {SPM [SAC] {ORC}}].
func (r *reply) orders(m Message, accepted bool) {
	var patient Segment
	specimen, prior := false, false
	for _, s := range m.Segments {
		switch {
		case s.Name == "PID" && !specimen:
			patient = s
		case s.Name == "PID":
			// Behind a specimen it opens a group of prior results, whose orders
			// are not the ones that are answered.
			prior = true
		case s.Name == "SPM":
			if !specimen && patient.Raw != nil {
				r.copied(patient)
			}
			specimen, prior = true, false
			r.copied(s)
		case prior || !specimen:
		case s.Name == "SAC":
			r.copied(s)
		case s.Name == "ORC":
			r.segment("ORC", orderControl(s.Field(1), accepted), s.Field(2), s.Field(3))
		}
	}
}

// orderControl answers an order control code (table HL70119).
func orderControl(code []byte, accepted bool) []byte {
	cancel := string(code) == "CA"
	switch {
	case cancel && accepted:
		return []byte("CR")
	case cancel:
		return []byte("UC")
	case accepted:
		return []byte("OK")
	}
	return []byte("UA")
}

// segment writes one segment. Trailing empty fields are left out, but never the
// second: an answer without a control id shows that its MSA-2 is empty.
func (r *reply) segment(name string, fields ...[]byte) {
	for len(fields) > 2 && len(fields[len(fields)-1]) == 0 {
		fields = fields[:len(fields)-1]
	}
	r.out = append(r.out, name...)
	for _, f := range fields {
		r.out = append(append(r.out, r.Field), f...)
	}
	r.out = append(r.out, cr)
}

func (r *reply) copied(s Segment) { r.out = append(append(r.out, s.Raw...), cr) }

func (r *reply) components(parts ...string) []byte {
	var out []byte
	for i, p := range parts {
		if i > 0 {
			out = append(out, r.Component)
		}
		out = append(out, p...)
	}
	return out
}

func (r *reply) text(s string) []byte { return Escape(nil, []byte(s), r.Delimiters) }

// version returns MSH-12 as a number: 2.5.1 is 2_05_01. 0 where it is unreadable.
func version(m Message) (number int) {
	field := m.First("MSH").Field(12)
	if parts := Components(field, m.Delimiters); len(parts) > 0 {
		field = parts[0]
	}
	rest, more := bytes.TrimSpace(field), true
	for place := range 3 {
		var text []byte
		if text, rest, more = bytes.Cut(rest, []byte(".")); place == 2 && len(text) == 0 {
			text = []byte("0")
		}
		n, err := strconv.Atoi(string(text))
		if err != nil || n < 0 || n > 99 || place == 0 && !more {
			return 0
		}
		number = number*100 + n
	}
	return number
}

// Versions that changed what an answer may hold.
const (
	threePartType = 2_03_01 // MSH-9 got its third component
	modernErr     = 2_05_00 // ERR got fields for each of what ERR-1 held
	withoutText   = 2_07_00 // MSA-3 was withdrawn; ERR-8 has it
)
