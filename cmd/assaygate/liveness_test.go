//go:build unix

package main

import (
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// everything is a configuration with every kind of loop that is watched.
func everything(t testing.TB, directory string) string {
	t.Helper()
	_, path := terminal(t)
	return base(directory) + `
instruments:
  - {name: lan, astm: {listen: "127.0.0.1:0"}}
  - {name: hl7, hl7: {listen: "127.0.0.1:0"}}
  - {name: serial, serial: {port: "` + path + `"}}
  - {name: dialled, astm: {dial: "127.0.0.1:1"}}
` + lims(newLIMS(t), directory)
}

// watchedParts are the parts that a gateway of everything has, but for
// connections.
func watchedParts() []string {
	return []string{
		"admin", "console", "control socket",
		"destination files", "destination lims",
		"gateway", "line dialled", "line serial", "listener of hl7", "listener of lan",
		"reading back from lims", "spool upkeep", "spool writer", "status line",
	}
}

// Every loop is watched while the gateway runs, goes with its gateway when the
// store is closed for a while, and comes back with the next.
func TestEveryLoopIsWatched(t *testing.T) {
	r := start(t, everything(t, t.TempDir()))
	conn := dial(t, r.addresses["lan"])
	own := func(name string) bool {
		return strings.HasPrefix(name, "connection of lan from "+conn.LocalAddr().String())
	}
	eventually(t, "the connection is watched", func() bool { return slices.ContainsFunc(r.health.Parts(), own) })
	if parts := slices.DeleteFunc(r.health.Parts(), own); !slices.Equal(parts, watchedParts()) {
		t.Errorf("watched are\n%q, want\n%q", parts, watchedParts())
	}
	conn.Close()
	eventually(t, "the connection is not watched any more", func() bool { return !slices.ContainsFunc(r.health.Parts(), own) })

	err := r.Reopen(t.Context(), func() error {
		if parts, want := r.health.Parts(), []string{"admin", "console", "status line"}; !slices.Equal(parts, want) {
			t.Errorf("while the store is closed watched are %q, want %q", parts, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is watched again", func() bool { return slices.Equal(r.health.Parts(), watchedParts()) })
	r.end()
	if parts := r.health.Parts(); len(parts) != 0 {
		t.Errorf("at the end watched are %q", parts)
	}
}

// watchedLoops are the goroutines of a gateway that are watched, by the function
// that is their loop. The gateway's own is a goroutine of the test.
func watchedLoops() []string {
	return []string{
		"main.(*questioned).Accept",          // control socket
		"main.(*serverGate).Accept",          // admin and console, around it
		"main.(*gateway).serveListener",      // listener of
		"main.(*gateway).readBack",           // reading back from
		"device/health.(*Registry).Tell",     // status line
		"device/instrument.(*Service).serve", // connection of
		"device/instrument.(*Service).Dial",  // line
		"device/instrument.(*Service).Serial",
		"envelope/spool.(*writer).run",
		"envelope/spool.(*Spool).Tend",
		"uplink.Run", // destination
	}
}

// unwatchedLoops are those that are not, each with the reason.
func unwatchedLoops() map[string]string {
	return map[string]string{
		"device/health.(*Registry).Run":     "it is the watch: without it the watchdog is not fed",
		"device/instrument.(*Noise).Run":    "only says that a line is noisy",
		"main.(*daemon).watchCard":          "hangs where the card does, which no restart mends",
		"main.(*daemon).watchPorts":         "only makes a port that comes back found sooner",
		"main.(*daemon).watchConfig":        "what it has the gateway do is watched by itself",
		"main.(*daemon).watchSticks":        "hangs where a stick does",
		"main.(*daemon).startServer":        "only waits for its server",
		"main.(*prober).run":                "asks a LIMS for who looks at a check of a line; nobody else waits for it",
		"main.(*errands).run":               "only waits: what a person has the box do is watched where it is done",
		"uplink.(*runner).hand":             "a request: its destination tells when it is stuck",
		"uplink.(*reader).guarded":          "the same",
		"uplink/capture.(*Trace).Run":       "a wire trace never holds up a line",
		"uplink/capture.(*Writer).Probe":    "once, at the start of its destination, which is watched",
		"device/port.(*Panel).Watch":        "only makes a port that comes back found sooner",
		"device/configdrive.(*Drive).Watch": "hangs where a stick does",
	}
}

var closure = regexp.MustCompile(`(\.(func|gowrap)?\d+(-range\d+)?)+$`)

// loops returns the functions of ours that are the loops of goroutines: of each
// the outermost that has a name.
func loops(stacks string) (names []string) {
	for stack := range strings.SplitSeq(stacks, "\n\n") {
		loop := ""
		lines := strings.Split(stack, "\n")
		for i := 1; i+1 < len(lines); i += 2 {
			name, file := lines[i], lines[i+1]
			name, ours := strings.CutPrefix(name, module+"/")
			if !ours || strings.HasPrefix(lines[i], "created by ") {
				continue
			}
			if strings.Contains(file, "_test.go:") || strings.Contains(name, "senaitetest") {
				loop = "" // what a test runs
				break
			}
			name = strings.Replace(name[:strings.LastIndexByte(name, '(')], "cmd/assaygate.", "main.", 1)
			if bare := closure.ReplaceAllString(name, ""); bare == name || loop == "" {
				loop = bare
			}
		}
		if loop != "" && !slices.Contains(names, loop) {
			names = append(names, loop)
		}
	}
	return names
}

// A goroutine that somebody adds is watched, or it is said here why not.
func TestEveryGoroutineIsWatchedOrExcused(t *testing.T) {
	r := start(t, everything(t, t.TempDir()))
	dial(t, r.addresses["lan"])
	own := func(name string) bool { return strings.HasPrefix(name, "connection of ") }
	eventually(t, "the connection is watched", func() bool { return slices.ContainsFunc(r.health.Parts(), own) })
	stacks := make([]byte, 8<<20)
	// What was just started shows the function that starts it until it has run for the first time.
	eventually(t, "every watched loop runs", func() bool {
		found := loops(string(stacks[:runtime.Stack(stacks, true)]))
		for _, name := range found {
			if _, excused := unwatchedLoops()[name]; !excused && !slices.Contains(watchedLoops(), name) {
				t.Errorf("%s is a loop that is not known here: have it watched, or say why not", name)
			}
		}
		missing := slices.DeleteFunc(watchedLoops(), func(name string) bool { return slices.Contains(found, name) })
		if len(missing) > 0 {
			t.Logf("do not run: %q", missing)
		}
		return len(missing) == 0
	})
}
