package config

import (
	"strings"
	"unicode/utf8"
)

// Restore returns the content of a file of a text that a person has made of the
// shown one: what was not shown is put back where it was, and only there. The path
// of a value is what tells where; of things in a list, their name. So each of them
// may move, and keeps its own. What cannot be put back is an error: it has to be
// typed again.
//
// A line that was not changed is as it was in the file, byte for byte; new ones end
// as those of the file do, and the encoding is the file's. kept are the paths of
// what was put back. Errors name the file by name.
func (h *Hidden) Restore(text, name string) (data []byte, kept []string, errs Errors) {
	fail := func(line, column int, key, text string) {
		errs = append(errs, Error{Source: name, Line: line, Column: column, Key: key, Text: text})
	}
	if len(text) > MaxSize || !utf8.ValidString(text) {
		fail(1, 1, "", "this is no text that could be a configuration")
		return nil, nil, errs
	}
	lines, ends := splitLines(text)
	from := h.unchanged(lines)
	if errs := h.putBackComments(lines, from, name); errs != nil {
		return nil, nil, errs
	}
	text, kept, errs = h.putBack(strings.Join(lines, "\n"), name)
	if errs != nil {
		return nil, nil, errs
	}
	usual := lineEnd(strings.Join(h.ends, ""))
	var out strings.Builder
	for i, line := range strings.Split(text, "\n")[:len(lines)] {
		end := usual
		switch {
		case ends[i] == "":
			end = ""
		case from[i] >= 0 && h.ends[from[i]] != "":
			end = h.ends[from[i]]
		}
		out.WriteString(line + end)
	}
	return encodeText(out.String(), h.data), kept, nil
}

// unchanged is, for each line, the index of the shown one that it is; -1 for none.
func (h *Hidden) unchanged(lines []string) []int {
	from := make([]int, len(lines))
	for i := range from {
		from[i] = -1
	}
	for _, same := range commonLines(h.shown, lines) {
		from[same[1]] = same[0]
	}
	return from
}

// putBack puts the values back.
func (h *Hidden) putBack(text, name string) (string, []string, Errors) {
	all, bad := tokensOf(text)
	if bad != nil {
		bad.Source = name
		return "", nil, Errors{*bad}
	}
	var errs Errors
	var kept []string
	values, written, quotes := map[int]string{}, map[int]string{}, map[int]string{}
	places := map[string]int{}
	for i, one := range append(all.sure, all.unsure...) {
		places[one.place]++
		if !strings.Contains(one.value, Kept) {
			continue
		}
		old, is := h.held[one.place]
		switch text := h.mask.Value(one.key, "x") == "x" && !strings.Contains(one.value, "://"); {
		case !is && text:
			continue // it is just a text
		case !is:
			errs = append(errs, one.wrong(name, "nothing was kept under this name; type it"))
		case h.mask.Value(old.key, old.value) != one.value:
			errs = append(errs, one.wrong(name, "was changed, so that what is not shown of it cannot be kept; type all of it"))
		case i >= len(all.sure), one.anchored, one.manyLines():
			errs = append(errs, one.wrong(name, "cannot be kept where it stands in several lines, or with an anchor that other places might name; type it"))
		default:
			values[i], written[i], quotes[i] = old.value, old.text, quoted(old.value)
			kept = append(kept, one.path)
		}
	}
	for i := range values {
		if one := all.sure[i]; places[one.place] > 1 {
			errs = append(errs, one.wrong(name, "stands there twice; type it"))
		}
	}
	if errs != nil {
		return "", nil, errs.sorted()
	}
	for _, way := range []map[int]string{written, quotes} {
		if whole := all.exchanged(values, way); whole != nil {
			return *whole, kept, nil
		}
	}
	return "", nil, Errors{{Source: name, Line: 1, Column: 1, Text: "what is not shown cannot be put back into this text; type it"}}
}

func (t token) wrong(name, text string) Error {
	return Error{Source: name, Line: t.line, Column: t.column, Key: t.path, Text: text}
}
