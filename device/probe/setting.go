// Package probe finds the settings of a serial line by listening to it. It never
// sends: what it is given to listen on has no Write.
//
// An instrument that nobody answers says little: an ASTM one sends ENQ, waits
// fifteen seconds for its reply, sends EOT, and begins again some ten seconds
// later. So settings are not tried by the clock. The probe stays at one until
// something comes, judges that, and only then moves on: what came shows that the
// instrument speaks, and the next settings are listened to when it speaks again, first
// those at which an ENQ would have been heard like that.
// Only where nothing at all comes it moves on by itself, after longer than such an
// instrument is ever silent.
//
// Few settings have to be tried. Seven bits with parity, seven with two stop bits
// and eight without parity are each ten bits on the wire: listening with 8N1 hears
// them all, and the highest bit of every character then tells which it is. One or
// two stop bits cannot be told from outside, and need not: a receiver set to one
// takes both. Only eight bits with parity are listened to as such, where what came
// with 8N1 looks like it.
package probe

import (
	"fmt"

	"github.com/assaygate/assaygate/device/port"
)

// Setting is speed and character format of a line.
type Setting struct {
	Baud     int    `json:"baud"`
	DataBits int    `json:"data_bits"`
	Parity   string `json:"parity"` // none, even, odd
	StopBits int    `json:"stop_bits"`
}

// String is the setting as people write it, such as 9600 8N1.
func (s Setting) String() string {
	letter := map[string]string{"none": "N", "even": "E", "odd": "O"}[s.Parity]
	return fmt.Sprintf("%d %d%s%d", s.Baud, s.DataBits, letter, s.StopBits)
}

// serial is the setting as a port takes it.
func (s Setting) serial() port.Serial {
	return port.Serial{Baud: s.Baud, DataBits: s.DataBits, Parity: s.Parity, StopBits: s.StopBits}
}

// speeds are those of analysers, the most usual first.
func speeds() []int { return []int{9600, 19200, 38400, 115200, 4800, 2400, 57600, 1200} }

// plain is how a speed is listened to first: with 8N1.
func plain(baud int) Setting { return Setting{baud, 8, "none", 1} }

// views are the formats that listening with 8N1 hears, the most usual first: which
// bits a character has, and what its highest bit must then be.
func views(baud int) []view {
	return []view{
		{plain(baud), func(byte) bool { return true }, 0xFF},
		{Setting{baud, 7, "even", 1}, func(b byte) bool { return !oddOnes(b) }, 0x7F},
		{Setting{baud, 7, "odd", 1}, oddOnes, 0x7F},
		{Setting{baud, 7, "none", 2}, func(b byte) bool { return b >= 0x80 }, 0x7F},
	}
}

// A view reads characters of ten bits in one way.
type view struct {
	Setting
	fits func(byte) bool
	mask byte
}

// read returns the characters, false where one cannot be of this format.
func (v view) read(data []byte) ([]byte, bool) {
	text := make([]byte, len(data))
	for i, b := range data {
		if !v.fits(b) {
			return nil, false
		}
		text[i] = b & v.mask
	}
	return text, true
}

func oddOnes(b byte) bool {
	b ^= b >> 4
	b ^= b >> 2
	b ^= b >> 1
	return b&1 == 1
}
