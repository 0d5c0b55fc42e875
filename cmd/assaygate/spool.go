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

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

// spoolCommand is the store, for a person. With a gateway running it asks that
// through the socket beside the store; else it opens the store itself. Both
// ways lead to the same handlers.
type spoolCommand struct {
	Data   string `name:"data" help:"The data directory; the store is DIR/spool." placeholder:"DIR"`
	Config string `name:"config" help:"The configuration that names the store's directory." placeholder:"FILE" type:"path"`
	JSON   bool   `name:"json" help:"Print JSON."`

	Status spoolStatus `cmd:"" help:"Counts by destination and state. Example: assaygate spool status --data /data"`
	List   spoolList   `cmd:"" help:"The newest messages. Example: assaygate spool list --state parked --since 24h"`
	Show   spoolShow   `cmd:"" help:"One message: what is known of it, and who did what to it. Example: assaygate spool show ID"`
	Raw    spoolRaw    `cmd:"" help:"The bytes of one message, as kept. Example: assaygate spool raw ID"`
	Retry  spoolRetry  `cmd:"" help:"Send a parked, unconfirmed or dropped message again, or with --all every parked and unconfirmed one. Example: assaygate spool retry ID"`
	Drop   spoolDrop   `cmd:"" help:"Decide that a message is not wanted. Example: assaygate spool drop ID --reason 'sent by hand'"`
	Verify spoolVerify `cmd:"" help:"Check the whole store. Example: assaygate spool verify --data /data"`
	Export spoolExport `cmd:"" help:"Write all records, signed by the box, to move them or as a backup. They are patients' data. Example: assaygate spool export /media/stick/records --data /data"`
	Import spoolImport `cmd:"" help:"Take exported records into the empty store of a new box or card. Example: assaygate spool import /media/stick/records --data /data"`

	Sealed      spoolSealed      `cmd:"" help:"The stores that factory resets have set aside: counts, and whose key opens them. Example: assaygate spool sealed --data /data"`
	EraseSealed spoolEraseSealed `cmd:"" help:"Erase a store that was set aside, for good. Example: assaygate spool erase-sealed 1 --reason 'the old owner has agreed'"`
}

// controlSocket is where a running gateway answers, beside its store.
func controlSocket(directory string) string { return filepath.Join(directory, "control") }

// place is where the store is, and whose it is.
func (c *spoolCommand) place() (directory string, from spool.Origin, err error) {
	if c.Data != "" {
		box, _ := os.Hostname() // the name that a box has without one in its configuration
		return storeIn(c.Data), spool.Origin{Box: box, Version: version}, nil
	}
	config, _, err := loadConfig(flags{Config: c.Config})
	if err != nil {
		return "", spool.Origin{}, err
	}
	return config.Spool.Directory, config.origin(), nil
}

// storeIn is the store of a data directory. A copy of a store that bears another
// name is taken by itself.
func storeIn(data string) string {
	if below := filepath.Join(data, "spool"); spool.Exists(below) || !spool.Exists(data) {
		return below
	}
	return data
}

// ask calls f, which may change the store, with a client of it. The first signal
// ends its context, so that what is half done is put in order; a second one ends
// the program.
func (c *spoolCommand) ask(f func(context.Context, *api.Client) error) error {
	return c.with(spool.OpenExisting, f)
}

// read is ask for what only reads: the store stays as it is, and its card may be
// read-only or full.
func (c *spoolCommand) read(f func(context.Context, *api.Client) error) error {
	return c.with(openToRead, f)
}

// with calls f with a client of the store, which it has opened where no gateway
// runs.
func (c *spoolCommand) with(open opener, f func(context.Context, *api.Client) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	directory, from, err := c.place()
	if err != nil {
		return err
	}
	if socket := controlSocket(directory); answers(socket) {
		return f(ctx, &api.Client{Transport: api.Socket(socket), By: whoami()})
	}
	store, err := open(ctx, directory)
	if errors.Is(err, spool.ErrNoStore) {
		if absolute, err := filepath.Abs(directory); err == nil {
			directory = absolute
		}
		return fmt.Errorf("there is no store in %s; name the configuration with --config (relative paths in it begin where the command is started), or with --data the directory above the store", directory)
	}
	if err != nil {
		return err
	}
	offline := &offline{store, directory}
	control := api.Control(store, api.ControlOptions{From: func() spool.Origin { return from }, Reopen: offline.reopen})
	err = f(ctx, &api.Client{Transport: api.InProcess(control), By: whoami()})
	return errors.Join(err, offline.store.Close())
}

// offline is the store where no gateway runs.
type offline struct {
	store     *spool.Spool
	directory string
}

func (o *offline) reopen(ctx context.Context, meanwhile func() error) error {
	err := errors.Join(o.store.Close(), meanwhile())
	store, opening := spool.OpenExisting(ctx, o.directory)
	if opening == nil {
		o.store = store
	}
	return errors.Join(err, opening)
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
