package instrument

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"slices"

	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// veil leaves the text out of what goes over a line. It works on single bytes
// and holds none of them, so it does not matter where a read ends, nor whether
// what comes is what the line is for.
type veil struct{ received, sent veiled }

func always() bool { return true }

// newVeil has a key of its own. With a key that outlives the line, the digest of
// a frame with the same patient's record would join visits over months. It asks
// wanted, nil meaning always, at the beginning of each text whether its digest is.
func newVeil(wanted func() bool) *veil {
	if wanted == nil {
		wanted = always
	}
	key := make([]byte, sha256.Size)
	rand.Read(key) // it never fails
	one := func() veiled { return veiled{mac: hmac.New(sha256.New, key), wanted: wanted} }
	return &veil{one(), one()}
}

// veiled is what of one direction is left out just now.
type veiled struct {
	wanted func() bool
	mac    hash.Hash
	sums   bool // mac gets the text
	size   int  // bytes of the text so far
	inside bool // a frame or block is open
	fresh  bool // nothing came since STX
}

// leastDigested is how long a text must be to get a digest: with those of very
// short ones, which come again and again, a reader could guess them like the
// letters of a cipher.
const leastDigested = 16

// shownDigest is how many bytes of a digest are shown: enough to tell frames of
// one line apart.
const shownDigest = 8

// shownPart is a part of data that is shown though it is text.
type shownPart struct{ from, to int }

// pieces takes the next bytes of the direction. The control characters that
// steer a line are shown wherever they stand: no character set has them in text,
// and a technician looks for those at wrong places. So are line ends between
// frames, and the number of a frame. All else is text.
func (t *veiled) pieces(data []byte, code shownPart) (list []Piece) {
	from := 0 // of the run that at is in
	hidden := false
	flush := func(to int) {
		switch run := data[from:to]; {
		case len(run) == 0:
		case hidden:
			list = append(list, Piece{Hidden: len(run)})
			t.size += len(run)
			if t.sums {
				t.mac.Write(run) // what stands outside goes with the next beginning
			}
		default:
			list = append(list, Piece{Bytes: run})
		}
		from = to
	}
	for at, c := range data {
		mark := kindOf(c)
		show := mark != plainByte || !t.inside && lineEnd(c) || t.fresh && '0' <= c && c <= '7' || code.from <= at && at < code.to
		t.fresh = false
		if show == hidden { // another run begins
			flush(at)
			hidden = !show
		}
		switch mark {
		case beginByte:
			flush(at)
			t.mac.Reset()
			t.sums, t.size, t.inside, t.fresh = t.wanted(), 0, true, c == lis01.STX
		case endByte:
			flush(at)
			list = t.seal(list)
			t.inside, t.sums = false, false
		}
	}
	flush(len(data))
	return list
}

// seal gives the text that ends here its digest.
func (t *veiled) seal(list []Piece) []Piece {
	if !t.inside || !t.sums || t.size < leastDigested {
		return list
	}
	digest := hex.EncodeToString(t.mac.Sum(nil)[:shownDigest])
	if last := len(list) - 1; last >= 0 && list[last].Hidden > 0 {
		list[last].Digest = digest
		return list
	}
	return append(list, Piece{Digest: digest})
}

// What a byte means to a line, whatever its protocol.
type byteKind uint8

const (
	plainByte byteKind = iota
	controlByte
	beginByte
	endByte
)

func kindOf(c byte) byteKind {
	switch c {
	case lis01.STX, mllp.StartBlock:
		return beginByte
	case lis01.ETX, lis01.ETB, mllp.EndBlock:
		return endByte
	case lis01.ENQ, lis01.EOT, lis01.ACK, lis01.NAK:
		return controlByte
	}
	return plainByte
}

func lineEnd(c byte) bool { return c == lis01.CR || c == lis01.LF }

// acknowledgmentCode finds MSA-1 in an answer of the box: one of six codes, and
// what a technician looks for first.
func acknowledgmentCode(answer []byte) shownPart {
	const segment = "\rMSA|"
	at := bytes.Index(answer, []byte(segment))
	if at < 0 {
		return shownPart{}
	}
	from := at + len(segment)
	code, _, more := bytes.Cut(answer[from:], []byte("|"))
	if !more || !slices.Contains([]string{hl7.Accept, hl7.Error, hl7.Reject, "CA", "CE", "CR"}, string(code)) {
		return shownPart{}
	}
	return shownPart{at + 1, from + len(code)}
}
