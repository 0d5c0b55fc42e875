package profile

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"

	"github.com/assaygate/assaygate/envelope"
)

// encoding is the message's character set: the configured one; for HL7 what
// MSH-18 names, else UTF-8; for ASTM ISO 8859-1, but UTF-8 where the message is
// written so: in ISO 8859-1 such bytes would make no words.
func (m Raw) encoding() (encoding.Encoding, error) {
	name := m.Charset
	if m.Protocol == envelope.HL7 && (name == "" || name == "auto") {
		name = declaredCharset(m.Text)
		if e, err := Charset(name); name != "" && err == nil {
			return e, nil
		} else if name != "" {
			return nil, errDeclaredCharset // without its name: MSH-18 may hold anything
		}
	}
	if name == "" || name == "auto" {
		name = "utf-8"
		if m.Protocol != envelope.HL7 && !utf8.Valid(m.Text) {
			name = "latin-1"
		}
	}
	return Charset(name)
}

var errDeclaredCharset = errors.New("the character set that MSH-18 names is not known; read as UTF-8")

// declaredCharset reads MSH-18 from bytes not yet decoded; the header's
// delimiters are ASCII in every set that MLLP can carry. Of several sets the
// first that is more than ASCII counts: the others are its alternates, which
// its escapes switch to.
func declaredCharset(text []byte) string {
	line := bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF")), "\r\n\x00 \t\v\f")
	if end := bytes.IndexAny(line, "\r\n"); end >= 0 {
		line = line[:end]
	}
	if len(line) < 8 || string(line[:3]) != "MSH" {
		return ""
	}
	fields := bytes.SplitN(line, line[3:4], 19)
	if len(fields) < 18 {
		return ""
	}
	repeat := byte('~')
	if len(fields[1]) > 1 {
		repeat = fields[1][1]
	}
	declared := ""
	for one := range bytes.SplitSeq(fields[17], []byte{repeat}) {
		name := strings.TrimSpace(string(one))
		if declared == "" || strings.EqualFold(declared, "ASCII") && name != "" {
			declared = name
		}
	}
	return declared
}

// clean takes the bytes that did not decode out of a group's records, so that
// what is shown is UTF-8, and keeps them beside it in base64.
func (b *message) clean(g group) (group, []envelope.Undecoded, string) {
	if !b.damaged {
		return g, nil, ""
	}
	var list []envelope.Undecoded
	var places []string
	count := map[string]int{}
	for _, records := range []*[]record{&g.header, &g.own, &g.terminator} {
		clean := make([]record, len(*records))
		for i, r := range *records {
			count[r.name]++
			clean[i] = r
			clean[i].name = unmarked(r.name)
			clean[i].fields = make([]string, len(r.fields))
			for j, text := range r.fields {
				clean[i].fields[j] = unmarked(text)
				if !marked(text) {
					continue
				}
				place := placeOf(clean[i], j+1)
				list = append(list, envelope.Undecoded{
					Place: place, Number: count[r.name], Base64: base64.StdEncoding.EncodeToString(encode(text, b.charset)),
				})
				if len(places) == 0 || places[len(places)-1] != place {
					places = append(places, place)
				}
			}
		}
		*records = clean
	}
	if len(list) == 0 {
		return g, nil, ""
	}
	const most = 8
	named := strings.Join(places[:min(most, len(places))], ", ")
	if len(places) > most {
		named += " and more"
	}
	return g, list, named + ": bytes that the character set does not have are shown as U+FFFD; assaygate.undecoded has them"
}

// placeOf names a field as the standards do: R.4, OBX-5.
func placeOf(r record, n int) string {
	separator := "."
	if r.d.hl7 {
		separator = "-"
	}
	return fmt.Sprintf("%s%s%d", r.name, separator, n)
}
