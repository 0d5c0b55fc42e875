//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/commission"
	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// checking is a person who checks a line.
type checking struct {
	*running
	of console.CheckOf
}

// check begins a check of an instrument.
func (r *running) check(instrument, destination string) checking {
	c := checking{r, console.CheckOf{Person: "anna", Instrument: instrument, Destination: destination}}
	r.beginCheckOf(r.t.Context(), c.of)
	return c
}

// look is the check as the page shows it.
func (c checking) look() console.Check {
	c.t.Helper()
	view, is := c.lookAtCheck(c.t.Context(), c.of)
	if !is {
		c.t.Fatalf("there is no instrument %s", c.of.Instrument)
	}
	return view
}

// sent has the person say that the analyser has sent, some time ago.
func (c checking) sent() checking {
	c.checks.change(checkOf{c.of.Person, c.of.Instrument}, func(now *check) { now.sent = time.Now().Add(-time.Minute) })
	return c
}

// faultAt waits until the check names this layer, and expects that it names no
// other, and says this.
func (c checking) faultAt(layer commission.Key, seen string) {
	c.t.Helper()
	var view console.Check
	defer func() {
		if c.t.Failed() {
			for _, l := range view.Layers {
				c.t.Logf("%-15s %-15s %s", l.Title, l.Verdict, l.Seen)
			}
		}
	}()
	eventually(c.t, "the check names "+string(layer), func() bool {
		view = c.look()
		return len(faults(view)) == 1 && faults(view)[0].Key == string(layer)
	})
	fault := faults(view)[0]
	if !strings.Contains(fault.Seen, seen) || fault.Do == "" {
		c.t.Errorf("%s says %q, do %q; want %q", layer, fault.Seen, fault.Do, seen)
	}
	if !view.Conclusion.IsFault() || !strings.Contains(view.Conclusion.Text, fault.Title) {
		c.t.Errorf("concluded: %+v", view.Conclusion)
	}
}

// well waits until nothing is left to be wished.
func (c checking) well(otherwise map[commission.Key]commission.Verdict) {
	c.t.Helper()
	var view console.Check
	eventually(c.t, "the check finds all well", func() bool {
		view = c.look()
		return view.Conclusion.Verdict == string(commission.OK)
	})
	for _, l := range view.Layers {
		want := commission.OK
		if other, is := otherwise[commission.Key(l.Key)]; is {
			want = other
		}
		if l.Verdict != string(want) {
			c.t.Errorf("%s is %s, want %s: %s", l.Title, l.Verdict, want, l.Seen)
		}
	}
}

func faults(view console.Check) (list []console.Layer) {
	for _, l := range view.Layers {
		if l.IsFault() {
			list = append(list, l)
		}
	}
	return list
}

func TestCommissionNamesEachFaultByItsLayer(t *testing.T) {
	for _, planted := range plantedFaults() {
		t.Run(planted.name, func(t *testing.T) {
			t.Parallel()
			r, act := planted.start(t)
			c := r.check("analyser", "lims")
			act(t)
			if planted.said {
				c.sent()
			}
			c.faultAt(planted.at, planted.seen)
		})
	}
}

// What was wrong is put right, and the same check finds all well.
func TestCommissionFindsALineWell(t *testing.T) {
	r, line, _ := serialLine(t)
	c := r.check("analyser", "lims")
	if view := c.look(); view.Conclusion.Verdict != string(commission.Waiting) {
		t.Errorf("before anything came: %+v", view.Conclusion)
	}
	sends(t, line, []byte{lis01.ENQ}, spoiltFrame())
	c.faultAt(commission.FramesLayer, "checksum")
	sends(t, line, sessionOf(knownText("1"))[1:]...)
	c.well(map[commission.Key]commission.Verdict{commission.ModemLayer: commission.NotKnown})
	if view := c.look(); view.Message == "" {
		t.Error("the check does not say which message came")
	}
}

