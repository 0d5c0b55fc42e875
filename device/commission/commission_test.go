package commission

import (
	"strings"
	"testing"
	"time"
)

// planted is one thing that is wrong with a line that is well otherwise.
type planted struct {
	name     string
	line     Line
	language Language
	plant    func(*Facts)
	at       Key
	seen, do string // parts of what is to be read
}

func counted(n int) Count { return Count{n, n} }

var serialFaults = []planted{
	{"no such port", Serial, ASTM, func(f *Facts) {
		silent(f)
		f.Modem = Modem{}
		f.Port = Port{Name: "usb:1-1.3", Absent: true, There: []string{"usb:1-1.4"}}
	}, PortLayer, "No port usb:1-1.3 is there. There are: usb:1-1.4.", "Plug the adapter in"},
	{"two ports of a name", Serial, ASTM, func(f *Facts) {
		silent(f)
		f.Port = Port{Name: "serial:0001", Ambiguous: true}
	}, PortLayer, "Several ports", "usb:"},
	{"another program has it", Serial, ASTM, func(f *Facts) {
		silent(f)
		f.Port = Port{Name: "/dev/ttyUSB0", UsedBy: "minicom (process 7)", Why: "in use"}
	}, PortLayer, "in use by minicom (process 7)", "End that program"},
	{"may not be opened", Serial, ASTM, func(f *Facts) {
		silent(f)
		f.Port = Port{Name: "/dev/ttyUSB0", Denied: true, Why: "permission denied"}
	}, PortLayer, "may not open", "dialout"},
	{"broken adapter", Serial, ASTM, func(f *Facts) {
		silent(f)
		f.Port = Port{Name: "/dev/ttyUSB0", Why: "input/output error"}
	}, PortLayer, "input/output error", "another one"},
	{"no cable", Serial, ASTM, func(f *Facts) {
		silent(f)
		f.Modem = Modem{Known: true}
	}, ModemLayer, "no modem line is on", "null modem"},
	{"flow control without its lines", Serial, ASTM, func(f *Facts) {
		silent(f)
		f.Modem = Modem{Known: true, DSR: true, HandshakeByModem: true}
	}, ModemLayer, "CTS is off", "flow: none"},
	{"no bytes", Serial, ASTM, silent, BytesLayer, "Not one byte", "cross transmit and receive"},
	{"no bytes, and nobody said that any were sent", Serial, ASTM, func(f *Facts) {
		silent(f)
		f.Sent, f.Running = 0, 2*time.Minute
	}, BytesLayer, "Not one byte", ""},
	{"framing errors", Serial, ASTM, func(f *Facts) {
		heard(f, Traffic{Received: 90, Odd: 30})
		f.Damage.Framing = counted(41)
	}, FormatLayer, "framing errors: 41", "same speed"},
	{"parity errors with frames", Serial, ASTM, func(f *Facts) {
		heard(f, Traffic{Received: 90, ENQ: 1, STX: 6})
		f.Damage.Parity, f.Refused.Checksum = counted(3), counted(6)
	}, FormatLayer, "parity errors: 3", "9600 8N1"},
	{"overrun", Serial, ASTM, func(f *Facts) {
		f.Damage.Overrun = counted(2)
	}, FormatLayer, "overruns: 2", "flow: rtscts"},
	{"garbage where the driver counts nothing", Serial, ASTM, func(f *Facts) {
		heard(f, Traffic{Received: 40, Odd: 25})
		f.Damage = Damage{Settings: "9600 8N1"}
		f.Modem = Modem{}
	}, FormatLayer, "25 of 40 bytes", "same speed"},
}

var listenerFaults = []planted{
	{"address taken", Listener, ASTM, func(f *Facts) {
		silent(f)
		f.Address = Address{Address: ":4010", Why: "address already in use"}
	}, AddressLayer, "already in use", "no other program"},
	{"TLS files", Listener, ASTM, func(f *Facts) {
		silent(f)
		f.Address = Address{Address: ":4010", Why: "tls.key: no such file", Files: true}
	}, AddressLayer, "TLS files cannot be used: tls.key", "files right"},
	{"nobody connects", Listener, ASTM, func(f *Facts) {
		silent(f)
		f.Connections = Connections{}
	}, ConnectionLayer, "Nobody has connected", ":4010"},
	{"allow_from", Listener, ASTM, func(f *Facts) {
		silent(f)
		f.Connections = Connections{Origin: counted(4), Why: "192.0.2.7 is in none of the networks", Networks: "10.0.0.0/8"}
	}, ConnectionLayer, "192.0.2.7", "allow_from"},
	{"no TLS", Listener, ASTM, func(f *Facts) {
		silent(f)
		f.Connections = Connections{Made: 3, TLS: counted(3), Secure: true}
	}, ConnectionLayer, "handshakes that failed: 3", "agree on TLS"},
	{"too many connections", Listener, ASTM, func(f *Facts) {
		silent(f)
		f.Connections = Connections{Crowded: counted(2)}
	}, ConnectionLayer, "a limit has closed: 2", "limits.connections"},
	{"connected, and silent", Listener, HL7, silent, BytesLayer, "connection stands", "release it"},
	{"taken for others", Listener, ASTM, func(f *Facts) {
		heard(f, Traffic{Received: 400, ENQ: 1, STX: 4, EOT: 1})
		f.Shared, f.Others = []string{"c311"}, 1
	}, RecognisedLayer, "all taken for those of c311", "nothing has come of this one"},
	{"hangs up after its greeting", Listener, ASTM, func(f *Facts) {
		heard(f, Traffic{Received: 2, ENQ: 2})
	}, FramesLayer, "greetings: 2", "closes the connection"},
}

