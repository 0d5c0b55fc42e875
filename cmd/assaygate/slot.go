package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/image/update/release"
)

// slotCommand says of the slot that the box was started from whether it is good.
// U-Boot counts down at each start, and takes the other slot once there is nothing
// left; a slot that is good gets its attempts back.
type slotCommand struct {
	Config  string `help:"The saved configuration." required:"" placeholder:"FILE" type:"path"`
	Factory string `help:"The configuration while there is no saved one." placeholder:"FILE" type:"path"`
	Root    string `help:"Where the system's files are." default:"/" type:"path"`
}

const (
	// trialDeadline is how long an image that was never good on this box may take
	// until the gateway is healthy.
	trialDeadline = 10 * time.Minute
	// trialDeadlineName sets another one, for tests.
	trialDeadlineName = "ASSAYGATE_TRIAL_DEADLINE"
)

// Run implements a kong command.
func (c *slotCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	deadline := trialDeadline
	if text := os.Getenv(trialDeadlineName); text != "" {
		var err error
		if deadline, err = time.ParseDuration(text); err != nil {
			return usageError{fmt.Errorf("%s: %w", trialDeadlineName, err)}
		}
	}
	j := slotJudge{
		root: c.Root, started: c.started(), deadline: deadline, log: newLog(LogSettings{}, s.err), tell: c.tell,
		healthy: c.healthy,
	}
	system := board.System{Proc: filepath.Join(c.Root, "proc"), Run: filepath.Join(c.Root, "run")}
	j.data, _ = system.DataNow() // unreadable: nothing is known
	return j.judge(ctx)
}

// startedSlot is what this start of the box was made from.
type startedSlot struct {
	slot    string // "A" or "B"; "": this system has no slots
	version string // without the v of a tag
	image   string // version and build: another one is another image
}

func (c *slotCommand) started() (s startedSlot) {
	line, _ := os.ReadFile(filepath.Join(c.Root, "proc/cmdline")) // no answer is no slot
	for _, word := range strings.Fields(string(line)) {
		if slot, is := strings.CutPrefix(word, "rauc.slot="); is {
			s.slot = slot
		}
	}
	text, _ := os.ReadFile(filepath.Join(c.Root, "usr/lib/os-release"))
	system := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, is := strings.Cut(strings.TrimSpace(line), "="); is {
			system[key] = strings.Trim(value, `"'`)
		}
	}
	named := cmp.Or(system["VERSION_ID"], version)
	s.version = release.Plain(named)
	s.image = named + " " + system["BUILD_ID"] + " " + commit
	return s
}

// tell says something to whoever reads the console: a person, or a test. Nothing
// depends on it.
func (c *slotCommand) tell(line string) {
	console, err := os.OpenFile(filepath.Join(c.Root, "dev/console"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return
	}
	defer console.Close()
	_, _ = io.WriteString(console, line+"\n")
}
