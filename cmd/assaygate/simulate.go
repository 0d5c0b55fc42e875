package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/simulator"
)

type simulateCommand struct {
	Capture     string        `arg:"" help:"The capture file to play." type:"existingfile"`
	To          string        `required:"" help:"astm://HOST:PORT, mllp://HOST:PORT, emerald://HOST:PORT, the same with TLS (astms://, mllps://, emeralds://), or serial:PORT[,BAUD]." placeholder:"TARGET"`
	Count       int           `help:"How often to play it, on each connection." default:"1"`
	Interval    time.Duration `help:"The pause between two plays."`
	Connections int           `help:"How many connections play at the same time." default:"1"`
	Fault       string        `help:"A mistake to make with each message, see above." placeholder:"F"`
	Verbatim    bool          `help:"Send the capture as it is: no fresh time, control id, processing id and checksums."`
	CA          string        `name:"ca" help:"TLS: the authorities of the host's certificate, instead of the system's." placeholder:"FILE"`
	Certificate string        `help:"TLS: the certificate to show, where the host asks for one." placeholder:"FILE"`
	Key         string        `help:"TLS: its key." placeholder:"FILE"`
	ServerName  string        `help:"TLS: the name in the host's certificate, instead of HOST." placeholder:"NAME"`
}

// secure completes a target with TLS.
func (c *simulateCommand) secure(target *simulator.Target) error {
	files := port.TLSFiles{CA: c.CA, Certificate: c.Certificate, Key: c.Key, ServerName: c.ServerName}
	switch err := files.Validate(); {
	case err != nil:
		return usageError{fmt.Errorf("--%w", err)}
	case target.TLS != nil:
		target.TLS = &files
	case files != (port.TLSFiles{}):
		return usageError{errors.New("--ca, --certificate, --key and --server-name are for targets with TLS: astms://, mllps://, emeralds://")}
	}
	return nil
}

// Help implements kong.HelpProvider.
func (simulateCommand) Help() string {
	text := "Example: assaygate simulate FILE --to astm://127.0.0.1:4010 --fault lost-ack\n\n" +
		"With --fault the instrument makes a mistake with each message, and sends what it has spoilt once more: the exit status is 0 " +
		"when the host has taken every message in the end. The faults are:\n"
	for _, f := range simulator.Faults() {
		text += fmt.Sprintf("\n    %-23s  %-9s  %s", f.Name, f.Languages(), f.Says)
	}
	return text
}

// Run implements a kong command.
func (c *simulateCommand) Run(s *streams) error {
	target, err := simulator.ParseTarget(c.To)
	if err != nil {
		return usageError{fmt.Errorf("--to: %w", err)}
	}
	if err := c.secure(&target); err != nil {
		return err
	}
	var fault simulator.Fault
	if c.Fault != "" {
		if fault, err = simulator.ParseFault(c.Fault); err != nil {
			return usageError{fmt.Errorf("--fault: %w", err)}
		}
	}
	capture, err := readCapture(c.Capture)
	if err != nil {
		return err
	}
	unread := sayProblems(s.err, c.Capture, capture)
	messages := simulator.Messages(capture)
	if len(messages) == 0 {
		return unread
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := simulator.Run(ctx, target, messages, simulator.Options{
		Verbatim: c.Verbatim, Count: c.Count, Interval: c.Interval, Connections: c.Connections,
		Fault: fault,
	})
	fmt.Fprintf(s.out, "%d acknowledged, %d refused", len(result.Acknowledged), len(result.Refused))
	if len(result.Sent) > 0 {
		fmt.Fprintf(s.out, ", %d sent in a format without acknowledgement", len(result.Sent))
	}
	fmt.Fprintln(s.out)
	for _, r := range result.Refused {
		fmt.Fprintf(s.err, "refused: %s: %s\n", r.ControlID, r.Reason)
	}
	switch {
	case err == nil && len(result.Refused) > 0:
		err = errors.New("the host refused messages, or did not answer")
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		err = fmt.Errorf("%w: the host closed the connection; it may take none from this address (allow_from, limits), or want TLS, or none", err)
	case err != nil && strings.Contains(err.Error(), "tls: certificate required"):
		err = fmt.Errorf("%w: name --certificate and --key", err)
	}
	return errors.Join(unread, err)
}
