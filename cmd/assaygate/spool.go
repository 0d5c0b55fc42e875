package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/envelope/spool"
)

// spoolCommand is the store, for a person. With a gateway running it asks that
// through the socket beside the store; else it opens the store itself. Both
// ways lead to the same handlers.
type spoolCommand struct {
	Data   string `name:"data" help:"The data directory; the store is DIR/spool." placeholder:"DIR"`
	Config string `name:"config" help:"The configuration that names the store's directory." placeholder:"FILE" type:"path"`
	JSON   bool   `name:"json" help:"Print JSON."`

	Status spoolStatus  `cmd:"" help:"Counts by destination and state. Example: assaygate spool status --data /data"`
	List   spoolList    `cmd:"" help:"The newest messages. Example: assaygate spool list --state parked"`
	Show   spoolShow    `cmd:"" help:"One message: what is known of it, and who did what to it. Example: assaygate spool show ID"`
	Raw    spoolRaw     `cmd:"" help:"The bytes of one message, as kept. Example: assaygate spool raw ID"`
	Retry  spoolRetry   `cmd:"" help:"Send a parked or dropped message again, or all parked ones with --all. Example: assaygate spool retry ID"`
	Drop   spoolDrop    `cmd:"" help:"Decide that a message is not wanted. Example: assaygate spool drop ID --reason 'sent by hand'"`
	Verify spoolVerify  `cmd:"" help:"Check the whole store. Example: assaygate spool verify --data /data"`
	Export laterCommand `cmd:"" help:"Move the store (not active in this version)."`
	Import laterCommand `cmd:"" help:"Take a moved store in (not active in this version)."`
}

// controlSocket is where a running gateway answers, beside its store.
func controlSocket(directory string) string { return filepath.Join(directory, "control") }

// directory is where the store is.
func (c *spoolCommand) directory() (string, error) {
	if c.Data != "" {
		return filepath.Join(c.Data, "spool"), nil
	}
	config, _, err := loadConfig(flags{Config: c.Config})
	if err != nil {
		return "", err
	}
	return config.Spool.Directory, nil
}

// ask calls f with a client of the store.
func (c *spoolCommand) ask(f func(context.Context, *console.Client) error) error {
	ctx := context.Background()
	directory, err := c.directory()
	if err != nil {
		return err
	}
	if socket := controlSocket(directory); answers(socket) {
		return f(ctx, &console.Client{Transport: console.Socket(socket), By: whoami()})
	}
	store, err := spool.OpenExisting(ctx, directory)
	if errors.Is(err, spool.ErrNoStore) {
		return fmt.Errorf("there is no store in %s; name the configuration with --config, or the data directory with --data", directory)
	}
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, &console.Client{Transport: console.InProcess(console.API(store, nil)), By: whoami()}), store.Close())
}

func answers(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// whoami names the person for the audit.
func whoami() string {
	for _, name := range []string{"SUDO_USER", "USER", "USERNAME"} {
		if user := os.Getenv(name); user != "" {
			return user
		}
	}
	return "command line"
}

// print gives a value as JSON, or as text for people.
func (c *spoolCommand) print(out io.Writer, value any, text func(io.Writer)) error {
	if c.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	text(table)
	return table.Flush()
}

type spoolStatus struct{}

// Run implements a kong command.
func (*spoolStatus) Run(c *spoolCommand, s *streams) error {
	return c.ask(func(ctx context.Context, client *console.Client) error {
		status, err := client.Status(ctx)
		if err != nil {
			return err
		}
		return c.print(s.out, status, func(w io.Writer) {
			fmt.Fprintf(w, "messages\t%d\tbytes\t%d\n", status.Messages, status.Bytes)
			for _, d := range status.Destinations {
				fmt.Fprintf(w, "%s\tpending %d\tdelivered %d\tparked %d\tdropped %d", d.Name, d.Pending, d.Delivered, d.Parked, d.Dropped)
				if !d.Active {
					fmt.Fprint(w, "\tno longer configured")
				}
				if d.Held != "" {
					fmt.Fprintf(w, "\theld: %s", d.Held)
				}
				fmt.Fprintln(w)
			}
		})
	})
}

type spoolList struct {
	State       string        `help:"Only messages in this state: ${enum}." enum:"pending,delivered,confirmed,unconfirmed,parked,dropped,any" default:"any"`
	Destination string        `help:"Only messages of this destination." placeholder:"NAME"`
	Instrument  string        `help:"Only messages of this instrument." placeholder:"NAME"`
	Sample      string        `help:"Only messages of this sample." placeholder:"ID"`
	Since       time.Duration `help:"Only messages of the last so many hours, such as 24h."`
	Limit       int           `help:"How many at most." default:"100"`
}

// Run implements a kong command.
func (l *spoolList) Run(c *spoolCommand, s *streams) error {
	filter := spool.Filter{Destination: l.Destination, Instrument: l.Instrument, SampleID: l.Sample, Limit: l.Limit}
	if l.State != "any" {
		filter.State = spool.State(l.State)
	}
	if l.Since > 0 {
		filter.Since = time.Now().Add(-l.Since)
	}
	return c.ask(func(ctx context.Context, client *console.Client) error {
		messages, err := client.List(ctx, filter)
		if err != nil {
			return err
		}
		if messages == nil {
			messages = []spool.Summary{}
		}
		return c.print(s.out, messages, func(w io.Writer) {
			fmt.Fprintln(w, "ID\tINSTRUMENT\tRECEIVED\tKIND\tSAMPLE\tSTATES")
			for _, m := range messages {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.Instrument, m.ReceivedAt.Local().Format(time.DateTime), m.Kind, m.SampleID, states(m))
			}
		})
	})
}

