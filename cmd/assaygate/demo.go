package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/simulator"
)

// demoInterval is the pause between two messages of a simulated instrument.
const demoInterval = 3 * time.Second

// The demo's instruments.
const (
	demoSerial = "chemistry-serial"
	demoASTM   = "haematology-astm"
	demoHL7    = "haematology-hl7"
)

// demoFile is the demo's configuration: an instrument on each kind of line, and
// files instead of a LIMS. %s are a terminal, the store and the captures.
const demoFile = `version: 1
box: {name: demo}
instruments:
  - {name: ` + demoSerial + `, serial: {port: %q}}
  - {name: ` + demoASTM + `, astm: {listen: "127.0.0.1:0"}}
  - {name: ` + demoHL7 + `, hl7: {listen: "127.0.0.1:0"}}
destinations:
  - {name: captures, capture: {directory: %q}}
spool: {directory: %q}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
log: {level: info, format: text}
`

// runDemo plays three simulated instruments against a gateway of its own, on
// free ports and in a directory that is gone afterwards.
func runDemo(ctx context.Context, s *streams) (err error) {
	directory, err := os.MkdirTemp("", "assaygate-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	terminal, path, err := port.OpenPTY()
	if err != nil {
		return fmt.Errorf("the demo needs a terminal: %w", err)
	}
	defer terminal.Close()
	text := fmt.Sprintf(demoFile, path, filepath.Join(directory, "captures"), filepath.Join(directory, "spool"))
	config, err := parseConfig([]byte(text), "demo")
	if err != nil {
		return err
	}
	log := newLog(config.Log, s.err)
	d := newDaemon(config, log)
	d.bound = make(chan bound, 4)

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var instruments sync.WaitGroup
	defer instruments.Wait()
	instruments.Go(func() { playDemo(ctx, s, d.bound, terminal, log) })
	return d.run(ctx)
}

// playOnTerminal plays again whenever nobody has the terminal open, as it is
// until the gateway has opened its serial lines.
func playOnTerminal(ctx context.Context, terminal *os.File) {
	for simulator.Demo(ctx, terminal, "roche_cobas_c111.astm", demoInterval) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// playDemo waits until the gateway has its addresses, prints the URLs, and
// starts the instruments.
func playDemo(ctx context.Context, s *streams, addresses <-chan bound, terminal *os.File, log *slog.Logger) {
	at := map[string]string{}
	for len(at) < 4 {
		select {
		case <-ctx.Done():
			return
		case b := <-addresses:
			at[b.name] = b.address
		}
	}
	fmt.Fprintf(s.out, "\nThe demo is running; stop it with Ctrl-C. Open:\n"+
		"  http://%s/           the console\n"+
		"  http://%s/messages   the messages\n"+
		"  http://%s/stats      the counters\n\n", at[consoleServer], at[consoleServer], at[adminServer])
	var playing sync.WaitGroup
	defer playing.Wait()
	play := func(capture string, line port.Line) {
		playing.Go(func() {
			defer line.Close()
			if err := simulator.Demo(ctx, line, capture, demoInterval); err != nil {
				log.Error("a simulated instrument has stopped", "capture", capture, "error", err)
			}
		})
	}
	playing.Go(func() { playOnTerminal(ctx, terminal) })
	for name, capture := range map[string]string{demoASTM: "sysmex_xn.astm", demoHL7: "hemoscreen.hl7"} {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at[name])
		if err != nil {
			log.Error("a simulated instrument cannot reach the gateway", "capture", capture, "error", err)
			continue
		}
		play(capture, conn)
	}
}
