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

type spoolSealed struct{}

// Run implements a kong command. It needs no store beside the sealed ones: after
// a reset there may be none yet.
func (*spoolSealed) Run(c *spoolCommand, s *streams) error {
	directory, _, err := c.place()
	if err != nil {
		return err
	}
	list, err := spool.ListSealed(directory)
	if err != nil {
		return err
	}
	return c.print(s.out, list, func(w io.Writer) {
		for _, sealed := range list {
			showSealed(w, sealed)
		}
		if len(list) == 0 {
			fmt.Fprintln(w, "there is no sealed store")
		}
	})
}

// showSealed is one sealed store as a line, and one for each destination.
func showSealed(w io.Writer, sealed spool.Sealed) {
	fmt.Fprintf(w, "sealed %d\t%s\n", sealed.ID, aboutSealed(sealed))
	for _, d := range sealed.Destinations {
		fmt.Fprintf(w, "  %s\tpending %d\tdelivered %d\tparked %d\tdropped %d\tconfirmed %d\tunconfirmed %d\n",
			cell(d.Name), d.Pending, d.Delivered, d.Parked, d.Dropped, d.Confirmed, d.Unconfirmed)
	}
}

// aboutSealed says what a sealed store holds and whose key opens it.
func aboutSealed(sealed spool.Sealed) string {
	text := fmt.Sprintf("%s, %d not delivered, ", count(sealed.Messages, "message"), sealed.NotDelivered)
	switch {
	case sealed.Problem != "" && sealed.Owner == "":
		text = cell(sealed.Problem)
	case sealed.Problem != "":
		text = cell(sealed.Problem) + ", of the owner " + cell(sealed.Owner)
	case sealed.Owner == "":
		text += "of a box without owner"
	default:
		text += "of the owner " + cell(sealed.Owner)
	}
	if sealed.At.IsZero() {
		return text
	}
	return fmt.Sprintf("%s, set aside %s by %s", text, sealed.At.Local().Format("2006-01-02 15:04"), cell(sealed.By))
}

type spoolEraseSealed struct {
	ID     int    `arg:"" help:"The number of the sealed store, as spool sealed shows it."`
	Reason string `required:"" help:"Why, for the audit." placeholder:"TEXT"`
}

// Run implements a kong command.
func (c *spoolEraseSealed) Run(parent *spoolCommand, s *streams) error {
	if strings.TrimSpace(c.Reason) == "" {
		return usageError{errors.New("--reason: is blank; say why, for the audit")}
	}
	return parent.ask(func(ctx context.Context, client *api.Client) error {
		if err := client.EraseSealed(ctx, c.ID, c.Reason); err != nil {
			return err
		}
		return parent.print(s.out, struct{}{}, func(w io.Writer) { fmt.Fprintln(w, "the sealed store is erased") })
	})
}
