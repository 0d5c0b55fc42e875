package main

import (
	"fmt"
	"time"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/owner"
)

// consoleOverview is what the console shows of lines and box, and can do there.
func (d *daemon) consoleOverview() console.Overview {
	return console.Overview{
		Instruments: d.instruments, Facts: d.boxFacts, Notes: d.boxNotes, ClockSet: d.clock.set, SetClock: d.setClockBy,
		Broken: d.brokenData, Repair: func(who string) error { return d.repair("the console, by " + who) },
	}
}

// instruments is how the lines stand.
func (d *daemon) instruments() []console.Instrument {
	var list []console.Instrument
	c := d.config()
	closed := d.closedListeners(c)
	for _, i := range c.Instruments {
		state := d.metrics.state(i.Name)
		problem := closed[i.Name]
		if cannot := d.tally.line(i.Name).shut; problem == "" && !state.up && cannot != nil {
			problem = cannot.Error()
		}
		list = append(list, console.Instrument{
			Name: i.Name, Protocol: string(i.protocol()), Line: i.describeLine(),
			Up: state.up, Problem: problem, Connections: state.connections, Messages: state.messages, LastMessage: state.last,
			Noisy: state.noisy, Refused: state.refused, LastRefusal: state.refusal, LineErrors: state.errors,
		})
	}
	return list
}

// closedListeners is why a listener is not open, by the names of the instruments
// that share it.
func (d *daemon) closedListeners(c Config) map[string]string {
	why := map[string]string{}
	for _, l := range c.listeners() {
		for _, i := range l.instruments {
			why[i.Name] = d.doors.why(l.key())
		}
	}
	return why
}

// boxNotes are what a person should know of the box.
func (d *daemon) boxNotes() (notes []string) {
	if d.config().ConfigDrive != nil && !d.owned() {
		notes = append(notes, "This box has no owner: anybody can change it with a USB stick.")
	}
	if d.changes.refused() {
		notes = append(notes, "The configuration file cannot be used as it stands now, so another one runs; the log says what is wrong with it.")
	}
	notes = append(notes, d.dataNotes()...)
	if now := d.standingConfig(); now.OnTrial && now.NeedsKeeping {
		notes = append(notes, fmt.Sprintf("A change of the way to this console is taken back in %s, unless somebody keeps it on the page Setup.", now.Left.Round(time.Second)))
	}
	return notes
}

// boxFacts tell of disk, clock, version and owner.
func (d *daemon) boxFacts() []console.Fact {
	facts := []console.Fact{d.diskFact(), d.clockFact(), {Name: "Version", Value: version}}
	if key, err := d.ownership().of(d.config()); err != nil {
		facts = append(facts, console.Fact{Name: "Owner", Value: "in doubt: " + err.Error(), Bad: true})
	} else if key == nil {
		facts = append(facts, console.Fact{Name: "Owner", Value: "none"})
	} else {
		facts = append(facts, console.Fact{Name: "Owner", Value: owner.FormatKey(key)})
	}
	if serial := d.board.Serial(); serial != "" {
		facts = append(facts, console.Fact{Name: "Serial number", Value: serial})
	}
	return append(facts, console.Fact{Name: "Running for", Value: time.Since(d.metrics.started).Round(time.Second).String()})
}

func (d *daemon) diskFact() console.Fact {
	free, known := diskFree(d.config().Spool.Directory)
	switch trouble := d.storeTrouble(); {
	case trouble != nil:
		return console.Fact{Name: "Disk", Value: trouble.Error(), Bad: true}
	case !known:
		return console.Fact{Name: "Disk", Value: "not known"}
	}
	return console.Fact{Name: "Disk", Value: fmt.Sprintf("%.1f GiB free", free/(1<<30))}
}

func (d *daemon) clockFact() console.Fact {
	if !d.clock.set() {
		return console.Fact{Name: "Clock", Value: "not set"} // the page says what follows from that
	}
	return console.Fact{Name: "Clock", Value: shownMoment(time.Now())}
}
