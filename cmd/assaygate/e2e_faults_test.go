//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// faultCase is an instrument with a fault, on a line of its own, and what the
// gateway has of it in the end. Every message that is taken is in the LIMS once.
type faultCase struct {
	fault  string
	quirks string // of the instrument

	taken      int // acknowledged, in the end
	refused    int
	again      int // came whole a second time, and were held back from the LIMS
	incomplete int // parts, kept for the audit

	// fooled says that the gateway takes what is spoilt, for it was told so, and
	// that the instrument says that it does.
	fooled bool

	// long cases wait for time-outs of 30 s and more; tcp or terminal are those
	// that are only for one of them.
	long, tcp, terminal bool
}

// astmFaults are played over TCP and over a terminal.
var astmFaults = []faultCase{
	{fault: "checksum", taken: 2},
	{fault: "checksum:always", refused: 2},
	{fault: "checksum:always", quirks: "checksum: ignore", taken: 2, fooled: true},
	{fault: "numbers", taken: 2},
	{fault: "numbers:same", refused: 2, incomplete: 2},
	{fault: "numbers:same", quirks: "frame_numbers: ignore", taken: 2, fooled: true},
	{fault: "numbers:restart", taken: 2},
	{fault: "numbers:restart", quirks: "frame_numbers: ignore", taken: 2},
	{fault: "lost-ack", taken: 1},
	{fault: "lost-ack:damaged", taken: 2},
	{fault: "lost-ack:session", taken: 1, again: 1},
	{fault: "cut:1", taken: 2, tcp: true},
	{fault: "cut:300", taken: 2, incomplete: 2, tcp: true},
	{fault: "cut:100000", taken: 2, again: 2, tcp: true},
	{fault: "cut:300", taken: 1, incomplete: 1, long: true, terminal: true},
	{fault: "cut:100000", taken: 1, again: 1, long: true, terminal: true},
	{fault: "half-open:1", taken: 2, incomplete: 2},
	{fault: "half-open", taken: 1, incomplete: 1, long: true},
	{fault: "slow:5000", taken: 2},
	{fault: "slow", taken: 1, long: true},
	{fault: "split", taken: 2},
	{fault: "junk", taken: 2},
	{fault: "enq-storm", taken: 2, incomplete: 2},
}

// hl7Faults are played over TCP.
var hl7Faults = []faultCase{
	{fault: "lost-ack", taken: 2, again: 2, long: true},
	{fault: "cut:1", taken: 2},
	{fault: "cut:300", taken: 2, incomplete: 2},
	{fault: "cut:100000", taken: 2, again: 2},
	{fault: "half-open:1", taken: 2, incomplete: 2},
	{fault: "half-open", taken: 1, incomplete: 1, long: true},
	{fault: "slow:5000", taken: 2},
	{fault: "slow", taken: 1, long: true},
	{fault: "split", taken: 2},
	{fault: "junk", taken: 2},
	{fault: "no-end", taken: 2, incomplete: 2, long: true},
	{fault: "no-cr", taken: 2},
	{fault: "start-twice", taken: 2, incomplete: 2},
	{fault: "many", taken: 2},
}

// vendorFaults are played in makers' own formats.
var vendorFaults = []faultCase{{fault: "split", taken: 1}, {fault: "slow:5000", taken: 1}}

// played is a case with the line that it is played on.
type played struct {
	faultCase
	name    string // of the instrument
	capture string
	to      simulator.Target
	line    port.Line // in place of the target
}

