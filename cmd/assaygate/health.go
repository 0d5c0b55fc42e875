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
			_, err = fmt.Fprintln(s.out, "healthy")
			return err
		}
		if !time.Now().Before(end) {
			return err
		}
		time.Sleep(askAgain)
	}
}

// ask returns the reason that the endpoint gives for not being well.
func ask(ctx context.Context, address, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", address, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("no answer from the gateway at %s; is it running? Name its address with --admin or --config: %w", address, errors.Unwrap(err))
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	reason, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("asking %s: %w", address, err)
	}
	return fmt.Errorf("%s: %s", strings.TrimPrefix(path, "/"), strings.TrimSpace(string(reason)))
}
