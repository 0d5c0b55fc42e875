package senaite

import "github.com/assaygate/assaygate/envelope"

// Text returns the text that is pushed for a message in a format: json, astm,
// lis2a or hl7. An error says that there is none.
func Text(e envelope.Envelope, format string) (string, error) { return message(e, format) }
