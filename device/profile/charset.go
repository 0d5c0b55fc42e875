package profile

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// Charset returns the encoding of a name: the configuration's (latin-1,
// cp1252, utf-8, gbk ...) or HL7 table 0211's, in the spellings seen in the
// wild. It is nil for UTF-8 and ASCII.
func Charset(name string) (encoding.Encoding, error) {
	key := strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case strings.ContainsRune(" -_/.", r):
			return -1
		}
		return r
	}, name)
	switch key {
	case "utf8", "unicodeutf8", "unicode", "ascii", "usascii", "iso646", "isoir6":
		return nil, nil
	case "latin1", "88591", "iso88591", "isoir100":
		return charmap.ISO8859_1, nil // not htmlindex: HTML reads latin-1 as cp1252
	case "gbk", "cp936", "gb2312", "isoir58":
		return simplifiedchinese.GBK, nil
	case "gb18030", "gb180302000":
		return simplifiedchinese.GB18030, nil
	case "big5", "cp950":
		return traditionalchinese.Big5, nil
	case "isoir87", "isoir159", "isoir14", "iso2022jp":
		return japanese.ISO2022JP, nil
	case "shiftjis", "sjis", "cp932", "isoir13":
		return japanese.ShiftJIS, nil
	case "eucjp":
		return japanese.EUCJP, nil
	case "euckr", "ksx1001", "cp949", "ksc5601", "isoir149":
		return korean.EUCKR, nil
	}
	for _, family := range []struct{ prefix, html string }{
		{"iso8859", "iso-8859-"}, {"8859", "iso-8859-"}, {"windows", "windows-"}, {"cp", "windows-"}, {"win", "windows-"}, {"koi8", "koi8-"},
	} {
		if part, found := strings.CutPrefix(key, family.prefix); found && part != "" {
			if e, err := htmlindex.Get(family.html + part); err == nil {
				return e, nil
			}
		}
	}
	// DOS speaks on in analysers of its time.
	if page := codePages()[strings.TrimPrefix(strings.TrimPrefix(key, "ibm"), "cp")]; page != nil {
		return page, nil
	}
	return nil, fmt.Errorf("character set %q is not known; try latin-1, cp1252, utf-8 or gbk", name)
}

// codePages are those of DOS, by number.
func codePages() map[string]*charmap.Charmap {
	return map[string]*charmap.Charmap{
		"437": charmap.CodePage437, "850": charmap.CodePage850, "852": charmap.CodePage852, "855": charmap.CodePage855,
		"858": charmap.CodePage858, "860": charmap.CodePage860, "862": charmap.CodePage862, "863": charmap.CodePage863,
		"865": charmap.CodePage865, "866": charmap.CodePage866,
	}
}

// decode turns bytes into text. It never fails: bytes that the set does not
// have are in the text as markByte writes them, and damaged says that there are
// such.
func decode(raw []byte, e encoding.Encoding) (text string, damaged bool) {
	if e == nil {
		if utf8.Valid(raw) {
			return string(raw), false
		}
		return decodeUTF8(raw), true
	}
	decoded, err := e.NewDecoder().Bytes(raw)
	if err == nil && !strings.ContainsRune(string(decoded), utf8.RuneError) {
		return string(decoded), false
	}
	return decodeSlowly(raw, e)
}

func decodeUTF8(raw []byte) string {
	text := make([]byte, 0, len(raw)+len(raw)/2)
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		if r == utf8.RuneError && n == 1 {
			text = markByte(text, raw[0])
		} else {
			text = append(text, raw[:n]...)
		}
		raw = raw[n:]
	}
	return string(text)
}

// longestCharacter is the number of bytes of one, with what switches to it, in
// any set that Charset returns.
const longestCharacter = 8

// decodeSlowly decodes one character after the other, to find the bytes that
// the set does not have.
func decodeSlowly(raw []byte, e encoding.Encoding) (text string, damaged bool) {
	decoder := e.NewDecoder()
	out := make([]byte, 0, 2*len(raw))
	var character [64]byte
	for len(raw) > 0 {
		written, read := 0, 0
		for n := 1; read == 0 && n <= min(longestCharacter, len(raw)); n++ {
			written, read, _ = decoder.Transform(character[:], raw[:n], n == len(raw))
		}
		switch {
		case read == 0:
			read = 1
			fallthrough
		case strings.ContainsRune(string(character[:written]), utf8.RuneError):
			for _, b := range raw[:read] {
				damaged = damaged || b >= utf8.RuneSelf
				out = markByte(out, b)
			}
		default:
			out = append(out, character[:written]...)
		}
		raw = raw[read:]
	}
	return string(out), damaged
}

// markByte appends a byte that did not decode, so that text can carry it: ASCII
// as it is, any other in the two-byte form of ASCII (C0 80 to C1 BF) that UTF-8
// forbids. Delimiters can be looked for in such text, and no character is ever
// mistaken for a mark.
func markByte(dst []byte, b byte) []byte {
	if b < utf8.RuneSelf {
		return append(dst, b)
	}
	return append(dst, 0xC0|(b>>6)&1, 0x80|b&0x3F)
}

// nextMark returns where the first byte stands that did not decode, or -1.
func nextMark(text string) int {
	for i := range len(text) - 1 {
		if text[i]|1 == 0xC1 {
			return i
		}
	}
	return -1
}

// marked reports whether text holds bytes that did not decode.
func marked(text string) bool { return nextMark(text) >= 0 }

// unmarked is text for people: U+FFFD stands for each byte that did not decode.
func unmarked(text string) string {
	i := nextMark(text)
	if i < 0 {
		return text
	}
	var clean strings.Builder
	for ; i >= 0; i = nextMark(text) {
		clean.WriteString(text[:i])
		clean.WriteRune(utf8.RuneError)
		text = text[i+2:]
	}
	clean.WriteString(text)
	return clean.String()
}

// encode is the way back to the bytes: those that did not decode are what they
// were; what the set cannot write stays as UTF-8.
func encode(text string, e encoding.Encoding) []byte {
	var raw []byte
	for i := nextMark(text); i >= 0; i = nextMark(text) {
		raw = append(raw, encodeClean(text[:i], e)...)
		raw = append(raw, 0x80|(text[i]&1)<<6|text[i+1]&0x3F)
		text = text[i+2:]
	}
	return append(raw, encodeClean(text, e)...)
}

func encodeClean(text string, e encoding.Encoding) []byte {
	if e == nil {
		return []byte(text)
	}
	raw, err := e.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return []byte(text)
	}
	return raw
}
