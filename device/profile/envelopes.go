package profile

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/text/encoding"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// Envelopes makes a message's envelopes, one an order, oldest first. At is when
// the message was complete. It never fails: what it cannot understand is one
// envelope with the raw bytes and a problem.
//
// With an allowlist, everything that leaves this function is scrubbed; a
// message that cannot be split into records leaves as length and digest only, and
// as Rejected: it must not be acknowledged, for nothing of it is kept.
func (s *Set) Envelopes(m Raw, at time.Time) []envelope.Envelope {
	list, _ := s.Examine(m, at)
	return list
}

// Examine is Envelopes for a person who looks at a capture: it also returns the
// places with values that the profile does not list. That is no problem of the
// message, but news of the instrument.
func (s *Set) Examine(m Raw, at time.Time) (list []envelope.Envelope, unlisted []string) {
	defer func() {
		if recover() != nil {
			list, unlisted = []envelope.Envelope{s.unread(m, at, panicked())}, nil
		}
	}()
	return s.read(m, at)
}

// NoHeader is why a message is parked that does not say what it is.
const NoHeader = "it has no header, so no destination can read it"

// read is Examine where this program makes no mistake.
func (s *Set) read(m Raw, at time.Time) (list []envelope.Envelope, unlisted []string) {
	b := open(m)
	p, ambiguity := s.profileOf(m, b.records)
	if m.Charset == "" && p.charset != "" {
		m.Charset = p.charset
		b = open(m) // what tells the sender is ASCII in every set
	}
	b.note(ambiguity)
	groups := b.group()
	if m.Intake == envelope.Accepted && b.opaque && !b.excessive {
		m.Intake, m.Reason = envelope.Parked, NoHeader
	}
	if b.excessive = b.excessive || unfolds(groups, m); b.excessive {
		b.note(errExcessive.Error())
		groups = []group{{}}
		if m.Intake == envelope.Accepted {
			m.Intake, m.Reason = envelope.Parked, errExcessive.Error()
		}
	}
	for i := range groups {
		records := groups[i].all()
		groups[i].kind = p.messageKind(records)
		groups[i].kinds = p.resultKinds(records, groups[i].kind)
	}
	groups = s.scrub(&b, groups, m)
	if b.dropped && m.Intake != envelope.Incomplete {
		m.Intake, m.Reason = envelope.Rejected, "it cannot be split into records, and the allowlist lets nothing else be kept"
	}
	list = make([]envelope.Envelope, 0, len(groups))
	whole := s.whole(m, b, p, at)
	alone, budget := len(groups) == 1, newBudget()
	for i, g := range groups {
		e := whole
		e.ID, e.Part, e.Kind = newID(), i, g.kind
		rd := &reader{profile: p, now: at.Local().Format(timeLayout), budget: budget}
		b.fill(rd, g, alone, m.Zone, &e)
		showSample(&e, p.generic || m.Protocol == envelope.HL7)
		if m.Protocol == envelope.Vendor {
			visible(&e)
		}
		if e.Kind != envelope.KindTest && m.Deliver != nil && !slices.Contains(m.Deliver, e.Kind) {
			e.Withheld = fmt.Sprintf("kind %s is not in deliver", e.Kind)
		}
		list = append(list, e)
		unlisted = append(unlisted, rd.unlisted...)
	}
	slices.Sort(unlisted)
	return list, slices.Compact(unlisted)
}

// profileOf recognises the profile for a message.
func (s *Set) profileOf(m Raw, records []record) (p *profile, problem string) {
	if m.Protocol == envelope.Vendor {
		return s.recognisePacket(m, records)
	}
	return s.recognise(m.Protocol, m.Profile, records)
}

// timeLayout is that of times in the contract.
const timeLayout = "20060102150405"

// showSample puts the sample's id where SENAITE's importer reads it, when it
// stands in another place of the message (SPM-2, O-4): one envelope shows one
// id. Instruments with a profile keep to what their importers know.
func showSample(e *envelope.Envelope, allowed bool) {
	if allowed && len(e.Records.O) == 1 && e.SampleID != "" {
		e.Records.O[0].Set("sample_id", e.SampleID)
	}
}

