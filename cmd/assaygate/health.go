package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

type healthCommand struct {
	Config string        `help:"The configuration that names the admin address." placeholder:"FILE" type:"path"`
	Admin  string        `help:"The admin address." placeholder:"ADDR"`
	Wait   time.Duration `help:"How long to wait for the gateway to become healthy, such as 30s."`
}

// askAgain is the pause between two questions.
const askAgain = 200 * time.Millisecond

// Run implements a kong command.
func (c *healthCommand) Run(s *streams) error {
	address := c.Admin
	if address == "" {
		config, _, err := loadConfig(flags{Config: c.Config})
		if err != nil {
			return err
		}
		address = config.Admin.Listen
	}
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Wait+10*time.Second)
	defer cancel()
	end := time.Now().Add(c.Wait)
	for {
		err := ask(ctx, address, "/healthz")
		if err == nil {
			err = ask(ctx, address, "/readyz")
		}
		if err == nil {
			return sayHealthy(ctx, s.out, address)
		}
		if !time.Now().Before(end) {
			return err
		}
		time.Sleep(askAgain)
	}
}

// sayHealthy adds what a person should know though it is no reason not to be
// healthy.
func sayHealthy(ctx context.Context, out io.Writer, address string) error {
	text := "healthy\n"
	metrics, _ := fetch(ctx, address, "/metrics", 16<<20) // a gateway of another version may tell less
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

// ask returns the reason that the endpoint gives for not being well.
func ask(ctx context.Context, address, path string) error {
	_, err := fetch(ctx, address, path, 4<<10)
	return err
}

// fetch returns what the endpoint answers, up to a limit in bytes. Any status
// but 200 is an error with the answer as its reason.
func fetch(ctx context.Context, address, path string, limit int64) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return "", fmt.Errorf("asking %s: %w", address, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("no answer from the gateway at %s; is it running? Name its address with --admin or --config: %w", address, errors.Unwrap(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, limit))
	if err != nil {
		return "", fmt.Errorf("asking %s: %w", address, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", strings.TrimPrefix(path, "/"), strings.TrimSpace(string(text)))
	}
	return string(text), nil
}
