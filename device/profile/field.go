package profile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/assaygate/assaygate/envelope"
)

// reader turns records into the objects of an envelope and gathers what it
// could not understand. It names places only: content is a patient's.
type reader struct {
	profile  *profile
	now      string // the default of a header without a time, YYYYMMDDHHMMSS
	problems []string
	unlisted []string // places with values that the definition does not list
	budget   *budget
}

// object gives an ASTM record's fields their names, all of the definition's,
// null where the record has nothing.
func (rd *reader) object(r record) envelope.Object {
	fields := rd.profile.fields[r.name]
	o := make(envelope.Object, 0, len(fields))
	for n, f := range fields {
		switch {
		case f == nil:
		case r.name == "H" && n == 2:
			o = append(o, envelope.Member{Key: f.name, Value: delimeter(r.field(2))})
		default:
			o = append(o, envelope.Member{Key: f.name, Value: rd.value(f, r.field(n), r.d)})
		}
	}
	return rd.plot(r, o)
}

// delimeter (the contract's spelling) shows H-2 as senaite.astm does: split at
// backslash and caret whatever the message itself declares.
func delimeter(h2 string) []any {
	list := []any{}
	for repeat := range strings.SplitSeq(h2, `\`) {
		first, rest, found := strings.Cut(repeat, "^")
		o := envelope.Object{{Key: "_", Value: first}, {Key: "__", Value: nil}}
		if found && rest != "" {
			o[1].Value = rest
		}
		list = append(list, o)
	}
	return list
}

// plain reports whether a field's text is its value.
func (f *field) plain() bool {
	return f.components == nil && f.repeats == nil && !f.constant && f.allowed == nil && (f.kind == "" || f.kind == typeText)
}

// value gives a field's value.
func (rd *reader) value(f *field, text string, d delimiters) any {
	switch {
	case f.components != nil:
		first, _, _ := before(text, d.repeat)
		return rd.components(f.components, first, d)
	case f.repeats != nil && !rd.budget.take(len(f.repeats)*count(text, d.repeat, d.component)):
		return rd.odd(text, f, tooLong)
	case f.repeats != nil:
		return rd.repeats(f.repeats, text, d)
	case text == "" && !f.preset:
		return nil
	case text == "" && f.value == now:
		return rd.now
	case text == "":
		return f.value
	case f.constant && text != f.value:
		return rd.odd(text, f, f.value)
	case f.allowed != nil && !slices.Contains(f.allowed, text):
		rd.unlisted = append(rd.unlisted, f.at)
	}
	switch f.kind {
	case typeNumber:
		number, whole := wholeNumber(text)
		if !whole {
			return rd.odd(text, f, "a number")
		}
		return number
	case typeDate:
		if _, err := time.Parse("20060102", text); err != nil {
			return rd.odd(text, f, "a date as YYYYMMDD")
		}
	case typeTime:
		return rd.time(text, f)
	case typeSignificant:
		return significant(text, f.prefer, d)
	case typeUnit:
		if text = unit(text, d); text == "" {
			return nil
		}
	case typePassthrough:
		return rd.passthrough(text, f, d)
	case typeJSONList:
		if !rd.budget.take(count(text, d.component)) {
			return rd.odd(text, f, tooLong)
		}
		return jsonList(text, d)
	case typeStream:
		numbers, err := decodeStream(text, d.component, rd.budget)
		switch {
		case err != nil:
			return rd.odd(rd.passthrough(text, f, d), f, "a stream of numbers: "+err.Error())
		case numbers == nil:
			return rd.passthrough(text, f, d)
		}
		return numbers
	}
	return text
}

// odd notes that a field is not what its definition says, and keeps it as it is.
func (rd *reader) odd(v any, f *field, want string) any {
	rd.problems = append(rd.problems, f.at+" is not "+want)
	return v
}

// tooLong is what is wrong with a field that would cost more than a message may.
const tooLong = "of so few parts that they can be taken apart"

// count is how many parts delimiters make of a text.
func count(text string, delimiters ...byte) int {
	n := 1
	for _, d := range delimiters {
		if d != 0 {
			n += strings.Count(text, string([]byte{d}))
		}
	}
	return n
}

func (rd *reader) passthrough(text string, f *field, d delimiters) any {
	if !rd.budget.take(count(text, d.repeat, d.component)) {
		return rd.odd(text, f, tooLong)
	}
	return passthrough(text, d)
}

// wholeNumber writes a number as the contract has it: 0021 is 21. What is no
// number stays as it is.
func wholeNumber(text string) (number string, whole bool) {
	digits := strings.TrimSpace(text)
	sign := ""
	if rest, found := strings.CutPrefix(digits, "-"); found {
		sign, digits = "-", rest
	} else {
		digits = strings.TrimPrefix(digits, "+")
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return text, false
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return "0", true
	}
	return sign + digits, true
}

// time completes a time of 8, 10 or 12 digits to the 14 that the contract has.
func (rd *reader) time(text string, f *field) any {
	digits := strings.TrimSpace(text)
	layout := map[int]string{8: "20060102", 10: "2006010215", 12: "200601021504", 14: "20060102150405"}[len(digits)]
	t, err := time.Parse(layout, digits)
	if layout == "" || err != nil {
		return rd.odd(text, f, "a time as YYYYMMDDHHMMSS")
	}
	return t.Format("20060102150405")
}

// components makes one object of a field's components; what stands beyond the
// definition's names is dropped, as the contract has it.
func (rd *reader) components(names []*field, text string, d delimiters) envelope.Object {
	o := make(envelope.Object, 0, len(names))
	part, rest, more := before(text, d.component)
	for _, f := range names {
		o = append(o, envelope.Member{Key: f.name, Value: rd.value(f, part, d)})
		if part = ""; more {
			part, rest, more = before(rest, d.component)
		}
	}
	return o
}

// repeats makes a list of objects. A single value is a list of one; where the
// object has one component only, each component is an object of its own.
func (rd *reader) repeats(names []*field, text string, d delimiters) []any {
	list := []any{}
	if text == "" {
		return list
	}
	for _, repeat := range split(text, d.repeat) {
		if len(names) > 1 {
			list = append(list, rd.components(names, repeat, d))
			continue
		}
		for _, component := range split(repeat, d.component) {
			list = append(list, rd.components(names, component, d))
		}
	}
	return list
}

// significant picks the component that carries the meaning of a compound field
// nobody defined: a preferred one, else the first that is not empty.
func significant(text string, prefer []int, d delimiters) any {
	first, _, _ := before(text, d.repeat)
	for _, n := range prefer {
		if part := component(first, n, d); carries(part) {
			return part
		}
	}
	for rest, more := first, true; more; {
		var part string
		part, rest, more = before(rest, d.component)
		if part, _, _ = before(part, d.sub); carries(part) {
			return part
		}
	}
	return nil
}

// unit is the code of a coded unit, or its text where there is no code. The
// caret of a power of ten (10^9/L) is often sent as it is, though it delimits.
func unit(text string, d delimiters) string {
	first, _, _ := before(text, d.repeat)
	code := component(first, 1, d)
	if base := strings.TrimLeft(code, "xX* "); base == "10" && component(first, 2, d) != "" {
		return first
	}
	for _, n := range []int{2, 4, 5} { // the text, then the alternates; 3 names the coding system
		if !carries(code) {
			code = component(first, n, d)
		}
	}
	return code
}

// deleted is what both standards send for a value that is not there any more.
const deleted = `""`

func carries(part string) bool {
	part = strings.TrimSpace(part)
	return part != "" && part != deleted
}

// passthrough shows text as text, components as a list, repeats as a list of
// lists.
func passthrough(text string, d delimiters) any {
	repeats := split(text, d.repeat)
	lists := make([]any, len(repeats))
	compound := len(repeats) > 1
	for i, repeat := range repeats {
		var list []any
		for _, part := range split(repeat, d.component) {
			if part == "" {
				list = append(list, nil)
			} else {
				list = append(list, part)
			}
		}
		lists[i] = list
		compound = compound || len(list) > 1
	}
	switch {
	case !compound:
		return text
	case len(lists) == 1:
		return lists[0]
	}
	return lists
}

// jsonList shows a field as text that holds a JSON list of its components, in
// ASCII, as Python's json module writes it.
func jsonList(text string, d delimiters) any {
	list := []any{}
	for _, part := range split(text, d.component) {
		list = append(list, part)
	}
	written, _ := envelope.Object{{Value: list}}.MarshalJSON() // text always can be
	_, written, _ = bytes.Cut(written[:len(written)-1], []byte{':'})
	spaced := strings.ReplaceAll(string(written), `","`, `", "`)
	var ascii strings.Builder
	for _, r := range spaced {
		switch {
		case r < 0x80:
			ascii.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&ascii, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&ascii, `\u%04x\u%04x`, high, low)
		}
	}
	return ascii.String()
}