// TestFaults plays every fault of the simulator to a gateway, all at the same
// time: in the end each message is in the LIMS once, and a half one never. Long
// cases run with FAULTS=all.
func TestFaults(t *testing.T) {
	all := os.Getenv("FAULTS") == "all"
	var cases []played
	var instruments strings.Builder
	terminals := 0
	add := func(c faultCase, kind, capture string) {
		if c.long && !all {
			return
		}
		p := played{faultCase: c, name: fmt.Sprintf("%s-%d", kind, len(cases)), capture: capture}
		where := ""
		switch kind {
		case "serial":
			instrument, path := terminal(t)
			p.line, where = instrument, fmt.Sprintf("serial: {port: %q}", path)
			terminals++
		default:
			// Instruments of one address share a listener: each has an address of its own.
			where = fmt.Sprintf("%s: {listen: \"127.0.0.%d:0\"}", kind, 2+len(cases))
		}
		fmt.Fprintf(&instruments, "  - {name: %s, %s, quirks: {%s}}\n", p.name, where, c.quirks)
		cases = append(cases, p)
	}
	for _, c := range astmFaults {
		if !c.terminal {
			add(c, "astm", "roche_cobas_c111.astm")
		}
		if !c.tcp {
			add(c, "serial", "roche_cobas_c111.astm")
		}
	}
	for _, c := range hl7Faults {
		add(c, "hl7", "hemoscreen.hl7")
	}
	for _, c := range vendorFaults {
		add(c, "astm", "mini_vidas.bin")
		add(c, "emerald", "celldyn_emerald.bin")
	}
	server, directory := newLIMS(t), t.TempDir()
	r := start(t, base(directory)+"instruments:\n"+instruments.String()+lims(server, directory))
	eventually(t, "all lines are up", func() bool { return strings.Count(r.log.text(), "line up") == terminals })

	var playing sync.WaitGroup // parallel subtests would be no more than there are processors
	for _, p := range cases {
		p.to.Address = r.addresses[p.name]
		playing.Go(func() { p.play(t) })
	}
	playing.Wait()
	r.settled()
	pushed := map[string]int{}
	for _, push := range server.Pushes() {
		var e struct {
			Assaygate struct{ Instrument string }
		}
		if err := json.Unmarshal([]byte(push.Message), &e); err != nil {
			t.Fatal(err)
		}
		pushed[e.Assaygate.Instrument]++
	}
	for _, p := range cases {
		p.arrived(t, r, pushed[p.name])
	}
}

// play plays the case and expects what becomes of it at the instrument.
func (p played) play(t *testing.T) {
	fault, faulty := simulator.ParseFault(p.fault)
	data, missing := simulator.Capture(p.capture)
	messages, unread := simulator.Read(data)
	if err := errors.Join(faulty, missing, unread); err != nil {
		t.Error(err)
		return
	}
	o := simulator.Options{Fault: fault, Count: p.taken + p.refused}
	var result simulator.Result
	var err error
	if p.line != nil {
		result, err = simulator.Play(t.Context(), p.line, messages, o)
	} else {
		result, err = simulator.Run(t.Context(), p.to, messages, o)
	}
	taken := slices.Concat(result.Acknowledged, result.Sent)
	want := [2]int{p.taken, p.refused}
	if p.fooled {
		want = [2]int{0, p.taken}
	}
	if err != nil || [2]int{len(taken), len(result.Refused)} != want {
		t.Errorf("%s, %s: %+v, %v", p.name, p.fault, result, err)
	}
}

// arrived expects what the gateway made of the case.
func (p played) arrived(t *testing.T, r *running, pushed int) {
	t.Helper()
	stored, err := r.store.List(t.Context(), spool.Filter{Instrument: p.name, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	intakes := map[envelope.Intake]int{}
	for _, m := range stored {
		intakes[m.Intake]++
		if m.Intake != envelope.Accepted && m.States["lims"] != "" {
			t.Errorf("%s, %s: what is %s is at the LIMS: %+v", p.name, p.fault, m.Intake, m)
		}
	}
	want := map[envelope.Intake]int{envelope.Accepted: p.taken + p.again, envelope.Incomplete: p.incomplete}
	for _, intake := range []envelope.Intake{envelope.Accepted, envelope.Parked, envelope.Incomplete, envelope.Rejected} {
		if intakes[intake] != want[intake] {
			t.Errorf("%s, %s: %d %s, want %d", p.name, p.fault, intakes[intake], intake, want[intake])
		}
	}
	if pushed != p.taken {
		t.Errorf("%s, %s: %d in the LIMS, want %d", p.name, p.fault, pushed, p.taken)
	}
}

// Every fault that the simulator has is played here, in every language that it
// is for.
func TestEveryFaultIsPlayed(t *testing.T) {
	for _, f := range simulator.Faults() {
		name, _, _ := strings.Cut(f.Name, "[")
		name = strings.TrimSuffix(name, ":N")
		for _, protocol := range f.Fits {
			table := map[simulator.Protocol][]faultCase{simulator.ASTM: astmFaults, simulator.HL7: hl7Faults, simulator.Vendor: vendorFaults}[protocol]
			if !slices.ContainsFunc(table, func(c faultCase) bool { return c.fault == name || strings.HasPrefix(c.fault, name+":") }) {
				t.Errorf("no case of %s for %s", f.Name, protocol)
			}
		}
	}
}
