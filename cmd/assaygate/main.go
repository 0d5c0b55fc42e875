// Command assaygate is the gateway between laboratory analysers and SENAITE:
// the daemon that runs on the box, and the tools around it.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/assaygate/assaygate/envelope/spool"
)

// commands is the command line as a whole: one field a subcommand.
type commands struct {
	Run             runCommand      `cmd:"" help:"Run the gateway. Example: assaygate run --config assaygate.yaml"`
	Check           checkCommand    `cmd:"" help:"Validate a configuration file. Example: assaygate check assaygate.yaml"`
	Inspect         inspectCommand  `cmd:"" help:"Read captures without touching anything. Example: assaygate inspect summary FILE"`
	Replay          replayCommand   `cmd:"" help:"Send captures again, through the path of a live message. Example: assaygate replay DIR --config assaygate.yaml"`
	Simulate        simulateCommand `cmd:"" help:"Be the instrument. Example: assaygate simulate FILE --to astm://127.0.0.1:4010"`
	Spool           spoolCommand    `cmd:"" help:"The store, for a person. Example: assaygate spool list"`
	Health          healthCommand   `cmd:"" help:"Ask the running gateway whether it is well. Example: assaygate health --wait 30s"`
	Version         versionCommand  `cmd:"" help:"Version, commit, Go version and target. Example: assaygate version --json"`
	Profiles        profilesCommand `cmd:"" help:"Instrument profiles. Example: assaygate profiles list"`
	Ports           portsCommand    `cmd:"" help:"Serial ports, their stable names, and the settings of a line. Example: assaygate ports"`
	Owner           ownerCommand    `cmd:"" help:"The owner's key, and what is signed or encrypted with it. Example: assaygate owner sign DIR"`
	ConsolePassword passwordCommand `cmd:"" help:"A password hash for a user of the console, or the user put into the configuration. Example: assaygate console-password anna --config assaygate.yaml"`
	Update          updateCommand   `cmd:"" help:"Firmware updates of a box. Example: assaygate update status"`
	Apply           applyCommand    `cmd:"" hidden:"" help:"Root's part on the box: network, firewall and clock from the saved configuration. Example: assaygate apply --config /data/config/assaygate.yaml"`
	Data            dataCommand     `cmd:"" hidden:"" help:"Root's part of the data partition on the box. Example: assaygate data prepare"`
	Slot            slotCommand     `cmd:"" hidden:"" help:"Judge the slot that the box was started from. Example: assaygate slot"`
	Stick           stickCommand    `cmd:"" hidden:"" help:"Root's part of the USB stick on the box. Example: assaygate stick mount /dev/sda1"`
	ResetButton     buttonCommand   `cmd:"" hidden:"" help:"Look at the reset button when the box starts. Example: assaygate reset-button --config /data/config/assaygate.yaml"`
	Support         supportCommand  `cmd:"" help:"Write a bundle for the help desk, without message content. Example: assaygate support --output bundle.tar.gz"`
}

// Exit statuses.
const (
	done     = 0
	failed   = 1
	wrongUse = 2
)

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

// usageError is a mistake in how a command was called, found after parsing.
type usageError struct{ error }

// execute runs one command line and returns its exit status.
func execute(args []string, out, errs io.Writer) int {
	var all commands
	status := -1
	parser, err := kong.New(&all,
		kong.Name("assaygate"),
		kong.Description("The gateway between laboratory analysers and SENAITE."),
		kong.Writers(out, errs),
		kong.Exit(func(code int) { status = code }),
		kong.UsageOnError(),
		kong.Bind(&streams{out: out, err: errs}),
	)
	if err != nil {
		fmt.Fprintln(errs, "assaygate:", err)
		return failed
	}
	command, err := parser.Parse(aliases(args))
	if status >= 0 {
		return status // --help was asked for and printed
	}
	if err != nil {
		fmt.Fprintf(errs, "assaygate: %s; see assaygate --help\n", err)
		return wrongUse
	}
	if err := command.Run(); err != nil {
		fmt.Fprintf(errs, "assaygate: %v%s\n", err, remedy(err))
		if errors.As(err, &usageError{}) {
			return wrongUse
		}
		return failed
	}
	return done
}

// aliases takes what people type first.
func aliases(args []string) []string {
	if len(args) == 1 && args[0] == "help" {
		return []string{"--help"}
	}
	if len(args) == 1 && args[0] == "--version" {
		return []string{"version"}
	}
	return args
}

// remedy is what to do about errors that the system words without one.
func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "; another program has this port: stop it or choose another"
	case errors.Is(err, spool.ErrLocked):
		return "; stop that gateway, or name another store with --data or spool.directory"
	case errors.Is(err, fs.ErrPermission):
		return "; run as the user that owns it, or choose another place"
	}
	return ""
}