// A control and a test are the samples of no patient that a line is tried with: no
// result of them is read back, and the check comes to its end without.
func TestCommissionWithAControl(t *testing.T) {
	for name, text := range map[string]string{
		"control": strings.Replace(knownText("QC-1"), "^^^GLU\r", "^^^GLU|R||||||Q\r", 1),
		"test":    strings.Replace(knownText("S-1"), "|P|1|", "|T|1|", 1),
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := checkedLine(t, lanLine)
			c := r.check("analyser", "lims")
			sends(t, dial(t, r.addresses["analyser"]), sessionOf(text)...)
			c.well(map[commission.Key]commission.Verdict{commission.ConfirmedLayer: commission.NotKnown})
		})
	}
}

func TestCommissionOfAPortInUse(t *testing.T) {
	_, path := terminal(t)
	server, directory := newLIMS(t), t.TempDir()
	alias := directory + "/alias"
	if err := os.Symlink(path, alias); err != nil {
		t.Fatal(err)
	}
	r := start(t, base(directory)+fmt.Sprintf("instruments: [{name: one, serial: {port: %q}}, {name: two, serial: {port: %q}}]", path, alias)+lims(server, directory))
	eventually(t, "one of them has the port", func() bool { return len(r.panel.Held()) == 1 })
	holder := r.panel.Held()[0].Owner
	other := map[string]string{"one": "two", "two": "one"}[holder]
	r.check(other, "lims").faultAt(commission.PortLayer, "in use by the line of "+holder)
}

// Instruments behind one address are told apart, and what is another's is not this
// one's.
func TestCommissionOfASharedListener(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	r := start(t, base(directory)+fmt.Sprintf(`
instruments:
  - {name: xn, profile: sysmex_xn, astm: {listen: %[1]q}}
  - {name: c311, profile: roche_cobas_c311, astm: {listen: %[1]q}}
`, "127.0.0.1:"+portOf(freePort(t)))+lims(server, directory))
	c := r.check("c311", "lims").sent()
	own := r.check("xn", "lims")
	sends(t, dial(t, r.addresses["xn"]), sessionOf(knownText("1"))...)
	c.faultAt(commission.RecognisedLayer, "taken for those of xn")
	for _, l := range own.look().Layers {
		if l.IsFault() && l.Key != string(commission.ConfirmedLayer) {
			t.Errorf("%s: %s", l.Title, l.Seen)
		}
	}
}

func portOf(address string) string {
	_, number, _ := net.SplitHostPort(address)
	return number
}

func TestCommissionFindsLinesOfTheNetworkWell(t *testing.T) {
	for name, test := range map[string]struct {
		line  string
		units [][]byte
	}{
		"astm": {lanLine, sessionOf(knownText("S-1"))},
		"hl7":  {`profile: generic_hl7, hl7: {listen: "127.0.0.1:0"}`, [][]byte{mllp.AppendBlock(nil, []byte(hl7Text("X", "1", "S-1")))}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := checkedLine(t, test.line)
			c := r.check("analyser", "lims")
			sends(t, dial(t, r.addresses["analyser"]), test.units...)
			c.well(nil)
		})
	}
}

func TestCommissionOfADirectory(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	r := start(t, base(directory)+"instruments: [{name: analyser, "+lanLine+"}]\n"+lims(server, directory))
	c := r.check("analyser", "files")
	sends(t, dial(t, r.addresses["analyser"]), sessionOf(knownText("1"))...)
	none := commission.NotApplicable
	c.well(map[commission.Key]commission.Verdict{commission.LoginLayer: none, commission.ConsumerLayer: none, commission.ConfirmedLayer: none})
}

// While there is no store all lines are closed, which is no fault of theirs.
func TestCommissionWithoutAStore(t *testing.T) {
	r, _ := checkedLine(t, lanLine)
	c := r.check("analyser", "lims")
	checked := false
	err := r.Reopen(t.Context(), func() error {
		c.faultAt(commission.StoredLayer, "store is not open")
		checked = true
		return nil
	})
	if err != nil || !checked {
		t.Errorf("reopened with %v, checked %v", err, checked)
	}
}

