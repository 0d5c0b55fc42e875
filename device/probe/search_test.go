package probe

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// formats are those of instruments.
func formats(baud int) []Setting {
	return []Setting{
		{baud, 8, "none", 1}, {baud, 7, "even", 1}, {baud, 7, "odd", 1}, {baud, 7, "none", 2}, {baud, 8, "even", 1}, {baud, 8, "odd", 1},
	}
}

// astmText is a session of an instrument that waits for no answer.
func astmText() []byte {
	text := []byte{lis01.ENQ}
	for i, record := range []string{"H|\\^&|||X^1|||||||P|1\r", "O|1|S-1||^^^GLU\r", "R|1|^^^GLU|5.4|mmol/L\r", "L|1|N\r"} {
		text = lis01.AppendFrame(text, lis01.Frame{Number: byte('1' + i), Text: []byte(record), End: true})
	}
	return append(text, lis01.EOT)
}

func hl7Text() []byte {
	return mllp.AppendBlock(nil, []byte("MSH|^~\\&|X|LAB|||20260102030405||ORU^R01|1|P|2.3.1\rOBR|1||S-1\rOBX|1|NM|GLU||5.4|mmol/L\r"))
}

// speakers are what instruments say when nobody answers, burst by burst.
func speakers() map[string]struct {
	bursts   [][]byte
	protocol string
	sure     Sureness
} {
	type speaker = struct {
		bursts   [][]byte
		protocol string
		sure     Sureness
	}
	return map[string]speaker{
		"calls":  {[][]byte{{lis01.ENQ}, {lis01.EOT}}, "astm", Likely},
		"frames": {[][]byte{astmText()}, "astm", Certain},
		"blocks": {[][]byte{hl7Text()}, "hl7", Certain},
		"text":   {[][]byte{[]byte("H|\\^&|||X^1\rO|1|S-1||^^^GLU\rR|1|^^^GLU|5.4\r")}, "", Likely},
	}
}

// listenTo runs a search against an instrument, and returns its verdict and how
// often the instrument spoke. Counted says that the driver counts errors.
func listenTo(bursts [][]byte, of Setting, counted bool) (Verdict, int) {
	s := newSearch()
	spoke := 0
	for ; !s.settled() && spoke < 100; spoke++ {
		var b burst
		b.data, b.errors = heardAs(bursts[spoke%len(bursts)], of, s.setting())
		if b.told = counted; !counted {
			b.errors = port.Counters{}
		}
		if len(b.data) == 0 && b.errors == (port.Counters{}) {
			s.silence(patience)
			continue
		}
		s.heard(b, quiet)
	}
	return s.verdict(), spoke
}

// Every speed and format is found, whatever the instrument says, after it has
// spoken a few times; nothing else is ever said to be certain or likely.
func TestEveryLineIsFound(t *testing.T) {
	for name, speaker := range speakers() {
		for _, baud := range speeds() {
			for _, of := range formats(baud) {
				t.Run(fmt.Sprint(name, " ", of), func(t *testing.T) {
					v, spoke := listenTo(speaker.bursts, of, true)
					if v.Setting != of || v.Sure != speaker.sure || v.Protocol != speaker.protocol || len(v.Also) != 0 {
						t.Errorf("found %s, %s, %s, also %q; saw %+v", v.Setting, v.Sure, v.Protocol, v.Also, v.Saw)
					}
					if most := 3*len(speeds()) + 8; spoke > most {
						t.Errorf("it had to speak %d times, want %d at most", spoke, most)
					}
				})
			}
		}
	}
}

// What sounds like the right speed with parity is listened to so next, and not
// after a whole round.
func TestParityIsTriedWhereItSoundsLikeIt(t *testing.T) {
	for _, parity := range []string{"even", "odd"} {
		if _, spoke := listenTo(speakers()["calls"].bursts, Setting{9600, 8, parity, 1}, true); spoke > 6 {
			t.Errorf("%s: it had to speak %d times", parity, spoke)
		}
	}
}

// A call that is heard at a wrong speed names the right one: an instrument that
// calls twice a minute is found in about two minutes, whatever its line.
func TestACallNamesItsSpeed(t *testing.T) {
	for _, baud := range speeds() {
		for _, of := range formats(baud) {
			if _, spoke := listenTo(speakers()["calls"].bursts, of, true); spoke > 7 {
				t.Errorf("%s: it had to call %d times", of, spoke)
			}
		}
	}
	for _, heard := range speeds() {
		for _, sent := range speeds() {
			data, _ := heardAs([]byte{lis01.ENQ}, plain(sent), plain(heard))
			if len(data) > longestCall {
				t.Errorf("ENQ of %d is heard at %d as %x", sent, heard, data)
			}
			if got := guesses(data, plain(heard)); len(data) > 0 && heard != sent && !slices.Contains(got, sent) || slices.Contains(got, heard) {
				t.Errorf("ENQ of %d, heard at %d: guesses %v", sent, heard, got)
			}
		}
	}
}

// A format that one burst cannot be of is none, whatever comes later.
func TestAFormatFitsAll(t *testing.T) {
	s := newSearch()
	for _, data := range []string{"\x05", "\x84"} { // 8N1 or 7E1, then 7E1 or 7N2
		s.heard(burst{data: []byte(data), told: true}, quiet)
	}
	if fits := s.seen[0].Fits; len(fits) != 1 || fits[0].Setting != (Setting{9600, 7, "even", 1}) {
		t.Errorf("fits %+v", fits)
	}
}

