package commission

import "time"

// healthy returns the facts of a line of this kind on which all is well.
func healthy(line Line, language Language) Facts {
	f := Facts{
		Line: line, Language: language, Running: time.Minute,
		Traffic: Traffic{Known: true, Received: 900, Sent: 12, Quiet: time.Second},
		Newest: &Message{
			ID: "018f", Sample: "S-1", Intake: Accepted, Profile: "sysmex_xn", Instrument: "xn", Delivery: Confirmed,
		},
		Whole: 1,
		LIMS: LIMS{
			Kind: SENAITE, Name: "lims", Taken: 1, Reads: true, After: 10 * time.Minute, Consumers: "senaite.core.lis2a.import",
			Probe: Probe{Asked: true, Where: "lims.example.org", Stage: Well}, Last: Took,
		},
	}
	switch language {
	case ASTM:
		f.Traffic.ENQ, f.Traffic.STX, f.Traffic.EOT = 1, 5, 1
	case HL7:
		f.Traffic.Start, f.Traffic.End = 1, 1
	}
	switch line {
	case Serial:
		f.Port = Port{Name: "usb:1-1.3", Path: "/dev/ttyUSB0", Open: true}
		f.Modem = Modem{Known: true, CTS: true, DSR: true, DCD: true}
		f.Damage = Damage{Known: true, Settings: "9600 8N1"}
	case Listener:
		f.Address = Address{Address: ":4010", Open: true}
		f.Connections = Connections{Open: 1, Made: 1, Networks: "10.0.0.0/8"}
	case Dialled:
		f.Reach = Reach{Address: "10.0.0.7:4000", Up: true}
	}
	return f
}

// silent takes everything away that came.
func silent(f *Facts) {
	f.Traffic = Traffic{Known: true}
	f.Newest, f.Whole, f.LIMS.Taken, f.LIMS.Last, f.Sent = nil, 0, 0, NoAttempt, time.Minute
}

// heard leaves these bytes, and no message.
func heard(f *Facts, t Traffic) {
	silent(f)
	t.Known, t.Quiet = true, time.Minute
	f.Traffic = t
}
