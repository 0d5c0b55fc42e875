package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

type runCommand struct {
	Config      string `help:"The configuration file." placeholder:"FILE" type:"path"`
	ASTM        string `name:"astm" help:"Listen for ASTM here, instead of the configured network instruments." placeholder:"ADDR"`
	HL7         string `name:"hl7" help:"Listen for HL7 here, likewise." placeholder:"ADDR"`
	Emerald     string `name:"emerald" help:"Listen for the CELL-DYN Emerald here, likewise." placeholder:"ADDR"`
	URL         string `name:"url" help:"SENAITE's URL, instead of the configured ones." placeholder:"URL"`
	CaptureOnly string `name:"capture-only" help:"Keep messages as files here and deliver to no LIMS." placeholder:"DIR"`
	Data        string `help:"The data directory: the store in DIR/spool, captures in DIR/captures." placeholder:"DIR"`
	Admin       string `help:"The admin address." placeholder:"ADDR"`
	Console     string `help:"The console's address." placeholder:"ADDR"`
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
	config, warnings, err := loadWhole(flags{
		Config: c.Config, ASTM: c.ASTM, HL7: c.HL7, Emerald: c.Emerald, URL: c.URL,
		CaptureOnly: c.CaptureOnly, Data: c.Data, Admin: c.Admin, Console: c.Console,
	})
	if err != nil {
		return err
	}
	log := newLog(config.Log, s.err)
	for _, warning := range warnings {
		log.Warn(warning)
	}
	spareMemory()
	return newDaemon(config, log).run(ctx)
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
	profiles, err := config.usableProfiles()
	if err == nil {
		err = config.misfits(profiles)
	}
	if err != nil {
		return Config{}, nil, err
	}
	for _, dropped := range config.droppedReadings(profiles) {
		warnings = append(warnings, dropped.Error())
	}
	return config, warnings, nil
}

// newLog writes to stderr: journald takes it from there.
func newLog(settings LogSettings, to io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: settings.slogLevel()}
	if settings.Format == "text" {
		return slog.New(slog.NewTextHandler(to, options))
	}
	return slog.New(slog.NewJSONHandler(to, options))
}
