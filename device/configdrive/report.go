package configdrive

import (
	"strings"
	"unicode"
)

// Report is what the box tells the person on the stick. It is plain text, and
// holds no secret and nothing of a message.
type Report struct {
	// Verdict is the first line: one sentence that says whether all is well.
	Verdict string
	// Sections follow, those without lines are left out.
	Sections []Section
}

// Section is a part of a report with its heading.
type Section struct {
	Title string
	Lines []string
}

// Text is the report as Notepad shows it: lines end in CR LF, and where not all
// is ASCII, which is rare, a byte order mark tells that it is UTF-8: Notepad of
// Windows 7 would guess.
func (r Report) Text() []byte {
	var b strings.Builder
	line := func(text string) {
		b.WriteString(printable(text))
		b.WriteString("\r\n")
	}
	line(r.Verdict)
	for _, section := range r.Sections {
		if len(section.Lines) == 0 {
			continue
		}
		line("")
		line(section.Title)
		line(strings.Repeat("-", len([]rune(section.Title))))
		for _, one := range section.Lines {
			for part := range strings.SplitSeq(one, "\n") {
				line(part)
			}
		}
	}
	text := b.String()
	if strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }) {
		text = "\uFEFF" + text
	}
	return []byte(text)
}

// printable replaces what would be an order to a screen, in names for example:
// anybody may have made the stick.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
