package hl7

import "bytes"

// doubleByte returns a copy of an MSH segment for finding its fields: where
// MSH-18 says that characters have two bytes and the second can look like a
// delimiter, as in GBK, GB 18030, Big5 and Shift JIS, those bytes are written
// over. It is nil where the segment can be split as it is.
//
// That one knows MSH-18 only after splitting does no harm: without the right set
// it stands further behind, and with it where it belongs.
func doubleByte(msh []byte, d Delimiters) []byte {
	if !halves(msh, d.Field) {
		return nil
	}
	s := Segment{Name: "MSH", Raw: msh, Delimiters: d}
	if _, known := leads(s.Field(18), d); known {
		return nil // it stands where it belongs, as in text that is decoded
	}
	n, tried := 1, "" // MSH-1 is the separator itself
	for field := range bytes.SplitSeq(msh, []byte{d.Field}) {
		set, known := leads(field, d)
		if known && n > 18 && set != tried {
			tried = set
			s.masked = mask(msh, set)
			if again, _ := leads(s.Field(18), d); again == set {
				return s.masked
			}
		}
		n++
	}
	return nil
}

// halves reports whether a field separator stands where it could be the second
// half of a character.
func halves(msh []byte, field byte) bool {
	for i := 1; i < len(msh); i++ {
		if msh[i] == field && msh[i-1] > 0x80 {
			return true
		}
	}
	return false
}

// The sets, by the bytes that begin a character of two. In GB 18030 a character
// of four is two times two.
const (
	chinese  = "chinese"
	japanese = "japanese"
)

// leads returns the set that MSH-18 names, if it is one of those. Repetitions
// behind the first are alternates.
func leads(field []byte, d Delimiters) (set string, known bool) {
	name := field
	if d.Repeat != 0 {
		name, _, _ = bytes.Cut(bytes.TrimLeft(field, string(rune(d.Repeat))), []byte{d.Repeat})
	}
	if len(name) > 20 {
		return "", false // no name of a set is longer
	}
	switch string(bytes.Map(alphanumericOnly, upper(name))) {
	case "GBK", "CP936", "GB2312", "GB18030", "GB180302000", "BIG5", "CP950":
		return chinese, true
	case "SHIFTJIS", "SJIS", "CP932":
		return japanese, true
	}
	return "", false
}

func alphanumericOnly(r rune) rune {
	if r < 0x80 && alphanumeric(byte(r)) {
		return r
	}
	return -1
}

// mask writes over each byte that is the second half of a character.
func mask(text []byte, set string) []byte {
	out := bytes.Clone(text)
	for i := 0; i+1 < len(out); i++ {
		if c := out[i]; c > 0x80 && c < 0xFF && (set == chinese || c < 0xA0 || c > 0xDF && c < 0xFD) && out[i+1] >= 0x30 {
			out[i+1] = 'x'
			i++
		}
	}
	return out
}
