package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/envelope"
)

// inspectCommand reads captures without touching anything.
type inspectCommand struct {
	Summary    inspectSummary `cmd:"" help:"What is in each file: messages, instrument, samples, results. Example: assaygate inspect summary FILE"`
	Instrument laterCommand   `cmd:"" help:"The recognised instrument (not active in this version)."`
	JSON       laterCommand   `cmd:"" name:"json" help:"The envelopes (not active in this version)."`
	Records    laterCommand   `cmd:"" help:"The records, field by field (not active in this version)."`
	Diff       laterCommand   `cmd:"" help:"What differs between two captures (not active in this version)."`
}

type inspectSummary struct {
	Files []string `arg:"" help:"Captures: ASTM framed or not, HL7 in MLLP blocks or not." type:"existingfile"`
}

// Run implements a kong command.
func (c *inspectSummary) Run(s *streams) error {
	profiles, err := profile.Load(profile.Options{})
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range c.Files {
		data, err := os.ReadFile(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		messages, err := simulator.Read(data)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
			continue
		}
		fmt.Fprintf(s.out, "%s: %d bytes, %d transmissions\n", file, len(data), len(messages))
		for _, m := range messages {
			summarise(s.out, profiles.Envelopes(profile.Raw{
				Protocol: envelope.Protocol(m.Protocol), Text: m.Text, Frames: m.Frames, Intake: envelope.Accepted,
			}, time.Now()))
		}
	}
	return errors.Join(errs...)
}

// summarise prints what a message's envelopes say, one line an order.
func summarise(out io.Writer, envelopes []envelope.Envelope) {
	for i, e := range envelopes {
		if i == 0 {
			sender := ""
			if len(e.Records.H) > 0 {
				o, _ := e.Records.H[0].Value("sender").(envelope.Object)
				sender = strings.TrimSpace(o.Text("name"))
			}
			fmt.Fprintf(out, "  %s from %q, profile %s, kind %s\n", e.Protocol, sender, e.Profile, e.Kind)
		}
		kinds := map[envelope.Kind]int{}
		for _, r := range e.Results {
			kinds[r.Kind]++
		}
		fmt.Fprintf(out, "    sample %q:", e.SampleID)
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			fmt.Fprintf(out, " %d %s", kinds[kind], kind)
		}
		fmt.Fprintln(out)
		if e.Problem != "" {
			fmt.Fprintf(out, "    problem: %s\n", e.Problem)
		}
	}
}
