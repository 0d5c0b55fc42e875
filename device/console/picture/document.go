package picture

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"

	"github.com/assaygate/assaygate/envelope"
)

// Document is what a result's value holds that is a document of its own (HL7 data
// type ED), encoded as it came.
type Document struct {
	encoding, data string
}

// DocumentOf returns the document that is the value of an envelope's n-th result, if
// it is one. Its data stand in the record alone, so results and records must be as
// many: then the n-th belongs to the n-th.
func DocumentOf(e envelope.Envelope, n int) (Document, bool) {
	const value = "5" // OBX-5
	if e.Protocol != envelope.HL7 || len(e.Results) != len(e.Records.R) || n < 0 || n >= len(e.Results) || e.Results[n].Size == 0 {
		return Document{}, false
	}
	component := "^"
	if len(e.Records.H) > 0 {
		if declared := e.Records.H[0].Text("2"); declared != "" {
			component = declared[:1]
		}
	}
	// source ^ type ^ subtype ^ encoding ^ data
	parts := strings.SplitN(e.Records.R[n].Text(value), component, 5)
	if len(parts) != 5 {
		return Document{}, false
	}
	data, _, _ := strings.Cut(parts[4], component)
	return Document{strings.ToLower(strings.TrimSpace(parts[3])), strings.TrimSpace(data)}, true
}

// Bytes decodes the document.
func (d Document) Bytes() ([]byte, error) { return io.ReadAll(d.reader()) }

// Head decodes the first n bytes of the document, or all of it where it is shorter.
func (d Document) Head(n int64) ([]byte, error) { return io.ReadAll(io.LimitReader(d.reader(), n)) }

func (d Document) reader() io.Reader {
	data := strings.NewReader(d.data)
	switch d.encoding {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, data)
	case "hex":
		return hex.NewDecoder(data)
	}
	return data
}
