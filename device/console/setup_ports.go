package console

import "time"

// SetupPort is one serial port.
type SetupPort struct {
	Name, Path string
	Also       []string // further names
	Adapter    string   // who made it, with its numbers
	Driver     string
	Use        string // who has it open; "" for nobody
	Lines      []ModemLine
	ModemText  string // why the lines are not known, or what is striking about them
	NoProbe    string // why it cannot be listened to; "" where it can
}

// ModemLine is one of the lines from the other side.
type ModemLine struct {
	Name string
	On   bool
}

// Probing is how listening to a port goes.
type Probing struct {
	Port    string        `json:"port"`
	Running bool          `json:"running"`
	Left    time.Duration `json:"-"`
	LeftFor string        `json:"left"` // Left in words
	Heard   []string      `json:"heard"`
	Modem   []ModemLine   `json:"modem"` // nil where they are not known
	Failed  string        `json:"failed"`
	Found   string        `json:"found"` // what was found, in words; "" where nothing was
	YAML    string        `json:"yaml"`  // lines of the configuration
}
