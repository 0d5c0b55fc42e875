package spool

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// span is a run of sequences, both ends included.
type span struct{ first, last uint64 }

// merged returns the same sequences in order and in as few spans as possible.
func merged(list []span) []span {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	out := list[:0]
	for _, s := range list {
		if n := len(out); n > 0 && s.first <= out[n-1].last+1 {
			out[n-1].last = max(out[n-1].last, s.last)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// without returns what is left of s when all of gone, which is merged, is taken
// out of it.
func (s span) without(gone []span) (left []span) {
	at, _ := slices.BinarySearchFunc(gone, s.first, func(g span, first uint64) int { return cmp.Compare(g.last, first) })
	for _, g := range gone[at:] {
		if g.first > s.last {
			break
		}
		if g.first > s.first {
			left = append(left, span{s.first, g.first - 1})
		}
		if g.last >= s.last {
			return left
		}
		s.first = g.last + 1
	}
	return append(left, s)
}

// spansText writes spans as a person reads them and parseSpans too: "1-41 43".
func spansText(list []span) string {
	words := make([]string, len(list))
	for i, s := range list {
		if words[i] = strconv.FormatUint(s.first, 10); s.last > s.first {
			words[i] += "-" + strconv.FormatUint(s.last, 10)
		}
	}
	return strings.Join(words, " ")
}

func parseSpans(text string) (list []span, err error) {
	for _, word := range strings.Fields(text) {
		first, last, isRun := strings.Cut(word, "-")
		if !isRun {
			last = first
		}
		var s span
		if s.first, err = strconv.ParseUint(first, 10, 63); err != nil {
			return nil, err
		}
		if s.last, err = strconv.ParseUint(last, 10, 63); err != nil {
			return nil, err
		}
		if s.first > s.last {
			return nil, fmt.Errorf("%s runs backwards", word)
		}
		list = append(list, s)
	}
	return list, nil
}
