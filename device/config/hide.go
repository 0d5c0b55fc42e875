package config

// Kept stands in a shown text for what is not shown of the file.
const Kept = "(kept)"

// Mask says what of a file may be shown.
type Mask struct {
	// Value returns what is shown of a value, by the key under which it stands: the
	// value itself, or a text that holds Kept.
	Value func(key, value string) string
	// Comment does the same for a comment, which begins with its #. A comment may
	// hold one of the values that Value does not show.
	Comment func(comment string, hidden []string) string
}

// Hidden is a file of which not all is shown.
type Hidden struct {
	// Text is what is shown, with LF at the ends of its lines.
	Text string

	data  []byte
	mask  Mask
	lines []string         // of the file's text
	ends  []string         // how each of them ends
	shown []string         // each of them as it is shown
	held  map[string]token // the values that are not shown, by their place
	// comments are those that are not shown whole, by the index of their line.
	comments map[int]string
}

// Hide returns what may be shown of a file's content. It fails where the content
// cannot be read, and where something that must not be shown stands there in a way
// that it cannot be sure of: then nothing may be shown. The texts of its errors
// hold nothing of the file.
func Hide(data []byte, mask Mask) (*Hidden, error) {
	text, bad := decodeText(data)
	if bad != nil {
		return nil, Error{Line: bad.Line, Column: bad.Column, Text: "the file is not plain text"}
	}
	all, bad := tokensOf(text)
	if bad != nil {
		return nil, Error{Line: bad.Line, Column: bad.Column, Text: "the file cannot be read as YAML"}
	}
	h := &Hidden{data: data, mask: mask, held: map[string]token{}, comments: map[int]string{}}
	for _, one := range all.unsure {
		if mask.Value(one.key, one.value) != one.value {
			return nil, one.cannotHide()
		}
	}
	values, written := map[int]string{}, map[int]string{}
	var secrets []string
	for i, one := range all.sure {
		shown := mask.Value(one.key, one.value)
		if shown == one.value {
			continue
		}
		if _, twice := h.held[one.place]; twice || one.anchored || one.manyLines() {
			return nil, one.cannotHide()
		}
		h.held[one.place] = one
		values[i], written[i] = shown, one.as(shown)
		secrets = append(secrets, one.value)
	}
	masked := all.exchanged(values, written)
	if masked == nil {
		return nil, Error{Line: 1, Column: 1, Text: "what must not be shown of the file cannot be told from the rest; write it in quotes"}
	}
	h.lines, h.ends = splitLines(text)
	h.shown, _ = splitLines(*masked)
	for i, line := range h.shown {
		if from := commentStart(line); from >= 0 {
			shown := mask.Comment(line[from:], secrets)
			if shown != line[from:] {
				h.shown[i], h.comments[i] = line[:from]+shown, line[from:]
			}
		}
	}
	for i, line := range h.shown {
		h.Text += line
		if h.ends[i] != "" {
			h.Text += "\n"
		}
	}
	return h, nil
}

func (t token) cannotHide() error {
	return Error{Line: t.line, Column: t.column, Key: t.path, Text: "must not be shown, and is written in a way that it cannot be told from the rest; write key and value in one line, in quotes and without anchors"}
}

// commentStart is where the comment of a line begins, -1 where it has none. What
// looks like one within quotes is taken for one.
func commentStart(line string) int {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return i
		}
	}
	return -1
}