// Where the driver counts no errors, parity beside eight bits cannot be told. It is
// said that it may be there.
func TestWithoutCounters(t *testing.T) {
	for name, speaker := range speakers() {
		for _, baud := range speeds() {
			for _, of := range formats(baud) {
				v, _ := listenTo(speaker.bursts, of, false)
				if v.Sure != speaker.sure || v.Setting.Baud != baud || v.Setting != of && !slices.Contains(v.Also, of.String()) {
					t.Errorf("%s %s: found %s, %s, also %q", name, of, v.Setting, v.Sure, v.Also)
				}
			}
		}
	}
}

// An ENQ or EOT at another speed is never heard as one: what LIS01 instruments say
// all day long is enough to find the speed.
func TestCallsAreHeardAtTheirSpeedOnly(t *testing.T) {
	for _, baud := range speeds() {
		for _, of := range formats(baud) {
			for _, other := range speeds() {
				for _, listening := range formats(other) {
					for _, call := range []byte{lis01.ENQ, lis01.EOT} {
						data, _ := heardAs([]byte{call}, of, listening)
						o := &Observation{Setting: listening, Bursts: 1}
						if other != baud && o.add(burst{data: data}) {
							t.Errorf("%#x of %s is heard as %x with %s", call, of, data, listening)
						}
					}
				}
			}
		}
	}
}

// An ENQ alone leaves open which format it is, and a verdict says so.
func TestAnENQAloneIsNoFormat(t *testing.T) {
	v, _ := listenTo([][]byte{{lis01.ENQ}}, plain(9600), true)
	if v.Setting != plain(9600) || v.Sure != Likely || !slices.Equal(v.Also, []string{"9600 7E1", "9600 8O1"}) {
		t.Errorf("found %s, %s, also %q", v.Setting, v.Sure, v.Also)
	}
}

// Where nothing came, or nothing that makes sense, that is the verdict.
func TestNothingFound(t *testing.T) {
	s := newSearch()
	for range 3 * len(speeds()) {
		s.silence(patience)
	}
	if v := s.verdict(); v.Sure != Unknown || len(v.Saw) != len(speeds()) || v.Saw[0].Seconds != 3*35 || v.YAML("/dev/ttyS0") != "" {
		t.Errorf("after silence: %+v", v)
	}
	s = newSearch()
	noise := []byte{0xFE, 0x00, 0xE6, 0x66, 0x80, 0xFE, 0xC8, 0x91}
	for range 100 {
		s.heard(burst{data: noise}, quiet)
	}
	v := s.verdict()
	if v.Sure != Unknown || len(v.Saw) != 3*len(speeds()) || v.Saw[0].Noise != v.Saw[0].Bursts {
		t.Errorf("after noise: %s, %d listened to", v.Sure, len(v.Saw))
	}
	s.heard(burst{errors: port.Counters{Break: 1}, told: true}, quiet)
	if s.settled() {
		t.Error("a break settles it")
	}
}

// Once something made sense, silence is borne for longer, and noise beside it
// weighs against it.
func TestSenseIsListenedToForLonger(t *testing.T) {
	s := newSearch()
	s.heard(burst{data: []byte{lis01.ENQ}, told: true}, quiet)
	for range 2 {
		if s.silence(patience); s.setting() != plain(9600) {
			t.Fatalf("went on to %s", s.setting())
		}
	}
	if s.silence(patience); s.setting() == plain(9600) {
		t.Error("listens for ever")
	}
	if v := s.verdict(); v.Sure != Guess {
		t.Errorf("one ENQ is %s", v.Sure)
	}
	o := Fit{Setting: plain(9600), Evidence: Evidence{Calls: 3}, Bursts: 3}
	if o.sureness(0) != Likely || o.sureness(3) != Guess {
		t.Errorf("%s, with noise %s", o.sureness(0), o.sureness(3))
	}
}

func TestYAML(t *testing.T) {
	for _, test := range []struct {
		bursts [][]byte
		want   string
	}{
		{[][]byte{astmText()}, "serial: {port: \"usb:1-1.3\", baud: 9600, data_bits: 7, parity: even, stop_bits: 1}\n"},
		{[][]byte{hl7Text()}, "serial: {port: \"usb:1-1.3\", baud: 9600, data_bits: 7, parity: even, stop_bits: 1}\nprotocol: hl7\n"},
	} {
		v, _ := listenTo(test.bursts, Setting{9600, 7, "even", 1}, true)
		if got := v.YAML("usb:1-1.3"); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// Whatever comes in whatever parts, a verdict stands on what was seen.
func FuzzSearch(f *testing.F) {
	f.Add(astmText(), uint8(200), true)
	f.Add(hl7Text(), uint8(9), false)
	f.Add([]byte("\x05\x84\x05\x04"), uint8(1), true)
	f.Add([]byte("\x02\x1emtrsl|pi1|si1|\x1d99\x03\x0b\x1c"), uint8(40), false)
	f.Fuzz(func(t *testing.T, data []byte, size uint8, told bool) {
		s := newSearch()
		proven := false
		for len(data) > 0 {
			n := min(max(1, int(size)), len(data))
			s.heard(burst{data: bytes.Clone(data[:n]), told: told}, quiet)
			data = data[n:]
			for _, o := range s.seen {
				if o.Noise > o.Bursts {
					t.Fatalf("%+v", o)
				}
				for _, fit := range o.Fits {
					proven = proven || fit.proofs() > 0
					if fit.Baud != o.Baud || fit.Bursts == 0 || fit.Bursts > o.Bursts-o.Noise {
						t.Fatalf("fit %+v of %+v", fit, o)
					}
				}
			}
		}
		v := s.verdict()
		if v.Sure == Certain && !proven || (v.Sure == Unknown) != (v.YAML("p") == "") || slices.Contains(v.Also, v.Setting.String()) {
			t.Fatalf("%+v", v)
		}
		if len(s.order) > 3*len(speeds()) || s.at >= len(s.order) {
			t.Fatalf("%d settings, at %d", len(s.order), s.at)
		}
	})
}
