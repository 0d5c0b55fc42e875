package config

import (
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// AddItem adds an item, as its own lines of YAML, to the end of a list that stands
// right under a key of the file, and leaves all else of the text as a person wrote
// it. A list that is missing or empty is begun. It fails where the text is written
// in a way that it cannot be sure of, such as a list in brackets.
func AddItem(data []byte, list, item string) ([]byte, error) {
	return grown(data, func(text string, root *yaml.Node) (string, bool) {
		if root.Style&yaml.FlowStyle != 0 {
			return "", false
		}
		return withItem(text, root, list, strings.Split(strings.TrimSuffix(item, "\n"), "\n"))
	}, func(before, after *Document) bool { return before.alikeBut(after, list, item) })
}

var emptyList = regexp.MustCompile(`^\[[ \t]*\]`)

// withItem puts the lines where they belong.
func withItem(text string, root *yaml.Node, list string, item []string) (string, bool) {
	end := lineEnd(text)
	lines := func(indent int) string {
		first, others := strings.Repeat(" ", indent)+"- ", strings.Repeat(" ", indent+2)
		return first + strings.Join(item, end+others) + end
	}
	at := slices.IndexFunc(root.Content, func(n *yaml.Node) bool { return n.Value == list })
	if at < 0 || at%2 != 0 {
		if text != "" && !strings.HasSuffix(text, end) {
			text += end
		}
		return text + list + ":" + end + lines(2), true
	}
	value := root.Content[at+1]
	switch {
	case value.Kind != yaml.SequenceNode:
		return "", false
	case len(value.Content) == 0:
		from := offset(text, value.Line, value.Column)
		if from < 0 {
			return "", false
		}
		brackets := emptyList.FindString(text[from:])
		before := strings.TrimRight(text[:from], " ")
		rest, after, _ := strings.Cut(text[from+len(brackets):], end)
		return before + rest + end + lines(2) + after, brackets != ""
	case value.Style&yaml.FlowStyle != 0:
		return "", false
	}
	all, ends := splitLines(text)
	next := len(all)
	if at+2 < len(root.Content) {
		next = root.Content[at+2].Line - 1
	}
	for next > 0 && next <= len(all) && belongsToNext(all[next-1]) {
		next--
	}
	if next > len(all) || next == 0 {
		return "", false
	}
	var out strings.Builder
	for i := range next {
		out.WriteString(all[i] + ends[i])
	}
	if ends[next-1] == "" {
		out.WriteString(end)
	}
	out.WriteString(lines(value.Column - 1))
	for i := next; i < len(all); i++ {
		out.WriteString(all[i] + ends[i])
	}
	return out.String(), true
}

// belongsToNext reports whether a line before a key belongs to that.
func belongsToNext(line string) bool {
	return strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#")
}

// alikeBut reports whether after says what the document does and has the item at
// the end of the list.
func (d *Document) alikeBut(after *Document, list, item string) bool {
	one, errs := Parse([]byte(item), "")
	now := child(after.root, list)
	if errs != nil || now == nil || now.Kind != yaml.SequenceNode || len(now.Content) == 0 || !alike(now.Content[len(now.Content)-1], one.root) {
		return false
	}
	now.Content = now.Content[:len(now.Content)-1]
	if child(d.root, list) == nil {
		after.Delete(list)
	}
	return alike(d.root, after.root)
}
