package simulator

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/assaygate/assaygate/device/port"
)

// Demo plays one of Captures over an open line, at once and then after every
// interval, until ctx ends or the line breaks. The sample ids of the capture,
// such as SIM-0001, count up from play to play. It returns nil when ctx has
// ended, and has closed the line then.
func Demo(ctx context.Context, line port.Line, capture string, every time.Duration) error {
	data, err := Capture(capture)
	if err != nil {
		return err
	}
	messages, err := Read(data)
	if err != nil {
		return fmt.Errorf("capture %s: %w", capture, err)
	}
	for n := 0; ; n++ {
		_, err := Play(ctx, line, messages, Options{change: renumber(n)})
		if err == nil {
			err = pause(ctx, every)
		}
		switch {
		case ctx.Err() != nil:
			line.Close()
			return nil
		case err != nil:
			return err
		}
	}
}

// renumber returns a change that adds n to every sample id of the text. The
// last three digits count, so that no frame gets longer.
func renumber(n int) func([]byte) []byte {
	id := regexp.MustCompile(`SIM-[0-9]{4}`)
	return func(text []byte) []byte {
		return id.ReplaceAllFunc(text, func(found []byte) []byte {
			number, _ := strconv.Atoi(string(found[4:])) // four digits
			thousands := number / 1000 * 1000
			return fmt.Appendf(nil, "SIM-%04d", thousands+(number-thousands+n)%1000)
		})
	}
}
