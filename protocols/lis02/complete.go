package lis02

import "bytes"

// Complete reports whether text, the joined texts of accepted frames, ends with
// a whole Terminator record. The kind of the last frame does not matter: there
// are instruments that end every record in ETB.
//
// A Terminator without its CR counts, because some senders leave that out. So
// ask only where a record ends: after an end frame, or where text ends in CR.
// In the middle of a record that is split over frames, the L of "L|1|N" would
// count already. [Joiner] takes care of that.
func Complete(text []byte) bool {
	end, field := recordEnd(text), fieldDelimiter(text)
	stop := len(bytes.TrimRight(text, "\r\n \t\x00"))
	start := bytes.LastIndexByte(text[:stop], end) + 1
	for at := stop; end == cr && at > start; {
		if at = bytes.LastIndexByte(text[start:at], lf); at < 0 {
			break
		}
		if at += start; OpensRecord(text[at+1:], field) {
			start = at + 1
			break
		}
	}
	return terminator(trim(text[start:stop]), field)
}

// Terminated reports whether text ends with a Terminator record of which nothing
// can be missing but its end: it has its number, or an empty one, and one of the
// standard's termination codes. Ask where the sender says that no more will come
// and [Complete] cannot be asked, because the last frame was not an end frame:
// of "L|1|N", cut anywhere, no part counts. It looks at the end of text only.
func Terminated(text []byte) bool {
	const longest = 64 // bytes of a Terminator record and what stands behind it
	tail := text[max(0, len(text)-longest):]
	tail = bytes.TrimRight(tail, between)
	field := fieldDelimiter(text)
	start := bytes.LastIndexByte(tail, cr) + 1
	for at := len(tail); ; {
		i := bytes.LastIndexByte(tail[start:at], lf)
		if i < 0 {
			break
		}
		if at = start + i; OpensRecord(tail[at+1:], field) {
			start = at + 1
			break
		}
	}
	if start == 0 && len(text) > longest {
		return false
	}
	fields := bytes.Split(trim(tail[start:]), []byte{field})
	if len(fields) < 3 || len(fields[0]) != 1 || capital(fields[0][0]) != 'L' || len(bytes.Trim(fields[1], "0123456789")) > 0 {
		return false
	}
	code, behind := bytes.TrimRight(fields[2], between), fields[3:]
	return len(code) == 1 && bytes.IndexByte([]byte("NTREQIF"), capital(code[0])) >= 0 && len(bytes.Join(behind, nil)) == 0
}

// Cut cuts the first message off text: through the end of its Terminator
// record, or up to the Header record of the next message where it has none
// ([Complete] tells which). While there is neither, complete is false and rest
// is all of text. What Complete says of a Terminator without CR holds here too.
// Both parts share text's memory.
func Cut(text []byte) (message, rest []byte, complete bool) {
	f := newFinder(recordEnd(text))
	n := f.message(text, true)
	if n == 0 {
		return nil, text, false
	}
	return text[:n:n], text[n:], true
}

// Carries reports whether text has an Order or a Result record, that is,
// whether losing it would lose a result.
func Carries(text []byte) bool {
	field := fieldDelimiter(text)
	for record := range records(text) {
		switch recordType(record, field) {
		case 'O', 'R':
			return true
		}
	}
	return false
}

// Joiner joins the texts of a session's frames and cuts them into messages,
// wherever the frames end. It looks at every byte once. The zero value is
// ready for use; it is not safe for concurrent use. Its size is the caller's
// to limit: see [Joiner.Rest].
type Joiner struct {
	text   []byte
	whole  bool // a record ends where text ends
	ended  bool // the last frame was an end frame
	finder finder
}

// Add adds the text of the next frame; end says that it was an end frame.
func (j *Joiner) Add(text []byte, end bool) {
	if len(j.text) == 0 {
		text = bytes.TrimLeft(text, between)
	}
	// Some senders end a record with the end frame alone and leave its CR out.
	if n := len(j.text); n > 0 && j.ended && j.text[n-1] != cr && startsRecord(text, fieldDelimiter(j.text)) {
		j.text = append(j.text, cr)
	}
	j.text, j.ended = append(j.text, text...), end
	j.whole = end || bytes.HasSuffix(j.text, []byte{cr})
}

// Next returns the next message that is complete in the sense of [Cut], and
// whether there is one. Call it after each Add until there is none. The message
// is the caller's.
func (j *Joiner) Next() (message []byte, ok bool) {
	if j.finder.end == 0 {
		j.finder = newFinder(cr)
	}
	n := j.finder.message(j.text, j.whole)
	if n == 0 {
		return nil, false
	}
	message, j.text = j.text[:n:n], j.text[n:]
	if len(j.text) == 0 {
		j.text = nil
	}
	j.finder = finder{}
	return message, true
}

// Rest returns the text that belongs to no complete message yet. It is valid
// until the next Add.
func (j *Joiner) Rest() []byte { return j.text }

// Reset forgets the rest: the session is over.
func (j *Joiner) Reset() { *j = Joiner{} }

// between is what senders put between records besides their end.
const between = " \t\r\n\x00"

// message returns the length of the first message of text, or 0. whole says that
// a record ends where text does.
func (f *finder) message(text []byte, whole bool) int {
	field := fieldDelimiter(text)
	for f.start < len(text) {
		record, after, ended := f.next(text)
		switch {
		case (ended || whole) && terminator(record, field):
			return len(text) - len(bytes.TrimLeft(text[after:], between))
		case f.begun && laterHeader(record, field):
			return len(text) - len(bytes.TrimLeft(text[f.start:], "\n")) // of a CR LF
		case !ended:
			return 0
		}
		f.pass(record, after)
	}
	return 0
}

// fieldDelimiter returns the field delimiter of the header that text begins
// with, or the customary one.
func fieldDelimiter(text []byte) byte {
	text = bytes.TrimLeft(text, between)
	if len(text) > 1 && capital(text[0]) == 'H' && delimiter(text[1]) {
		return text[1]
	}
	return DefaultDelimiters().Field
}

// startsRecord reports whether text begins as a record of the standard does.
func startsRecord(text []byte, field byte) bool {
	return len(text) > 1 && text[1] == field && standard(text[0])
}

// opensMessage reports whether a record is a Header record: the first one of a
// text, or that of another message.
func opensMessage(record []byte, field byte, first bool) bool {
	if first {
		return len(record) > 1 && capital(record[0]) == 'H' && delimiter(record[1])
	}
	return laterHeader(record, field)
}

// laterHeader reports whether a record within a text is the Header record of
// the next message. It asks for more than at the start of a text, where nothing
// else can stand, for a line of free text must not cut a message in two: for the
// field delimiter of the message that it ends, or for four delimiters of its
// own, each another.
func laterHeader(record []byte, field byte) bool {
	if len(record) < 2 || capital(record[0]) != 'H' {
		return false
	}
	return record[1] == field || len(record) > 4 && fourDelimiters(record[1:5])
}

func fourDelimiters(text []byte) bool {
	for i, c := range text {
		if !delimiter(c) || bytes.IndexByte(text[:i], c) >= 0 {
			return false
		}
	}
	return true
}
