package senaite

import (
	"fmt"

	"github.com/assaygate/assaygate/envelope"
)

// The formats of Settings.Format.
const (
	formatJSON  = "json"
	formatASTM  = "astm"
	formatLIS2A = "lis2a"
	formatHL7   = "hl7"
)

// message returns the text that is pushed. An error says that there is none:
// the message came in a protocol that the format cannot show.
func message(e envelope.Envelope, format string) (string, error) {
	var text string
	switch format {
	case formatASTM:
		text = e.Metadata.ASTM
	case formatLIS2A:
		text = e.Metadata.LIS2A
	case formatHL7:
		text = e.Metadata.HL7
	default:
		// Not json.Marshal, which would rewrite <, > and & of the result.
		data, err := e.MarshalJSON()
		return string(data), err
	}
	if text == "" {
		return "", fmt.Errorf("format %s has no text for a message that came as %s; set format: json", format, e.Protocol)
	}
	return text, nil
}
