package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/owner"
)

// consoleSupport is what the console shows and gives to whoever helps.
func (d *daemon) consoleSupport() console.Support {
	return console.Support{
		Facts: d.identityFacts, Health: d.healthFacts, Log: func(ctx context.Context) ([]byte, error) { return d.recent.read(ctx) },
		Bundle: func(ctx context.Context, to io.Writer) error {
			key, err := d.ownership().of(d.config())
			if err != nil {
				return fmt.Errorf("who owns this box is in doubt, so nothing is given out: %w", err)
			}
			return writeSupport(ctx, to, key, d.supportSources())
		},
		BundleName: func() (name, reader string) {
			key, err := d.ownership().of(d.config())
			if err == nil && key != nil {
				reader = "the owner " + owner.FormatKey(key)
			}
			return bundleName("support", d.board, reader != ""), reader
		},
	}
}

// identityFacts tell which box this is.
func (d *daemon) identityFacts() []console.Fact {
	facts := []console.Fact{{Name: "Name", Value: d.config().Box.Name}}
	if serial := d.board.Serial(); serial != "" {
		facts = append(facts, console.Fact{Name: "Serial number", Value: serial})
	}
	facts = append(facts, programFacts()...)
	for _, line := range addressLines() {
		name, value, _ := strings.Cut(line, ": ")
		facts = append(facts, console.Fact{Name: name, Value: value})
	}
	return facts
}

// healthFacts are the answers of /healthz and /readyz, and which configuration
// runs.
func (d *daemon) healthFacts() []console.Fact {
	state := func(name string, err error) console.Fact {
		if err != nil {
			return console.Fact{Name: name, Value: err.Error(), Bad: true}
		}
		return console.Fact{Name: name, Value: "yes"}
	}
	facts := []console.Fact{state("All parts alive", d.health.Healthy()), state("Ready for instruments", d.health.Ready())}
	standing := d.standingConfig()
	text := "built in"
	if standing.Path != "" {
		text = standing.Path
	}
	if standing.By != "" {
		text += ", by " + standing.By
	}
	facts = append(facts, console.Fact{Name: "Configuration", Value: text})
	if standing.Refused != "" {
		facts = append(facts, console.Fact{Name: "Its file", Value: "cannot be used as it stands; Setup says what is wrong with it", Bad: true})
	}
	if standing.TakenBack != nil {
		facts = append(facts, console.Fact{Name: "Last change", Value: "was taken back; Setup says why", Bad: true})
	}
	return facts
}
