package commission

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// verdictOf returns a layer of the line.
func verdictOf(t *testing.T, f Facts, key Key) Layer {
	t.Helper()
	layers := Judge(f)
	i := slices.IndexFunc(layers, func(l Layer) bool { return l.Key == key })
	if i < 0 {
		t.Fatalf("there is no layer %s", key)
	}
	return layers[i]
}

func TestTheLayersOfALineInTheirOrder(t *testing.T) {
	beyond := []Key{LIMSLayer, LoginLayer, ConsumerLayer, ReceivedLayer, ConfirmedLayer}
	inside := []Key{GreetingLayer, FramesLayer, RecordsLayer, RecognisedLayer, StoredLayer}
	for line, begin := range map[Line][]Key{
		Serial:   {PortLayer, ModemLayer, BytesLayer, FormatLayer},
		Listener: {AddressLayer, ConnectionLayer, BytesLayer},
		Dialled:  {ReachLayer, BytesLayer},
	} {
		var keys []Key
		for _, l := range Judge(healthy(line, ASTM)) {
			keys = append(keys, l.Key)
			if l.Title == "" || l.Seen == "" {
				t.Errorf("%s: %+v says nothing", line, l)
			}
		}
		if want := slices.Concat(begin, inside, beyond); !slices.Equal(keys, want) {
			t.Errorf("%s: %v, want %v", line, keys, want)
		}
	}
}

func TestWhatIsNoFault(t *testing.T) {
	for name, c := range map[string]struct {
		plant   func(*Facts)
		key     Key
		verdict Verdict
		seen    string
	}{
		"a cable of three wires": {func(f *Facts) { f.Modem = Modem{Known: true} }, ModemLayer, OK, "three wires"},
		"no modem line before anything was sent": {func(f *Facts) {
			silent(f)
			f.Modem, f.Sent, f.Running = Modem{Known: true}, 0, time.Second
		}, ModemLayer, Waiting, "No modem line"},
		"a terminal without modem lines":  {func(f *Facts) { f.Modem = Modem{} }, ModemLayer, NotKnown, "Not known here"},
		"a terminal that counts nothing":  {func(f *Facts) { f.Damage = Damage{}; silent(f) }, FormatLayer, NotKnown, "Not known here"},
		"an analyser that was switched":   {func(f *Facts) { heard(f, Traffic{Received: 1, Odd: 1}); f.Damage.Break = counted(1) }, FormatLayer, OK, "switched off"},
		"an error before a message":       {func(f *Facts) { f.Damage.Framing = Count{4, 0} }, FormatLayer, OK, "framing errors: 4"},
		"frames that came right":          {func(f *Facts) { f.Refused.Checksum = Count{2, 0} }, FramesLayer, OK, "refused before it: 2"},
		"a test of the line":              {func(f *Facts) { heard(f, Traffic{Received: 2, ENQ: 1, EOT: 1}) }, FramesLayer, Waiting, "tried the line"},
		"a question":                      {func(f *Facts) { heard(f, Traffic{Received: 90, ENQ: 1, STX: 3, EOT: 1}); f.Queries = 1 }, RecordsLayer, Waiting, "asked for orders"},
		"a question that was taken":       {func(f *Facts) { f.Queries, f.Newest.Delivery = 1, Delivered }, RecordsLayer, Waiting, "asked for orders"},
		"a result behind a question":      {func(f *Facts) { f.Queries, f.Whole = 1, 2 }, ConfirmedLayer, OK, "read back"},
		"the same of HL7":                 {func(f *Facts) { f.Language, f.Queries = HL7, 1 }, ConfirmedLayer, OK, "read back"},
		"a general profile that is meant": {func(f *Facts) { f.Profile, f.Newest.Profile, f.Newest.Generic = "generic_astm", "generic_astm", true }, RecognisedLayer, OK, "generic_astm"},
		"a test message":                  {func(f *Facts) { f.Newest.Delivery, f.Newest.Why = Dropped, "test message, accept_test is false" }, ReceivedLayer, Waiting, "accept_test"},
		"held until it is asked again":    {func(f *Facts) { undelivered(f, "401"); f.LIMS.Held = "SENAITE refuses the credentials" }, ReceivedLayer, Waiting, "refuses"},
		"the LIMS was down a moment ago":  {func(f *Facts) { undelivered(f, "connection refused") }, ReceivedLayer, Waiting, "on its way"},
		"no consumer known yet":           {func(f *Facts) { silent(f) }, ConsumerLayer, NotKnown, "until a message was sent"},
		"reading back is off":             {func(f *Facts) { f.LIMS.Reads = false }, ConfirmedLayer, NotApplicable, "confirm"},
		"reading back does not work":      {func(f *Facts) { f.LIMS.Unread = "search: 403" }, ConfirmedLayer, NotKnown, "403"},
		"not read back yet":               {func(f *Facts) { f.Newest.Delivery = Delivered }, ConfirmedLayer, Waiting, "10m"},
		"a control, not read back":        {func(f *Facts) { f.Newest.Delivery = Bare }, ConfirmedLayer, NotKnown, "nothing that is read back"},
		"no destination":                  {func(f *Facts) { f.LIMS = LIMS{} }, ReceivedLayer, NotApplicable, "No destination"},
		"the LIMS was not asked yet":      {func(f *Facts) { f.LIMS.Probe = Probe{} }, LIMSLayer, NotKnown, "asked"},
		"silence at first":                {func(f *Facts) { silent(f); f.Sent, f.Running = 0, time.Second }, BytesLayer, Waiting, "so far"},
		"a block in the making":           {func(f *Facts) { heard(f, Traffic{Received: 9, ENQ: 1}); f.Traffic.Quiet, f.Sent = time.Second, 0 }, FramesLayer, Waiting, "so far"},
	} {
		t.Run(name, func(t *testing.T) {
			f := healthy(Serial, ASTM)
			c.plant(&f)
			if l := verdictOf(t, f, c.key); l.Verdict != c.verdict || !strings.Contains(l.Seen, c.seen) {
				t.Errorf("%s: %s, want %s with %q", l.Verdict, l.Seen, c.verdict, c.seen)
			}
		})
	}
}

