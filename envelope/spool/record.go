package spool

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// record is a row of messages. What the envelope's JSON does not carry has a
// column of its own, as has everything that is searched for.
type record struct {
	sequence    uint64
	id          string
	messageID   string
	part        int
	lane        string
	instrument  string
	kind        envelope.Kind
	sampleID    string
	received    stamp
	remote      string
	controlID   string
	messageTime string
	intake      envelope.Intake
	reason      string
	withheld    string
	digest      string
	duplicateOf string
	repeat      bool
	body        []byte // the envelope's JSON, compressed
	raw         []byte // with part 0 only

	heldBack []Delivery // what a rule dropped at once; not stored here
}

// recordColumns are the columns of messages m and lanes l in the order of
// fields and scanning.
const recordColumns = `m.seq, m.id, m.message_id, m.part, l.name, m.instrument, m.kind, m.sample_id,
	m.received_at, m.clock, m.boot, m.monotonic, m.remote, m.control_id, m.message_time,
	m.intake, m.reason, m.withheld, m.digest, m.duplicate_of, m.repeat, m.crc, m.envelope, m.raw`

// into returns what to scan recordColumns into; settle completes it.
func (r *record) into(received *int64, sum *uint32) []any {
	return []any{
		&r.sequence, &r.id, &r.messageID, &r.part, &r.lane, &r.instrument, &r.kind, &r.sampleID,
		received, &r.received.clock, &r.received.boot, &r.received.monotonic, &r.remote, &r.controlID, &r.messageTime,
		&r.intake, &r.reason, &r.withheld, &r.digest, &r.duplicateOf, &r.repeat, sum, &r.body, &r.raw,
	}
}

// scanRecord reads one row and verifies its checksum. The error wraps
// ErrDamaged where that fails; the record is then filled as far as it goes.
func scanRecord(scan func(...any) error) (record, error) {
	var r record
	var received int64
	var sum uint32
	if err := scan(r.into(&received, &sum)...); err != nil {
		return r, err
	}
	r.received.at = time.UnixMicro(received).UTC()
	if r.sum() != sum {
		return r, fmt.Errorf("message %d: %w", r.sequence, ErrDamaged)
	}
	return r, nil
}

// sum is the CRC-32C over every field that is kept.
func (r *record) sum() uint32 {
	h := checksum{}
	h.number(int64(r.sequence), int64(r.part), r.received.at.UnixMicro(), r.received.boot, r.received.monotonic)
	h.text(r.id, r.messageID, r.lane, r.instrument, string(r.kind), r.sampleID, r.received.clock, r.remote,
		r.controlID, r.messageTime, string(r.intake), r.reason, r.withheld, r.digest, r.duplicateOf)
	if r.repeat {
		h.number(1)
	} else {
		h.number(0)
	}
	h.blob(r.body)
	h.blob(r.raw)
	return h.crc
}

// checksum is a CRC-32C over fields, each with its length before it so that
// none can grow at its neighbour's cost.
type checksum struct {
	crc     uint32
	scratch []byte
}

func (c *checksum) number(values ...int64) {
	c.scratch = c.scratch[:0]
	for _, v := range values {
		c.scratch = binary.BigEndian.AppendUint64(c.scratch, uint64(v))
	}
	c.update(c.scratch)
}

func (c *checksum) text(values ...string) {
	c.scratch = c.scratch[:0]
	for _, v := range values {
		c.scratch = append(binary.AppendUvarint(c.scratch, uint64(len(v))), v...)
	}
	c.update(c.scratch)
}

func (c *checksum) blob(value []byte) {
	c.number(int64(len(value)))
	c.update(value)
}

func (c *checksum) update(data []byte) {
	c.crc = crc32.Update(c.crc, crc32.MakeTable(crc32.Castagnoli), data)
}

