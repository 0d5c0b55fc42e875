package console

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Setup is what the pages of Setup show and do. What they show of a configuration
// has no secrets in it: cmd sees to that, and puts them back.
type Setup struct {
	// State tells what runs, and of the last change. Nil: this gateway has nothing
	// to set up.
	State func() SetupState
	// Config is the configuration file as it may be shown, or an earlier one of
	// that number.
	Config func(earlier int) (ConfigText, error)
	// Check finds what is wrong with a draft.
	Check func(Draft) []Problem
	// Compare tells what a draft would change; its error is what Check finds first.
	Compare func(Draft) (Comparison, error)
	// Apply goes over to a draft, on trial for so long. It returns when that is
	// done, or goes on for longer than a person waits; State then tells.
	Apply func(d Draft, who string, within time.Duration) error
	// Keep and TakeBack end the trial.
	Keep, TakeBack func(who string) error
	// Earlier lists the configurations that the box has had, the newest first.
	Earlier func() ([]EarlierConfig, error)

	// Ports lists the serial ports.
	Ports func(context.Context) ([]SetupPort, error)
	// Probe begins to listen to a port, StopProbe ends it, Probing tells of it, and
	// keeps it going: one that nobody asks for ends.
	Probe     func(port, who string) error
	StopProbe func(port string)
	Probing   func(port string) (Probing, bool)
	// WithPort adds what was found at a port to the text of a configuration.
	WithPort func(text, port string) (string, error)
}

// SetupState is how the configuration stands.
type SetupState struct {
	File     string // of the configuration; "" for a built-in one
	Defaults bool   // it is the factory's or built in: nobody has set anything up yet
	By       string // who brought what runs
	Since    time.Time
	Refused  string // why the file as it stands is not used; "" where it is
	ReadOnly string // why it cannot be changed here; "" where it can
	Owned    bool   // the box has an owner, so not all can be changed here

	OnTrial      bool
	TrialBy      string
	Left         time.Duration
	NeedsKeeping bool     // a person has to keep it
	Missing      []string // listeners that are not open, each with the reason

	Applying   string   // who is applying a change now; "" for nobody
	Failed     []string // why the last change was not applied
	TakenBack  string   // why the last one was taken back; "" where it was not
	TakenAt    time.Time
	TakenBy    string        // whose it was
	TrialLasts time.Duration // what a new one is given
}

// ConfigText is a configuration as it may be shown.
type ConfigText struct {
	Text string
	// Of tells whether the file was changed since; a draft carries it.
	Of string
}

// Draft is a text that a person has made of a shown one.
type Draft struct {
	Text    string
	Of      string // of the file when it was shown
	Earlier int    // the number of the earlier configuration that was shown; 0: the file
}

// The severities of a problem.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// Problem is one thing that is wrong with a draft, or hardly meant.
type Problem struct {
	Line     int    `json:"line"` // from 1; 0 where there is no place
	Column   int    `json:"column"`
	Key      string `json:"key"`
	Text     string `json:"text"`
	Severity string `json:"severity"`
}

// String is the problem in one line.
func (p Problem) String() string {
	text := p.Text
	if p.Key != "" {
		text = p.Key + ": " + text
	}
	if p.Line > 0 {
		text = fmt.Sprintf("line %d: %s", p.Line, text)
	}
	return text
}

// Problems are why a draft is not taken, for an error.
type Problems []Problem

// Error returns one line for each.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// Comparison is what a draft would change.
type Comparison struct {
	Lines   []DiffLine
	Effects []string // what has to be stopped and started, in words
	Keeping bool     // a person has to keep it
	Same    bool     // it is what the file says
}

// DiffLine is one line; Old or New is 0 where it is not in that text.
type DiffLine struct {
	Text     string
	Old, New int
}

// EarlierConfig is one that the box has had.
type EarlierConfig struct {
	Number  int
	At      time.Time // zero where the box did not know the time
	By      string
	Size    int
	Running bool // it is what the file says now
	Damaged bool
}
