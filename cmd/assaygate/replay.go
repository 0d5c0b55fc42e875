package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// replayCommand sends captures through the path of a live message. The short
// flags and hidden names are those of senaite-astm-send.
type replayCommand struct {
	Files            []string `arg:"" optional:"" name:"file" help:"Captures, or directories of them, as a capture destination or senaite.astm writes them."`
	Input            []string `short:"i" hidden:"" placeholder:"FILE" sep:"none"`
	Config           string   `help:"The configuration: its LIMS, instruments, profiles and privacy." placeholder:"FILE" type:"path"`
	URL              string   `name:"url" short:"u" help:"SENAITE's URL, instead of the configured ones." placeholder:"URL"`
	Destination      []string `aliases:"to" help:"Only to this destination; default: every LIMS that is not for staging." placeholder:"NAME"`
	Consumer         string   `short:"c" help:"SENAITE's push consumer, instead of the configured one." placeholder:"NAME"`
	Format           string   `short:"m" aliases:"message-format" help:"What is sent: json, astm, lis2a or hl7; default: as configured." enum:",json,astm,lis2a,hl7" default:"" placeholder:"F"`
	Retries          int      `short:"r" help:"How often a message is tried before it is given up (default: ${default})." default:"3" placeholder:"N"`
	DryRun           bool     `help:"Do everything but the delivery, and say what would be sent."`
	Validate         bool     `aliases:"validate-only" help:"Only read the files, and report every problem with its place."`
	SampleID         []string `name:"sample-id" aliases:"substitute-sample-id" help:"Replace a sample id where the instrument's profile reads it; may be repeated." placeholder:"OLD=NEW" sep:"none"`
	RebuildChecksums bool     `help:"Give frames whose checksum does not fit a right one."`
	Output           string   `short:"o" help:"Write what would be sent to this file (- is standard output) instead of sending it." placeholder:"PATH"`
}

// Run implements a kong command.
func (c *replayCommand) Run(s *streams) (err error) {
	renames, err := c.usage()
	if err != nil {
		return usageError{err}
	}
	files, err := captureFilesOf(slices.Concat(c.Input, c.Files))
	if err != nil {
		return usageError{err}
	}
	if err := c.keepsFiles(files); err != nil {
		return usageError{err}
	}
	// The first signal lets a delivery in progress finish, a second one ends
	// the program.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()

	config, warnings, err := c.configuration()
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		fmt.Fprintln(s.err, "assaygate: warning:", warning)
	}
	r, err := newReplay(c, config, renames, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.countSamples(files); err != nil {
		return err
	}
	return r.run(ctx, files)
}

// usage returns what is wrong with the flags.
func (c *replayCommand) usage() (renames []rename, err error) {
	var errs []error
	if len(c.Files)+len(c.Input) == 0 {
		errs = append(errs, errors.New("name the captures to replay, or a directory of them"))
	}
	if c.Output != "" && (c.DryRun || c.Validate) {
		errs = append(errs, errors.New("--output writes and --dry-run and --validate do not; leave one of them out"))
	}
	if c.Retries < 1 {
		errs = append(errs, fmt.Errorf("--retries: %d is less than one try", c.Retries))
	}
	for _, text := range c.SampleID {
		one, err := parseRename(text)
		if err == nil && slices.ContainsFunc(renames, func(other rename) bool { return other.old == one.old }) {
			err = fmt.Errorf("%s is replaced twice", one.old)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("--sample-id: %w", err))
		}
		renames = append(renames, one)
	}
	return renames, errors.Join(errs...)
}

// configuration is what holds, with the flags over the file.
func (c *replayCommand) configuration() (Config, []string, error) {
	config, warnings, err := loadWhole(flags{Config: c.Config, URL: c.URL})
	if err != nil {
		return Config{}, nil, err
	}
	// That nothing is received and where captures go is no concern here.
	warnings = slices.DeleteFunc(warnings, func(w string) bool {
		return strings.Contains(w, "instruments: ") || strings.Contains(w, "destinations: ")
	})
	var chosen []Destination
	for _, d := range config.Destinations {
		if len(c.Destination) == 0 && (d.SENAITE == nil || d.Staging) || len(c.Destination) > 0 && !slices.Contains(c.Destination, d.Name) {
			continue // its own captures are what is replayed, and a LIMS for staging is named
		}
		d.Staging = false // a person has chosen it
		if d.SENAITE != nil {
			lims := *d.SENAITE
			if c.Format != "" {
				lims.Format = c.Format
			}
			if c.Consumer != "" {
				lims.Consumer.ASTM, lims.Consumer.HL7 = c.Consumer, c.Consumer
			}
			d.SENAITE = &lims
		}
		chosen = append(chosen, d)
	}
	for _, name := range c.Destination {
		if !slices.ContainsFunc(chosen, func(d Destination) bool { return d.Name == name }) {
			return Config{}, nil, usageError{fmt.Errorf("--destination: there is no destination %s in the configuration", name)}
		}
	}
	staging := slices.ContainsFunc(config.Destinations, func(d Destination) bool { return d.Staging })
	config.Destinations = chosen
	if len(chosen) > 0 || c.DryRun || c.Validate || c.Output != "" {
		return config, warnings, nil
	}
	none := errors.New("no LIMS is named; give its address with --url, a configuration that has one with --config, or --output to write a file")
	if staging {
		none = errors.New("no LIMS is named: what is for staging gets only what is sent to it by name, with --destination")
	}
	if c.Config == "" {
		return Config{}, nil, usageError{none}
	}
	return Config{}, nil, fmt.Errorf("%s: %w", c.Config, none)
}

// keepsFiles makes sure that what is written is none of the captures.
func (c *replayCommand) keepsFiles(files []string) error {
	if c.Output == "" || c.Output == "-" {
		return nil
	}
	into, err := os.Stat(c.Output)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if into.IsDir() {
		return fmt.Errorf("--output: %s is a directory; name a file", c.Output)
	}
	for _, file := range files {
		if from, err := os.Stat(file); err == nil && os.SameFile(from, into) {
			return fmt.Errorf("--output: %s is one of the captures; name another file", c.Output)
		}
	}
	return nil
}