// newRecord makes the row of an envelope; the writer adds sequence and
// duplicate. It shares no memory with e that the caller could change.
func (s *Spool) newRecord(e *envelope.Envelope, raw []byte) (record, error) {
	kept := *e
	kept.Audit = envelope.AuditHead{} // belongs to a delivery
	text, err := kept.MarshalJSON()
	if err != nil {
		return record{}, err
	}
	body, err := s.packer.pack(text, raw)
	if err != nil {
		return record{}, fmt.Errorf("envelope %s: %w", e.ID, err)
	}
	r := record{
		id: e.ID, messageID: e.MessageID, part: e.Part, lane: e.Lane, instrument: e.Instrument,
		kind: e.Kind, sampleID: e.SampleID, remote: e.Remote, controlID: e.ControlID, messageTime: e.MessageTime,
		intake: e.Intake, reason: e.Reason, withheld: e.Withheld, digest: e.Digest,
		received: stamp{at: e.ReceivedAt.UTC(), clock: e.Clock, boot: s.clock.row, monotonic: s.clock.monotonic()},
		body:     body,
	}
	if e.Part == 0 {
		r.raw = bytes.Clone(raw)
	}
	return r, nil
}

// envelope gives back what newRecord was given, with what the spool added.
func (s *Spool) envelope(r *record, raw []byte) (envelope.Envelope, error) {
	var e envelope.Envelope
	text, err := s.packer.unpack(r.body, raw)
	if err == nil {
		err = e.UnmarshalJSON(text)
	}
	if err != nil {
		return e, fmt.Errorf("message %d: %w: %w", r.sequence, ErrDamaged, err)
	}
	e.Sequence, e.DuplicateOf, e.Repeat = r.sequence, r.duplicateOf, r.repeat
	e.Part, e.Lane, e.Remote, e.Digest, e.SampleID = r.part, r.lane, r.remote, r.digest, r.sampleID
	e.ControlID, e.MessageTime = r.controlID, r.messageTime
	e.Intake, e.Reason, e.Withheld = r.intake, r.reason, r.withheld
	if e.ReceivedAt.UnixMicro() != r.received.at.UnixMicro() {
		e.ReceivedAt = r.received.at // was corrected
	}
	if r.received.clock != "" {
		e.Clock = r.received.clock // likewise
	}
	// The JSON has empty lists where the profile left none.
	for _, letter := range "HPORCMLQ" {
		if list := e.Records.Bucket(byte(letter)); len(*list) == 0 {
			*list = nil
		}
	}
	if len(e.Results) == 0 {
		e.Results = nil
	}
	if len(raw) > 0 {
		e.Raw = raw
	}
	return e, nil
}

// reach is how far back DEFLATE can refer.
const reach = 32 << 10

// packer compresses envelopes with the raw message as dictionary, for most of
// an envelope's text stands in it. A compressor takes most of a megabyte, so there
// are only as many as can run: senders beyond that wait for one.
type packer struct{ compressors chan *flate.Writer }

func newPacker() packer {
	p := packer{make(chan *flate.Writer, runtime.GOMAXPROCS(0))}
	for range cap(p.compressors) {
		p.compressors <- nil // made when it is needed
	}
	return p
}

func (p packer) pack(text, raw []byte) ([]byte, error) {
	w := <-p.compressors
	defer func() { p.compressors <- w }()
	if w == nil {
		var err error
		// The fastest level: the sender waits for its acknowledgement.
		if w, err = flate.NewWriter(io.Discard, flate.BestSpeed); err != nil {
			return nil, err
		}
	}
	raw = raw[max(0, len(raw)-reach):]
	// A writer made for a dictionary cannot be used again for another, and
	// making one is dear. Compressing the dictionary and dropping the output
	// leaves the same window.
	var out gate
	w.Reset(&out)
	if len(raw) > 0 {
		if _, err := w.Write(raw); err != nil {
			return nil, err
		}
		if err := w.Flush(); err != nil {
			return nil, err
		}
	}
	out.open = true
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (p packer) unpack(body, raw []byte) ([]byte, error) {
	r := flate.NewReaderDict(bytes.NewReader(body), raw[max(0, len(raw)-reach):])
	defer r.Close()
	return io.ReadAll(r)
}

// gate is a buffer that drops what comes while it is shut.
type gate struct {
	bytes.Buffer
	open bool
}

// Write implements [io.Writer].
func (g *gate) Write(p []byte) (int, error) {
	if !g.open {
		return len(p), nil
	}
	return g.Buffer.Write(p)
}
