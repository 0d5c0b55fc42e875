package commission

import "time"

// Line is the kind of a line.
type Line string

// The kinds.
const (
	Serial   Line = "serial"
	Listener Line = "listener" // the analyser connects to the box
	Dialled  Line = "dialled"  // the box connects to the analyser
)

// Language is what is spoken on a line.
type Language string

// The languages.
const (
	ASTM    Language = "astm"
	HL7     Language = "hl7"
	Packets Language = "packets" // a maker's own, without a greeting
)

// Facts are what is known of one instrument's line. All counts are of the time
// since the check began.
type Facts struct {
	Line     Line
	Language Language
	Profile  string   // the configured one; "": it is recognised from each message
	Shared   []string // other instruments behind the same address

	Running time.Duration // since the check began
	Sent    time.Duration // since the person said that the analyser has sent; 0: not said

	// Closed is why the box has no line open at all, which is never the line's own
	// fault: its store is not open. "" where it has.
	Closed string

	Port        Port        // of a serial line
	Modem       Modem       // of a serial line
	Damage      Damage      // of a serial line
	Address     Address     // of a listener
	Connections Connections // of a listener
	Reach       Reach       // of a dialled line
	Traffic     Traffic
	Refused     Refused
	Newest      *Message // the newest message of this instrument; nil: none came
	Whole       int      // messages of it that were taken whole
	Queries     int      // questions of it, which are no messages
	Others      int      // messages that were taken for those of Shared
	Store       Store
	LIMS        LIMS
}

// Count is how often something happened.
type Count struct {
	All int // since the check began
	Now int // of these, since the newest whole message
}

// Port is the serial port of a line.
type Port struct {
	Name      string   // as configured
	Path      string   // the device that it is; "" where there is none
	Open      bool     // by this line
	Absent    bool     // no device of this name
	Ambiguous bool     // several devices of this name
	Denied    bool     // the box may not open it
	UsedBy    string   // who else has it open; "" for nobody
	There     []string // the ports that are there
	Why       string   // why it could not be opened the last time
}

// Modem are the modem lines of a serial port.
type Modem struct {
	Known              bool // driver and port tell
	CTS, DSR, DCD, RI  bool
	HandshakeByModem   bool // flow: rtscts, so that the box sends only while CTS is on
	HandshakeByLetters bool // flow: xonxoff
}

// Damage is what the driver of a serial port has counted.
type Damage struct {
	Known                           bool // it counts
	Parity, Framing, Overrun, Break Count
	Settings                        string // of the port, e.g. 9600 8N1
}

// Address is where a listener listens.
type Address struct {
	Address string
	Open    bool
	Why     string // why it is not open
	Files   bool   // Why is about its TLS files
}

// Connections are those to a listener.
type Connections struct {
	Open     int   // now
	Made     int   // and admitted
	Origin   Count // refused by allow_from
	Crowded  Count // refused or closed by a limit on their number
	TLS      Count // without the TLS that the listener wants
	Why      string
	Secure   bool   // the listener wants TLS
	Networks string // allow_from; "" for any
}

// Reach is how a dialled line fares.
type Reach struct {
	Address string
	Up      bool
	Problem ReachProblem // why it is not up
	Why     string
}

// ReachProblem is why an analyser cannot be reached.
type ReachProblem string

// The problems.
const (
	NoName    ReachProblem = "name"    // its name is not found
	NoAnswer  ReachProblem = "answer"  // nobody answers at its address
	NoService ReachProblem = "service" // it is there, and takes no connection
	NoTLS     ReachProblem = "tls"
	Lost      ReachProblem = "lost" // anything else
)

// Traffic is what went over a line, in characters.
type Traffic struct {
	Known    bool // it is counted
	Received int
	Sent     int
	// ENQ, STX, EOT are those that the analyser sent; Start and End those of MLLP.
	ENQ, STX, EOT, Start, End int
	// Odd are received bytes that no text has: above 7 bits, or control characters
	// that neither language uses.
	Odd int
	// Quiet is how long nothing has come; 0 where nothing came ever.
	Quiet time.Duration
	// Veiled: text is not counted, for an allowlist is configured.
	Veiled bool
}

// Refused is what the box has answered with a negative acknowledgement, by what
// was wrong.
type Refused struct {
	Checksum, Number, Malformed, Long, Junk Count
	Time                                    Count // a limit on time or idleness has closed the line
	Rejected                                Count // HL7 messages answered AR
	Store                                   Count // the store did not take it
}

