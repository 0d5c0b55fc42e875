package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope"
)

type spoolShow struct {
	ID string `arg:"" help:"The id of the message, or of one of its envelopes."`
}

// errNoID: an empty id would ask for the list.
var errNoID = usageError{errors.New("name a message: its id is empty")}

// Run implements a kong command.
func (c *spoolShow) Run(parent *spoolCommand, s *streams) error {
	if c.ID == "" {
		return errNoID
	}
	return parent.read(func(ctx context.Context, client *api.Client) error {
		m, err := client.Show(ctx, c.ID)
		if err != nil {
			return err
		}
		var e envelope.Envelope
		if m.Damaged == "" {
			if err := json.Unmarshal(m.Envelope, &e); err != nil {
				return fmt.Errorf("reading message %s: %w", c.ID, err)
			}
		}
		return parent.print(s.out, m, func(w io.Writer) { showMessage(w, m, e.Results) })
	})
}

// showMessage tells a person who sent it and when, what became of it, what it
// says, and who did what to it.
func showMessage(w io.Writer, m api.Message, results []envelope.Result) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, cell(value))
		}
	}
	line("id", m.ID)
	if m.Damaged != "" {
		line("damaged", m.Damaged)
	} else {
		if m.MessageID != m.ID {
			line("message", fmt.Sprintf("%s, part %d", m.MessageID, m.Part+1))
		}
		line("sequence", fmt.Sprint(m.Sequence))
		line("instrument", m.Instrument)
		line("sender", m.Lane)
		line("profile", m.Profile)
		line("from", m.Remote)
		line("received", shownTime(m.ReceivedAt, m.Clock))
		line("control id", m.ControlID)
		line("kind", string(m.Kind))
		line("sample", m.SampleID)
		line("intake", string(m.Intake))
		line("reason", m.Reason)
		line("withheld", m.Withheld)
		line("problem", m.Problem)
		line("same as", m.DuplicateOf)
	}
	showDeliveries(w, m)
	showResults(w, results)
	fmt.Fprintln(w, "\nWHEN\tWHAT\tDESTINATION\tWHO\tDETAIL")
	for _, a := range m.Audit {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", shownTime(a.At, a.Clock), a.What, cell(a.Destination), cell(a.Who), cell(a.Detail))
	}
}

func showDeliveries(w io.Writer, m api.Message) {
	if len(m.Deliveries) == 0 {
		fmt.Fprintln(w, "\nno destination gets this message")
		return
	}
	fmt.Fprintln(w, "\nDESTINATION\tSTATE\tSINCE\tATTEMPTS\tREFUSALS\tREASON")
	for _, d := range m.Deliveries {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", cell(d.Destination), d.State, shownTime(d.ChangedAt, envelope.ClockSet),
			d.Attempts, d.Refusals, cell(d.Reason))
	}
}

func showResults(w io.Writer, results []envelope.Result) {
	if len(results) == 0 {
		return
	}
	fmt.Fprintln(w, "\nTEST\tVALUE\tUNITS\tRANGE\tFLAGS\tSTATUS\tOBSERVED")
	for _, r := range results {
		test, value := r.Test, r.Value
		if r.Name != "" && r.Name != r.Test {
			test += " (" + r.Name + ")"
		}
		if r.Kind == envelope.KindImage {
			value = "image"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cell(test), cell(value), cell(r.Units), cell(r.Range),
			cell(r.Flags), cell(r.Status), cell(r.ObservedAt))
	}
}

type spoolRaw struct {
	ID string `arg:"" help:"The id of the message, or of one of its envelopes."`
}

// Run implements a kong command.
func (c *spoolRaw) Run(parent *spoolCommand, s *streams) error {
	if c.ID == "" {
		return errNoID
	}
	return parent.read(func(ctx context.Context, client *api.Client) error {
		raw, err := client.Raw(ctx, c.ID)
		if err != nil {
			return err
		}
		_, err = s.out.Write(raw)
		return err
	})
}
