package envelope

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// Object is a JSON object that keeps the order of its members.
//
// A value is nil, a string, a bool, a float64, a [Floats], an Object, or a []any of such.
type Object []Member

// Member is one name and value of an [Object].
type Member struct {
	Key   string
	Value any
}

// Floats is a list of numbers, such as a histogram's points. It is written as
// Python's json module writes floats ("278.0"), which the contract shows.
type Floats []float64

// Value returns the value of the first member called key, or nil.
func (o Object) Value(key string) any {
	for _, m := range o {
		if m.Key == key {
			return m.Value
		}
	}
	return nil
}

// Text returns the value of the first member called key where it is text.
func (o Object) Text(key string) string {
	s, _ := o.Value(key).(string)
	return s
}

// Set replaces the value of the first member called key, or appends one.
func (o *Object) Set(key string, value any) {
	for i := range *o {
		if (*o)[i].Key == key {
			(*o)[i].Value = value
			return
		}
	}
	*o = append(*o, Member{key, value})
}

// MarshalJSON implements [json.Marshaler].
func (o Object) MarshalJSON() ([]byte, error) { return appendValue(nil, o) }

// UnmarshalJSON implements [json.Unmarshaler].
func (o *Object) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := readValue(d)
	if err != nil {
		return err
	}
	if v == nil {
		*o = nil
		return nil
	}
	object, ok := v.(Object)
	if !ok {
		return fmt.Errorf("want a JSON object, have %T", v)
	}
	*o = object
	return nil
}

// appendValue appends the compact JSON of v: non-ASCII text stays as it is,
// control characters are escaped, HTML is not.
func appendValue(dst []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return appendString(dst, v), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case float64:
		return appendFloat(dst, v), nil
	case Floats:
		dst = append(dst, '[')
		for i, f := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendFloat(dst, f)
		}
		return append(dst, ']'), nil
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendValue(dst, e); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case Object:
		return appendObject(dst, v)
	default:
		return nil, fmt.Errorf("an envelope cannot hold a %T", v)
	}
}

func appendObject(dst []byte, o Object) ([]byte, error) {
	var err error
	dst = append(dst, '{')
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, m.Key), ':')
		if dst, err = appendValue(dst, m.Value); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func appendObjects(dst []byte, list []Object) ([]byte, error) {
	var err error
	dst = append(dst, '[')
	for i, o := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendObject(dst, o); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// sizeOf is about how long the JSON of v is, so that writing it need not move it
// again and again.
func sizeOf(v any) int {
	switch v := v.(type) {
	case string:
		return len(v) + len(v)/16 + 2 // some characters are escaped
	case Floats:
		return 20 * len(v)
	case []any:
		size := 2
		for _, e := range v {
			size += sizeOf(e) + 1
		}
		return size
	case Object:
		return sizeOfObject(v)
	}
	return 5
}

func sizeOfObject(o Object) int {
	size := 2
	for _, m := range o {
		size += len(m.Key) + 4 + sizeOf(m.Value)
	}
	return size
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON text: non-ASCII stays as it is, control
// characters are escaped, HTML is not. Most texts need no escape, so s is copied
// first and looked at then, eight bytes at a time.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := len(dst)
	dst = append(dst, s...)
	text := dst[from:]
	for len(text) >= 8 {
		if special(binary.LittleEndian.Uint64(text)) {
			break
		}
		text = text[8:]
	}
	for i, c := range text {
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			text = text[i:]
			return append(appendEscaped(dst[:len(dst)-len(text)], s[len(s)-len(text):]), '"')
		}
	}
	return append(dst, '"')
}

// special reports whether any of eight bytes is a control character, a quote, a
// backslash or no ASCII.
func special(eight uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, backslash := eight^ones*'"', eight^ones*'\\'
	return (eight|(eight-ones*' ')|(quote-ones)|(backslash-ones))&highs != 0
}

// appendEscaped appends s with the escapes that it needs.
func appendEscaped(dst []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	return append(dst, s[from:]...)
}

// appendFloat writes f as Python's repr does, within the range of instruments'
// figures; what JSON has no word for becomes null.
func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		format = 'e'
	}
	from := len(dst)
	dst = strconv.AppendFloat(dst, f, format, -1, 64)
	if format == 'f' && bytes.IndexByte(dst[from:], '.') < 0 {
		dst = append(dst, ".0"...)
	}
	return dst
}

// readValue reads one JSON value in the shapes that appendValue writes.
func readValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return readObject(d)
		}
		return readList(d)
	case json.Number:
		f, err := t.Float64()
		return f, err
	default: // nil, string, bool
		return t, nil
	}
}

func readObject(d *json.Decoder) (Object, error) {
	o := Object{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		value, err := readValue(d)
		if err != nil {
			return nil, err
		}
		o = append(o, Member{key.(string), value})
	}
	_, err := d.Token()
	return o, err
}

// readList gives back the most exact type: Floats where all are numbers.
func readList(d *json.Decoder) (any, error) {
	list := []any{}
	numbers := Floats{}
	for d.More() {
		v, err := readValue(d)
		if err != nil {
			return nil, err
		}
		if f, ok := v.(float64); ok {
			numbers = append(numbers, f)
		}
		list = append(list, v)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if len(numbers) > 0 && len(numbers) == len(list) {
		return numbers, nil
	}
	return list, nil
}
