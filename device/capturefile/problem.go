package capturefile

import (
	"fmt"
	"slices"
)

// Problem is what does not fit.
type Problem struct {
	At   int // the byte of the file
	Text string
	// Broken says that something could not be read. Else it was read, and it
	// is doubtful.
	Broken bool
	// Frame says that it is a Frame's Err, or of a packet's or Emerald's sum:
	// the line that takes it judges that too.
	Frame bool
}

// String gives the problem with its place.
func (p Problem) String() string { return fmt.Sprintf("byte %d: %s", p.At, p.Text) }

// mostProblems is how many are told one by one. Nobody reads more, and a file
// of noise has one every other byte.
const mostProblems = 100

// add notes a problem, and returns where its text belongs; nil where it is over
// the limit and only counted, in the last one.
func (f *File) add(p Problem) *Problem {
	switch n := len(f.Problems); {
	case n < mostProblems:
		f.Problems = append(f.Problems, p)
		return &f.Problems[n]
	case n == mostProblems:
		p.Text = "and 1 more"
		f.Problems = append(f.Problems, p)
		f.more = 1
	default:
		f.more++
		last := &f.Problems[mostProblems]
		last.At = min(last.At, p.At)
		last.Broken, last.Frame = last.Broken || p.Broken, last.Frame && p.Frame
	}
	return nil
}

func (f *File) broken(at int, text string) {
	if p := f.add(Problem{At: at, Broken: true}); p != nil {
		p.Text = text
	}
}

func (f *File) doubtful(at int, format string, n int) {
	if p := f.add(Problem{At: at}); p != nil {
		p.Text = fmt.Sprintf(format, n)
	}
}

// finishProblems puts them in the order of the file.
func (f *File) finishProblems() {
	if f.more > 1 {
		f.Problems[mostProblems].Text = fmt.Sprintf("and %d more from here on", f.more)
	}
	slices.SortStableFunc(f.Problems[:min(len(f.Problems), mostProblems)], func(a, b Problem) int { return a.At - b.At })
}

// anyBroken reports whether something could not be read.
func (f *File) anyBroken() bool {
	return slices.ContainsFunc(f.Problems, func(p Problem) bool { return p.Broken })
}
