package instrument

import (
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// sharing is a line that instruments with these profiles share, each named as
// its profile.
func sharing(t *testing.T, settings Settings, profiles ...string) *bench {
	t.Helper()
	b := newBench(t, settings)
	b.hangUp()
	var members []Instrument
	for _, name := range profiles {
		settings.Profile = name
		members = append(members, Instrument{Name: "the " + name, Settings: settings})
	}
	b.connectTo(members...)
	return b
}

// taken are instrument, profile and sample of what is kept, oldest first.
func (b *bench) taken() (list []string) {
	b.t.Helper()
	summaries, err := b.store.List(b.t.Context(), spool.Filter{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range summaries {
		detail, err := b.store.Show(b.t.Context(), s.ID)
		if err != nil {
			b.t.Fatal(err)
		}
		e := detail.Envelope
		list = append(list, strings.Join([]string{e.Instrument, e.Profile, e.SampleID}, ", "))
	}
	slices.Reverse(list)
	return list
}

func (b *bench) wantTaken(want ...string) {
	b.t.Helper()
	if got := b.taken(); !slices.Equal(got, want) {
		b.t.Errorf("taken %q\nwant %q", got, want)
	}
}

// of is a message whose header names its sender.
func of(sender, sample string) string {
	return "H|\\^&|||" + sender + "|||||||P|1|20240102030405\rP|1\rO|1|" + sample + "|^^^GLU\r" + result + last
}

const (
	xn   = "XN-550^00-14^15678"
	c111 = "c111^Roche^c111^1.0^1^1234"
)

// Whom nobody on a shared line expects is read by its own profile or the generic
// one, never by another instrument's.
func TestASTMStrangerOnASharedLine(t *testing.T) {
	b := sharing(t, Defaults(), "roche_cobas_c111", "sysmex_xn")
	b.say("\x05", ack)
	b.say(frame('1', of("Lab^1", "S1^x^y|"), true), ack)
	b.say("\x04", "")
	b.silence()
	b.wantTaken("the roche_cobas_c111, generic_astm, S1")
}

func TestHL7StrangerOnASharedLine(t *testing.T) {
	settings := hl7Settings()
	b := sharing(t, settings, "mindray_hl7", "hemoscreen")
	b.ask(block(oru), 1)
	b.wantTaken("the mindray_hl7, generic_hl7, S1")
}

// The messages of a session, or of a frame, may be of several instruments: some
// middleware sends so.
func TestASTMMembersOfOneSession(t *testing.T) {
	want := []string{"the sysmex_xn, sysmex_xn, A", "the roche_cobas_c111, roche_cobas_c111, B"}
	first, second := of(xn, "|^^A^M"), of(c111, "B^7^1|")
	open := strings.TrimSuffix(first, last)
	for name, frames := range map[string][]string{
		"one frame":                    {frame('1', first+second, true)},
		"no terminator between them":   {frame('1', open, true), frame('2', second, true)},
		"cut within the second header": {frame('1', first+second[:3], false), frame('2', second[3:], true)},
		"the second one has no end":    {frame('1', first, true), frame('2', strings.TrimSuffix(second, last), true)},
	} {
		t.Run(name, func(t *testing.T) {
			b := sharing(t, Defaults(), "sysmex_xn", "roche_cobas_c111")
			b.say("\x05", ack)
			for _, one := range frames {
				b.say(one, ack)
			}
			b.say("\x04", "")
			b.silence()
			b.wantTaken(want...)
		})
	}
}

// A maker's packet is read as that, and not with another instrument's profile,
// which is for frames.
func TestPacketOfAStrangerOnASharedLine(t *testing.T) {
	members := []Instrument{
		{Name: "a", Settings: Settings{Profile: "sysmex_xn"}},
		{Name: "b", Settings: Settings{Profile: "roche_cobas_c111"}},
		{Name: "c", Settings: Settings{Profile: "biomerieux_mini_vidas"}},
	}
	for n, want := range map[int]string{1: "a, sysmex_xn", 2: "a, ", 3: "c, biomerieux_mini_vidas"} {
		got := PacketSender(members[:n], vendor.MiniVIDAS)
		if who := got.Name + ", " + got.Settings.Profile; who != want {
			t.Errorf("of %d members it is from %q, want %q", n, who, want)
		}
	}
}
