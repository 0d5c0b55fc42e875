package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
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
	List   spoolList    `cmd:"" help:"The newest messages. Example: assaygate spool list --state parked --since 24h"`
	Show   spoolShow    `cmd:"" help:"One message: what is known of it, and who did what to it. Example: assaygate spool show ID"`
	Raw    spoolRaw     `cmd:"" help:"The bytes of one message, as kept. Example: assaygate spool raw ID"`
	Retry  spoolRetry   `cmd:"" help:"Send a parked, unconfirmed or dropped message again, or with --all every parked and unconfirmed one. Example: assaygate spool retry ID"`
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

// ask calls f with a client of the store. The first signal ends its context,
// so that what is half done is put in order; a second one ends the program.
func (c *spoolCommand) ask(f func(context.Context, *console.Client) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
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

// cell is text from an instrument or a person in a cell: a terminal must not
// act on what is in it.
func cell(text string) string { return readable([]byte(text)) }

// shownTime is a moment as the box knew it, in this machine's time zone.
func shownTime(at time.Time, clock string) string {
	text := at.Local().Format(time.DateTime)
	if clock != "set" {
		text += " (clock not set)"
	}
	return text
}
