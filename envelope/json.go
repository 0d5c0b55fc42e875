package envelope

import (
	"encoding/json"
	"fmt"
	"time"
)

// box is the `assaygate` object as it is read back: what the box adds to
// SENAITE's contract.
type box struct {
	ID          string   `json:"id"`
	MessageID   string   `json:"message_id"`
	Digest      string   `json:"digest"`
	Protocol    Protocol `json:"protocol"`
	Instrument  string   `json:"instrument"`
	Profile     string   `json:"profile"`
	Box         string   `json:"box"`
	ReceivedAt  string   `json:"received_at"`
	Clock       string   `json:"clock"`
	Sequence    uint64   `json:"sequence"`
	DuplicateOf *string  `json:"duplicate_of"`
	Problem     *string  `json:"problem"`
	SampleID    *string  `json:"sample_id"`
	Kind        Kind     `json:"kind"`
	Results     []Result `json:"results"`

	Comments  []string    `json:"comments,omitempty"`
	Undecoded []Undecoded `json:"undecoded,omitempty"`
}

// MarshalJSON gives the JSON text that destinations get: SENAITE's contract
// with an `assaygate` object behind it. Raw and what the spool alone keeps
// (lane, intake, peer) are not in it.
func (e Envelope) MarshalJSON() ([]byte, error) {
	metadata := Object{
		{"envelope_version", Version},
		{"astm", e.Metadata.ASTM},
		{"lis2a", e.Metadata.LIS2A},
		{"hl7", e.Metadata.HL7},
	}
	if e.Metadata.Version != "" {
		metadata = append(metadata, Member{"version", e.Metadata.Version}, Member{"header_rx", e.Metadata.HeaderRx})
	}
	document := make(Object, 0, 10)
	document = append(document, Member{"metadata", append(metadata, e.Metadata.Extra...)})
	for _, letter := range "HPORCMLQ" {
		document = append(document, Member{string(letter), *e.Records.Bucket(byte(letter))})
	}
	document = append(document, Member{"assaygate", e.box()})
	dst, err := appendValue(make([]byte, 0, sizeOf(document)), document)
	if err != nil {
		return nil, fmt.Errorf("envelope %s: %w", e.ID, err)
	}
	return dst, nil
}

// box is the object that [box] reads back.
func (e Envelope) box() Object {
	results := make([]Object, len(e.Results))
	for i, r := range e.Results {
		results[i] = r.object()
	}
	o := Object{
		{"id", e.ID},
		{"message_id", e.MessageID},
		{"digest", e.Digest},
		{"protocol", string(e.Protocol)},
		{"instrument", e.Instrument},
		{"profile", e.Profile},
		{"box", e.Box},
		{"received_at", e.ReceivedAt.UTC().Format(time.RFC3339Nano)},
		{"clock", e.Clock},
		{"sequence", int64(e.Sequence)},
		{"duplicate_of", orNull(e.DuplicateOf)},
		{"problem", orNull(e.Problem)},
		{"sample_id", orNull(e.SampleID)},
		{"kind", string(e.Kind)},
		{"results", results},
	}
	if len(e.Comments) > 0 {
		o = append(o, Member{"comments", texts(e.Comments)})
	}
	if len(e.Undecoded) > 0 {
		list := make([]Object, len(e.Undecoded))
		for i, u := range e.Undecoded {
			list[i] = Object{{"place", u.Place}, {"number", int64(u.Number)}, {"base64", u.Base64}}
		}
		o = append(o, Member{"undecoded", list})
	}
	return o
}

func (r Result) object() Object {
	o := make(Object, 0, 12)
	o = append(
		o, Member{"test", r.Test}, Member{"name", r.Name}, Member{"value", r.Value}, Member{"units", r.Units},
		Member{"reference_range", r.Range}, Member{"flags", r.Flags}, Member{"status", r.Status},
		Member{"observed_at", r.ObservedAt}, Member{"kind", string(r.Kind)},
	)
	if len(r.Comments) > 0 {
		o = append(o, Member{"comments", texts(r.Comments)})
	}
	if r.MediaType != "" {
		o = append(o, Member{"media_type", r.MediaType})
	}
	if r.Size > 0 {
		o = append(o, Member{"size", int64(r.Size)})
	}
	return o
}

func texts(list []string) []any {
	values := make([]any, len(list))
	for i, text := range list {
		values[i] = text
	}
	return values
}

// UnmarshalJSON reads back what MarshalJSON wrote.
func (e *Envelope) UnmarshalJSON(data []byte) error {
	var document struct {
		Metadata               Object
		H, P, O, R, C, M, L, Q []Object
		Assaygate              box
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return fmt.Errorf("reading an envelope: %w", err)
	}
	own := document.Assaygate
	at, err := time.Parse(time.RFC3339Nano, own.ReceivedAt)
	if err != nil {
		return fmt.Errorf("reading an envelope: assaygate.received_at: %w", err)
	}
	*e = Envelope{
		ID: own.ID, MessageID: own.MessageID, Digest: own.Digest,
		Protocol: own.Protocol, Instrument: own.Instrument, Profile: own.Profile, Box: own.Box,
		ReceivedAt: at, Clock: own.Clock, Sequence: own.Sequence,
		DuplicateOf: orEmpty(own.DuplicateOf), Problem: orEmpty(own.Problem), SampleID: orEmpty(own.SampleID),
		Kind: own.Kind, Results: own.Results, Comments: own.Comments, Undecoded: own.Undecoded,
		Records: Records{
			H: document.H, P: document.P, O: document.O, R: document.R,
			C: document.C, M: document.M, L: document.L, Q: document.Q,
		},
	}
	for _, m := range document.Metadata {
		text, _ := m.Value.(string)
		switch m.Key {
		case "envelope_version":
		case "astm":
			e.Metadata.ASTM = text
		case "lis2a":
			e.Metadata.LIS2A = text
		case "hl7":
			e.Metadata.HL7 = text
		case "version":
			e.Metadata.Version = text
		case "header_rx":
			e.Metadata.HeaderRx = text
		default:
			e.Metadata.Extra = append(e.Metadata.Extra, m)
		}
	}
	return nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
