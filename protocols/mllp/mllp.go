// Package mllp implements the HL7 Minimal Lower Layer Protocol, release 1:
// blocks of
//
//	0x0B content 0x1C 0x0D
//
// each holding an HL7 message, or a batch of them. It is pure: no I/O and no
// clock. There is no acknowledgement at this level; the HL7 ACK is itself a
// block.
package mllp

import "bytes"

// The bytes around the content.
const (
	StartBlock = 0x0B
	EndBlock   = 0x1C
	CR         = 0x0D
	LF         = 0x0A
)

// Split is a [bufio.SplitFunc] whose tokens are the contents of blocks, which
// may be empty but are never nil. The error is always nil.
//
// An advance without a token skips bytes that belong to no block; [Junk] tells
// how many of them are worth counting. A start block inside an open block drops
// what came before it: its sender began anew.
//
// A block ends with 0x1C 0x0D. Some peers leave the 0x0D out or write 0x0A for
// it, so 0x1C followed by 0x0A or by the next start block ends it too, and with
// atEOF so does 0x1C as the last byte. Here atEOF means that this is all there
// is for now: callers set it after a short quiet time. 0x1C followed by
// anything else is content: a byte damaged on the way must not make half a
// message out of a whole one.
//
// An open block is left in place; where it ends in 0x1C it lacks only the byte
// behind that, and callers soon set atEOF. How long to wait for its rest, and how large
// it may grow, is the caller's decision. Each call looks at all of it, so read
// large parts of large blocks at a time.
//
// Without atEOF the tokens do not depend on how the stream was cut.
func Split(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if len(data) == 0 {
		return 0, nil, nil
	}
	if data[0] != StartBlock {
		if i := bytes.IndexByte(data, StartBlock); i > 0 {
			return i, nil, nil
		}
		return len(data), nil, nil
	}
	limit := len(data)
	if i := bytes.IndexByte(data[1:], StartBlock); i >= 0 {
		limit = i + 1
	}
	for end := 1; ; end++ {
		i := bytes.IndexByte(data[end:limit], EndBlock)
		if i < 0 {
			break
		}
		end += i
		content := data[1:end:end]
		if end+1 == len(data) {
			if atEOF {
				return end + 1, content, nil
			}
			return 0, nil, nil
		}
		switch data[end+1] {
		case CR, LF:
			return end + 2, content, nil
		case StartBlock:
			return end + 1, content, nil
		}
	}
	if limit < len(data) {
		return limit, nil, nil
	}
	return 0, nil, nil
}

// Junk counts the bytes of a skipped part that are worth counting: all but CR,
// LF and NUL, which peers put between blocks.
func Junk(skipped []byte) int {
	n := 0
	for _, c := range skipped {
		if c != CR && c != LF && c != 0 {
			n++
		}
	}
	return n
}

// AppendBlock appends content as a block to dst. The content must hold neither
// 0x0B nor 0x1C.
func AppendBlock(dst, content []byte) []byte {
	dst = append(append(dst, StartBlock), content...)
	return append(dst, EndBlock, CR)
}
