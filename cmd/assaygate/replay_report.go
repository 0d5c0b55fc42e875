package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite"
)

// outcome says of a file what became, or in a dry run would become, of its
// messages at each destination. It is taken where they have all of them.
func (r *replay) outcome(ctx context.Context, file string, envelopes []envelope.Envelope) (taken bool) {
	taken = true
	var parts []string
	for _, to := range r.to {
		counts := map[string]int{}
		var order []string
		for _, e := range envelopes {
			text, ok := r.fate(ctx, e, to)
			taken = taken && ok
			if counts[text]++; counts[text] == 1 {
				order = append(order, text)
			}
		}
		for i, text := range order {
			if len(envelopes) > 1 {
				order[i] = fmt.Sprintf("%d %s", counts[text], text)
			}
		}
		parts = append(parts, to.name+": "+strings.Join(order, ", "))
	}
	out, line := r.report, file+": "
	switch {
	case !taken:
		out = r.errs
	case r.DryRun:
		line = "    "
	}
	if len(parts) > 0 {
		fmt.Fprintln(out, line+strings.Join(parts, "; "))
	}
	return taken
}

// fate is how a message stands at a destination, and whether that has it or
// will have it.
func (r *replay) fate(ctx context.Context, e envelope.Envelope, to *recipient) (text string, taken bool) {
	detail, err := r.store.Show(context.WithoutCancel(ctx), e.ID)
	if err != nil {
		return "unknown: " + err.Error(), false
	}
	for _, d := range detail.Deliveries {
		if d.Destination != to.name {
			continue
		}
		switch d.State {
		case spool.Delivered:
			return "delivered", true
		case spool.Parked:
			return "not taken: " + d.Reason, false
		case spool.Dropped:
			// What it repeats is in this replay too.
			return "held back: " + d.Reason, e.Repeat
		case spool.Pending:
			if r.DryRun {
				return "would be sent", true
			}
		}
		if to.unwell != nil {
			return "not sent: " + to.unwell.Error(), false
		}
	}
	return "not sent", false
}

// write puts a file's messages into the output, all or none of them.
func (r *replay) write(file string, envelopes []envelope.Envelope) bool {
	var all strings.Builder
	for _, e := range envelopes {
		text, err := senaite.Text(e, r.output.format)
		if err != nil {
			fmt.Fprintf(r.errs, "%s: not written: %v\n", file, err)
			return false
		}
		all.WriteString(text + "\n")
	}
	if _, err := io.WriteString(r.output.to, all.String()); err != nil {
		fmt.Fprintf(r.errs, "%s: not written: %v\n", file, err)
		return false
	}
	r.output.filled = true
	fmt.Fprintf(r.report, "%s: %s written\n", file, count(messagesIn(envelopes), "message"))
	return true
}

// outputFile is where messages are written instead of being sent. The file
// appears when all is in it. A nil one does nothing.
type outputFile struct {
	format string
	to     io.Writer
	file   *os.File // nil: standard output
	path   string
	filled bool
}

func openOutput(path, format string, out io.Writer) (*outputFile, error) {
	if format == "" {
		format = senaite.Defaults().Format
	}
	o := &outputFile{format: format, to: out, path: path}
	if path == "-" {
		return o, nil
	}
	// Only who runs this may read it: it holds patients' results.
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return nil, fmt.Errorf("--output: %w", err)
	}
	o.file, o.to = file, file
	return o, nil
}

// finish makes the file appear, unless there is nothing in it.
func (o *outputFile) finish() error {
	if o == nil || o.file == nil || !o.filled {
		return nil
	}
	err := errors.Join(o.file.Sync(), o.file.Close())
	if err == nil {
		err = os.Rename(o.file.Name(), o.path)
	}
	if err != nil {
		return fmt.Errorf("--output: %w", errors.Join(err, os.Remove(o.file.Name())))
	}
	o.file = nil
	return nil
}

// discard removes what was not finished.
func (o *outputFile) discard() error {
	if o == nil || o.file == nil {
		return nil
	}
	return errors.Join(o.file.Close(), os.Remove(o.file.Name()))
}
