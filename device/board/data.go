package board

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// DataFile is where the image has the data of its board.
const DataFile = "/usr/share/assaygate/board"

// mostData bounds the file; real ones have ten lines.
const mostData = 64 << 10

// Data is what differs from board to board. What a board does not have is "".
type Data struct {
	Name        string // BOARD: what the image is built for
	LEDReady    string // LED_READY: a name in /sys/class/leds, for the box's state
	LEDActivity string // LED_ACTIVITY: likewise, for each message that comes in
	ActivityLit bool   // LED_ACTIVITY_IDLE=on: that one is on, and goes off for a message
	ResetGPIO   Pin    // RESET_GPIO: the reset button, which connects it with ground
	Watchdog    string // WATCHDOG: the device of the hardware's watchdog
}

// Pin is one line of a GPIO chip.
type Pin struct {
	Chip string // of /dev, such as gpiochip0; "": there is none
	Line int
}

// Data reads the data of the board that this system runs on; see ReadData.
func (s System) Data() (d Data, problems []string, err error) {
	if s.DataFile != "" {
		return ReadData(s.DataFile)
	}
	return ReadData(DataFile)
}

// ReadData reads a file of board data. The problems are lines that were left out,
// each with its number and the reason. No file means no data; the error then
// wraps fs.ErrNotExist.
func ReadData(path string) (d Data, problems []string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return Data{}, nil, fmt.Errorf("board data: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, mostData+1))
	if err != nil {
		return Data{}, nil, fmt.Errorf("board data: %w", err)
	}
	if len(text) > mostData {
		return Data{}, nil, fmt.Errorf("board data: %s is longer than %d bytes", path, mostData)
	}
	d, problems = ParseData(string(text))
	return d, problems, nil
}

// ParseData reads lines of KEY=value: values may stand in quotes, a line that
// begins with # is a comment. What it does not know or cannot read is left out
// and told as a problem: a box with a mistake in its data must start all the
// same, and one that is newer than this program too.
func ParseData(text string) (d Data, problems []string) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := d.take(line); err != nil {
			problems = append(problems, fmt.Sprintf("line %d: %v", number, err))
		}
	}
	return d, problems
}

func (d *Data) take(line string) error {
	key, value, is := strings.Cut(line, "=")
	if !is {
		return fmt.Errorf("%.40q is not KEY=value", line)
	}
	if value, is = unquote(value); !is {
		return fmt.Errorf("%.40q: a quote has no other end", key)
	}
	var err error
	switch key {
	case "BOARD":
		d.Name = value
	case "LED_READY":
		d.LEDReady = value
	case "LED_ACTIVITY":
		d.LEDActivity = value
	case "LED_ACTIVITY_IDLE":
		if value != "on" && value != "off" && value != "" {
			return fmt.Errorf("LED_ACTIVITY_IDLE: %.40q is not one of on, off", value)
		}
		d.ActivityLit = value == "on"
	case "RESET_GPIO":
		d.ResetGPIO, err = parsePin(value)
	case "WATCHDOG":
		d.Watchdog = value
	default:
		return fmt.Errorf("%.40q is not known", key)
	}
	return err
}

// unquote takes off the quotes around a value.
func unquote(value string) (string, bool) {
	if value == "" || value[0] != '"' && value[0] != '\'' {
		return value, true
	}
	if len(value) < 2 || value[len(value)-1] != value[0] {
		return "", false
	}
	return value[1 : len(value)-1], true
}

// mostLines is far above what any chip has.
const mostLines = 1 << 16

// parsePin reads CHIP:LINE.
func parsePin(text string) (Pin, error) {
	if text == "" {
		return Pin{}, nil
	}
	chip, number, _ := strings.Cut(text, ":")
	line, err := strconv.ParseUint(number, 10, 32)
	if err != nil || line >= mostLines || !isName(chip) {
		return Pin{}, fmt.Errorf("RESET_GPIO: %.40q is not CHIP:LINE, such as gpiochip0:17", text)
	}
	return Pin{chip, int(line)}, nil
}

// isName reports whether the text names an entry of a directory, and no other
// place.
func isName(text string) bool {
	return text != "" && text != "." && text != ".." && !strings.ContainsAny(text, "/\\\x00")
}

// String is CHIP:LINE, "" for none.
func (p Pin) String() string {
	if p == (Pin{}) {
		return ""
	}
	return fmt.Sprintf("%s:%d", p.Chip, p.Line)
}
