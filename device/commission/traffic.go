package commission

import "fmt"

const bytesTitle = "Bytes"

// send is what the person does where something has to come.
func (f Facts) send() string {
	if f.Sent > 0 && !f.due() {
		return "Wait a moment: what was sent may still come."
	}
	return "Have the analyser send a result now."
}

// bytes: does anything come at all?
func (f Facts) bytes() Layer {
	t := f.Traffic
	is := func(v Verdict, seen, do string) Layer { return layer(BytesLayer, bytesTitle, v, seen, do) }
	switch {
	case t.Received > 0:
		return is(OK, fmt.Sprintf("Received: %d, sent: %d%s.", t.Received, t.Sent, f.together()), "")
	case f.came():
		return is(OK, "A message came.", "")
	case !t.Known:
		return is(NotKnown, "Bytes are not counted.", "")
	case f.due() && f.Line == Serial:
		return is(Fault, "Not one byte has come.",
			"At the analyser look whether the transmission to a host is on, and to which socket; then cross transmit and receive (a null modem), or take the crossing out.")
	case f.due():
		return is(Fault, "The connection stands, and not one byte has come over it.",
			"At the analyser look whether results are sent to a host, and whether the message waits there for somebody to release it.")
	}
	return is(Waiting, "Nothing has come so far.", f.send())
}

// together says that others are counted too.
func (f Facts) together() string {
	if len(f.Shared) == 0 {
		return ""
	}
	return ", of all analysers behind this address"
}

// greeting: does it begin as the language has it?
func (f Facts) greeting() Layer {
	if f.Language == HL7 {
		return f.startOfBlock()
	}
	t := f.Traffic
	is := func(v Verdict, seen, do string) Layer { return layer(GreetingLayer, "Greeting (ENQ)", v, seen, do) }
	switch {
	case f.Language == Packets:
		return is(NotApplicable, "This format has no greeting.", "")
	case t.ENQ > 0:
		return is(OK, fmt.Sprintf("Greetings of the analyser: %d.", t.ENQ), "")
	case f.came():
		return is(OK, "A message came without it: the analyser's own packets.", "")
	case !t.Known:
		return is(NotKnown, "Bytes are not counted.", "")
	case t.Received == 0:
		return is(Waiting, "Nothing has come so far.", f.send())
	case t.Start > 0:
		return is(Fault, "The analyser speaks HL7; this line is for ASTM.", "Make the line hl7, or set the analyser to ASTM (LIS01, E1381).")
	case !f.quiet():
		return is(Waiting, "Bytes come, none of them an ENQ so far.", "")
	case t.STX > 0:
		return is(Fault, "Frames come without an ENQ before them, so they are not taken.",
			"Set the analyser to ASTM with handshake (LIS01, E1381), not to one-way transmission.")
	}
	return is(Fault, "Bytes come, and none of them is an ENQ.",
		"Set the analyser to ASTM (LIS01, E1381), not to a printer or to one-way transmission. "+f.otherCause())
}

// searched is who finds the settings of a serial line. The search has the port to
// itself.
const searched = "Serial ports, on the page Setup, finds them by listening, once the instrument is taken out of the configuration."

// otherCause is what else makes bytes that are not understood.
func (f Facts) otherCause() string {
	switch {
	case f.Line == Serial:
		return "If it is: compare speed, data bits and parity on both sides. " + searched
	case !f.Connections.Secure:
		return "If it is: look whether it sends with TLS; this line has none."
	}
	return ""
}

func (f Facts) startOfBlock() Layer {
	t := f.Traffic
	is := func(v Verdict, seen, do string) Layer {
		return layer(GreetingLayer, "Start of a block (MLLP)", v, seen, do)
	}
	switch {
	case t.Start > 0:
		return is(OK, fmt.Sprintf("Blocks begun: %d.", t.Start), "")
	case f.came():
		return is(OK, "A message came.", "")
	case !t.Known:
		return is(NotKnown, "Bytes are not counted.", "")
	case t.Received == 0:
		return is(Waiting, "Nothing has come so far.", f.send())
	case t.ENQ > 0 || t.STX > 0:
		return is(Fault, "The analyser speaks ASTM; this line is for HL7.", "Make the line astm, or set the analyser to HL7 with MLLP.")
	case !f.quiet():
		return is(Waiting, "Bytes come, none of them the start of a block so far.", "")
	}
	return is(Fault, "Bytes come, and none of them is the start of a block.", "Set the analyser to HL7 v2 with MLLP framing. "+f.otherCause())
}