var dialledFaults = []planted{
	{"no such name", Dialled, ASTM, func(f *Facts) {
		silent(f)
		f.Reach = Reach{Address: "analyser:4000", Problem: NoName, Why: "no such host"}
	}, ReachLayer, "no such host", "IP address"},
	{"host down", Dialled, ASTM, func(f *Facts) {
		silent(f)
		f.Reach = Reach{Address: "10.0.0.7:4000", Problem: NoAnswer, Why: "no route to host"}
	}, ReachLayer, "no route", "is on"},
	{"refused", Dialled, HL7, func(f *Facts) {
		silent(f)
		f.Reach = Reach{Address: "10.0.0.7:4000", Problem: NoService, Why: "connection refused"}
	}, ReachLayer, "refused", "host interface"},
	{"TLS", Dialled, ASTM, func(f *Facts) {
		silent(f)
		f.Reach = Reach{Address: "10.0.0.7:4000", Problem: NoTLS, Why: "handshake failed"}
	}, ReachLayer, "handshake", "TLS"},
	{"no bytes", Dialled, ASTM, silent, BytesLayer, "not one byte", ""},
}

var protocolFaults = []planted{
	{"text without ENQ", Serial, ASTM, func(f *Facts) { heard(f, Traffic{Received: 300}) }, GreetingLayer, "none of them is an ENQ", "one-way"},
	{"frames without ENQ", Listener, ASTM, func(f *Facts) { heard(f, Traffic{Received: 300, STX: 4}) }, GreetingLayer, "Frames come without an ENQ", "handshake"},
	{"HL7 on an ASTM line", Listener, ASTM, func(f *Facts) { heard(f, Traffic{Received: 300, Start: 1, End: 1}) }, GreetingLayer, "speaks HL7", "line hl7"},
	{"ASTM on an HL7 line", Listener, HL7, func(f *Facts) { heard(f, Traffic{Received: 1, ENQ: 1}) }, GreetingLayer, "speaks ASTM", "line astm"},
	{"text without a block", Listener, HL7, func(f *Facts) { heard(f, Traffic{Received: 300}) }, GreetingLayer, "start of a block", "MLLP"},
	{"ENQ again and again", Serial, ASTM, func(f *Facts) {
		heard(f, Traffic{Received: 3, Sent: 3, ENQ: 3})
	}, FramesLayer, "greetings: 3", "does not reach the analyser"},
	{"wrong checksums", Serial, ASTM, func(f *Facts) {
		heard(f, Traffic{Received: 300, ENQ: 1, STX: 6})
		f.Refused.Checksum = counted(6)
		f.Newest = &Message{ID: "1", Intake: Incomplete, Reason: "the sender ended the session inside a message"}
	}, FramesLayer, "checksum was wrong", "quirks.checksum"},
	{"wrong checksums after a good message", Listener, ASTM, func(f *Facts) {
		f.Refused.Checksum = Count{8, 2}
	}, FramesLayer, "Refused frames: 2", ""},
	{"frame numbers", Serial, ASTM, func(f *Facts) {
		heard(f, Traffic{Received: 300, ENQ: 1, STX: 6})
		f.Refused.Number = counted(6)
	}, FramesLayer, "number was not the next", "quirks.frame_numbers"},
	{"malformed frames", Serial, ASTM, func(f *Facts) {
		heard(f, Traffic{Received: 300, ENQ: 1, STX: 6})
		f.Refused.Malformed = counted(6)
	}, FramesLayer, "not built", ""},
	{"long frames", Serial, ASTM, func(f *Facts) {
		heard(f, Traffic{Received: 300, ENQ: 1, STX: 6})
		f.Refused.Long = counted(1)
	}, FramesLayer, "limits.frame", "images"},
	{"a block without end", Listener, HL7, func(f *Facts) { heard(f, Traffic{Received: 300, Start: 1}) }, FramesLayer, "no end of it", "FS and CR"},
	{"no packet", Serial, Packets, func(f *Facts) { heard(f, Traffic{Received: 300}) }, FramesLayer, "no packet", "format"},
	{"no terminator", Serial, ASTM, func(f *Facts) {
		f.Newest = &Message{ID: "1", Intake: Parked, Reason: "no terminator record", Delivery: SetAside, Why: "no terminator record"}
		f.LIMS.Taken = 0
	}, RecordsLayer, "no terminator record", "quirks.end"},
	{"no header", Serial, ASTM, func(f *Facts) {
		f.Newest = &Message{ID: "1", Intake: Parked, Flaw: NoHeader, Reason: "it has no header, so no destination can read it", Delivery: SetAside}
		f.LIMS.Taken = 0
	}, RecordsLayer, "it has no header", "header record (H)"},
	{"a packet with a wrong sum", Serial, Packets, func(f *Facts) {
		f.Newest = &Message{ID: "1", Intake: Parked, Flaw: WrongSum, Reason: "the check sum does not match", Delivery: SetAside}
		f.LIMS.Taken = 0
	}, RecordsLayer, "check sum does not match", "cable"},
	{"parked for another reason", Serial, ASTM, func(f *Facts) {
		f.Newest = &Message{ID: "1", Intake: Parked, Flaw: OtherFlaw, Reason: "it unfolds to too much", Delivery: SetAside}
		f.LIMS.Taken = 0
	}, RecordsLayer, "unfolds", "Look at the message"},
	{"broken off", Dialled, ASTM, func(f *Facts) {
		f.Newest = &Message{ID: "1", Intake: Incomplete, Reason: "nothing came for 30s"}
		f.Whole = 0
	}, RecordsLayer, "nothing came for 30s", "gave up"},
	{"type refused", Listener, HL7, func(f *Facts) {
		f.Refused.Rejected = counted(1)
		f.Newest = &Message{ID: "1", Intake: Rejected, Reason: "message type is not accepted here"}
	}, RecordsLayer, "AR", "ORU^R01"},
	{"nothing of it kept", Listener, HL7, func(f *Facts) {
		heard(f, Traffic{Received: 300, Start: 1, End: 1})
		f.Refused.Rejected = counted(1)
	}, RecordsLayer, "AR", "ORU^R01"},
	{"unknown header", Serial, ASTM, func(f *Facts) {
		f.Newest.Profile, f.Newest.Generic = "generic_astm", true
	}, RecognisedLayer, "No profile knows", "profile: generic_astm"},
	{"not understood", Listener, HL7, func(f *Facts) {
		f.Newest.Problem = "OBX.5: no value"
	}, RecognisedLayer, "not understood", "own"},
	{"card gone", Serial, ASTM, func(f *Facts) {
		silent(f)
		f.Closed, f.Port, f.Modem = "the store is not open", Port{}, Modem{}
		f.Store = Store{Away: "the file system is not mounted"}
	}, StoredLayer, "not mounted", "card"},
	{"card full", Serial, ASTM, func(f *Facts) {
		heard(f, Traffic{Received: 300, ENQ: 2, STX: 6})
		f.Refused.Store, f.Store.NoRoom = counted(6), "3 MiB are free and 64 MiB are needed"
	}, StoredLayer, "card is full", "keep_days"},
	{"card read-only", Listener, HL7, func(f *Facts) {
		heard(f, Traffic{Received: 300, Start: 1, End: 1})
		f.Refused.Store, f.Store.ReadOnly = counted(1), true
	}, StoredLayer, "read-only", "fsck"},
	{"card fails", Listener, HL7, func(f *Facts) {
		heard(f, Traffic{Received: 300, Start: 1, End: 1})
		f.Refused.Store, f.Store.Failing = counted(1), "input/output error"
	}, StoredLayer, "input/output error", "fsck"},
}

