package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/assaygate/assaygate/device/config"
)

type runCommand struct {
	Config      string `help:"The configuration file." placeholder:"FILE" type:"path"`
	Factory     string `help:"The configuration while there is no such file." placeholder:"FILE" type:"path"`
	ASTM        string `name:"astm" help:"Listen for ASTM here, instead of the configured network instruments." placeholder:"ADDR"`
	HL7         string `name:"hl7" help:"Listen for HL7 here, likewise." placeholder:"ADDR"`
	Emerald     string `name:"emerald" help:"Listen for the CELL-DYN Emerald here, likewise." placeholder:"ADDR"`
	URL         string `name:"url" help:"SENAITE's URL, instead of the configured ones." placeholder:"URL"`
	CaptureOnly string `name:"capture-only" help:"Keep messages as files here and deliver to no LIMS." placeholder:"DIR"`
	Data        string `help:"The data directory: the store in DIR/spool, captures in DIR/captures." placeholder:"DIR"`
	Admin       string `help:"The admin address." placeholder:"ADDR"`
	Console     string `help:"The console's address." placeholder:"ADDR"`
	Activity    string `help:"Tell on this unix socket whether analysers are at work: for the updates of a box." placeholder:"FILE" type:"path" hidden:""`
	Demo        bool   `help:"Play three simulated instruments against a gateway of its own."`
}

// Run implements a kong command.
func (c *runCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if c.Demo && *c != (runCommand{Demo: true}) {
		return usageError{errors.New("--demo takes no other flags")}
	}
	if c.Demo {
		return runDemo(ctx, s)
	}
	if c.Factory != "" && c.Config == "" {
		return usageError{errors.New("--factory stands for a file of --config that is not there yet; give --config too")}
	}
	spareMemory()
	f := flags{
		Config: c.Config, Factory: c.Factory, ASTM: c.ASTM, HL7: c.HL7, Emerald: c.Emerald, URL: c.URL,
		CaptureOnly: c.CaptureOnly, Data: c.Data, Admin: c.Admin, Console: c.Console,
	}
	if err := f.resetting(newLog(LogSettings{}, s.err)).carryOut(ctx); err != nil {
		return err
	}
	for {
		d, err := prepare(f, s.err)
		ran := err == nil
		if ran {
			d.activity = c.Activity
			err = d.run(ctx)
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, errResetAsked) || !takenBackFor(err, f, s.err) {
			return err
		}
		if ran && supervised() {
			return err // systemd was told that this process is stopping, and starts the next one
		}
	}
}

// supervised reports whether systemd has started this process and listens to it.
func supervised() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// prepare brings what an earlier process did not finish to its end, and makes a
// daemon of the configuration as it stands then.
func prepare(f flags, errs io.Writer) (*daemon, error) {
	var journal *config.Journal
	var onTrial *trial
	if f.Config != "" {
		journal = config.NewJournal(journalBeside(f.Config))
		err := journal.Recover()
		if err == nil {
			onTrial, err = resumeTrial(journal)
		}
		if err != nil { // what can be read may do; the journal is tried at each start
			newLog(LogSettings{}, errs).Error("a change of the configuration is not finished", "error", err)
		}
	}
	start, err := f.load(onTrial == nil)
	if err != nil {
		return nil, err
	}
	settings := start.config
	settings.Box.useZone()
	recent := newRecentLog()
	d := newDaemon(settings, newLog(settings.Log, recent.beside(errs)))
	d.recent = recent
	for _, warning := range start.warnings {
		d.log.Warn(warning)
	}
	d.changes.source, d.changes.journal, d.changes.trial = f, journal, onTrial
	d.changes.contents = settings.besides()
	d.changes.path, err = f.changeable()
	d.changes.judge = d.ownership().permits
	d.ownership().begin(settings, d.log)
	d.changes.taken("start")
	d.metrics.configLoaded(time.Now())
	d.standIn(start)
	if start.refused == nil {
		d.keepCopy()
	}
	// Nobody is there to mend an address on a box: its other lines go on meanwhile.
	d.forgiving.Store(onTrial != nil || f.Factory != "")
	return d, err
}

// changeable is the path of the file that is watched, "" where there is none.
func (f flags) changeable() (string, error) {
	path := f.Config
	if path == "" {
		var err error
		if path, err = f.file(systemConfig); path == "" || err != nil {
			return "", err
		}
	}
	return filepath.Abs(path)
}

// takenBackFor takes a change on trial back with which the gateway ends at once.
// It reports whether there was one.
func takenBackFor(why error, f flags, errs io.Writer) bool {
	if f.Config == "" {
		return false
	}
	journal := config.NewJournal(journalBeside(f.Config))
	text, on, err := journal.Trial()
	if err != nil || !on {
		return false
	}
	var note trialNote
	_ = json.Unmarshal(text, &note) // it says only by whom
	log := newLog(LogSettings{}, errs)
	if err := revert(journal, note.By, why.Error()); err != nil {
		log.Error("the configuration before cannot be put back", "error", err)
		return false
	}
	log.Error("the configuration is taken back; the one before is used again", "by", note.By, "reason", why.Error())
	return true
}

// spareMemory collects garbage earlier than Go does by itself. The small boxes
// have 512 MB and time to spare: it saves some megabytes while messages come in.
// Whoever sets GOGC knows better.
func spareMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// loadWhole is loadConfig with what only the profiles can judge.
func loadWhole(f flags) (Config, []string, error) {
	config, warnings, err := loadConfig(f)
	if err != nil {
		return Config{}, nil, err
	}
	more, err := config.whole()
	if err != nil {
		return Config{}, nil, err
	}
	return config, append(warnings, more...), nil
}

// whole judges what only the profiles can.
func (c Config) whole() (warnings []string, err error) {
	profiles, err := c.usableProfiles()
	if err == nil {
		err = c.misfits(profiles)
	}
	if err != nil {
		return nil, err
	}
	for _, dropped := range c.droppedReadings(profiles) {
		warnings = append(warnings, dropped.Error())
	}
	return warnings, nil
}
