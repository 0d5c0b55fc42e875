package config

import (
	"slices"
	"strings"
)

// Line is one line of a comparison. Of what is the same in both, and of what was
// removed, Old is the line's number, from 1; of what is the same and of what was
// added, New is. The other is 0.
type Line struct {
	Text     string
	Old, New int
}

// Compare returns the lines of both texts in one sequence: what was removed stands
// before what was added in its place. How lines end does not matter.
func Compare(old, to string) []Line {
	a, _ := splitLines(old)
	b, _ := splitLines(to)
	lines := make([]Line, 0, max(len(a), len(b)))
	i, j := 0, 0
	for _, same := range append(commonLines(a, b), [2]int{len(a), len(b)}) {
		for ; i < same[0]; i++ {
			lines = append(lines, Line{Text: a[i], Old: i + 1})
		}
		for ; j < same[1]; j++ {
			lines = append(lines, Line{Text: b[j], New: j + 1})
		}
		if i < len(a) && j < len(b) {
			lines = append(lines, Line{Text: a[i], Old: i + 1, New: j + 1})
			i, j = i+1, j+1
		}
	}
	return lines
}

// splitLines returns the lines of a text and how each of them ends: with CRLF, LF
// or CR, the last one with nothing where the text ends within it.
func splitLines(text string) (lines, ends []string) {
	for text != "" {
		at := strings.IndexAny(text, "\r\n")
		if at < 0 {
			return append(lines, text), append(ends, "")
		}
		end := text[at : at+1]
		if strings.HasPrefix(text[at:], "\r\n") {
			end = "\r\n"
		}
		lines, ends = append(lines, text[:at]), append(ends, end)
		text = text[at+len(end):]
	}
	return lines, ends
}

// mostDifferent bounds what a comparison costs: texts with more differences have
// little in common, and are shown as if they had nothing.
const mostDifferent = 600

// commonLines returns the indices of lines that are the same in both, in order:
// as many as there can be (E. W. Myers, An O(ND) Difference Algorithm, 1986).
func commonLines(a, b []string) (same [][2]int) {
	first := 0
	for first < len(a) && first < len(b) && a[first] == b[first] {
		same = append(same, [2]int{first, first})
		first++
	}
	last := 0
	for last < len(a)-first && last < len(b)-first && a[len(a)-1-last] == b[len(b)-1-last] {
		last++
	}
	for _, one := range middleLines(a[first:len(a)-last], b[first:len(b)-last]) {
		same = append(same, [2]int{one[0] + first, one[1] + first})
	}
	for i := last; i > 0; i-- {
		same = append(same, [2]int{len(a) - i, len(b) - i})
	}
	return same
}

// middleLines is commonLines without the same lines at both ends.
func middleLines(a, b []string) [][2]int {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	most := min(len(a)+len(b), mostDifferent)
	// reached[k+most+1] is how far in a the path on diagonal k has come; a diagonal
	// has the same difference of index in a and b all along.
	reached := make([]int32, 2*most+3)
	var rounds [][]int32
	for d := 0; d <= most; d++ {
		rounds = append(rounds, slices.Clone(reached[most+1-d:most+2+d]))
		for k := -d; k <= d; k += 2 {
			x := next(reached[most+k:], k, d)
			y := x - k
			for x < len(a) && y < len(b) && a[x] == b[y] {
				x, y = x+1, y+1
			}
			reached[k+most+1] = int32(x)
			if x >= len(a) && y >= len(b) {
				return walkBack(rounds, len(a), len(b))
			}
		}
	}
	return nil
}

// next is where the path on diagonal k begins in round d: one added line further
// than that on k+1, or one removed line further than that on k-1. around are the
// paths on k-1, k and k+1.
func next(around []int32, k, d int) int {
	if k == -d || k != d && around[0] < around[2] {
		return int(around[2])
	}
	return int(around[0]) + 1
}

// walkBack goes the shortest path from its end to its beginning.
func walkBack(rounds [][]int32, x, y int) (same [][2]int) {
	for d := len(rounds) - 1; d >= 0; d-- {
		k := x - y
		before := 0
		diagonal := 0
		if d > 0 {
			// What round d began with: the diagonals -d..d.
			at := func(k int) int {
				if k < -d || k > d {
					return -1
				}
				return int(rounds[d][k+d])
			}
			if diagonal = k - 1; k == -d || k != d && at(k-1) < at(k+1) {
				diagonal = k + 1
			}
			before = at(diagonal)
		}
		begin := before
		if d > 0 && diagonal == k-1 {
			begin++
		}
		for x > begin && y > 0 && x-1 >= 0 {
			x, y = x-1, y-1
			same = append(same, [2]int{x, y})
		}
		x, y = before, before-diagonal
	}
	slices.Reverse(same)
	return same
}
