package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/probe"
)

// portsProbe finds the settings of a line.
type portsProbe struct {
	Port string        `arg:"" help:"The port, by any of its names."`
	For  time.Duration `name:"for" help:"How long to listen at most." default:"10m" placeholder:"D"`
	JSON bool          `name:"json" help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (portsProbe) Help() string {
	return "Example: assaygate ports probe usb:1-1.3 --for 5m\n\nListens only, and never sends. It tries the usual speeds and formats, says what it heard and how sure it is, " +
		"and proposes the lines of the configuration. The analyser has to send meanwhile: have it re-transmit a result, again and again. " +
		"The gateway must not have the port open. Exit status 1: nothing was found."
}

// Run implements a kong command.
func (c *portsProbe) Run(s *streams) error {
	if c.For <= 0 {
		return usageError{fmt.Errorf("--for: %s is no time to listen", c.For)}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	device, err := lookupDevice(c.Port)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "Listening to %s for up to %s; nothing is sent. Ctrl-C ends it with what is known by then.\n", cell(device.String()), c.For)
	fmt.Fprintln(s.err, "Now make the analyser send: re-transmit a result, or measure a control. Do it again whenever something was heard.")
	ctx, cancel := context.WithTimeout(ctx, c.For)
	defer cancel()
	found := probeOne(ctx, port.System{}, device, func(step probe.Step) { fmt.Fprintln(s.err, describeStep(step)) }, nil)
	if found.err != nil {
		return found.err
	}
	if c.JSON {
		encoder := json.NewEncoder(s.out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(found)
	} else {
		err = found.write(s.out)
	}
	if err == nil && found.Verdict.Sure == probe.Unknown {
		return errNothing(found.Verdict)
	}
	return err
}

// errNothing says what to try where nothing was found.
func errNothing(v probe.Verdict) error {
	for _, o := range v.Saw {
		if o.Bursts > 0 {
			return errors.New("what came made no sense at any setting; listen for longer, and look for an unusual speed in the analyser's manual, for a cable that inverts (TTL in place of RS-232) and for a missing ground")
		}
	}
	return errors.New("nothing came; is the analyser set to send to a host, and did it send while this listened? If so, look at the cable and try a null-modem adapter")
}

// lookupDevice finds a port by any of its names. One that is not listed is taken
// by its path.
func lookupDevice(name string) (port.Device, error) {
	path, err := port.Lookup(name)
	if err != nil {
		return port.Device{}, err
	}
	devices, err := port.Devices()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return port.Device{}, err
	}
	for _, d := range devices {
		if sameFile(d.Path, path) {
			return d, nil
		}
	}
	return port.Device{Path: path, Name: path}, nil
}

// proposal is what listening to one port has found.
type proposal struct {
	Port    string           `json:"port"` // the name that stays
	Path    string           `json:"path"`
	Verdict probe.Verdict    `json:"verdict"`
	YAML    string           `json:"yaml"`  // of the configuration; "" where nothing was found
	Modem   *port.ModemLines `json:"modem"` // nil where the driver does not tell
	err     error            // why it could not be listened to
}

// probePorts listens to ports at the same time until each is found or ctx ends. It
// leaves alone what somebody uses. Told, which may be nil, is called from several
// goroutines. The proposals are in the order of the devices.
func probePorts(ctx context.Context, system port.System, devices []port.Device, told func(name string, step probe.Step)) []proposal {
	list := make([]proposal, len(devices))
	var listening sync.WaitGroup
	for i, d := range devices {
		listening.Go(func() {
			list[i] = probeOne(ctx, system, d, func(step probe.Step) {
				if told != nil {
					told(d.Name, step)
				}
			}, nil)
		})
	}
	listening.Wait()
	return list
}

// probeOne listens to one port that nobody is known to use.
// opened, which may be nil, is given how to read its modem lines meanwhile.
func probeOne(ctx context.Context, system port.System, d port.Device, told func(probe.Step), opened func(modem func() (port.ModemLines, error))) (p proposal) {
	p = proposal{Port: d.Name, Path: d.Path}
	users, _, err := system.Users(d.Path)
	switch {
	case d.Console:
		p.err = fmt.Errorf("%s is the system's console: take console= out of the kernel's command line first", d.Name)
		return p
	case err == nil && len(users) > 0:
		p.err = fmt.Errorf("%s is in use by %s: a line that somebody else reads cannot be listened to; stop that first", d.Name, users[0])
		return p
	}
	line, err := port.OpenSerial(ctx, port.Serial{Port: d.Path})
	if err != nil {
		p.err = err
		return p
	}
	defer line.Close()
	if opened != nil {
		opened(line.Modem)
	}
	p.Verdict, p.err = probe.Listen(ctx, line, told)
	p.YAML = p.Verdict.YAML(d.Name)
	if m, err := line.Modem(); err == nil {
		p.Modem = &m
	}
	return p
}

// describeStep says what the probe has just heard.
func describeStep(step probe.Step) string {
	text := fmt.Sprintf("%s: ", step.Setting)
	switch {
	case step.Sense:
		text += count(step.Bytes, "byte") + " with sense"
	case step.Bytes == 0:
		text += "silence"
	default:
		text += count(step.Bytes, "byte") + " without sense"
	}
	if step.Next != step.Setting {
		text += fmt.Sprintf("; now %s", step.Next)
	}
	return text
}

// How far a verdict goes, in words.
func sureWords(sure probe.Sureness) string {
	switch sure {
	case probe.Certain:
		return "certain: what came was whole, with right checksums where it has any"
	case probe.Likely:
		return "likely: what came makes sense, but bears no proof"
	case probe.Guess:
		return "a guess: try it, and look at assaygate health and the log"
	}
	return "unknown"
}

// write says what was found, for a person.
func (p proposal) write(out io.Writer) error {
	var text strings.Builder
	v := p.Verdict
	for _, o := range v.Saw {
		fmt.Fprintf(&text, "%-11s %4d s: ", o.Setting, o.Seconds)
		switch {
		case o.Bursts == 0:
			text.WriteString("silence\n")
			continue
		case len(o.Fits) == 0:
			fmt.Fprintf(&text, "%s without sense", count(o.Bytes, "byte"))
		default:
			fmt.Fprintf(&text, "%s", o.Fits[0].Describe())
			if o.Noise > 0 {
				fmt.Fprintf(&text, ", noise: %d", o.Noise)
			}
		}
		for _, e := range []struct {
			n    uint64
			what string
		}{{o.Errors.Framing, "framing error"}, {o.Errors.Parity, "parity error"}, {o.Errors.Break, "break"}} {
			if e.n > 0 {
				fmt.Fprintf(&text, ", %s", count(int(e.n), e.what))
			}
		}
		text.WriteString("\n")
	}
	if p.Modem != nil && p.Modem.Dead() {
		fmt.Fprintf(&text, "modem lines: %s\n", deadLines)
	}
	if v.Sure == probe.Unknown {
		_, err := io.WriteString(out, text.String())
		return err
	}
	fmt.Fprintf(&text, "\n%s, %s\n", v.Setting, sureWords(v.Sure))
	if len(v.Also) > 0 {
		fmt.Fprintf(&text, "what came would be the same with %s: look which of them the analyser is set to\n", strings.Join(v.Also, ", "))
	}
	fmt.Fprintf(&text, "\nFor assaygate.yaml:\n\n  - name: analyser\n    %s", strings.ReplaceAll(strings.TrimSuffix(p.YAML, "\n"), "\n", "\n    "))
	text.WriteString("\n")
	_, err := io.WriteString(out, text.String())
	return err
}
