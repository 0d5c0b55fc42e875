package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/envelope/spool"
)

type supportCommand struct {
	Output string `help:"The bundle, which must not exist; - is standard output. Default: assaygate-support-SERIAL-TIME.tar.gz, with .age behind it on a box that has an owner." placeholder:"FILE"`
	Config string `help:"The configuration of the gateway." placeholder:"FILE" type:"path"`
}

// Run implements a kong command.
func (c *supportCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	path, err := c.path()
	if err != nil {
		return err
	}
	config, _, err := loadConfig(flags{Config: c.Config})
	if err != nil { // the help desk is needed all the more
		fmt.Fprintln(s.err, "note: the configuration cannot be read and is left out; see assaygate check", path)
		config = Config{}
	}
	key, err := ownership{config: path}.of(config)
	if err != nil {
		return fmt.Errorf("no bundle is written, because it is in doubt to whom it is to be encrypted: %w", err)
	}
	sources := c.sources(path, config)
	if c.Output == "-" {
		return writeSupport(ctx, s.out, key, sources)
	}
	output := c.Output
	if output == "" {
		output = bundleName("support", sources.board, key != nil)
	}
	if err := createNew(output, func(to io.Writer) error { return writeSupport(ctx, to, key, sources) }); err != nil {
		return err
	}
	if key != nil {
		fmt.Fprintln(s.err, "note: it is encrypted to the box's owner, who opens it with assaygate owner open")
	}
	_, err = fmt.Fprintln(s.out, output)
	return err
}

// path is the configuration file, "" where the built-in one holds.
func (c *supportCommand) path() (string, error) {
	if c.Config != "" {
		return c.Config, nil
	}
	_, err := os.Stat(systemConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return systemConfig, err
}

// sources asks a gateway that may be running, from outside.
func (c *supportCommand) sources(path string, config Config) supportSources {
	return supportSources{
		updates: updatePlaces{"/"},
		version: version, directories: config.directories(), log: journal,
		config: func() ([]byte, string, error) { return readConfigFile(path) },
		metrics: func(ctx context.Context) ([]byte, error) {
			if config.Admin.Listen == "" {
				return nil, errors.New("the gateway has no admin endpoint")
			}
			to, err := flags{Config: path}.asking(config)
			if err != nil {
				return nil, err
			}
			text, err := to.fetch(ctx, "/metrics", maxSupportPart)
			return []byte(text), err
		},
		ports:  func(ctx context.Context) (any, error) { return portsOf(ctx, config) },
		status: func(ctx context.Context) (spool.Status, error) { return statusOf(ctx, config.Spool.Directory) },
	}
}

// statusOf asks the store in the directory, by the gateway that has it.
func statusOf(ctx context.Context, directory string) (spool.Status, error) {
	if directory == "" {
		return spool.Status{}, errUnknown
	}
	if socket := controlSocket(directory); answers(socket) {
		return (&api.Client{Transport: api.Socket(socket)}).Status(ctx)
	}
	store, err := openToRead(ctx, directory)
	if err != nil {
		return spool.Status{}, err
	}
	status, err := store.Status(ctx)
	return status, errors.Join(err, store.Close())
}

// directories are where a gateway keeps what it gets.
func (c Config) directories() map[string]string {
	all := map[string]string{"store": c.Spool.Directory}
	for _, d := range c.Destinations {
		if d.Capture != nil {
			all[d.Name] = d.Capture.Directory
		}
	}
	return all
}

// readConfigFile returns the text of a configuration and what to call it.
func readConfigFile(path string) ([]byte, string, error) {
	if path == "" {
		return defaultConfig, "built-in defaults", nil
	}
	text, err := readBounded(path)
	return text, path, err
}

// portsOf lists the serial ports without opening one.
func portsOf(ctx context.Context, config Config) (any, error) {
	devices, err := port.Devices()
	if err != nil {
		return nil, err
	}
	view := portsView{devices: devices, instruments: config.Instruments, lookup: port.Lookup}
	if socket := controlSocket(config.Spool.Directory); config.Spool.Directory != "" && answers(socket) {
		view.gateway, _ = askPorts(ctx, socket) // a gateway of another version may not tell
	}
	return view.list(ctx), nil
}

// bundleName is what a box calls a file that it gives out.
func bundleName(kind string, b board.System, encrypted bool) string {
	name := fmt.Sprintf("assaygate-%s-%s-%s.tar.gz", kind, strings.TrimPrefix(b.Hostname(), "assaygate-"), time.Now().UTC().Format("20060102T150405Z"))
	if encrypted {
		name += ".age"
	}
	return name
}

// createNew makes a file that must not exist, readable by its owner only. What
// could not be written whole is removed.
func createNew(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is not overwritten; name another file with --output", path)
	}
	if err != nil {
		return err
	}
	if err = errors.Join(write(file), file.Sync(), file.Close()); err != nil {
		return errors.Join(fmt.Errorf("%s could not be written whole: %w", path, err), os.Remove(path))
	}
	return nil
}
