package profile

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"

	"github.com/assaygate/assaygate/envelope"
)

// obxValue is the field of OBX that holds the value.
const obxValue = 5

// encapsulated reports whether a result's value is a document of its own (HL7
// data type ED): source ^ type ^ subtype ^ encoding ^ data. What OBX-2 says of it
// is often wrong, or not there under an allowlist.
func encapsulated(r record) bool {
	if r.name != "OBX" || strings.Count(r.field(obxValue), string([]byte{r.d.component})) < 4 {
		return false
	}
	kind := strings.TrimSpace(r.field(2))
	_, known := decodedSize(valuePart(r, 4), "")
	return known && valuePart(r, 4) != "" && (kind == "" || kind == "ED")
}

// illustrated reports whether a value is a document, or a pointer to one (HL7
// data type RP).
func illustrated(r record) bool {
	return encapsulated(r) || strings.ContainsAny(valuePart(r, 1), "/\\.:") && strings.TrimSpace(r.field(2)) != "ED"
}

// valuePart is component n of a result's value.
func valuePart(r record, n int) string {
	return strings.TrimSpace(location{record: r.name, field: obxValue, components: []int{n}}.in(r))
}

// illustrate says of a result that is an image what it is and how large. Of an
// image that is in the message, the data stay in the record alone.
func illustrate(result *envelope.Result, r record) (problem string) {
	if !encapsulated(r) {
		result.MediaType = byExtension(result.Value)
		return ""
	}
	result.Value, result.MediaType = "", mediaType(valuePart(r, 2), valuePart(r, 3))
	size, ok := decodedSize(valuePart(r, 4), valuePart(r, 5))
	if !ok {
		return placeOf(r, obxValue) + " is not the data that it announces"
	}
	result.Size = size
	return ""
}

// decodedSize is the size of what an encoding of HL7 table 0299 holds.
func decodedSize(encoding, data string) (size int, ok bool) {
	switch strings.ToLower(encoding) {
	case "a", "":
		return len(data), true
	case "hex":
		n, err := io.Copy(io.Discard, hex.NewDecoder(strings.NewReader(data)))
		return int(n), err == nil
	case "base64":
		n, err := io.Copy(io.Discard, base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)))
		return int(n), err == nil
	}
	return 0, false
}

// mediaType writes ED-2 and ED-3 (HL7 tables 0191 and 0291) as media types are.
func mediaType(main, sub string) string {
	main, sub = strings.ToLower(main), strings.ToLower(sub)
	switch main {
	case "im", "ns", "si": // image data, non-scanned image, scanned image
		main = "image"
	case "ap", "":
		main = "application"
	case "au":
		main = "audio"
	case "tx", "ft":
		main = "text"
	}
	switch sub {
	case "jpg":
		sub = "jpeg"
	case "tif":
		sub = "tiff"
	case "":
		sub = "octet-stream"
	}
	return main + "/" + sub
}

// byExtension is the media type of a file that a value refers to.
func byExtension(reference string) string {
	reference, _, _ = strings.Cut(reference, "^") // HL7 data type RP: pointer ^ application ^ type ^ subtype
	dot := strings.LastIndexByte(reference, '.')
	extension := strings.ToLower(reference[dot+1:])
	if dot < 0 || extension == "" || len(extension) > 5 {
		return "application/octet-stream"
	}
	if extension == "pdf" {
		return "application/pdf"
	}
	return mediaType("image", extension)
}

// plotted is the result that a record with a plot makes; o is what the record
// became.
func (p *profile) plotted(r record, o envelope.Object) (result envelope.Result, drawn bool) {
	kind := o.Text(p.plot.kind)
	if p.plot.points.lists[kind] == nil {
		return result, false
	}
	own := []record{r}
	size := 0
	for _, name := range []string{p.plot.points.from, p.plot.thresholds.from} {
		numbers, _ := o.Value(name).(envelope.Floats)
		size += len(numbers) * numberSize(p.fieldOf(r, name))
	}
	return envelope.Result{
		Test: first(own, p.plot.test), Name: first(own, p.plot.name), Kind: envelope.KindImage,
		MediaType: "application/x-" + strings.ToLower(kind), Size: size,
	}, true
}

// fieldOf is the text of the field with a name.
func (p *profile) fieldOf(r record, name string) string {
	for n, f := range p.fields[r.name] {
		if f != nil && f.name == name {
			return r.field(n)
		}
	}
	return ""
}
