// Package commission judges a line layer by layer, from the plug to the result
// that stands in the LIMS, for a person who stands before an analyser that "does
// not send". It is a function over plain values: [Judge] looks at [Facts] and
// returns the layers in their order, each with what was seen and what to do;
// [Conclude] says in one sentence which of them is at fault.
//
// The layers are two chains. The first is the way of a message into the box, from
// the port to the store; the second is the way from the box into the LIMS, which
// is tested also while nothing comes in. In each chain the first fault hides what
// lies behind it: an analyser with another speed sends no readable record either,
// and who reads "no record" looks in the wrong place. So behind a fault of its
// chain a layer is well, or it waits; it is never at fault itself.
//
// What was wrong before the newest whole message does not count any more: frames
// that were refused and came right when they were repeated are what the protocol
// is for. They are told as seen.
package commission

import "strings"

// Verdict is what is thought of a layer. The set is closed.
type Verdict string

// The verdicts.
const (
	OK            Verdict = "ok"
	Fault         Verdict = "fault"
	Waiting       Verdict = "waiting" // for the person, or for a layer before it
	NotApplicable Verdict = "not applicable"
	NotKnown      Verdict = "not known"
)

// Key names a layer. It does not change between releases.
type Key string

// The layers, in their order; a line has those that fit it.
const (
	PortLayer       Key = "port"       // serial
	ModemLayer      Key = "modem"      // serial
	AddressLayer    Key = "address"    // listener
	ConnectionLayer Key = "connection" // listener
	ReachLayer      Key = "reach"      // dialled
	BytesLayer      Key = "bytes"
	FormatLayer     Key = "format" // serial
	GreetingLayer   Key = "greeting"
	FramesLayer     Key = "frames"
	RecordsLayer    Key = "records"
	RecognisedLayer Key = "recognised"
	StoredLayer     Key = "stored"
	LIMSLayer       Key = "lims"
	LoginLayer      Key = "login"
	ConsumerLayer   Key = "consumer"
	ReceivedLayer   Key = "received"
	ConfirmedLayer  Key = "confirmed"
)

// Layer is one of them with its verdict.
type Layer struct {
	Key     Key     `json:"key"`
	Title   string  `json:"title"`
	Verdict Verdict `json:"verdict"`
	// Seen is what was seen, without any content of a message but the id of the
	// sample where the facts give it.
	Seen string `json:"seen"`
	// Detail is what is known beyond Seen; it may quote a part of a message, and
	// has no place on a report.
	Detail string `json:"detail,omitempty"`
	// Do is what the person does next; "" for nothing.
	Do string `json:"do,omitempty"`
}

// Judge returns the layers of the line in their order.
func Judge(f Facts) []Layer {
	inward := chain(f.way())
	outward := chain([]Layer{f.lims(), f.login(), f.consumer(), f.received(), f.confirmed()})
	return append(inward, outward...)
}

// way are the layers from the plug to the store.
func (f Facts) way() []Layer {
	var list []Layer
	switch f.Line {
	case Serial:
		list = []Layer{f.port(), f.modem(), f.bytes(), f.format()}
	case Listener:
		list = []Layer{f.address(), f.connection(), f.bytes()}
	case Dialled:
		list = []Layer{f.reach(), f.bytes()}
	}
	list = append(list, f.greeting(), f.frames(), f.records(), f.recognised())
	if f.Closed != "" {
		for i, l := range list {
			list[i] = layer(l.Key, l.Title, NotKnown, "Not looked at: "+f.Closed, "")
		}
	}
	return append(list, f.stored())
}

// chain leaves the first fault alone, and has what lies behind it wait.
func chain(list []Layer) []Layer {
	first := ""
	for i := range list {
		l := &list[i]
		switch {
		case first == "" && l.Verdict == Fault:
			first = l.Title
		case first != "" && (l.Verdict == Fault || l.Verdict == Waiting):
			l.Verdict, l.Do, l.Detail = Waiting, "Put right first: "+first+".", ""
		}
	}
	return list
}

// Conclusion is what stands at the top of the page.
type Conclusion struct {
	Verdict Verdict `json:"verdict"`         // Fault, Waiting or OK
	Layer   Key     `json:"layer,omitempty"` // which it is about; "" where all is well
	Text    string  `json:"text"`            // one sentence
	Do      string  `json:"do,omitempty"`
}

// Conclude names the first layer that is at fault; else the first that waits for
// the person; else it says that all is well.
func Conclude(layers []Layer) Conclusion {
	for _, verdict := range []Verdict{Fault, Waiting} {
		for _, l := range layers {
			if l.Verdict != verdict {
				continue
			}
			begins := "At fault: "
			if verdict == Waiting {
				begins = "No fault so far; the check waits at: "
			}
			return Conclusion{verdict, l.Key, begins + l.Title + " – " + l.Seen, l.Do}
		}
	}
	text := "All is well: every layer that this line has was seen to work."
	var open []string
	for _, l := range layers {
		if l.Verdict == NotKnown {
			open = append(open, l.Title)
		}
	}
	if len(open) > 0 {
		text = "All is well, as far as it is known. Not known here: " + strings.Join(open, ", ") + "."
	}
	return Conclusion{Verdict: OK, Text: text}
}

// layer makes a layer of its verdict and what was seen.
func layer(key Key, title string, verdict Verdict, seen, do string) Layer {
	return Layer{Key: key, Title: title, Verdict: verdict, Seen: seen, Do: do}
}
