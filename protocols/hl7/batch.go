package hl7

import (
	"bytes"
	"iter"
	"strconv"
)

// Part is one part of a block's content: a message, or a segment of the batch
// protocol around messages.
type Part struct {
	At int // where it begins in the content
	// Message is a message with all its segments, byte for byte; nil where the
	// part is a batch segment. What it is worth [Parse] tells.
	Message []byte
	// Segment is FHS, BHS, BTS or FTS, without its end. It is split by the
	// delimiters that FHS and BHS declare for themselves.
	Segment Segment
}

// Count returns what a trailer says of its batch: BTS-1 is how many messages,
// FTS-1 how many batches. It is often wrong; stated is false where there is no
// number.
func (p Part) Count() (n int, stated bool) {
	n, err := strconv.Atoi(string(bytes.TrimSpace(p.Segment.Field(1))))
	return n, err == nil && n >= 0
}

// Parts takes the content of a block apart (chapter 2.10.3 of version 2.5.1):
//
//	[FHS] { [BHS] { MSH ... } [BTS] } [FTS]
//
// in whatever order these stand, and several messages also without a batch
// around them. Nothing is copied.
//
// A message goes from its MSH to the next MSH or batch segment. Segments before
// an MSH stand at the front of its message, and those without one make a
// message of their own; [Parse] refuses both. So each byte of each segment is in
// exactly one message, in the order of the block. Bytes that make no segment
// are left out at the edges of a batch, and belong to a message elsewhere; a
// block that holds nothing else is one message. A block of blanks has none.
//
// Segments end as Parse has it, but a batch segment with CR or LF in any case.
// Messages of one block may end theirs otherwise.
func Parts(content []byte) iter.Seq[Part] {
	return func(yield func(Part) bool) {
		_, end := segmentEnd(content)
		c := cutter{content: content, yield: yield, file: DefaultDelimiters(), batch: DefaultDelimiters()}
		c.cut(newSegments(content, end))
	}
}

// cutter cuts a block's content.
type cutter struct {
	content     []byte
	yield       func(Part) bool
	file, batch Delimiters // of the last FHS and BHS
	wrapped     bool       // a batch segment was seen

	// The message that is not given out yet:
	open   int  // where it begins
	headed bool // it has an MSH
	loose  bool // it has a segment before that
}

func (c *cutter) cut(s *segments) {
	s.at = len(c.content) - len(bytes.TrimPrefix(c.content, []byte("\xEF\xBB\xBF")))
	for begin, stop, more := s.next(); more; begin, stop, more = s.next() {
		line := trim(c.content[begin:stop])
		from := stop - len(line)
		switch name := batchName(line); {
		case name != "":
			if s.at = c.wrap(name, from); s.at < 0 {
				return
			}
		case declares("MSH", line):
			if c.headed && !c.give(from) {
				return
			}
			c.headed = true
		case c.headed:
		case !c.loose && start(line) >= 0: // behind bytes that make no segment
			c.headed = true
		case len(line) > 3 && delimiter(line[3]) && looksLikeSegment(line, line[3]):
			c.loose = true
		}
	}
	c.give(len(c.content))
}

// wrap gives out a batch segment, and the message before it. It returns where
// the next segment begins, or -1 when there shall be no more.
func (c *cutter) wrap(name string, from int) (next int) {
	c.wrapped = true
	if !c.give(from) {
		return -1
	}
	line, next := c.content[from:], len(c.content)
	if i := bytes.IndexAny(line, "\r\n"); i >= 0 {
		next = from + i + 1
		if line[i] == cr && i+1 < len(line) && line[i+1] == lf {
			next++
		}
		line = line[:i:i]
	}
	if !c.yield(Part{At: from, Segment: Segment{Name: name, Raw: line, Delimiters: c.delimiters(name, line)}}) {
		return -1
	}
	c.open = next
	return next
}

// give gives out the message that ends at a place, if there is one. It reports
// whether there shall be more.
func (c *cutter) give(to int) bool {
	at, message := c.open, c.content[c.open:to:to]
	one := c.headed || c.loose || !c.wrapped && len(bytes.TrimLeft(message, blanks+"\r")) > 0
	c.open, c.headed, c.loose = to, false, false
	return !one || c.yield(Part{At: at, Message: message})
}

// delimiters returns those that hold for a batch segment. A trailer has those
// of its header.
func (c *cutter) delimiters(name string, line []byte) Delimiters {
	of := &c.batch
	if name[0] == 'F' {
		of = &c.file
	}
	if d, ok := declared(name, line); ok && name[1] == 'H' {
		*of = d
	}
	d := *of
	if len(line) > 3 && delimiter(line[3]) {
		d.Field = line[3]
	}
	return d
}

// batchName returns the name of a batch segment, or "".
func batchName(line []byte) string {
	if len(line) < 3 || len(line) > 3 && !delimiter(line[3]) && line[3] != cr && line[3] != lf {
		return ""
	}
	for _, name := range [...]string{"FHS", "BHS", "BTS", "FTS"} {
		if named(name, line) {
			return name
		}
	}
	return ""
}