// undelivered leaves the newest message on its way.
func undelivered(f *Facts, why string) {
	f.Newest.Delivery, f.Newest.Why = Pending, why
	f.LIMS.Taken, f.LIMS.Last = 0, Unreached
}

func stuckAt(stage Stage, why string) func(*Facts) {
	return func(f *Facts) {
		undelivered(f, why)
		f.LIMS.Probe.Stage, f.LIMS.Probe.Why = stage, why
	}
}

var limsFaults = []planted{
	{"a file of the settings", Serial, ASTM, stuckAt(AtSettings, "ca: no such file"), LIMSLayer, "ca: no such file", "file"},
	{"name", Serial, ASTM, stuckAt(AtName, "no such host"), LIMSLayer, "name of lims.example.org is not found", "DNS"},
	{"connection", Listener, HL7, stuckAt(AtConnection, "connection refused"), LIMSLayer, "connection refused", "firewall"},
	{"proxy", Serial, ASTM, func(f *Facts) {
		stuckAt(AtProxy, "407")(f)
		f.LIMS.Probe.Proxy = "proxy:3128"
	}, LIMSLayer, "proxy:3128", "password in proxy"},
	{"proxy's name", Serial, ASTM, func(f *Facts) {
		stuckAt(AtName, "no such host")(f)
		f.LIMS.Probe.Proxy = "proxy:3128"
	}, LIMSLayer, "name of the proxy proxy:3128", "name in proxy"},
	{"no proxy there", Serial, ASTM, func(f *Facts) {
		stuckAt(AtConnection, "connection refused")(f)
		f.LIMS.Probe.Proxy = "proxy:3128"
	}, LIMSLayer, "No connection to the proxy proxy:3128", "host and port in proxy"},
	{"certificate", Serial, ASTM, stuckAt(AtTLS, "unknown authority"), LIMSLayer, "No TLS", "ca"},
	{"another site", Serial, ASTM, stuckAt(AtAnswer, "404"), LIMSLayer, "gives no answer as SENAITE does", "path of the url"},
	{"password", Serial, ASTM, func(f *Facts) {
		stuckAt(AtLogin, "401")(f)
		f.LIMS.Held = "SENAITE refuses the credentials"
	}, LoginLayer, "refuses them", "username and password"},
	{"consumer", Serial, ASTM, func(f *Facts) {
		undelivered(f, "SENAITE has no push consumer")
		f.LIMS.Unknown, f.LIMS.Held = "my.consumer", "SENAITE has no push consumer"
	}, ConsumerLayer, "my.consumer", "add-on"},
	{"refusing", Serial, ASTM, func(f *Facts) {
		undelivered(f, "push: 500 Internal Server Error")
		f.LIMS.Last = Refusal
	}, ReceivedLayer, "500", "log"},
	{"parked", Serial, ASTM, func(f *Facts) {
		f.Newest.Delivery, f.Newest.Why = SetAside, "refused 5 times"
	}, ReceivedLayer, "refused 5 times", "retry"},
	{"not there", Serial, ASTM, func(f *Facts) {
		f.Newest.Delivery, f.Newest.Why = Unconfirmed, "sample not found"
	}, ConfirmedLayer, "do not stand there", "registered"},
	{"a directory", Serial, ASTM, func(f *Facts) {
		undelivered(f, "permission denied")
		f.LIMS.Kind, f.LIMS.Probe = Files, Probe{Asked: true, Where: "/captures", Stage: AtConnection, Why: "permission denied"}
	}, LIMSLayer, "/captures cannot be written", ""},
}