// states shows where a message stands, in one cell.
func states(m spool.Summary) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m.States)) {
		parts = append(parts, fmt.Sprintf("%s %s", name, m.States[name]))
	}
	if m.Intake != "accepted" && m.Intake != "" {
		parts = append(parts, string(m.Intake)+": "+m.Reason)
	}
	return strings.Join(parts, ", ")
}

type spoolShow struct {
	ID string `arg:"" help:"The id of the message, or of one of its envelopes."`
}

// Run implements a kong command.
func (c *spoolShow) Run(parent *spoolCommand, s *streams) error {
	return parent.ask(func(ctx context.Context, client *console.Client) error {
		m, err := client.Show(ctx, c.ID)
		if err != nil {
			return err
		}
		parent.JSON = true // there is no shorter form of all of it
		return parent.print(s.out, m, nil)
	})
}

type spoolRaw struct {
	ID string `arg:"" help:"The id of the message, or of one of its envelopes."`
}

// Run implements a kong command.
func (c *spoolRaw) Run(parent *spoolCommand, s *streams) error {
	return parent.ask(func(ctx context.Context, client *console.Client) error {
		raw, err := client.Raw(ctx, c.ID)
		if err != nil {
			return err
		}
		_, err = s.out.Write(raw)
		return err
	})
}

type spoolRetry struct {
	ID          string `arg:"" optional:"" help:"The id of the message."`
	All         bool   `help:"All parked messages."`
	Destination string `help:"With --all: only of this destination." placeholder:"NAME"`
	Reason      string `help:"With --all: only those parked for this reason." placeholder:"TEXT"`
}

// Run implements a kong command.
func (c *spoolRetry) Run(parent *spoolCommand, s *streams) error {
	if c.All == (c.ID != "") {
		return usageError{errors.New("name one message, or say --all")}
	}
	return parent.ask(func(ctx context.Context, client *console.Client) error {
		if !c.All {
			if err := client.Retry(ctx, c.ID); err != nil {
				return err
			}
			_, err := fmt.Fprintln(s.out, "the message is pending again")
			return err
		}
		n, err := client.RetryAll(ctx, spool.Selection{Destination: c.Destination, Reason: c.Reason})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "%d messages are pending again\n", n)
		return err
	})
}

type spoolDrop struct {
	ID     string `arg:"" help:"The id of the message."`
	Reason string `required:"" help:"Why, for the audit." placeholder:"TEXT"`
}

// Run implements a kong command.
func (c *spoolDrop) Run(parent *spoolCommand, _ *streams) error {
	return parent.ask(func(ctx context.Context, client *console.Client) error {
		return client.Drop(ctx, c.ID, c.Reason)
	})
}

type spoolVerify struct{}

// errDamaged makes verify fail where the report, already printed, says what is
// wrong.
var errDamaged = errors.New("the store is damaged: see the problems above")

// Run implements a kong command.
func (*spoolVerify) Run(parent *spoolCommand, s *streams) error {
	return parent.ask(func(ctx context.Context, client *console.Client) error {
		report, err := client.Verify(ctx, nil)
		if err != nil {
			return err
		}
		err = parent.print(s.out, report, func(w io.Writer) {
			fmt.Fprintf(w, "checked %d messages and %d audit rows\n", report.Messages, report.AuditRows)
			for _, problem := range report.Problems {
				fmt.Fprintln(w, "problem:", problem)
			}
		})
		if err == nil && len(report.Problems) > 0 {
			err = errDamaged
		}
		return err
	})
}
