package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/config"
)

// applyCommand is what the gateway cannot do in its sandbox, done by root on the
// box: the network and the firewall as the saved configuration has them, and the
// clock where the gateway asks for that. It reads the saved configuration and nothing
// that this names. What it cannot do leaves the last state in place; the image's
// firewall begins closed.
type applyCommand struct {
	Config  string `help:"The saved configuration." required:"" placeholder:"FILE" type:"path"`
	Factory string `help:"The configuration while there is no saved one." placeholder:"FILE" type:"path"`
	Root    string `help:"Where the system's files are." default:"/" type:"path"`
}

const (
	// commandPatience is how long one command of the system may take: the gateway
	// waits for none of them.
	commandPatience = 20 * time.Second
	// mostRounds bounds how often a configuration that changes meanwhile is
	// carried out again. The unit's timer does the rest.
	mostRounds = 5
)

// Run implements a kong command.
func (c *applyCommand) Run(s *streams) error {
	if done, err := c.setClock(); err != nil {
		fmt.Fprintln(s.err, "assaygate:", err) // the network does not wait for it
	} else if done {
		fmt.Fprintln(s.out, "the clock is set")
	}
	a := applying{
		root: c.Root, out: s.out,
		board:     board.System{Proc: filepath.Join(c.Root, "proc"), Sys: filepath.Join(c.Root, "sys")},
		command:   runQuietly,
		networkd:  filepath.Join(c.Root, "run/systemd/network"),
		timesyncd: filepath.Join(c.Root, "run/systemd/timesyncd.conf.d"),
		state:     filepath.Join(c.Root, "run/assaygate-apply"),
	}
	var last []byte
	for range mostRounds {
		text, name, err := c.read()
		switch {
		case err != nil:
			return fmt.Errorf("the network stays as it is: %w", err)
		case last != nil && bytes.Equal(text, last):
			return nil
		}
		last = text
		settled, err := parseConfig(text, name)
		if err != nil {
			return fmt.Errorf("the network stays as it is, where it says nothing else: %w", errors.Join(err, c.applyKept(a)))
		}
		if err := a.apply(settled); err != nil {
			return fmt.Errorf("the network stays as it is, where it says nothing else: %w", err)
		}
	}
	return nil
}

// applyKept carries out the second copy of the configuration, where the saved one
// is spoilt and nothing was carried out yet since the box was switched on: the
// gateway starts with that too, and its instruments are to reach it.
func (c *applyCommand) applyKept(a applying) error {
	if _, err := os.Lstat(a.rules()); err == nil {
		return nil
	}
	name := c.Config + keptSuffix
	text, err := readPlain(name, config.MaxSize+1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	settled, err := parseConfig(text, name)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out, "network: that of the configuration's second copy is used, as the gateway uses it")
	return a.apply(settled)
}

// read returns the saved configuration, or the factory's while there is none.
func (c *applyCommand) read() (text []byte, name string, err error) {
	text, err = readPlain(c.Config, config.MaxSize+1)
	if !errors.Is(err, fs.ErrNotExist) || c.Factory == "" {
		return text, c.Config, err
	}
	text, err = readPlain(c.Factory, config.MaxSize+1)
	return text, c.Factory, err
}

// runQuietly runs a command of the system, whose output counts only when it
// fails.
func runQuietly(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, args[0], err, bytes.TrimSpace(out))
	}
	return nil
}
