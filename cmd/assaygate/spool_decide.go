package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

type spoolRetry struct {
	ID          string `arg:"" optional:"" help:"The id of the message."`
	All         bool   `help:"All parked and unconfirmed messages, or those of them that the next flags select."`
	Destination string `help:"With --all: only at this destination." placeholder:"NAME"`
	Instrument  string `help:"With --all: only of this instrument." placeholder:"NAME"`
	State       string `help:"With --all: only in this state: ${enum}." enum:"parked,unconfirmed,any" default:"any"`
	Reason      string `help:"With --all: only those with this in their reason." placeholder:"TEXT"`
	DryRun      bool   `help:"With --all: only say how many that would be."`
}

// retried is what retry --all prints as JSON, also where it is a dry run.
type retried struct {
	Retried int `json:"retried"`
}

// Run implements a kong command.
func (c *spoolRetry) Run(parent *spoolCommand, s *streams) error {
	if c.All == (c.ID != "") {
		return usageError{errors.New("name one message, or say --all")}
	}
	which := spool.Selection{Destination: c.Destination, Instrument: c.Instrument, Reason: c.Reason}
	if c.State != "any" {
		which.State = spool.State(c.State)
	}
	if !c.All && (which != spool.Selection{} || c.DryRun) {
		return usageError{errors.New("--destination, --instrument, --state, --reason and --dry-run are for --all")}
	}
	return parent.ask(func(ctx context.Context, client *api.Client) error {
		switch {
		case !c.All:
			if err := client.Retry(ctx, c.ID); err != nil {
				return err
			}
			return parent.print(s.out, struct{}{}, func(w io.Writer) { fmt.Fprintln(w, "the message is pending again") })
		case c.DryRun:
			n, err := client.Selected(ctx, which)
			if err != nil {
				return err
			}
			return parent.print(s.out, retried{n}, func(w io.Writer) { fmt.Fprintf(w, "%s would be pending again\n", count(n, "message")) })
		}
		n, err := client.RetryAll(ctx, which)
		if err != nil {
			return err
		}
		return parent.print(s.out, retried{n}, func(w io.Writer) { fmt.Fprintf(w, "%d messages are pending again\n", n) })
	})
}

type spoolDrop struct {
	ID     string `arg:"" help:"The id of the message."`
	Reason string `required:"" help:"Why, for the audit." placeholder:"TEXT"`
}

// Run implements a kong command.
func (c *spoolDrop) Run(parent *spoolCommand, s *streams) error {
	switch {
	case c.ID == "":
		return errNoID
	case strings.TrimSpace(c.Reason) == "":
		return usageError{errors.New("--reason: is blank; say why, for the audit")}
	}
	return parent.ask(func(ctx context.Context, client *api.Client) error {
		if err := client.Drop(ctx, c.ID, c.Reason); err != nil {
			return err
		}
		return parent.print(s.out, struct{}{}, func(w io.Writer) { fmt.Fprintln(w, "the message is dropped") })
	})
}
