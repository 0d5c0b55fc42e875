package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

type healthCommand struct {
	Config string        `help:"The configuration that names the admin address. On a box its own." placeholder:"FILE" type:"path"`
	Admin  string        `help:"The admin address." placeholder:"ADDR"`
	Wait   time.Duration `help:"How long to wait for the gateway to become healthy, such as 30s."`
}

// askAgain is the pause between two questions.
const askAgain = 200 * time.Millisecond

// Run implements a kong command.
func (c *healthCommand) Run(s *streams) error {
	to, err := c.asked()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Wait+10*time.Second)
	defer cancel()
	end := time.Now().Add(c.Wait)
	for {
		err := to.ask(ctx, "/healthz")
		if err == nil {
			err = to.ask(ctx, "/readyz")
		}
		if err == nil {
			return to.sayHealthy(ctx, s.out)
		}
		if !time.Now().Before(end) {
			return err
		}
		time.Sleep(askAgain)
	}
}

// sayHealthy adds what a person should know though it is no reason not to be
// healthy.
func (a endpoint) sayHealthy(ctx context.Context, out io.Writer) error {
	text := "healthy\n"
	metrics, _ := a.fetch(ctx, "/metrics", 16<<20) // a gateway of another version may tell less
	for _, name := range linesWith(metrics, noisyMetric, 1) {
		text += "note: the line of " + name + " is noisy: check cable, ground, baud rate and parity\n"
	}
	for _, name := range linesWith(metrics, upMetric, 0) {
		text += "note: the line of " + name + " is down; the log says why\n"
	}
	_, err := io.WriteString(out, text)
	return err
}

// linesWith returns the instruments for which a metric has the value.
func linesWith(metrics, metric string, value int) (names []string) {
	for line := range strings.Lines(metrics) {
		name, found := strings.CutPrefix(strings.TrimSpace(line), metric+`{instrument="`)
		if name, is := strings.CutSuffix(name, fmt.Sprintf(`"} %d`, value)); found && is {
			names = append(names, name)
		}
	}
	return names
}