// An analyser that only asks for orders has sent no result, also where its question
// went to the LIMS as a message.
func TestCommissionOfAnAnalyserThatOnlyAsks(t *testing.T) {
	for name, test := range map[string]struct {
		line  string
		units [][]byte
	}{
		"astm": {lanLine, sessionOf("H|\\^&|||XN-550^1|||||||P|1|20260102030405\rQ|1|^S-1||ALL||||||||O\rL|1|N\r")},
		"hl7": {`profile: generic_hl7, hl7: {listen: "127.0.0.1:0"}`, [][]byte{mllp.AppendBlock(nil,
			[]byte("MSH|^~\\&|X|Lab|||20260102030405||QRY^Q02|1|P|2.3.1\rQRD|20260102030405|R|D|1|||RD|S-1|OTH|||T\r"))}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := checkedLine(t, test.line)
			c := r.check("analyser", "lims")
			sends(t, dial(t, r.addresses["analyser"]), test.units...)
			eventually(t, "the check says so", func() bool {
				return strings.Contains(c.look().Conclusion.Text, "has asked for orders, and sent no result; questions: 1")
			})
		})
	}
}

// What a line speaks may be known by its profile alone.
func TestCommissionOfALineWhoseProfileSaysWhatItSpeaks(t *testing.T) {
	instrument, path := terminal(t)
	r, _ := checkedLine(t, fmt.Sprintf("profile: generic_hl7, serial: {port: %q}", path))
	eventually(t, "the port is open", func() bool { return r.metrics.state("analyser").up })
	c := r.check("analyser", "lims")
	sends(t, instrument, mllp.AppendBlock(nil, []byte(hl7Text("X", "1", "S-1"))))
	c.well(map[commission.Key]commission.Verdict{commission.ModemLayer: commission.NotKnown})
	if help := strings.Join(c.look().Help, " "); !strings.Contains(help, "HL7") || !strings.Contains(help, "9600 8N1") {
		t.Errorf("at the analyser: %s", help)
	}
}

// A check that nobody looks at makes room for another.
func TestChecksAreBounded(t *testing.T) {
	list := newChecks()
	begin := func() check { return check{begun: time.Now()} }
	for n := range 3 * mostChecks {
		list.look(checkOf{fmt.Sprint(n), "analyser"}, begin)
	}
	if len(list.list) != mostChecks || list.list[checkOf{fmt.Sprint(3*mostChecks - 1), "analyser"}] == nil || list.list[checkOf{"0", "analyser"}] != nil {
		t.Errorf("%d checks are kept", len(list.list))
	}
}

// A LIMS is asked while somebody looks, and not more often than it can bear.
func TestTheLIMSIsNotAskedAllTheTime(t *testing.T) {
	r, server := checkedLine(t, lanLine)
	c := r.check("analyser", "lims")
	eventually(t, "the LIMS answers", func() bool { return verdictIn(c.look(), commission.LIMSLayer) == string(commission.OK) })
	before := server.Requests("version")
	begun := time.Now()
	for range 50 {
		c.look()
	}
	if more := server.Requests("version") - before; more > 1+int(time.Since(begun)/probeEvery) {
		t.Errorf("asked %d times in %s", more, time.Since(begun))
	}
}

// Some lock an account that is tried too often.
func TestRefusedCredentialsAreTriedLessAndLess(t *testing.T) {
	p, q := newProber(), limsQuestion{destination: Destination{Name: "lims"}}
	var last time.Duration
	for n := range 30 {
		p.note(q, commission.Probe{Stage: commission.AtLogin})
		answer, _ := p.answer("lims", q.made)
		if answer.pause() < last || n == 0 && answer.pause() != refusedPause {
			t.Errorf("after %d refusals it is asked again in %s", n+1, answer.pause())
		}
		last = answer.pause()
	}
	p.note(q, commission.Probe{Stage: commission.Well})
	if answer, _ := p.answer("lims", q.made); last != longestProbePause || answer.pause() != probeEvery {
		t.Errorf("at last %s, and %s once it is well", last, answer.pause())
	}
}

func verdictIn(view console.Check, layer commission.Key) string {
	for _, l := range view.Layers {
		if l.Key == string(layer) {
			return l.Verdict
		}
	}
	return ""
}
