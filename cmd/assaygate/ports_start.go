package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/probe"
)

// startListens is how long the ports are listened to for the configuration to
// begin with: the person stands in front of the box, and instruments that nobody
// answers call twice in that time.
const startListens = time.Minute

// listenForStart listens to the ports that are free, and returns what was found by
// the names of the ports.
func (d *daemon) listenForStart(ctx context.Context) map[string]proposal {
	ctx, stop := context.WithTimeout(ctx, startListens)
	defer stop()
	list, err := d.proposals(ctx)
	if err != nil {
		return nil // the list of the ports says so
	}
	found := map[string]proposal{}
	for _, p := range list {
		found[p.Port] = p
		if p.err != nil {
			d.log.Info("a serial port is not listened to", "port", p.Port, "error", p.err)
		}
	}
	return found
}

// entry is an instrument on this port in the configuration to begin with: ready
// where listening has found the settings, else with a place to fill in.
func (p proposal) entry(name string) (lines []string) {
	v := p.Verdict
	switch v.Sure {
	case probe.Certain, probe.Likely:
		lines = append(lines, fmt.Sprintf("# Found by listening: %s, which is %s.", v.Setting, v.Sure))
	case probe.Guess:
		lines = append(lines, fmt.Sprintf("# Listening heard little: perhaps %s.", v.Setting))
	}
	if len(v.Also) > 0 {
		lines = append(lines, fmt.Sprintf("# It would sound the same with %s: look which of them the analyser is set to.", strings.Join(v.Also, ", ")))
	}
	lines = append(lines, "- name: "+name)
	if v.Sure == probe.Certain || v.Sure == probe.Likely {
		for line := range strings.Lines(p.YAML) {
			lines = append(lines, "  "+strings.TrimSuffix(line, "\n"))
		}
		return lines
	}
	return append(lines, fmt.Sprintf("  serial: {port: %q, baud: <<<SPEED, data_bits: 8, parity: none, stop_bits: 1}    # <<< as the analyser's manual says: 9600, 19200 ...", p.Port))
}
