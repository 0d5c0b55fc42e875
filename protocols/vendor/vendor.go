// Package vendor reads the formats of instruments that speak neither ASTM nor
// HL7: the packets of the bioMérieux mini VIDAS and of the Arkray Spotchem EL
// SE-1520, which come over lines that otherwise carry ASTM, and the line
// protocol of the Abbott CELL-DYN Emerald, which has a port of its own.
//
// It is pure: no I/O, no clock, no goroutine. [Split] and [SplitLine] cut what
// came over the line, [Verify] judges the sum of what was cut, [Parse] makes
// records of it that have LIS02-A2's letters and positions, so that they can be
// treated as those of an ASTM message.
//
// # Packets
//
// Both packets come without being asked for and get no reply:
//
//	mini VIDAS    STX RS mt.. | RS pi.. | ... | GS C1 C2 [CR LF] [ETX] [CR LF]
//	Spotchem EL   STX YY/MM/DD HH:MM ID# id [type] Na n mmol/L K n mmol/L Cl n mmol/L ETX [CR LF]
//
// C1 C2 are the sum of all bytes behind STX up to and including GS, modulo 256,
// as two hex digits. Some VIDAS wrap the packet into a session: ENQ, packet,
// EOT, with an ACK for the first two.
//
// # Emerald
//
// Everything is lines that end in CR, with fields parted by semicolons:
//
//	instrument                          host
//	CONNECT;serial;version              ACK_CONNECT;version
//	[header] RESULT_READY;size          ACK_RESULT_READY
//	header RESULT ... END_RESULT;sum    ACK_RESULT;OK, ;CRC_ERROR or ;ERROR
//	header CALIBRATION;..;lot;.. ...
//	    END_CALI;sum                    ACK_CALI;lot;OK, likewise
//	header STARTUP;..                   none
//	DISCONNECT;serial                   none
//
// The sum is the CRC-16 (reflected 0xA001, start 0xFFFF) of all bytes from the
// header line up to and including the CR before the END line, as a decimal
// number.
package vendor

import (
	"errors"
	"strings"
)

// Format names one of the formats.
type Format string

// The formats.
const (
	MiniVIDAS  Format = "mini_vidas"
	SpotchemEL Format = "spotchem_el"
	Emerald    Format = "celldyn_emerald"
)

// The bytes that part components and repeats within a [Record]'s fields. They
// are no characters of the content: [Parse] puts a blank for any that is.
const (
	Repeat    = 0x1C
	Field     = 0x1D // for whoever joins the fields; it is in none of them
	Component = 0x1F
)

// Record is one record with the letter and the positions of LIS02-A2: element 0
// is field 1, the letter.
type Record []string

// Packet is what a packet or frame says.
type Packet struct {
	Records  []Record
	Problems []string // what was not understood; without any content

	// Of an Emerald's frame only: its kind (RESULT, CALIBRATION, STARTUP), the
	// mode of the measurement and the system of units.
	FrameID, Mode, UnitSystem string
}

// Why a packet is not as it should be. Callers test with [errors.Is].
var (
	ErrSum       = errors.New("the check sum does not match")
	ErrNoSum     = errors.New("there is no check sum")
	ErrMalformed = errors.New("not of the format that its beginning announces")
	ErrExcessive = errors.New("more results than one packet can hold")
)

// Parse reads a packet or frame whose characters are UTF-8 already. With an
// error nothing of it was understood.
func Parse(format Format, text string) (Packet, error) {
	switch format {
	case MiniVIDAS:
		return parseMiniVIDAS(text)
	case SpotchemEL:
		return parseSpotchem(text)
	case Emerald:
		return parseEmerald(text)
	}
	return Packet{}, ErrMalformed
}

// Verify checks the sum of a packet or frame as it was received. A Spotchem EL
// sends none.
func Verify(format Format, raw []byte) error {
	switch format {
	case MiniVIDAS:
		return verifyMiniVIDAS(raw)
	case Emerald:
		return verifyEmerald(raw)
	}
	return nil
}

// clean makes text safe to stand in a field.
func clean(text string) string {
	if !strings.ContainsAny(text, "\x1c\x1d\x1f\r\n") {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case Repeat, Field, Component, '\r', '\n':
			return ' '
		}
		return r
	}, text)
}

// newRecord makes a record of so many fields; the sequence number stands in
// field 2.
func newRecord(letter, sequence string, size int) Record {
	r := make(Record, size)
	r[0], r[1] = letter, sequence
	return r
}

// compactRecord makes a record of these fields that ends with the last one that
// holds anything: of a packet of very many patients, empty fields would take
// most of the memory.
func compactRecord(letter, sequence string, fields map[int]string) Record {
	last := 2
	for n, text := range fields {
		if text != "" {
			last = max(last, n)
		}
	}
	r := newRecord(letter, sequence, last)
	for n, text := range fields {
		if text != "" {
			r.set(n, text)
		}
	}
	return r
}

// set puts a text into field n.
func (r Record) set(n int, text string) { r[n-1] = clean(text) }

// setComponents puts components into field n, without empty ones at the end.
func (r Record) setComponents(n int, parts ...string) {
	for i := range parts {
		parts[i] = clean(parts[i])
	}
	r[n-1] = strings.TrimRight(strings.Join(parts, string(rune(Component))), string(rune(Component)))
}

// digits reports whether text is so many digits.
func digits(text string, n int) bool {
	return len(text) == n && strings.Trim(text, "0123456789") == ""
}

// fullYear is the year of two digits, as the C library reads it.
func fullYear(yy string) string {
	if yy >= "69" {
		return "19" + yy
	}
	return "20" + yy
}