// message is a message on its way to be envelopes.
type message struct {
	protocol  envelope.Protocol
	charset   encoding.Encoding
	records   []record // as kept
	original  []record // as received, for recognition and proofs only
	frames    [][]byte // ASTM: as kept
	raw       []byte   // as kept
	problems  []string
	opaque    bool // it could not be split into records
	scrubbed  bool // an allowlist was applied
	dropped   bool // and so, under an allowlist, it is not kept
	damaged   bool // there are bytes that its character set does not have
	excessive bool // it would unfold to more than the box holds

	format vendor.Format // of a maker's own: how it was read
	packet vendor.Packet
	text   string // decoded, as received
}

func (b *message) note(problem string) {
	if problem != "" {
		b.problems = append(b.problems, problem)
	}
}

// open decodes and splits; character sets come first, because the bytes of
// some characters look like delimiters.
func open(m Raw) message {
	b := message{protocol: m.Protocol, frames: m.Frames, raw: m.Text}
	if m.Whole != nil {
		b.raw = m.Whole
	}
	var err error
	if b.charset, err = m.encoding(); err != nil {
		b.note(err.Error())
	}
	text, damaged := decode(m.Text, b.charset)
	b.damaged = damaged
	switch m.Protocol {
	case envelope.ASTM:
		b.raw = bytes.Join(m.Frames, nil)
		b.records, err = parseASTM(text)
		if err != nil && !errors.Is(err, errExcessive) {
			b.note(err.Error())
		}
		b.opaque = err != nil && !slices.ContainsFunc(b.records, func(r record) bool { return r.name == "H" })
	case envelope.HL7:
		if b.records, err = parseHL7(text); err != nil {
			b.opaque = true
		}
		if err != nil && !errors.Is(err, errExcessive) {
			b.note(err.Error())
		}
	default:
		b.openVendor(m, text)
	}
	b.original, b.excessive = b.records, errors.Is(err, errExcessive)
	return b
}

// scrub applies the allowlist to what is kept. Orders are told apart, and tests
// and controls from patients, by what was received: an allowlist that drops the
// field which says so must not make a patient's result of a control.
func (s *Set) scrub(b *message, groups []group, m Raw) []group {
	allowed := s.options.Allow.ASTM
	if b.protocol == envelope.HL7 {
		allowed = s.options.Allow.HL7
	}
	if allowed == nil {
		return groups
	}
	b.scrubbed = true
	if b.opaque {
		b.note(fmt.Sprintf("%d bytes that could not be split into records were not kept, digest %s", len(m.Text), s.digest(m.Text)))
		b.records, b.frames, b.raw, b.dropped = nil, nil, nil, true
		return []group{{kind: envelope.KindResult}}
	}
	b.records, _ = scrub(b.records, allowed)
	if b.protocol != envelope.HL7 {
		b.frames = b.keptAsFrames(b.charset)
		b.raw = bytes.Join(b.frames, nil)
	} else {
		b.raw = encode(hl7Text(b.records)+"\r", b.charset)
	}
	return scrubGroups(groups, allowed)
}

func (b *message) group() []group {
	switch {
	case b.protocol == envelope.HL7:
		return groupHL7(b.records)
	case b.protocol == envelope.ASTM, b.protocol == envelope.Vendor && !b.opaque:
		return groupASTM(b.records)
	}
	return []group{{}}
}

