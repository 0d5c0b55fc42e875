package config

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// shownLines writes a comparison as diff does.
func shownLines(lines []Line) string {
	var text strings.Builder
	for _, one := range lines {
		sign := " "
		switch {
		case one.New == 0:
			sign = "-"
		case one.Old == 0:
			sign = "+"
		}
		text.WriteString(sign + one.Text + "|")
	}
	return text.String()
}

func TestCompare(t *testing.T) {
	for _, test := range []struct{ old, to, want string }{
		{"", "", ""},
		{"a\n", "", "-a|"},
		{"", "a", "+a|"},
		{"a\r\nb\rc", "a\nb\nc\n", " a| b| c|"},
		{"a\nb\nc\n", "a\nx\nc\n", " a|-b|+x| c|"},
		{"a\nb\nc\nd\n", "b\nc\ne\n", "-a| b| c|-d|+e|"},
		{"a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n", "-a|-b| c|+b| a| b|-b| a|+c|"},
		{"x\nx\n", "x\nx\nx\n", " x| x|+x|"},
	} {
		if got := shownLines(Compare(test.old, test.to)); got != test.want {
			t.Errorf("%q to %q: %s, want %s", test.old, test.to, got, test.want)
		}
	}
}

// Both texts can be read off a comparison, whatever they are, and it has as many
// lines in common as there are.
func TestCompareIsWholeAndShortest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func() []string {
		lines := make([]string, random.IntN(12))
		for i := range lines {
			lines[i] = string(rune('a' + random.IntN(4)))
		}
		return lines
	}
	for range 5000 {
		a, b := text(), text()
		var old, to []string
		same := 0
		for _, one := range Compare(strings.Join(a, "\n"), strings.Join(b, "\n")) {
			if one.Old > 0 {
				if old = append(old, one.Text); one.Old != len(old) {
					t.Fatalf("%q to %q: line %d is called %d", a, b, len(old), one.Old)
				}
			}
			if one.New > 0 {
				to = append(to, one.Text)
			}
			if one.Old > 0 && one.New > 0 {
				same++
			}
		}
		if !slices.Equal(old, a) || !slices.Equal(to, b) || same != longestCommon(a, b) {
			t.Fatalf("%q to %q: %q and %q, %d in common, want %d", a, b, old, to, same, longestCommon(a, b))
		}
	}
}

// longestCommon is how many lines two texts have in common, the slow way.
func longestCommon(a, b []string) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	table := make([][]int, len(a)+1)
	for i := range table {
		table[i] = make([]int, len(b)+1)
	}
	for i := range a {
		for j := range b {
			table[i+1][j+1] = max(table[i][j+1], table[i+1][j])
			if a[i] == b[j] {
				table[i+1][j+1] = table[i][j] + 1
			}
		}
	}
	return table[len(a)][len(b)]
}

func TestCompareIsBounded(t *testing.T) {
	old := strings.Repeat("a\n", 20_000)
	to := strings.Repeat("b\n", 20_000)
	if lines := Compare(old+"end\n", to+"end\n"); len(lines) != 40_001 {
		t.Errorf("%d lines", len(lines))
	}
}
