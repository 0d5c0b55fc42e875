package simulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Fault is a mistake that the instrument makes on purpose, so that a host can
// show what it makes of it. The zero value makes none.
//
// An instrument with a fault goes on as real ones do: what the fault has spoilt
// it sends again once, right, over a new connection where the old one is gone.
// So in the end a good host has every message, once. Only the faults that never
// get right end in a refusal.
type Fault struct {
	kind   kind
	number int // behind the colon
}

// kind is a row of the table of faults.
type kind struct {
	name   string
	number string // what the number behind the name is; "": none
	usual  int    // the number where none is given; 0: there must be one
	fits   []Protocol
	// together says that the fault lies between the messages of a play, which
	// are then sent without a pause: it needs two.
	together bool
	says     string

	// wrong is what the fault makes of a unit that no host may acknowledge, ""
	// where a host may.
	wrong string

	// write and read stand for those of the line; nil is as they are.
	write func(l *faultyLine, unit []byte) error
	read  func(l *faultyLine, p []byte) (int, error)
}

// faults is every fault there is. Their names are part of the command line and
// stay.
func faults() []kind {
	astm, mllp, both, all := []Protocol{ASTM}, []Protocol{HL7}, []Protocol{ASTM, HL7}, []Protocol{ASTM, HL7, Vendor}
	return []kind{
		{name: "checksum", fits: astm, wrong: "a frame with a wrong checksum", write: checksumOnce, says: "the first frame goes out once with a wrong checksum, and right after NAK"},
		{name: "checksum:always", fits: astm, wrong: "a frame with a wrong checksum", write: checksumAlways, says: "every frame has a wrong checksum, always: a host that checks it refuses the message"},
		{name: "numbers", fits: astm, wrong: "a frame with a wrong number", write: numberOnce, says: "the last frame goes out once with a wrong number, and right after NAK"},
		{name: "numbers:same", fits: astm, wrong: "a frame with a wrong number", write: numberSame, says: "every frame has the number 1, always: a host that checks it refuses the message"},
		{name: "numbers:restart", fits: astm, write: numberRestart, together: true, says: "the next message begins with frame 1 but without ENQ; refused, it comes in a session of its own"},
		{name: "lost-ack", fits: both, read: loseACK, says: "the answer to the last frame or block is lost; after the sender's time-out it comes again, the same bytes"},
		{name: "lost-ack:damaged", fits: astm, read: damageACK, says: "the answer to the last frame arrives as another byte, so the frame comes again at once"},
		{name: "lost-ack:session", fits: astm, read: loseSession, says: "the answer to the last frame is lost; after the time-out the whole message comes in a new session"},
		{name: "cut", number: "N", fits: both, write: cutOff, says: "the connection closes after N bytes, at the latest before the last answer; on a serial port 35 s of silence; then it comes whole"},
		{name: "half-open", number: "SECONDS", usual: 90, fits: both, write: halfOpen, says: "half a message, then silence until the host hangs up or 90 s have passed; then it comes whole, over a new connection"},
		{name: "slow", number: "BYTES_PER_SECOND", usual: 100, fits: all, write: dribble, says: "byte by byte, 100 a second"},
		{name: "split", fits: all, write: splitUp, says: "every byte in a write of its own"},
		{name: "junk", fits: both, write: addJunk, says: "bytes that mean nothing before every frame, ENQ, EOT and block"},
		{name: "enq-storm", fits: astm, write: stormENQ, says: "ENQ ten times in a row, and again in the middle of a frame: a sender that restarts"},
		{name: "no-end", fits: mllp, write: leaveEndOut, says: "a block once without 0x1C 0x0D; after the sender's time-out it comes whole"},
		{name: "no-cr", fits: mllp, write: leaveCROut, says: "0x1C without 0x0D behind it"},
		{name: "start-twice", fits: mllp, write: startTwice, says: "half a block, and then the whole of it without an end between"},
		{name: "many", fits: mllp, write: writeMany, together: true, says: "all messages in one write, without waiting for an answer"},
	}
}

// usage is the fault as people write it.
func (k kind) usage() string {
	switch {
	case k.number == "":
		return k.name
	case k.usual == 0:
		return k.name + ":" + k.number
	}
	return k.name + "[:" + k.number + "]"
}

// FaultUsage is a line of the manual.
type FaultUsage struct {
	Name string // as it is written, e.g. cut:N
	Fits []Protocol
	Says string
}

// Languages are the languages that it fits, in words.
func (u FaultUsage) Languages() string {
	if slices.Contains(u.Fits, Vendor) {
		return "all"
	}
	var names []string
	for _, p := range u.Fits {
		names = append(names, strings.ToUpper(string(p)))
	}
	return strings.Join(names, ", ")
}

// Faults returns all faults, in the order of the manual.
func Faults() []FaultUsage {
	var list []FaultUsage
	for _, k := range faults() {
		list = append(list, FaultUsage{k.usage(), k.fits, k.says})
	}
	return list
}

// ParseFault reads a fault as people write it, such as `checksum` or `cut:120`.
// Its error names all faults there are.
func ParseFault(text string) (Fault, error) {
	name, digits, numbered := strings.Cut(text, ":")
	for _, k := range faults() {
		switch {
		case text == k.name && (k.number == "" || k.usual > 0):
			return Fault{k, k.usual}, nil
		case name == k.name && k.number != "" && numbered:
			n, err := strconv.Atoi(digits)
			if err != nil || n < 1 || n > mostNumber {
				return Fault{}, fmt.Errorf("fault %s: %s is a whole number from 1 to %d", text, k.number, mostNumber)
			}
			return Fault{k, n}, nil
		}
	}
	return Fault{}, fmt.Errorf("fault %s is not one of %s", text, usages(faults()))
}

// mostNumber is more than any fault needs.
const mostNumber = 100_000_000

// String returns the fault as it is written, "" for none.
func (f Fault) String() string {
	if f.number == f.kind.usual {
		return f.kind.name
	}
	return fmt.Sprintf("%s:%d", f.kind.name, f.number)
}

// none reports whether there is no fault.
func (f Fault) none() bool { return f.kind.name == "" }

// accepts says whether the fault can be made with these messages: one that could
// not show would look like a host that has passed.
func (f Fault) accepts(messages []Message, o Options) error {
	if f.none() {
		return nil
	}
	for _, m := range messages {
		if !slices.Contains(f.kind.fits, m.Protocol) {
			fit := slices.DeleteFunc(faults(), func(k kind) bool { return !slices.Contains(k.fits, m.Protocol) })
			return fmt.Errorf("the fault %s does not fit messages in %s; there are %s", f, spoken(m), usages(fit))
		}
	}
	if n := len(messages) * max(o.Count, 1); f.kind.together && (n < 2 || len(messages) < 2 && o.Interval > 0) {
		return fmt.Errorf("the fault %s lies between two messages: take a capture with several, or play it twice (--count 2) without an interval", f)
	}
	return nil
}

// spoken is the language of a message in words.
func spoken(m Message) string {
	switch m.Protocol {
	case ASTM:
		return "ASTM"
	case HL7:
		return "HL7"
	}
	return "a maker's own format"
}

func usages(list []kind) string {
	var names []string
	for _, k := range list {
		names = append(names, k.usage())
	}
	return strings.Join(names, ", ")
}
