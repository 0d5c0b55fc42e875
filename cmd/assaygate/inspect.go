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
	"github.com/assaygate/assaygate/protocols/hl7"
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
	Files []string `arg:"" help:"Captures: ASTM framed or not, HL7 in MLLP blocks or not." type:"existingfile"`
}

// each reads every file and calls f with its transmissions. A file that cannot
// be read does not hide the others.
func (c captureFiles) each(f func(file string, messages []simulator.Message) error) error {
	var errs []error
	for _, file := range c.Files {
		messages, err := readCapture(file)
		if err == nil {
			err = f(file, messages)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func readCapture(file string) ([]simulator.Message, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	messages, err := simulator.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return messages, nil
}

// reader makes envelopes of transmissions as a gateway without settings would
// that received them at the given time.
func (c *inspectCommand) reader(at time.Time) (func(simulator.Message) []envelope.Envelope, error) {
	profiles, err := profile.Load(profile.Options{Directory: c.Profiles})
	if err != nil {
		return nil, err
	}
	return func(m simulator.Message) (list []envelope.Envelope) {
		for _, raw := range rawMessages(m) {
			list = append(list, profiles.Envelopes(raw, at)...)
		}
		return list
	}, nil
}

// rawMessages cuts an ASTM session into its messages.
func rawMessages(m simulator.Message) (list []profile.Raw) {
	raw := profile.Raw{Protocol: envelope.Protocol(m.Protocol), Intake: envelope.Accepted}
	if m.Protocol != simulator.ASTM {
		raw.Text = m.Text
		return []profile.Raw{raw}
	}
	for text := m.Text; len(text) > 0; {
		message, rest, found := lis02.Cut(text)
		if !found {
			message, rest = text, nil
		}
		raw.Text, text = message, rest
		if len(list) == 0 && len(rest) == 0 {
			raw.Frames = m.Frames // the session is one message
		}
		list = append(list, raw)
	}
	return list
}

type inspectSummary struct{ captureFiles }

// Run implements a kong command.
func (c *inspectSummary) Run(parent *inspectCommand, s *streams) error {
	read, err := parent.reader(time.Now())
	if err != nil {
		return err
	}
	return c.each(func(file string, messages []simulator.Message) error {
		fmt.Fprintf(s.out, "%s: %s\n", file, count(len(messages), "transmission"))
		for _, m := range messages {
			summarise(s.out, read(m))
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
	return c.each(func(file string, messages []simulator.Message) error {
		for _, m := range messages {
			e := read(m)[0]
			fmt.Fprintf(s.out, "%s: %s, profile %s, sender %q\n", file, e.Protocol, e.Profile, senderOf(e))
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
	return c.each(func(_ string, messages []simulator.Message) error {
		for _, m := range messages {
			for _, e := range read(m) {
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

type inspectRecords struct{ captureFiles }

// Run implements a kong command.
func (c *inspectRecords) Run(s *streams) error {
	return c.each(func(file string, messages []simulator.Message) error {
		for _, m := range messages {
			fmt.Fprintf(s.out, "%s: %s\n", file, m.Protocol)
			if m.Protocol == simulator.HL7 {
				parsed, err := hl7.Parse(m.Text)
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				for _, segment := range parsed.Segments {
					printFields(s.out, segment.Name, "-", segment.Fields()[1:])
				}
				continue
			}
			parsed, err := lis02.Parse(m.Text)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			for _, record := range parsed.Records {
				fields := record.Fields()
				printFields(s.out, string(fields[0]), ".", fields)
			}
		}
		return nil
	})
}

// printFields names each field that is not empty as errors do: R.4, OBX-5.
func printFields(out io.Writer, name, separator string, fields [][]byte) {
	fmt.Fprintf(out, "  %s\n", name)
	for i, field := range fields {
		if len(field) > 0 {
			fmt.Fprintf(out, "    %s%s%-3d %s\n", name, separator, i+1, field)
		}
	}
}
