package commission

import "fmt"

// refusal is one kind of refusal with what is seen and done.
type refusal struct {
	count     Count
	what, why string
	do        string
}

// refusals are those of frames, blocks or packets.
func (f Facts) refusals() []refusal {
	r := f.Refused
	return []refusal{
		{r.Checksum, "frames", "their checksum was wrong", "If it is every frame, the analyser counts otherwise: set quirks.checksum: ignore. If it is some: look at cable, plugs, ground, and a converter between."},
		{r.Number, "frames", "their number was not the next one", "If it is so for every message, the analyser numbers otherwise: set quirks.frame_numbers: ignore. Else frames are lost: look at the cable."},
		{r.Malformed, "frames", "they were not built as a frame is", "Set the analyser to ASTM (LIS01, E1381) with checksums; look at data bits and parity, which may eat characters."},
		{r.Long, "messages or frames", "they were longer than limits.frame or limits.message lets through", "Raise that limit if the analyser sends so much, for example images."},
		{r.Junk, "lines", "too many bytes belonged to no frame", "Set the analyser to the protocol of this line; on a serial line compare speed and parity."},
		{r.Time, "sessions", "they took longer than limits.session", "Look why the analyser does not end its session with EOT; else raise limits.session."},
	}
}

func (f Facts) framesTitle() string {
	switch f.Language {
	case HL7:
		return "Blocks"
	case Packets:
		return "Packets"
	}
	return "Frames"
}

// frames: do they arrive whole, and does the box take them?
func (f Facts) frames() Layer {
	is := func(v Verdict, seen, do string) Layer { return layer(FramesLayer, f.framesTitle(), v, seen, do) }
	var worst refusal
	before := 0
	for _, one := range f.refusals() {
		before += one.count.All
		if one.count.Now > worst.count.Now {
			worst = one
		}
	}
	switch {
	case worst.count.Now > 0:
		return is(Fault, fmt.Sprintf("Refused %s: %d, because %s.", worst.what, worst.count.Now, worst.why), worst.do)
	case f.Newest != nil && before > 0:
		return is(OK, fmt.Sprintf("A message came through; refused before it: %d.", before), "")
	case f.came():
		return is(OK, "A message came through; nothing was refused.", "")
	case !f.Traffic.Known:
		return is(NotKnown, "Bytes are not counted.", "")
	case f.Traffic.Received == 0:
		return is(Waiting, "Nothing has come so far.", f.send())
	}
	switch f.Language {
	case HL7:
		return f.blocks(is)
	case Packets:
		return f.packets(is)
	}
	return f.afterGreeting(is)
}

type making func(v Verdict, seen, do string) Layer

// afterGreeting is about a session that brought no message so far. An analyser
// that greets and takes leave only tries the line.
func (f Facts) afterGreeting(is making) Layer {
	t := f.Traffic
	switch {
	case t.STX > 0:
		return is(OK, fmt.Sprintf("Frames so far: %d; none was refused.", t.STX), "")
	case t.EOT > 0:
		return is(Waiting, "The analyser has tried the line: it greeted and took leave.", f.send())
	case t.ENQ > 1 || t.ENQ > 0 && f.quiet():
		return is(Fault, fmt.Sprintf("The analyser has greeted, the box has answered, and no frame followed; greetings: %d.", t.ENQ),
			f.unanswered())
	}
	return is(Waiting, "No frame has come so far.", "")
}

// unanswered is what to do where an analyser does not go on after its greeting.
func (f Facts) unanswered() string {
	if f.Line != Serial {
		return "The analyser does not take the answer: look whether it closes the connection, whether it is set to ASTM with handshake, and whether a converter between gives it what the box sends."
	}
	return "The answer does not reach the analyser: look at the wire from the box's transmit to the analyser's receive, at flow control, and whether the analyser is set to a bidirectional host."
}

func (f Facts) blocks(is making) Layer {
	t := f.Traffic
	switch {
	case t.End > 0:
		return is(OK, fmt.Sprintf("Blocks ended: %d.", t.End), "")
	case t.Start > 0 && f.quiet():
		return is(Fault, "A block has begun, and no end of it came.",
			"Look whether the analyser ends its blocks with FS and CR, as MLLP has it, and whether the connection breaks off.")
	}
	return is(Waiting, "No whole block has come so far.", "")
}

func (f Facts) packets(is making) Layer {
	if f.quiet() {
		return is(Fault, "Bytes come, and no packet of this format is among them.", "Set the analyser to the format of the line's profile. "+f.otherCause())
	}
	return is(Waiting, "No whole packet has come so far.", "")
}