func TestWhatWasRefusedBesideAConnectionIsNoFault(t *testing.T) {
	f := healthy(Listener, ASTM)
	f.Connections.Origin = counted(9)
	if l := verdictOf(t, f, ConnectionLayer); l.Verdict != OK || !strings.Contains(l.Seen, "others refused: 9") {
		t.Errorf("%+v", l)
	}
}

func TestBehindAFaultOthersWait(t *testing.T) {
	f := healthy(Serial, ASTM)
	silent(&f)
	f.LIMS.Probe.Stage = AtConnection
	layers := Judge(f)
	if l := layers[5]; l.Key != FramesLayer || l.Verdict != Waiting || l.Do != "Put right first: Bytes." {
		t.Errorf("behind the fault of the line: %+v", l)
	}
	if l := layers[len(layers)-2]; l.Key != ReceivedLayer || l.Verdict != Waiting || l.Do != "Put right first: LIMS reachable." {
		t.Errorf("behind the fault of the LIMS: %+v", l)
	}
	if c := Conclude(layers); c.Layer != BytesLayer {
		t.Errorf("two faults are concluded as %+v, want the first", c)
	}
}

func TestAllIsWellAsFarAsItIsKnown(t *testing.T) {
	f := healthy(Serial, ASTM)
	f.Modem = Modem{}
	if c := Conclude(Judge(f)); c.Verdict != OK || !strings.Contains(c.Text, "Not known here: "+modemTitle) {
		t.Errorf("%+v", c)
	}
}

func TestALineThatWaits(t *testing.T) {
	f := healthy(Serial, ASTM)
	silent(&f)
	f.Sent, f.Running = 0, time.Second
	c := Conclude(Judge(f))
	if c.Verdict != Waiting || c.Layer != BytesLayer || c.Do != "Have the analyser send a result now." {
		t.Errorf("%+v", c)
	}
}

// A part of a message has no place on a report.
func TestWhatMayQuoteStandsInDetailOnly(t *testing.T) {
	for _, plant := range []func(*Facts){
		func(f *Facts) { f.Newest.Problem = "Kowalski" },
		func(f *Facts) { f.Newest.Intake, f.Newest.Reason = Rejected, "Kowalski" },
		func(f *Facts) { f.Newest.Delivery, f.Newest.Why = Unconfirmed, "Kowalski" },
	} {
		f := healthy(Listener, HL7)
		plant(&f)
		found := false
		for _, l := range Judge(f) {
			if strings.Contains(l.Seen+l.Do+l.Title, "Kowalski") {
				t.Errorf("%+v", l)
			}
			found = found || strings.Contains(l.Detail, "Kowalski")
		}
		if !found {
			t.Error("nothing says what it was")
		}
	}
}

// Who has just said that the analyser has sent is not told to have it send.
func TestWhatWasSentIsWaitedFor(t *testing.T) {
	f := healthy(Serial, ASTM)
	silent(&f)
	f.Sent, f.Running = time.Second, time.Second
	if c := Conclude(Judge(f)); c.Verdict != Waiting || !strings.Contains(c.Do, "Wait") {
		t.Errorf("%+v", c)
	}
}

// Nobody logs in to a box: no remedy may be a command.
func TestNoRemedyIsACommand(t *testing.T) {
	for _, list := range [][]planted{serialFaults, listenerFaults, dialledFaults, protocolFaults, limsFaults} {
		for _, p := range list {
			f := healthy(p.line, p.language)
			p.plant(&f)
			for _, l := range Judge(f) {
				if strings.Contains(l.Do, "assaygate ") {
					t.Errorf("%s, %s: %s", p.name, l.Title, l.Do)
				}
			}
		}
	}
}