// fill gives an envelope its records, results and metadata. A message with one
// order shows its frames as they came; one of several, frames with its own
// records only, so that no sample carries another patient's text.
func (b *message) fill(rd *reader, g group, alone bool, zone *time.Location, e *envelope.Envelope) {
	frames := b.frames
	if b.protocol == envelope.ASTM && !alone {
		frames, _ = rebuild(g.all(), b.charset)
	}
	g, undecoded, damage := b.clean(g)
	e.Undecoded = undecoded
	records := g.all()
	switch b.protocol {
	case envelope.ASTM:
		e.Metadata = astmMetadata(frames, b.charset)
		rd.astmRecords(records, e)
	case envelope.HL7:
		e.Metadata = envelope.Metadata{HL7: hl7Text(records)}
		rd.hl7Records(records, e)
	case envelope.Vendor:
		b.fillVendor(rd, records, alone, e)
	}
	e.Metadata.Version, e.Metadata.HeaderRx = rd.profile.version, rd.profile.headerRx
	e.SampleID = rd.profile.sampleID(records)
	var plots []envelope.Object
	if plot := rd.profile.plot; plot != nil {
		plots = *bucketOf(&e.Records, plot.record)
	}
	flat := rd.profile.flatten(records, g.kinds, plots, zone)
	e.Results, e.Comments = flat.results, flat.comments
	problems := slices.Concat(b.problems, rd.problems, flat.problems)
	if damage != "" {
		problems = append(problems, damage)
	}
	if missing := missing(*e); missing != "" && !b.scrubbed {
		problems = append(problems, missing)
	}
	e.Problem = strings.Join(problems, "; ")
}

// missing says what a patient's results cannot do without and did not bring: a
// message that is accepted and yet gives a LIMS nothing must be seen by somebody.
func missing(e envelope.Envelope) string {
	switch {
	case e.Kind != envelope.KindResult:
	case len(e.Results) > 0 && e.SampleID == "":
		return "no sample id was found"
	case len(e.Results) == 0 && len(e.Records.O) > 0:
		return "the order has no results"
	case len(e.Results) == 0 && e.Protocol == envelope.HL7:
		return "the message has no results"
	case slices.ContainsFunc(e.Results, func(r envelope.Result) bool { return r.Test == "" }):
		return "a result without a test"
	}
	return ""
}

// exact reports whether a time is given to the second.
func exact(text string) bool {
	const digits = len(timeLayout)
	return len(text) >= digits && strings.Trim(text[:digits], "0123456789") == ""
}

// whole is what all envelopes of a message share.
func (s *Set) whole(m Raw, b message, p *profile, at time.Time) envelope.Envelope {
	e := envelope.Envelope{
		MessageID: newID(), Digest: s.digest(m.Text),
		Protocol: m.Protocol, Instrument: m.Instrument, Lane: m.Instrument, Profile: p.name,
		Box: s.options.Box, Remote: m.Remote, ReceivedAt: at.UTC(), Clock: m.Clock,
		Intake: m.Intake, Reason: m.Reason, Kind: envelope.KindResult, Raw: b.raw,
	}
	sender, control, sent := location{record: "H", field: 5}, location{record: "H", field: 3}, location{record: "H", field: 14}
	facility := location{}
	if m.Protocol == envelope.HL7 {
		sender, facility = location{record: "MSH", field: 3}, location{record: "MSH", field: 4}
		control, sent = location{record: "MSH", field: 10}, location{record: "MSH", field: 7}
	}
	for _, place := range []location{sender, facility} {
		if text := s.shown(place, b); text != "" {
			e.Lane += "/" + text
		}
	}
	e.ControlID = s.shown(control, b)
	if text := first(b.original, []location{sent}); exact(text) {
		e.MessageTime = s.shown(sent, b)
	}
	return e
}

// shown is the text at a place of the scrubbed message; where the allowlist
// removed it, a keyed digest stands for it.
func (s *Set) shown(at location, b message) string {
	if at.record == "" {
		return ""
	}
	was := first(b.original, []location{at})
	if now := first(b.records, []location{at}); now != "" || was == "" {
		return now
	}
	return s.digest([]byte(was))[:16]
}

// digest is keyed, so that nobody can try out which patient it stands for.
func (s *Set) digest(text []byte) string {
	mac := hmac.New(sha256.New, s.options.Key)
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil))
}

// newID is a UUIDv7. Order is by sequence only; the time in it is a courtesy.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
