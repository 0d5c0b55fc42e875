package envelope

import (
	"encoding/json"
	"fmt"
	"strconv"
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
	Audit     AuditHead   `json:"audit"`
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
	metadata = append(metadata, e.Metadata.Extra...)
	size := sizeOfObject(metadata) + 512 + 256*len(e.Results)
	for _, letter := range "HPORCMLQ" {
		for _, o := range *e.Records.Bucket(byte(letter)) {
			size += sizeOfObject(o) + 1
		}
	}
	dst := append(make([]byte, 0, size), `{"metadata":`...)
	dst, err := appendObject(dst, metadata)
	for _, letter := range "HPORCMLQ" {
		if err != nil {
			break
		}
		dst = append(dst, ',', '"', byte(letter), '"', ':')
		dst, err = appendObjects(dst, *e.Records.Bucket(byte(letter)))
	}
	if err != nil {
		return nil, fmt.Errorf("envelope %s: %w", e.ID, err)
	}
	dst = append(dst, `,"assaygate":`...)
	return append(e.appendBox(dst), '}'), nil
}

// appendBox appends the object that [box] reads back.
func (e Envelope) appendBox(dst []byte) []byte {
	dst = appendMember(dst, '{', "id", e.ID)
	dst = appendMember(dst, ',', "message_id", e.MessageID)
	dst = appendMember(dst, ',', "digest", e.Digest)
	dst = appendMember(dst, ',', "protocol", string(e.Protocol))
	dst = appendMember(dst, ',', "instrument", e.Instrument)
	dst = appendMember(dst, ',', "profile", e.Profile)
	dst = appendMember(dst, ',', "box", e.Box)
	dst = appendMember(dst, ',', "received_at", e.ReceivedAt.UTC().Format(time.RFC3339Nano))
	dst = appendMember(dst, ',', "clock", e.Clock)
	dst = strconv.AppendUint(append(dst, `,"sequence":`...), e.Sequence, 10)
	dst = appendNullable(dst, "duplicate_of", e.DuplicateOf)
	dst = appendNullable(dst, "problem", e.Problem)
	dst = appendNullable(dst, "sample_id", e.SampleID)
	dst = appendMember(dst, ',', "kind", string(e.Kind))
	dst = append(dst, `,"results":[`...)
	for i, r := range e.Results {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = r.append(dst)
	}
	dst = append(dst, ']')
	dst = appendTexts(dst, "comments", e.Comments)
	for i, u := range e.Undecoded {
		if i == 0 {
			dst = append(dst, `,"undecoded":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendMember(dst, '{', "place", u.Place)
		dst = strconv.AppendInt(append(dst, `,"number":`...), int64(u.Number), 10)
		dst = append(appendMember(dst, ',', "base64", u.Base64), '}')
	}
	if len(e.Undecoded) > 0 {
		dst = append(dst, ']')
	}
	if e.Audit.Row > 0 {
		dst = strconv.AppendUint(append(dst, `,"audit":{"row":`...), e.Audit.Row, 10)
		dst = append(appendMember(dst, ',', "hash", e.Audit.Hash), '}')
	}
	return append(dst, '}')
}

// append appends what the tags of [Result] say.
func (r Result) append(dst []byte) []byte {
	dst = appendMember(dst, '{', "test", r.Test)
	dst = appendMember(dst, ',', "name", r.Name)
	dst = appendMember(dst, ',', "value", r.Value)
	dst = appendMember(dst, ',', "units", r.Units)
	dst = appendMember(dst, ',', "reference_range", r.Range)
	dst = appendMember(dst, ',', "flags", r.Flags)
	dst = appendMember(dst, ',', "status", r.Status)
	dst = appendMember(dst, ',', "observed_at", r.ObservedAt)
	dst = appendMember(dst, ',', "kind", string(r.Kind))
	dst = appendTexts(dst, "comments", r.Comments)
	if r.MediaType != "" {
		dst = appendMember(dst, ',', "media_type", r.MediaType)
	}
	if r.Size != 0 {
		dst = strconv.AppendInt(append(dst, `,"size":`...), int64(r.Size), 10)
	}
	return append(dst, '}')
}

// appendMember appends a name and its text, with what stands before it.
func appendMember(dst []byte, before byte, key, text string) []byte {
	dst = append(append(append(dst, before, '"'), key...), '"', ':')
	return appendString(dst, text)
}

// appendNullable appends null for the empty text.
func appendNullable(dst []byte, key, text string) []byte {
	if text == "" {
		return append(append(append(dst, ',', '"'), key...), `":null`...)
	}
	return appendMember(dst, ',', key, text)
}

// appendTexts appends a list of texts, and nothing for the empty one.
func appendTexts(dst []byte, key string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(append(append(dst, ',', '"'), key...), '"', ':')
	before := byte('[')
	for _, text := range list {
		dst, before = appendString(append(dst, before), text), ','
	}
	return append(dst, ']')
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
		Kind: own.Kind, Results: own.Results, Comments: own.Comments, Undecoded: own.Undecoded, Audit: own.Audit,
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

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
