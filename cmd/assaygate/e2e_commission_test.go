package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/commission"
	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
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

// checkedLine runs a gateway with one instrument, and SENAITE behind it.
func checkedLine(t *testing.T, line string, change ...string) (*running, *senaitetest.Server) {
	t.Helper()
	server, directory := newLIMS(t), t.TempDir()
	server.OrderAsPushed(true)
	to := fmt.Sprintf("destinations: [{name: lims, accept_test: true, senaite: {url: %q, username: %q, password: %q, confirm: {after: 2s}}}]\n",
		server.URL, senaitetest.Username, senaitetest.Password)
	to = strings.NewReplacer(change...).Replace(to)
	return start(t, base(directory)+"instruments: [{name: analyser, "+line+"}]\n"+to), server
}

// serialLine is checkedLine on a terminal, whose other end is the instrument's.
func serialLine(t *testing.T, change ...string) (*running, *os.File, *senaitetest.Server) {
	t.Helper()
	instrument, path := terminal(t)
	r, server := checkedLine(t, fmt.Sprintf("serial: {port: %q}", path), change...)
	eventually(t, "the port is open", func() bool { return r.metrics.state("analyser").up })
	return r, instrument, server
}

const lanLine = `astm: {listen: "127.0.0.1:0"}`

// sends writes what an analyser sends, and reads one answer for each.
func sends(t *testing.T, line io.ReadWriter, units ...[]byte) {
	t.Helper()
	for _, unit := range units {
		if _, err := line.Write(unit); err != nil {
			t.Fatal(err)
		}
		if unit[0] == lis01.EOT {
			continue
		}
		if _, err := io.ReadFull(line, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// sessionOf is a message as an analyser sends it.
func sessionOf(text string) [][]byte { return [][]byte{{lis01.ENQ}, oneFrame(text), {lis01.EOT}} }

func oneFrame(text string) []byte {
	return lis01.AppendFrame(nil, lis01.Frame{Number: '1', Text: []byte(text), End: true})
}

// knownText is a message of an analyser that a profile knows.
func knownText(id string) string { return astmText("XN-550^1", id, id) }

func TestCommissionNamesTheLayerOfASerialLine(t *testing.T) {
	spoilt := oneFrame(knownText("1"))
	spoilt[len(spoilt)-3] ^= 1
	withoutEnd, _, _ := strings.Cut(knownText("1"), "L|1")
	for name, test := range map[string]struct {
		act  func(*testing.T, *os.File)
		at   commission.Key
		seen string
	}{
		"no bytes": {func(*testing.T, *os.File) {}, commission.BytesLayer, "Not one byte"},
		"another speed": {func(t *testing.T, line *os.File) {
			if _, err := line.Write([]byte("\xf8\x80\x00\xe6\x86\xff\x00\x9e\x78\xfe")); err != nil {
				t.Fatal(err)
			}
		}, commission.FormatLayer, "none that an analyser sends"},
		"a printer": {func(t *testing.T, line *os.File) {
			if _, err := line.WriteString("WBC 5.1\r\nRBC 4.2\r\n"); err != nil {
				t.Fatal(err)
			}
		}, commission.GreetingLayer, "none of them is an ENQ"},
		"ENQ only": {func(t *testing.T, line *os.File) {
			sends(t, line, []byte{lis01.ENQ}, []byte{lis01.ENQ}, []byte{lis01.ENQ})
		}, commission.FramesLayer, "greeted 3 times"},
		"wrong checksums": {func(t *testing.T, line *os.File) {
			sends(t, line, []byte{lis01.ENQ}, spoilt, spoilt, []byte{lis01.EOT})
		}, commission.FramesLayer, "checksum was wrong"},
		"no terminator": {func(t *testing.T, line *os.File) {
			sends(t, line, sessionOf(withoutEnd)...)
		}, commission.RecordsLayer, "no terminator record"},
		"unknown header": {func(t *testing.T, line *os.File) {
			sends(t, line, sessionOf(astmText("Nobody^9", "1", "S-1"))...)
		}, commission.RecognisedLayer, "general one (generic_astm)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, line, _ := serialLine(t)
			c := r.check("analyser", "lims").sent()
			test.act(t, line)
			c.faultAt(test.at, test.seen)
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
	spoilt := oneFrame(knownText("1"))
	spoilt[len(spoilt)-3] ^= 1
	sends(t, line, []byte{lis01.ENQ}, spoilt)
	c.faultAt(commission.FramesLayer, "checksum")
	sends(t, line, sessionOf(knownText("1"))[1:]...)
	c.well(map[commission.Key]commission.Verdict{commission.ModemLayer: commission.NotKnown})
	if view := c.look(); view.Message == "" {
		t.Error("the check does not say which message came")
	}
}

func TestCommissionOfAPort(t *testing.T) {
	r, _ := checkedLine(t, `serial: {port: /dev/ttyNOT9}`)
	r.check("analyser", "lims").faultAt(commission.PortLayer, "No port /dev/ttyNOT9 is there")
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

func TestCommissionOfAListener(t *testing.T) {
	t.Run("nobody connects", func(t *testing.T) {
		t.Parallel()
		r, _ := checkedLine(t, lanLine)
		r.check("analyser", "lims").sent().faultAt(commission.ConnectionLayer, "Nobody has connected")
	})
	t.Run("allow_from", func(t *testing.T) {
		t.Parallel()
		r, _ := checkedLine(t, lanLine+", allow_from: [10.20.0.0/24]")
		c := r.check("analyser", "lims")
		dial(t, r.addresses["analyser"])
		c.faultAt(commission.ConnectionLayer, "127.0.0.1")
	})
	t.Run("no TLS", func(t *testing.T) {
		t.Parallel()
		box := certificate(t, t.TempDir(), "box")
		r, _ := checkedLine(t, lanLine+fmt.Sprintf(", tls: {certificate: %q, key: %q}", box.Certificate, box.Key))
		c := r.check("analyser", "lims")
		_, _ = dial(t, r.addresses["analyser"]).Write([]byte{lis01.ENQ})
		c.faultAt(commission.ConnectionLayer, "does not speak TLS")
	})
	t.Run("TLS files", func(t *testing.T) {
		t.Parallel()
		r, _ := checkedLine(t, lanLine+`, tls: {certificate: /nowhere/box.pem, key: /nowhere/box.key}`)
		r.check("analyser", "lims").faultAt(commission.AddressLayer, "/nowhere/box")
	})
	t.Run("connected, and silent", func(t *testing.T) {
		t.Parallel()
		r, _ := checkedLine(t, lanLine)
		c := r.check("analyser", "lims").sent()
		dial(t, r.addresses["analyser"])
		c.faultAt(commission.BytesLayer, "not one byte")
	})
	t.Run("HL7 on an ASTM line", func(t *testing.T) {
		t.Parallel()
		r, _ := checkedLine(t, lanLine)
		c := r.check("analyser", "lims")
		_, _ = dial(t, r.addresses["analyser"]).Write(mllp.AppendBlock(nil, []byte(hl7Text("X", "1", "1"))))
		c.faultAt(commission.GreetingLayer, "speaks HL7")
	})
	t.Run("well", func(t *testing.T) {
		t.Parallel()
		r, _ := checkedLine(t, lanLine)
		c := r.check("analyser", "lims")
		sends(t, dial(t, r.addresses["analyser"]), sessionOf(knownText("1"))...)
		c.well(nil)
	})
}

func TestCommissionOfAnHL7Line(t *testing.T) {
	line := `profile: mindray_hl7, hl7: {listen: "127.0.0.1:0"}`
	says := func(t *testing.T, r *running, text string) {
		conn := dial(t, r.addresses["analyser"])
		if _, err := conn.Write(mllp.AppendBlock(nil, []byte(text))); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("a type that is not taken", func(t *testing.T) {
		t.Parallel()
		r, _ := checkedLine(t, line)
		c := r.check("analyser", "lims")
		says(t, r, strings.Replace(hl7Text("X", "1", "1"), "ORU^R01", "ADT^A01", 1))
		c.faultAt(commission.RecordsLayer, "AR")
	})
	t.Run("a block without end", func(t *testing.T) {
		t.Parallel()
		r, _ := checkedLine(t, line)
		c := r.check("analyser", "lims")
		_, _ = dial(t, r.addresses["analyser"]).Write([]byte("\x0bMSH|^~\\&|"))
		c.faultAt(commission.FramesLayer, "no end of it")
	})
	t.Run("well", func(t *testing.T) {
		t.Parallel()
		r, _ := checkedLine(t, strings.Replace(line, "mindray_hl7", "generic_hl7", 1))
		c := r.check("analyser", "lims")
		says(t, r, hl7Text("X", "1", "S-1"))
		c.well(nil)
	})
}

func TestCommissionOfADialledLine(t *testing.T) {
	r, _ := checkedLine(t, fmt.Sprintf("astm: {dial: %q}", freePort(t)))
	r.check("analyser", "lims").faultAt(commission.ReachLayer, "refused")
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

func TestCommissionNamesTheLayerOfTheLIMS(t *testing.T) {
	for name, test := range map[string]struct {
		change []string // of the configuration
		mode   senaitetest.Mode
		act    func(*senaitetest.Server)
		at     commission.Key
		seen   string
	}{
		"down":           {mode: senaitetest.Down, at: commission.LIMSLayer, seen: "No connection"},
		"another site":   {mode: senaitetest.NotJSON, at: commission.LIMSLayer, seen: "not as a SENAITE"},
		"no TLS there":   {change: []string{"http://", "https://"}, at: commission.LIMSLayer, seen: "No TLS"},
		"no such name":   {change: []string{"http://127.0.0.1", "https://lims.invalid"}, at: commission.LIMSLayer, seen: "not found"},
		"wrong password": {change: []string{`"` + senaitetest.Password + `"`, "hunter2"}, at: commission.LoginLayer, seen: "refuses the credentials"},
		"no consumer":    {change: []string{"confirm:", "consumer: my.consumer, confirm:"}, at: commission.ConsumerLayer, seen: "my.consumer"},
		"refusing":       {mode: senaitetest.Unsuccessful, at: commission.ReceivedLayer, seen: "without success"},
		"not there":      {act: func(s *senaitetest.Server) { s.OrderAsPushed(false) }, at: commission.ConfirmedLayer, seen: "do not stand there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, server := checkedLine(t, lanLine, test.change...)
			if test.act != nil {
				test.act(server)
			}
			if test.mode != "" {
				if err := server.Set(test.mode); err != nil {
					t.Fatal(err)
				}
			}
			c := r.check("analyser", "lims")
			sends(t, dial(t, r.addresses["analyser"]), sessionOf(knownText("1"))...)
			c.faultAt(test.at, test.seen)
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

func verdictIn(view console.Check, layer commission.Key) string {
	for _, l := range view.Layers {
		if l.Key == string(layer) {
			return l.Verdict
		}
	}
	return ""
}