// Message is one message as it was taken.
type Message struct {
	ID         string
	At         time.Time
	Sample     string // its sample id; "" where there is none, or where it is not to be shown
	Intake     Intake
	Flaw       Flaw   // why it is Parked
	Reason     string // of Intake; may quote
	Profile    string // what has read it
	Generic    bool   // that is a profile for any analyser
	Problem    string // what was not understood; may quote; "" for nothing
	Instrument string
	// Delivery is what became of it at the destination of the check.
	Delivery State
	Why      string // of Delivery; quotes nothing
	Attempts int
}

// Intake is how a message was taken.
type Intake string

// The intakes.
const (
	Accepted   Intake = "accepted"
	Parked     Intake = "parked"
	Incomplete Intake = "incomplete"
	Rejected   Intake = "rejected"
)

// Flaw is what keeps a complete session from being a message that can be sent on.
type Flaw string

// The flaws.
const (
	NoEnd     Flaw = "" // no terminator record
	NoHeader  Flaw = "header"
	WrongSum  Flaw = "sum" // of a packet that nobody sends again
	OtherFlaw Flaw = "other"
)

// State is what became of a message at a destination.
type State string

// The states.
const (
	NoDelivery  State = "" // it does not get it
	Pending     State = "pending"
	Delivered   State = "delivered"
	Bare        State = "bare" // delivered, and it holds nothing that is read back
	SetAside    State = "parked"
	Dropped     State = "dropped"
	Confirmed   State = "confirmed"
	Unconfirmed State = "unconfirmed"
)

// Store is how the store fares.
type Store struct {
	Away     string // why it is not open
	ReadOnly bool   // the file system of the card
	NoRoom   string // why it takes nothing in
	Failing  string // why it did not take the last message
}

// LIMS is the destination of the check.
type LIMS struct {
	Kind    LIMSKind
	Name    string
	Probe   Probe
	Unknown string // the consumer that the LIMS does not know; "" for none
	Held    string // why it takes nothing; "" where it does
	// Last is what came of the newest attempt to deliver anything.
	Last      Attempt
	Taken     int    // messages of any line that it took since the check began
	Reads     bool   // results are read back
	Unread    string // why they are not
	After     time.Duration
	Consumers string // the configured ones
}

// LIMSKind is what a destination is.
type LIMSKind string

// The kinds.
const (
	NoLIMS  LIMSKind = ""        // none is configured
	SENAITE LIMSKind = "senaite" // asked over HTTP
	Files   LIMSKind = "files"   // a directory
)

// Attempt is the outcome of an attempt to deliver.
type Attempt string

// The outcomes that are told apart here.
const (
	NoAttempt Attempt = ""
	Took      Attempt = "took"
	Refusal   Attempt = "refusal" // it answered, and did not take the message
	Unreached Attempt = "unreached"
)

// Probe is what came of asking the LIMS with the settings in use.
type Probe struct {
	Asked bool
	Where string // host, or the directory
	Stage Stage  // at which it failed; Well where it did not
	Why   string
	Proxy string // the proxy's host, "" for none
}

// Stage is how far a question to the LIMS came.
type Stage string

// The stages, in their order; each is where it may fail.
const (
	AtSettings   Stage = "settings" // a file that they name cannot be used
	AtName       Stage = "name"
	AtConnection Stage = "connection"
	AtProxy      Stage = "proxy"
	AtTLS        Stage = "tls"
	AtAnswer     Stage = "answer" // something answers, and is no SENAITE
	AtLogin      Stage = "login"
	Well         Stage = "well"
)

// The patience of the check.
const (
	// unaided is how long nothing may come while the person has not said that the
	// analyser has sent. It is the walk to the analyser.
	unaided = 90 * time.Second
	// settles is how long a message may take to come once it is said to be sent, and
	// how long a pause in it may be.
	settles = 5 * time.Second
)

// due reports whether something should have come by now.
func (f Facts) due() bool { return f.Sent >= settles || f.Running >= unaided }

// quiet reports whether what has come is all that comes.
func (f Facts) quiet() bool { return f.Traffic.Quiet >= settles || f.due() }

// came reports whether a message of this instrument came, whatever its fate.
func (f Facts) came() bool { return f.Newest != nil || f.Queries > 0 }
