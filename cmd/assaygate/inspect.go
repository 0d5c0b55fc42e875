package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis02"
)

// inspectCommand reads captures without touching anything.
type inspectCommand struct {
	Profiles   string            `help:"A directory of own profiles." placeholder:"DIR" type:"existingdir"`
	Summary    inspectSummary    `cmd:"" help:"What is in each file: messages, instrument, samples, results. Example: assaygate inspect summary FILE"`
	Instrument inspectInstrument `cmd:"" help:"The recognised instrument of each file. Example: assaygate inspect instrument FILE"`
	JSON       inspectJSON       `cmd:"" name:"json" help:"The envelopes, as a destination gets them, one a line. Example: assaygate inspect json FILE"`
	Records    inspectRecords    `cmd:"" help:"The records, field by field. Example: assaygate inspect records FILE"`
	Diff       inspectDiff       `cmd:"" help:"What differs in what two captures mean; exits 1 where something does. Example: assaygate inspect diff OLD NEW"`
}

// captureFiles are what every way of inspecting takes.
type captureFiles struct {
	Files []string `arg:"" help:"Captures, or directories of them: ASTM framed or not, HL7 in MLLP blocks or not, packets of the mini VIDAS and Spotchem EL, frames of the CELL-DYN Emerald." type:"path"`
}

// each reads every file and calls f with what it holds. A file that cannot be
// read does not hide the others. What is doubtful is said and read all the same;
// what is broken makes the command fail.
func (c captureFiles) each(s *streams, f func(file string, list []capturefile.Transmission) error) error {
	files, err := captureFilesOf(c.Files)
	if err != nil {
		return usageError{err}
	}
	var errs []error
	for _, file := range files {
		capture, err := readCapture(file)
		if err == nil {
			err = f(file, capture.Transmissions)
		}
		errs = append(errs, err, sayProblems(s.err, file, capture))
	}
	return errors.Join(errs...)
}

// sayProblems prints what is doubtful in a file, and returns what is broken.
func sayProblems(out io.Writer, file string, capture capturefile.File) error {
	var errs []error
	for _, problem := range capture.Problems {
		if problem.Broken {
			errs = append(errs, fmt.Errorf("%s: %s", file, problem))
			continue
		}
		fmt.Fprintf(out, "%s: %s\n", file, problem)
	}
	for _, note := range capture.Notes() {
		fmt.Fprintf(out, "%s: %s\n", file, note)
	}
	return errors.Join(errs...)
}

// meaning is what a transmission comes to.
type meaning struct {
	envelopes []envelope.Envelope
	unlisted  []string // places with values that the profile does not list
}

// reader makes envelopes of transmissions as a gateway without settings would
// that received them at the given time.
func (c *inspectCommand) reader(at time.Time) (func(capturefile.Transmission) meaning, error) {
	profiles, err := profile.Load(profile.Options{Directory: c.Profiles})
	if err != nil {
		return nil, err
	}
	return func(t capturefile.Transmission) (of meaning) {
		for _, raw := range rawMessages(t) {
			list, unlisted := profiles.Examine(raw, at)
			of.envelopes = append(of.envelopes, list...)
			of.unlisted = append(of.unlisted, unlisted...)
		}
		return of
	}, nil
}

type inspectSummary struct{ captureFiles }

// Run implements a kong command.
func (c *inspectSummary) Run(parent *inspectCommand, s *streams) error {
	read, err := parent.reader(time.Now())
	if err != nil {
		return err
	}
	return c.each(s, func(file string, list []capturefile.Transmission) error {
		fmt.Fprintf(s.out, "%s: %s\n", file, count(len(list), "transmission"))
		for _, t := range list {
			of := read(t)
			summarise(s.out, of.envelopes)
			if len(of.unlisted) > 0 {
				fmt.Fprintf(s.out, "    values that the profile does not list: %s\n", strings.Join(of.unlisted, ", "))
			}
			for _, m := range t.Messages() {
				if t.Protocol == capturefile.ASTM && !lis02.Complete(m.Text) {
					fmt.Fprintf(s.out, "    problem: the message from byte %d on has no terminator record\n", t.At)
				}
			}
		}
		return nil
	})
}

// summarise prints what a message's envelopes say, one line an order.
func summarise(out io.Writer, envelopes []envelope.Envelope) {
	message := ""
	for _, e := range envelopes {
		if e.MessageID != message {
			message = e.MessageID
			fmt.Fprintf(out, "  %s from %q, profile %s, kind %s\n", e.Protocol, senderOf(e), e.Profile, e.Kind)
		}
		kinds := map[envelope.Kind]int{}
		for _, r := range e.Results {
			kinds[r.Kind]++
		}
		fmt.Fprintf(out, "    sample %q:", e.SampleID)
		if len(kinds) == 0 {
			fmt.Fprint(out, " no result")
		}
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			fmt.Fprintf(out, " %d %s", kinds[kind], kind)
		}
		fmt.Fprintln(out)
		if e.Problem != "" {
			fmt.Fprintf(out, "    problem: %s\n", e.Problem)
		}
	}
}

func senderOf(e envelope.Envelope) string {
	if len(e.Records.H) == 0 {
		return ""
	}
	sender, _ := e.Records.H[0].Value("sender").(envelope.Object)
	return strings.TrimSpace(sender.Text("name"))
}

type inspectInstrument struct{ captureFiles }

// Run implements a kong command.
func (c *inspectInstrument) Run(parent *inspectCommand, s *streams) error {
	read, err := parent.reader(time.Now())
	if err != nil {
		return err
	}
	return c.each(s, func(file string, list []capturefile.Transmission) error {
		for _, t := range list {
			for _, e := range read(t).envelopes {
				if e.Part == 0 {
					fmt.Fprintf(s.out, "%s: %s, profile %s, sender %q\n", file, e.Protocol, e.Profile, senderOf(e))
				}
			}
		}
		return nil
	})
}

type inspectJSON struct{ captureFiles }

// Run implements a kong command.
func (c *inspectJSON) Run(parent *inspectCommand, s *streams) error {
	read, err := parent.reader(time.Now())
	if err != nil {
		return err
	}
	return c.each(s, func(_ string, list []capturefile.Transmission) error {
		for _, t := range list {
			for _, e := range read(t).envelopes {
				text, err := e.MarshalJSON()
				if err != nil {
					return err
				}
				fmt.Fprintf(s.out, "%s\n", text)
			}
		}
		return nil
	})
}
