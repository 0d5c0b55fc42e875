package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// effects tell in words what going over to another configuration stops and starts.
func (d *daemon) effects(to Config) (list []string) {
	from := d.config()
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if from.Spool != to.Spool {
		say("The store is closed and opened again: all lines and destinations stop for a moment.")
	}
	if absolute(from.Spool.Directory) != absolute(to.Spool.Directory) {
		say("The store is another one: what waits in %s stays there.", from.Spool.Directory)
	}
	made, next := from.serviceMade(0), to.serviceMade(0)
	if !reflect.DeepEqual(made, next) {
		say("All lines are drained and started again: what they have in common changes.")
	}
	if !reflect.DeepEqual(from.Privacy, to.Privacy) {
		say("What is kept of patients' data changes, from the next message on.")
	}
	for _, one := range []struct {
		what     string
		from, to map[string]any
	}{
		{"Lines", from.linesMade(made), to.linesMade(next)},
		{"Destinations", from.destinationsMade(), to.destinationsMade()},
		{"Servers", from.serversMade(), to.serversMade()},
	} {
		list = append(list, turned(one.what, one.from, one.to)...)
	}
	list = append(list, moved(from, to)...)
	if from.Console.Listen != to.Console.Listen {
		say("The console leaves %s, and is then at %s.", from.Console.Listen, to.Console.Listen)
	}
	if !reflect.DeepEqual(from.Network, to.Network) {
		say("The network of the box is set anew.")
	}
	if len(list) == 0 {
		say("Nothing has to be stopped.")
	}
	return list
}

// turned says which parts of one kind are stopped, started, or both.
func turned(what string, from, to map[string]any) (list []string) {
	var again, stopped, started []string
	for _, name := range sortedKeys(from) {
		made, still := to[name]
		switch {
		case !still:
			stopped = append(stopped, name)
		case !reflect.DeepEqual(from[name], made):
			again = append(again, name)
		}
	}
	for _, name := range sortedKeys(to) {
		if _, was := from[name]; !was {
			started = append(started, name)
		}
	}
	for _, one := range []struct {
		how   string
		names []string
	}{{"drained and started again", again}, {"drained and stopped", stopped}, {"started", started}} {
		if len(one.names) > 0 {
			list = append(list, fmt.Sprintf("%s %s: %s.", what, one.how, strings.Join(one.names, ", ")))
		}
	}
	return list
}

// moved says what becomes of what waits for destinations that are elsewhere now, or
// nowhere.
func moved(from, to Config) (list []string) {
	for _, old := range from.Destinations {
		at := slices.IndexFunc(to.Destinations, func(d Destination) bool { return d.Name == old.Name })
		switch {
		case at < 0:
			list = append(list, fmt.Sprintf("What waits for %s is set aside until a person decides about it.", old.Name))
		case to.Destinations[at].binding() != old.binding():
			list = append(list, fmt.Sprintf("What waits for %s was meant for another address, and is set aside until a person decides about it.", old.Name))
		}
	}
	return list
}