func TestEachFaultIsNamedByItsLayerAndNoOther(t *testing.T) {
	for _, list := range [][]planted{serialFaults, listenerFaults, dialledFaults, protocolFaults, limsFaults} {
		for _, p := range list {
			t.Run(p.name, func(t *testing.T) {
				f := healthy(p.line, p.language)
				p.plant(&f)
				layers := Judge(f)
				for _, l := range layers {
					if l.Verdict == Fault && l.Key != p.at {
						t.Errorf("%s is at fault too: %s", l.Key, l.Seen)
					}
				}
				c := Conclude(layers)
				if c.Verdict != Fault || c.Layer != p.at {
					t.Fatalf("concluded %+v, want a fault of %s", c, p.at)
				}
				if !strings.Contains(c.Text, p.seen) || !strings.Contains(c.Do, p.do) || c.Do == "" {
					t.Errorf("the page says %q, do %q; want %q, %q", c.Text, c.Do, p.seen, p.do)
				}
			})
		}
	}
}

func TestAHealthyLineIsWell(t *testing.T) {
	for _, line := range []Line{Serial, Listener, Dialled} {
		for _, language := range []Language{ASTM, HL7, Packets} {
			layers := Judge(healthy(line, language))
			for _, l := range layers {
				if l.Verdict != OK && (l.Key != GreetingLayer || language != Packets) {
					t.Errorf("%s, %s: %s is %s: %s", line, language, l.Key, l.Verdict, l.Seen)
				}
			}
			if c := Conclude(layers); c.Verdict != OK || c.Layer != "" {
				t.Errorf("%s, %s: %+v", line, language, c)
			}
		}
	}
}
