package profile

import (
	"strings"

	"golang.org/x/text/encoding"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// internal are the delimiters of records made of a maker's own format. They
// stand in no content, so text such as DOE^JANE is never taken apart, and there
// is nothing to unescape.
var internal = delimiters{field: vendor.Field, repeat: vendor.Repeat, component: vendor.Component}

// standardDelimiters are those that frames are written with.
var standardDelimiters = delimiters{field: '|', repeat: '\\', component: '^', escape: '&'}

// packetProfiles are the built-in profiles of the makers' own formats.
func packetProfiles() map[vendor.Format]string {
	return map[vendor.Format]string{
		vendor.MiniVIDAS: "biomerieux_mini_vidas", vendor.SpotchemEL: "spotchem_el", vendor.Emerald: "celldyn_emerald",
	}
}

// PacketProfile is the name of the built-in profile for a maker's own format,
// "" where the format is unknown.
func PacketProfile(format string) string { return packetProfiles()[vendor.Format(format)] }

// PacketQuirks returns how the line of an instrument with its maker's own format
// deviates; configured is the profile that the configuration names, or "".
func (s *Set) PacketQuirks(configured, format string) Quirks {
	p, _ := s.recognisePacket(Raw{Profile: configured, Format: format}, nil)
	return p.quirks
}

// recognisePacket returns the profile for a message in a maker's own format. The
// configured one counts where it is one for such a message: a line for ASTM may
// carry packets beside it.
func (s *Set) recognisePacket(m Raw, records []record) (p *profile, problem string) {
	protocol := envelope.ASTM
	if m.Format == string(vendor.Emerald) {
		protocol = envelope.Vendor
	}
	if p := s.profiles[m.Profile]; p != nil && p.protocol == protocol && (protocol == envelope.Vendor || p.fits(records) > 0 || p.name == PacketProfile(m.Format)) {
		return p, ""
	}
	p, problem = s.recognise(protocol, "", records)
	if known := s.profiles[PacketProfile(m.Format)]; known != nil && p.generic && problem == "" {
		return known, ""
	}
	return p, problem
}

// openVendor reads a packet or frame. The sum is judged here too, so that the
// problem stands beside what was read all the same.
func (b *message) openVendor(m Raw, text string) {
	b.format, b.text = vendor.Format(m.Format), text
	if PacketProfile(m.Format) == "" {
		b.note("no reader for this format")
		b.opaque = true
		return
	}
	if err := vendor.Verify(b.format, m.Text); err != nil {
		b.note(err.Error())
	}
	var err error
	if b.packet, err = vendor.Parse(b.format, text); err != nil {
		b.note(err.Error())
		b.opaque = true
		return
	}
	for _, problem := range b.packet.Problems {
		b.note(problem)
	}
	for _, r := range b.packet.Records {
		b.records = append(b.records, record{name: r[0], fields: r, d: internal})
	}
}

// fillVendor gives an envelope the records and metadata of a packet. Under an
// allowlist the metadata show what is kept, in frames; of the Emerald's own they
// have only what can be no name.
func (b *message) fillVendor(rd *reader, records []record, alone bool, e *envelope.Envelope) {
	scrubbed := b.frames != nil || b.dropped
	frames := b.frames
	switch {
	case scrubbed && !alone:
		frames, _ = rebuild(standard(records), b.charset)
	case !scrubbed && b.format != vendor.Emerald:
		frames = b.session(records, rd.now)
	}
	if b.format != vendor.Emerald {
		e.Metadata = astmMetadata(frames, b.charset)
	} else if !b.dropped {
		text, mode, units := unmarked(b.text), b.packet.Mode, b.packet.UnitSystem
		if scrubbed {
			text, mode, units = "", knownMode(mode), numberOnly(units)
		}
		for _, m := range []envelope.Member{{Key: "emerald", Value: text}, {Key: "frame_id", Value: b.packet.FrameID}, {Key: "mode", Value: mode}, {Key: "unit_system", Value: units}} {
			e.Metadata.Extra.Set(m.Key, m.Value)
		}
	}
	rd.astmRecords(records, e)
}

// session is what senaite.astm makes of a packet: a session that the instrument
// never held.
func (b *message) session(records []record, now string) (frames [][]byte) {
	list := make([]vendor.Record, 0, len(records))
	for _, r := range records {
		list = append(list, r.fields)
	}
	var shown []record
	for _, r := range vendor.Session(b.format, list, now) {
		shown = append(shown, record{name: r[0], fields: r, d: standardDelimiters})
	}
	frames, _ = rebuild(shown, b.charset)
	return frames
}

// knownMode lets only the modes of a measurement through that an Emerald has.
func knownMode(mode string) string {
	switch mode {
	case "NORMAL", "QC", "CALIBRATION", "REPEATABILITY", "TEST":
		return mode
	}
	return ""
}

// numberOnly lets a single digit through.
func numberOnly(text string) string {
	if len(text) == 1 && text[0] >= '0' && text[0] <= '9' {
		return text
	}
	return ""
}

// standard writes records with the standard's delimiters, for frames that
// anybody can read; content that looks like one of them is escaped.
func standard(records []record) []record {
	list := make([]record, 0, len(records))
	escape := strings.NewReplacer("&", "&E&", "|", "&F&", "^", "&S&", `\`, "&R&")
	joined := strings.NewReplacer(string(rune(vendor.Component)), "^", string(rune(vendor.Repeat)), `\`)
	for _, r := range records {
		fields := make([]string, len(r.fields))
		for i, text := range r.fields {
			fields[i] = joined.Replace(escape.Replace(text))
		}
		if r.name == "H" && len(fields) > 1 {
			fields[1] = `\^&`
		}
		list = append(list, record{name: r.name, fields: fields, d: standardDelimiters})
	}
	return list
}

// visible writes the texts of an envelope that may hold several components as
// people do. Limits are shown as one range.
func visible(e *envelope.Envelope) {
	joined := strings.NewReplacer(string(rune(vendor.Component)), "^", string(rune(vendor.Repeat)), `\`)
	e.Lane = joined.Replace(e.Lane)
	for i := range e.Results {
		r := &e.Results[i]
		if limits := strings.Split(r.Range, string(rune(vendor.Component))); len(limits) > 2 {
			r.Range = limits[1] + "-" + limits[2]
		}
		r.Flags = joined.Replace(r.Flags)
	}
}

// keptAsFrames is what an allowlist leaves of a message that is no HL7.
func (b *message) keptAsFrames(e encoding.Encoding) [][]byte {
	records := b.records
	if b.protocol == envelope.Vendor {
		records = standard(records)
	}
	frames, _ := rebuild(records, e)
	if frames == nil {
		frames = [][]byte{}
	}
	return frames
}
