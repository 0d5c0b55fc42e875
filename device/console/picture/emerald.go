package picture

import (
	"strconv"
	"strings"

	"github.com/assaygate/assaygate/envelope"
)

// frameOf is the text of a CELL-DYN Emerald's frame, "" where the envelope has none.
func frameOf(e envelope.Envelope) string { return e.Metadata.Extra.Text("emerald") }

// ofFrame finds the curves and matrices of an Emerald's frame:
//
//	WBC CURVE;0;0;3;9;..          one number a channel
//	WBC THRESHOLDS;32;49;0;       channels; 0 is none
//	LMNE MATRIX;                  lines of bytes until T: see matrix
func ofFrame(frame string) (list []Plot) {
	at := map[string]int{}
	bits, reading := []byte(nil), -1
	for line := range lines(frame) {
		token, rest, _ := strings.Cut(line, ";")
		switch name, what := cutLast(token); {
		case reading >= 0 && line == "T":
			list[reading].Bits = matrix(bits)
			reading = -1
		case reading >= 0:
			if bits = unrolled(bits, line); bits == nil {
				reading = -1
			}
		case len(list) == mostPlots:
			return dropEmpty(list)
		case what == "CURVE":
			if y := integers(rest); y != nil {
				at[name] = len(list)
				list = append(list, Plot{Test: name, X: channels(len(y)), Y: y})
			}
		case what == "THRESHOLDS":
			if n, has := at[name]; has {
				list[n].Marks = above(0, integers(rest))
			}
		case what == "MATRIX" && strings.Trim(rest, "; ") == "":
			bits, reading = []byte{}, len(list)
			list = append(list, Plot{Test: name})
		}
	}
	return dropEmpty(list)
}

func dropEmpty(list []Plot) (kept []Plot) {
	for _, p := range list {
		if p.Bits != nil || p.X != nil {
			kept = append(kept, p)
		}
	}
	return kept
}

// lines are those that are ended by CR, LF or both.
func lines(text string) func(yield func(string) bool) {
	return strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\r' || r == '\n' })
}

// cutLast takes the last word of a token off: WBC CURVE is the CURVE of WBC.
func cutLast(token string) (name, what string) {
	at := strings.LastIndexByte(token, ' ')
	return token[:max(at, 0)], token[at+1:]
}

// integers reads numbers that semicolons end; nil where there is anything else, or
// too many.
func integers(text string) (list []float64) {
	for field := range strings.SplitSeq(text, ";") {
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		n, err := strconv.Atoi(field)
		if err != nil || len(list) == mostChannels {
			return nil
		}
		list = append(list, float64(n))
	}
	return list
}

func above(least float64, list []float64) (kept []float64) {
	for _, f := range list {
		if f > least {
			kept = append(kept, f)
		}
	}
	return kept
}

// channels number the points of a curve from 0.
func channels(n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = float64(i)
	}
	return list
}

// The matrix of an Emerald is a square of bits.
const (
	matrixSide  = 128
	matrixBytes = matrixSide * matrixSide / 8
)

// unrolled appends a line of a matrix: bytes in hexadecimal, Zn for n bytes 00 and Un
// for n bytes FF, n in hexadecimal. It gives nil for what is not such, or too long.
func unrolled(dst []byte, line string) []byte {
	for field := range strings.SplitSeq(line, ";") {
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		value, times := byte(0), field
		switch field[0] {
		case 'Z':
			times = field[1:]
		case 'U':
			value, times = 0xFF, field[1:]
		default:
			b, err := strconv.ParseUint(field, 16, 8)
			if err != nil {
				return nil
			}
			value, times = byte(b), "1"
		}
		n, err := strconv.ParseUint(times, 16, 16)
		if err != nil || int(n) > matrixBytes-len(dst) {
			return nil
		}
		for range n {
			dst = append(dst, value)
		}
	}
	return dst
}

// matrix is a square's bytes row by row, the highest bit of a byte first; nil where
// it is not whole.
func matrix(bytes []byte) [][]bool {
	if len(bytes) != matrixBytes {
		return nil
	}
	rows := make([][]bool, matrixSide)
	for y := range rows {
		rows[y] = make([]bool, matrixSide)
		for x := range rows[y] {
			rows[y][x] = bytes[y*matrixSide/8+x/8]>>(7-x%8)&1 == 1
		}
	}
	return rows
}
