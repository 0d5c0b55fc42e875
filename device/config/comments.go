package config

import (
	"maps"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// putBackComments puts back into lines what was not shown of comments, where the line
// is the shown one still; from is the index of that for each line. It is put back
// where it is a comment, and nowhere else: in a text that somebody has written around
// it, it would come to be seen.
func (h *Hidden) putBackComments(lines []string, from []int, name string) (errs Errors) {
	whole := map[int]string{}
	for i, line := range lines {
		at := commentStart(line)
		if at < 0 || !strings.Contains(line[at:], Kept) {
			continue
		}
		if from[i] < 0 {
			errs = append(errs, commentError(name, i, line, "this comment held something that is not shown, and was changed or moved; type what it is to hold, or remove it"))
		} else if text, is := h.comments[from[i]]; is {
			whole[i] = line[:at] + text
		}
	}
	if errs != nil {
		return errs
	}
	if len(whole) == 0 {
		return nil
	}
	var places []int
	within := h.withinTexts()
	for _, i := range slices.Sorted(maps.Keys(whole)) {
		if places = append(places, i); within[from[i]] {
			lines[i], places = whole[i], places[:len(places)-1]
		}
	}
	as, bad := parseYAML(strings.Join(lines, "\n"))
	if bad != nil {
		bad.Source = name
		return Errors{*bad}
	}
	if n := firstThatSays(as, lines, whole, places); n >= 0 {
		return Errors{commentError(name, n, lines[n], "this comment held something that is not shown, and is part of a text now; move it out of that, or remove it")}
	}
	for _, i := range places {
		lines[i] = whole[i]
	}
	return nil
}

func commentError(name string, i int, line, text string) Error {
	return Error{Source: name, Line: i + 1, Column: utf8.RuneCountInString(line[:commentStart(line)]) + 1, Text: text}
}

// withinTexts are the lines of which something is not shown that looks like a comment,
// and is part of a text in quotes.
func (h *Hidden) withinTexts() map[int]bool {
	plain, masked := slices.Clone(h.shown), map[int]string{}
	for line, comment := range h.comments {
		plain[line], masked[line] = h.shown[line][:commentStart(h.shown[line])]+comment, h.shown[line]
	}
	as, _ := parseYAML(strings.Join(plain, "\n"))
	within, places := map[int]bool{}, slices.Sorted(maps.Keys(masked))
	for {
		line := firstThatSays(as, plain, masked, places)
		if line < 0 {
			return within
		}
		within[line] = true
		places = places[slices.Index(places, line)+1:]
	}
}

// firstThatSays is the first of the places at which another line makes that the lines
// do not say what they are to, -1 for none. Nothing before it does.
func firstThatSays(as *yaml.Node, lines []string, with map[int]string, places []int) int {
	differs := func(n int) bool {
		changed := slices.Clone(lines)
		for _, i := range places[:n+1] {
			changed[i] = with[i]
		}
		root, bad := parseYAML(strings.Join(changed, "\n"))
		return bad != nil || !sameTree(as, root)
	}
	if len(places) == 0 || !differs(len(places)-1) {
		return -1
	}
	return places[sort.Search(len(places), differs)]
}

// sameTree reports whether two say the same, whatever their comments.
func sameTree(a, b *yaml.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Kind == b.Kind && a.Tag == b.Tag && a.Value == b.Value && a.Anchor == b.Anchor && slices.EqualFunc(a.Content, b.Content, sameTree)
}
