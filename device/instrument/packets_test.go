package instrument

import (
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// vidas is a packet of a mini VIDAS for a sample.
func vidas(sample string) string {
	text := "\x1emtrsl|\x1eci" + sample + "|\x1ertHBS|\x1ett07:05|\x1etd03/09/25|\x1eqn0.02|\x1d"
	return "\x02" + text + vendor.MiniVIDASSum([]byte(text))
}

func spotchem(sample string) string {
	return "\x0225/03/09 07:05 ID# " + sample + " [Serum] K 4.1 mmol/L\x03"
}

func TestPacketsAreTakenWithoutAReply(t *testing.T) {
	b := newBench(t, Defaults())
	b.say(vidas("A-1")+"\r\n"+vidas("A-2")+spotchem("A-3")+"\r\n"+spotchem("A-4")+"\r\n", "")
	b.silence()
	want := []string{"accepted " + vidas("A-1") + "\r\n", "accepted " + vidas("A-2"), "accepted " + spotchem("A-3") + "\r\n", "accepted " + spotchem("A-4") + "\r\n"}
	b.wantKept(want...)
	list, err := b.store.List(t.Context(), spool.Filter{})
	if err != nil || len(list) != 4 || list[3].SampleID != "A-1" || list[0].SampleID != "A-4" {
		t.Errorf("stored %+v (%v)", list, err)
	}
	// The line still speaks ASTM.
	whole := frame('1', header+order+result+last, true)
	b.say("\x05", ack)
	b.say(whole, ack)
	b.say("\x04", "")
	b.wantKept(append(want, "accepted "+whole)...)
}

// A packet counts when its line is lost right behind it: it will not come again.
func TestPacketAtTheEndOfALine(t *testing.T) {
	for name, packet := range map[string]string{"mini VIDAS": vidas("A-1"), "Spotchem": spotchem("A-1")} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Defaults())
			b.say(packet, "")
			b.hangUp()
			b.wantKept("accepted " + packet)
		})
		t.Run(name+", cut off", func(t *testing.T) {
			b := newBench(t, Defaults())
			cut := packet[:len(packet)-12]
			b.say(cut, "")
			b.hangUp()
			b.wantKept("incomplete " + cut)
		})
	}
}

func TestPacketInASession(t *testing.T) {
	b := newBench(t, Defaults())
	b.say("\x05", ack)
	b.say(vidas("A-1")+"\x03\r\n", ack)
	b.wantKept("accepted " + vidas("A-1") + "\x03\r\n")
	b.say(vidas("A-1")+"\x03\r\n", ack) // our ACK was lost
	damaged := strings.Replace(vidas("A-2"), "0.02", "0.03", 1)
	b.say(damaged+"\x03\r\n", nak)
	b.say(vidas("A-2")+"\x03\r\n", ack)
	b.say("\x04", "")
	b.silence()
	b.wantKept("accepted "+vidas("A-1")+"\x03\r\n", "rejected "+damaged+"\x03\r\n", "accepted "+vidas("A-2")+"\x03\r\n")
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.say("\x05", ack)
	b.say(vidas("A-3")+"\x03\r\n", nak)
}

// Nobody sends a packet again that gets no reply, so one with a wrong sum is
// kept for a person; where that is the rule, it counts.
func TestPacketWithAWrongSum(t *testing.T) {
	damaged := strings.Replace(vidas("A-1"), "0.02", "0.03", 1) + "\r\n"
	settings := Defaults()
	b := newBench(t, settings)
	b.say(damaged, "")
	b.hangUp()
	b.wantKept("parked " + damaged)
	settings.Quirks.Checksum = "ignore"
	b.connect(settings)
	b.say(damaged, "")
	b.hangUp()
	b.wantKept("parked "+damaged, "accepted "+damaged)
}

func TestPacketBrokenOff(t *testing.T) {
	b := newBench(t, Defaults())
	cut := "\x02\x1emtrsl|\x1eciA"
	b.say(cut+vidas("A-1"), "")
	b.hangUp()
	b.wantKept("incomplete "+cut, "accepted "+vidas("A-1"))
}

func TestPacketWithoutEnd(t *testing.T) {
	b := newBench(t, Defaults())
	b.say("\x02\x1emtrsl|"+strings.Repeat("x", 65<<10), "")
	b.hangUp()
	if got := b.kept(); len(got) != 1 || !strings.HasPrefix(got[0], "incomplete \x02\x1emtrsl") {
		t.Errorf("kept %.60q", got)
	}
}

// The cut of the stream must not matter.
func TestPacketAnyCut(t *testing.T) {
	b := newBench(t, Defaults())
	whole := vidas("A-1") + "\r\n" + spotchem("A-2") + "\r\n"
	for cut := 0; cut < len(whole); cut += 3 {
		b.say(whole[:cut], "")
		b.say(whole[cut:], "")
		b.silence()
		got := b.newest(2)
		if len(got) != 2 || got[0] != "accepted "+vidas("A-1")+"\r\n" || got[1] != "accepted "+spotchem("A-2")+"\r\n" {
			t.Fatalf("cut at %d: kept %q", cut, got)
		}
	}
}

func TestPacketOfASharedLine(t *testing.T) {
	b := newBench(t, Defaults())
	members := []Instrument{{Name: "any"}, {Name: "vidas"}, {Name: "spotchem"}}
	members[0].Settings, members[1].Settings, members[2].Settings = Defaults(), Defaults(), Defaults()
	members[1].Settings.Profile, members[2].Settings.Profile = "biomerieux_mini_vidas", "spotchem_el"
	l := &line{Service: b.service, members: members}
	for format, want := range map[vendor.Format]string{vendor.MiniVIDAS: "vidas", vendor.SpotchemEL: "spotchem", vendor.Emerald: "any"} {
		if m := l.packetMessage(format, nil); m.Instrument != want || m.Protocol != envelope.Vendor || m.Format != string(format) {
			t.Errorf("%s is from %s", format, m.Instrument)
		}
	}
}

func TestPacketUnderAnAllowlist(t *testing.T) {
	b := newScrubbedBench(t, Defaults(), envelope.Allowlist{ASTM: &envelope.Allowed{Fields: map[string][]int{"O": {3}}, DropUnmatched: true}})
	b.say(strings.Replace(vidas("A-1"), "\x1ert", "\x1epnZIEGLER|\x1ert", 1)+"\r\n"+"\x0225/03/09 07:05 ZIEGLER\x03\r\n\x0225/03/09 07:05 ZIEG", "")
	b.hangUp()
	for _, kept := range b.kept() {
		if strings.Contains(kept, "ZIEG") {
			t.Errorf("kept %q", kept)
		}
	}
	if got := b.kept(); len(got) != 3 || !strings.Contains(got[0], "O|1|A-1|") {
		t.Errorf("kept %q", got)
	}
}
