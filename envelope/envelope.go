// Package envelope defines the one value that travels from an instrument to a
// destination, and its versioned JSON.
//
// An [Envelope] is one order's worth of one message: what the instrument sent
// (raw), what was understood of it (records and results), and what the box
// knows about it (identity, time, problem). Inputs only ever make envelopes,
// destinations only ever take them; no other value joins the two halves.
package envelope

import "time"

// Version is the value of metadata.envelope_version: the version of the JSON
// contract that SENAITE's consumers read.
const Version = "1.1"

// Protocol is the language that a message came in.
type Protocol string

// The protocols.
const (
	ASTM   Protocol = "astm"   // LIS01-A2 frames with LIS02-A2 records
	HL7    Protocol = "hl7"    // HL7 v2 in MLLP blocks
	Vendor Protocol = "vendor" // a maker's own format
)

// Kind tells what a message or result is about.
type Kind string

// The kinds. Where one message holds several, the message's own kind is the
// first that applies in the order test, qc, calibration, result.
const (
	KindResult      Kind = "result"
	KindQC          Kind = "qc"
	KindCalibration Kind = "calibration"
	KindTest        Kind = "test"  // H-12 or MSH-11 is T or D: never a patient's
	KindImage       Kind = "image" // a histogram, scattergram or picture
)

// Intake says how the input ended, and so who may have it.
type Intake string

// The intakes. Only accepted input goes to a LIMS by itself; parked input goes
// there when a person retries it; the other two are kept for the audit and
// given to file destinations only.
const (
	Accepted   Intake = "accepted"
	Parked     Intake = "parked"     // stored and acknowledged, but not proven whole
	Incomplete Intake = "incomplete" // the session broke off; the sender still has it
	Rejected   Intake = "rejected"   // answered with a final NAK, AE or AR
)

// Envelope is one message, or one order of it, from one instrument.
//
// Times are absolute; texts are UTF-8; nothing here is ever coerced: values
// are the exact text that the instrument sent, after decoding its character
// set and unescaping.
type Envelope struct {
	ID        string // UUIDv7, unique to this envelope
	MessageID string // UUIDv7, shared by the envelopes of one message
	Part      int    // 0-based position among the envelopes of the message
	Sequence  uint64 // order of acceptance, from 1; given by the spool

	Digest      string // keyed digest (hex) of the message as received
	DuplicateOf string // id of the earlier envelope with the same bytes; set by the spool
	Repeat      bool   // the duplicate is proven a retransmission; set by the spool

	Protocol   Protocol
	Instrument string    // the configured name of the line
	Lane       string    // order is kept within a lane: the recognised instrument
	Profile    string    // the profile that read it
	Box        string    // the name of the box
	Remote     string    // address of the peer, or the port's name
	ReceivedAt time.Time // UTC; not to be trusted where Clock is ClockUnset
	Clock      string    // ClockSet or ClockUnset

	ControlID   string // H-3 or MSH-10
	MessageTime string // H-14 or MSH-7, only where it is exact to the second

	Intake   Intake
	Reason   string // why Parked, Incomplete or Rejected
	Withheld string // why it is kept from every LIMS though Accepted ("kind qc is not in deliver"), or ""
	Problem  string // what could not be understood, or ""

	Kind      Kind
	SampleID  string
	Results   []Result
	Comments  []string // those of the order as a whole
	Undecoded []Undecoded

	Metadata Metadata
	Records  Records

	// Audit is the head of the audit trail when the envelope was handed to a
	// destination; set by the spool, and not kept with the envelope.
	Audit AuditHead

	// Raw is the message as kept: for ASTM its accepted frames, STX to LF;
	// for HL7 the block's content; for a vendor format the packet. It is the
	// same for all envelopes of a message, and not part of the JSON.
	Raw []byte
}

// AuditHead is the newest row of the spool's audit trail. Each row is hashed
// together with the hash before it, so whoever keeps the heads that he was
// given notices a trail that was rewritten.
type AuditHead struct {
	Row  uint64 `json:"row"`  // its number, from 1; 0: there is none
	Hash string `json:"hash"` // SHA-256, hex
}

// The values of Envelope.Clock.
const (
	ClockSet   = "set"
	ClockUnset = "unset"
)

// Result is one observation. Texts are as the instrument sent them.
type Result struct {
	Test       string `json:"test"` // the instrument's code
	Name       string `json:"name"` // its name for people, where it differs
	Value      string `json:"value"`
	Units      string `json:"units"`
	Range      string `json:"reference_range"`
	Flags      string `json:"flags"`
	Status     string `json:"status"`
	ObservedAt string `json:"observed_at"` // as sent, or RFC 3339 where the instrument's zone is known
	Kind       Kind   `json:"kind"`

	Comments []string `json:"comments,omitempty"` // those that follow it

	// Of an image only; its data are in the record alone. Size is that of the
	// decoded data in bytes, 0 where the value refers to a file elsewhere.
	MediaType string `json:"media_type,omitempty"`
	Size      int    `json:"size,omitempty"`
}

// Undecoded is a field with bytes that its character set does not have. In the
// records U+FFFD stands for each of them.
type Undecoded struct {
	Place  string `json:"place"`  // R.4, OBX-5
	Number int    `json:"number"` // in the how manieth of the envelope's records of that type
	Base64 string `json:"base64"` // the field as received
}

// Metadata is what SENAITE calls the metadata of a message.
type Metadata struct {
	ASTM     string // frames joined by LF, or ""
	LIS2A    string // frame texts with their ETX or ETB, or ""
	HL7      string // segments ended by CR but for the last, or ""
	Version  string // schema version of the profile; "" for an unknown instrument
	HeaderRx string // the expression that recognised the header; "" likewise
	Extra    Object // keys of one protocol only: unmapped_segments
}

// Records are the eight buckets of a message, each in order of arrival.
type Records struct {
	H, P, O, R, C, M, L, Q []Object
}

// Bucket returns the list that holds records of the given type letter, or nil
// where there is none.
func (r *Records) Bucket(letter byte) *[]Object {
	switch letter {
	case 'H':
		return &r.H
	case 'P':
		return &r.P
	case 'O':
		return &r.O
	case 'R':
		return &r.R
	case 'C':
		return &r.C
	case 'M':
		return &r.M
	case 'L':
		return &r.L
	case 'Q':
		return &r.Q
	}
	return nil
}
