package envelope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// box is the `assaygate` object: what the box adds to SENAITE's contract.
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
	document := Object{{"metadata", append(metadata, e.Metadata.Extra...)}}
	for _, letter := range "HPORCMLQ" {
		document = append(document, Member{string(letter), *e.Records.Bucket(byte(letter))})
	}
	dst, err := appendValue(nil, document)
	if err != nil {
		return nil, fmt.Errorf("envelope %s: %w", e.ID, err)
	}
	results := e.Results
	if results == nil {
		results = []Result{}
	}
	own, err := appendBox(box{
		ID: e.ID, MessageID: e.MessageID, Digest: e.Digest,
		Protocol: e.Protocol, Instrument: e.Instrument, Profile: e.Profile, Box: e.Box,
		ReceivedAt: e.ReceivedAt.UTC().Format(time.RFC3339Nano), Clock: e.Clock,
		Sequence: e.Sequence, DuplicateOf: orNull(e.DuplicateOf), Problem: orNull(e.Problem),
		SampleID: orNull(e.SampleID), Kind: e.Kind, Results: results, Comments: e.Comments, Undecoded: e.Undecoded,
	})
	if err != nil {
		return nil, fmt.Errorf("envelope %s: %w", e.ID, err)
	}
	dst = append(dst[:len(dst)-1], `,"assaygate":`...)
	return append(append(dst, own...), '}'), nil
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

func appendBox(b box) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(b); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{0x0A}), nil
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
