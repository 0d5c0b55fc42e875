package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

type spoolStatus struct{}

// Run implements a kong command.
func (*spoolStatus) Run(c *spoolCommand, s *streams) error {
	return c.read(func(ctx context.Context, client *api.Client) error {
		status, err := client.Status(ctx)
		if err != nil {
			return err
		}
		return c.print(s.out, status, func(w io.Writer) { showStatus(w, status) })
	})
}

func showStatus(w io.Writer, status spool.Status) {
	fmt.Fprintf(w, "messages\t%d\tdrafts %d\tbytes %d\tlast sequence %d\n", status.Messages, status.Drafts, status.Bytes, status.LastSequence)
	for _, d := range status.Destinations {
		fmt.Fprintf(w, "%s\tpending %d\tdelivered %d\tparked %d\tdropped %d\tconfirmed %d\tunconfirmed %d",
			d.Name, d.Pending, d.Delivered, d.Parked, d.Dropped, d.Confirmed, d.Unconfirmed)
		if d.OldestAge > 0 {
			fmt.Fprintf(w, "\toldest pending %s", d.OldestAge.Round(time.Second))
		}
		if !d.Active {
			fmt.Fprint(w, "\tno longer configured")
		}
		if d.Unread != "" {
			fmt.Fprintf(w, "\tresults are not read back: %s", cell(d.Unread))
		}
		if d.Held != "" {
			held := "in part" // the messages for one receiver behind it
			if d.HeldPending > 0 || d.Pending == 0 {
				held = strconv.Itoa(d.HeldPending)
			}
			fmt.Fprintf(w, "\theld %s: %s", held, cell(d.Held))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "schema\t%d\n", status.Schema)
	fmt.Fprintf(w, "audit\t%d rows\thead %s\n", status.AuditRows, status.AuditHash)
	fmt.Fprintf(w, "public key\t%s\n", status.PublicKey)
	for _, sealed := range status.Sealed {
		fmt.Fprintf(w, "sealed %d\t%s\n", sealed.ID, aboutSealed(sealed))
	}
	if status.Overfull != "" {
		fmt.Fprintf(w, "above keep_size\t%s\n", status.Overfull)
	}
	if status.NoRoom != "" {
		fmt.Fprintf(w, "nothing is taken in\t%s\n", status.NoRoom)
	}
	if status.Failure != "" {
		fmt.Fprintf(w, "failed\t%s\n", status.Failure)
	}
}
