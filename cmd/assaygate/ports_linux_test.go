package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/probe"
)

// sockets are the USB sockets of a computer that is made up: its /sys and /dev
// are files and links, and behind each device is a pseudo terminal.
type sockets struct {
	port.System
	t *testing.T
}

func newSockets(t *testing.T) *sockets {
	root := t.TempDir()
	s := &sockets{t: t, System: port.System{Sys: root + "/sys", Dev: root + "/dev"}}
	s.do(os.MkdirAll(s.Dev, 0o755), os.MkdirAll(s.Sys+"/class/tty", 0o755), os.MkdirAll(s.Sys+"/devices", 0o755))
	return s
}

func (s *sockets) do(errs ...error) {
	s.t.Helper()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatal(err)
	}
}

// adapter is one that is plugged in: the instrument's end of its cable.
type adapter struct {
	*os.File
	s       *sockets
	tty, at string
}

// plug puts an adapter into a socket such as 1-1.3.
func (s *sockets) plug(tty, socket string) *adapter {
	s.t.Helper()
	instrument, device := terminal(s.t)
	a := &adapter{File: instrument, s: s, tty: tty, at: filepath.Join(s.Sys, "devices", "usb1", socket)}
	iface := filepath.Join(a.at, socket+":1.0")
	class := filepath.Join(iface, tty, "tty", tty)
	s.do(os.MkdirAll(class, 0o755))
	for file, text := range map[string]string{
		a.at + "/idVendor": "1a86", a.at + "/idProduct": "7523", a.at + "/product": "USB Serial", iface + "/bInterfaceNumber": "00", iface + "/" + tty + "/port_number": "0",
	} {
		s.do(os.WriteFile(file, []byte(text+"\n"), 0o600))
	}
	s.do(
		os.Symlink("../../../"+tty, class+"/device"), os.Symlink("/bus/usb/drivers/ch341", iface+"/driver"),
		os.Symlink(class, s.Sys+"/class/tty/"+tty), os.Symlink(device, filepath.Join(s.Dev, tty)),
	)
	return a
}

// pull takes it out again.
func (a *adapter) pull() {
	a.s.t.Helper()
	a.s.do(os.Remove(filepath.Join(a.s.Dev, a.tty)), os.Remove(a.s.Sys+"/class/tty/"+a.tty), os.RemoveAll(a.at), a.Close())
}

// acknowledges expects that the gateway answers at the other end.
func (a *adapter) acknowledges() {
	a.s.t.Helper()
	answer := make([]byte, 1)
	a.s.do(a.SetDeadline(time.Now().Add(time.Minute)))
	if _, err := io.WriteString(a, "\x05"); err != nil {
		a.s.t.Fatal(err)
	}
	if _, err := io.ReadFull(a, answer); err != nil || answer[0] != 6 {
		a.s.t.Fatalf("answered %q, %v", answer, err)
	}
	if _, err := io.WriteString(a, "\x04"); err != nil {
		a.s.t.Fatal(err)
	}
}

// start runs a gateway on this computer.
func (s *sockets) start(yaml string) *running {
	s.t.Helper()
	config, err := parseConfig([]byte("version: 1\n"+yaml), "test")
	s.do(err)
	log := &lockedBuffer{}
	d := newDaemon(config, newLog(config.Log, log))
	d.panel.System = s.System
	return follow(s.t, d, log, "gateway ready")
}

// A line is named by its socket: it waits for the adapter, is there as soon as
// that is, and finds it again under another device's name.
func TestALineIsNamedByItsSocket(t *testing.T) {
	s := newSockets(t)
	s.plug("ttyUSB0", "1-1.2") // another one, which is not taken instead
	r := s.start(base(t.TempDir()) + `instruments: [{name: xn, serial: {port: "usb:1-1.3"}}]`)
	eventually(t, "it says what is missing", func() bool {
		return strings.Contains(r.log.text(), "serial port usb:1-1.3: nothing is there of this name; there are usb:1-1.2 (")
	})
	for _, tty := range []string{"ttyUSB1", "ttyUSB2"} {
		a := s.plug(tty, "1-1.3")
		up := func() bool { held := r.panel.Held(); return len(held) == 1 && filepath.Base(held[0].Path) == tty }
		eventually(t, "the line is up on "+tty, up)
		a.acknowledges()
		a.pull()
		eventually(t, "the line is down", func() bool { return len(r.panel.Held()) == 0 })
	}
}

func TestTwoInstrumentsOnOnePort(t *testing.T) {
	s := newSockets(t)
	a := s.plug("ttyUSB0", "1-1.3")
	r := s.start(base(t.TempDir()) + fmt.Sprintf(`instruments: [{name: xn, serial: {port: "usb:1-1.3"}}, {name: cobas, serial: {port: %q}}]`, s.Dev+"/ttyUSB0"))
	eventually(t, "one is told of the other", func() bool {
		text := r.log.text()
		return strings.Contains(text, "in use by the line of xn as usb:1-1.3") || strings.Contains(text, "in use by the line of cobas as "+s.Dev)
	})
	a.acknowledges()
}

// What has a port open is found through the gateway, and its modem lines are not
// looked at past it.
func TestPortsAskTheGateway(t *testing.T) {
	s := newSockets(t)
	s.plug("ttyUSB0", "1-1.3")
	r := s.start(base(t.TempDir()) + `instruments: [{name: xn, serial: {port: "usb:1-1.3"}}, {name: lost, serial: {port: "usb:1-1.9"}}]`)
	eventually(t, "the line is up", func() bool { return len(r.panel.Held()) == 1 })
	var gateway gatewayPorts
	eventually(t, "the gateway answers", func() (ok bool) {
		var err error
		gateway, err = askPorts(t.Context(), controlSocket(r.config().Spool.Directory))
		return err == nil
	})
	want := heldPort{Instrument: "xn", Name: "usb:1-1.3", Path: s.Dev + "/ttyUSB0"}
	if gateway.PID != os.Getpid() || len(gateway.Ports) != 1 || gateway.Ports[0] != want {
		t.Errorf("got %+v", gateway)
	}
	s.plug("ttyUSB1", "1-1.4")
	devices, err := s.Devices()
	s.do(err)
	peeked := 0
	view := portsView{
		devices: devices, instruments: r.config().Instruments, lookup: s.Lookup, gateway: gateway, system: s.System,
		peek: func(_ context.Context, path string) (port.ModemLines, error) {
			if peeked++; path != s.Dev+"/ttyUSB1" {
				t.Errorf("opened %s", path)
			}
			return port.ModemLines{CTS: true}, nil
		},
		always: true,
	}
	list := view.list(t.Context())
	if len(list) != 2 || list[0].OpenFor != "xn" || list[1].OpenFor != "" || peeked != 1 {
		t.Fatalf("got %+v, %d peeked", list, peeked)
	}
	if list[0].Instruments[0] != "xn" || len(list[1].Instruments) != 0 || list[0].Modem != nil || list[0].ModemUnknown != "the driver does not tell" {
		t.Errorf("got %+v", list)
	}
	if absent := view.absent(); len(absent) != 1 || !strings.HasPrefix(absent[0], "instrument lost: serial port usb:1-1.9: nothing is there") {
		t.Errorf("absent %q", absent)
	}
	own, err := r.ports(t.Context())
	if err != nil || len(own) != 2 || own[0].OpenFor != "xn" || own[1].ModemUnknown == "" {
		t.Errorf("the gateway's own list: %+v, %v", own, err)
	}
}

// A port that somebody may have open is not opened to look at it.
func TestPortsThatAreInUseAreNotOpened(t *testing.T) {
	s := newSockets(t)
	s.plug("ttyUSB0", "1-1.3")
	devices, err := s.Devices()
	s.do(err)
	proc := t.TempDir()
	s.System.Proc = proc
	peeked := false
	view := portsView{devices: devices, lookup: s.Lookup, system: s.System, peek: func(context.Context, string) (port.ModemLines, error) {
		peeked = true
		return port.ModemLines{}, nil
	}}
	modem := func(always bool) string {
		peeked, view.always = false, always
		return view.list(t.Context())[0].modem()
	}
	if got := modem(false); peeked || !strings.HasPrefix(got, "not looked at: other users' programs may have the port open") {
		t.Errorf("where not all is known: %q", got)
	}
	if got := modem(true); !peeked || got != "CTS off, DSR off, DCD off, RI off; "+deadLines {
		t.Errorf("asked for: %q", got)
	}
	s.do(os.MkdirAll(proc+"/1/fd", 0o755))
	if got := modem(false); !peeked || got == "" {
		t.Errorf("nobody has it: %q", got)
	}
	s.do(os.MkdirAll(proc+"/300/fd", 0o755), os.WriteFile(proc+"/300/comm", []byte("minicom\n"), 0o600))
	device, err := filepath.EvalSymlinks(devices[0].Path)
	s.do(err, os.Symlink(device, proc+"/300/fd/3"))
	for _, always := range []bool{false, true} {
		if got := modem(always); peeked || got != "not looked at: the port is in use" {
			t.Errorf("minicom has it: %q", got)
		}
	}
	var text bytes.Buffer
	s.do(writePorts(&text, view.list(t.Context())))
	want := "usb:1-1.3\n  device    " + s.Dev + "/ttyUSB0\n  adapter   USB Serial, 1a86:7523, no serial number\n  driver    ch341\n" +
		"  used by   minicom (process 300)\n  modem     not looked at: the port is in use\n"
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	encoded, err := json.Marshal(view.list(t.Context()))
	s.do(err)
	wantJSON := fmt.Sprintf(`[{"path":%q,"name":"usb:1-1.3","aliases":[],"driver":"ch341","console":false,"usb":{"socket":"1-1.3","interface":"1.0","port":0,"vendor_id":"1a86","product_id":"7523","manufacturer":"","product":"USB Serial","serial_number":""},`+
		`"instruments":[],"open_for":"","used_by":[{"pid":300,"name":"minicom"}],"modem":null,"modem_unknown":"not looked at: the port is in use"}]`, s.Dev+"/ttyUSB0")
	if string(encoded) != wantJSON {
		t.Errorf("got\n%s\nwant\n%s", encoded, wantJSON)
	}
}

// says has an instrument send something again and again, as it does when nobody
// answers, until the test is over.
func (a *adapter) says(what string) {
	a.s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := io.WriteString(a, what); err != nil {
				ended <- err
				return
			}
			select {
			case <-ctx.Done():
				ended <- nil
				return
			case <-time.After(time.Second):
			}
		}
	}()
	a.s.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			a.s.t.Error(err)
		}
	})
}

// Ports are listened to at the same time, all but those that somebody has; what
// is found is proposed under the name that stays.
func TestProposals(t *testing.T) {
	s := newSockets(t)
	s.plug("ttyUSB0", "1-1.1")
	s.plug("ttyUSB1", "1-1.2").says("\x0bMSH|^~\\&|X|LAB|||20260102030405||ORU^R01|1|P|2.3.1\rOBX|1|NM|GLU||5.4|mmol/L\r\x1c\r")
	s.plug("ttyUSB2", "1-1.3").says("\x05")
	r := s.start(base(t.TempDir()) + `instruments: [{name: xn, serial: {port: "usb:1-1.1"}}]`)
	eventually(t, "the line is up", func() bool { return len(r.panel.Held()) == 1 })
	list, err := r.proposals(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	wantYAML := "serial: {port: \"usb:1-1.2\", baud: 9600, data_bits: 8, parity: none, stop_bits: 1}\nprotocol: hl7\n"
	if p := list[0]; p.err != nil || p.Verdict.Sure != probe.Certain || p.YAML != wantYAML {
		t.Errorf("got %+v", p)
	}
	if p := list[1]; p.err != nil || p.Port != "usb:1-1.3" || p.Verdict.Sure != probe.Likely || p.Verdict.Protocol != "astm" {
		t.Errorf("got %+v", p)
	}
	config := "version: 1\ninstruments:\n  - name: analyser\n    " + strings.ReplaceAll(list[0].YAML, "\n", "\n    ")
	if _, err := parseConfig([]byte(config), "proposal"); err != nil {
		t.Errorf("what is proposed is wrong: %v", err)
	}
	var text bytes.Buffer
	s.do(list[1].write(&text))
	for _, part := range []string{"9600 8N1 ", "ENQ: 3\n", "9600 8N1, likely: ", "what came would be the same with 9600 7E1, ", "  - name: analyser\n    serial: {port: \"usb:1-1.3\", baud: 9600,"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("no %q in\n%s", part, text.String())
		}
	}
}

// A port that is in use or the console is not listened to; one where nothing comes
// is reported as that.
func TestProbeLeavesAloneWhatIsInUse(t *testing.T) {
	s := newSockets(t)
	a := s.plug("ttyUSB0", "1-1.3")
	device := port.Device{Path: s.Dev + "/ttyUSB0", Name: "usb:1-1.3"}
	opened := func() bool {
		a.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := a.Read(make([]byte, 1))
		return errors.Is(err, os.ErrDeadlineExceeded) // else EIO: nobody has it
	}
	first, err := os.OpenFile(device.Path, os.O_RDWR, 0) // before that a read only waits
	s.do(err, first.Close())
	if opened() {
		t.Fatal("whether it is open cannot be told")
	}
	s.System.Proc = t.TempDir()
	real, err := filepath.EvalSymlinks(device.Path)
	s.do(err, os.MkdirAll(s.Proc+"/300/fd", 0o755), os.WriteFile(s.Proc+"/300/comm", []byte("minicom\n"), 0o600), os.Symlink(real, s.Proc+"/300/fd/3"))
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if p := probeOne(soon, s.System, device, nil, nil); p.err == nil || !strings.Contains(p.err.Error(), "usb:1-1.3 is in use by minicom (process 300)") || opened() {
		t.Errorf("got %v", p.err)
	}
	s.do(os.Remove(s.Proc + "/300/fd/3"))
	device.Console = true
	if p := probeOne(soon, s.System, device, nil, nil); p.err == nil || !strings.Contains(p.err.Error(), "console") || opened() {
		t.Errorf("got %v", p.err)
	}
	device.Console = false
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, stop)
	p := probeOne(ctx, s.System, device, nil, nil)
	var text bytes.Buffer
	s.do(p.err, p.write(&text))
	if p.Verdict.Sure != probe.Unknown || p.YAML != "" || text.String() != "9600 8N1       0 s: silence\n" {
		t.Errorf("got %+v\n%s", p, text.String())
	}
}

func TestErrNothing(t *testing.T) {
	silence := probe.Verdict{Saw: []probe.Observation{{Seconds: 35}}}
	noise := probe.Verdict{Saw: []probe.Observation{{Seconds: 35}, {Bursts: 1, Noise: 1}}}
	if a, b := errNothing(silence).Error(), errNothing(noise).Error(); !strings.HasPrefix(a, "nothing came") || !strings.HasPrefix(b, "what came made no sense") {
		t.Errorf("%s; %s", a, b)
	}
}

func TestDescribeStep(t *testing.T) {
	a, b := probe.Setting{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1}, probe.Setting{Baud: 19200, DataBits: 7, Parity: "even", StopBits: 1}
	for _, test := range []struct {
		step probe.Step
		want string
	}{
		{probe.Step{Setting: a, Bytes: 2, Sense: true, Next: a}, "9600 8N1: 2 bytes with sense"},
		{probe.Step{Setting: a, Next: b}, "9600 8N1: silence; now 19200 7E1"},
		{probe.Step{Setting: a, Bytes: 7, Next: b}, "9600 8N1: 7 bytes without sense; now 19200 7E1"},
	} {
		if got := describeStep(test.step); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// The configuration that a stick asks for has the ports that are there, with the
// settings of those where an analyser was heard meanwhile.
func TestStartHearsTheAnalyser(t *testing.T) {
	b := newStickBox(t, "")
	b.end()
	s := newSockets(t)
	s.plug("ttyUSB0", "1-1.2").says("\x0bMSH|^~\\&|X|LAB|||20260102030405||ORU^R01|1|P|2.3.1\rOBX|1|NM|GLU||5.4|mmol/L\r\x1c\r")
	b.ports = s.System
	b.start(t)
	b.plug(t, map[string]string{"start": ""})
	report := b.wantReport(t, "All is well", "usb:1-1.2 (")
	text := strings.ReplaceAll(b.read(t, filepath.Join(b.stick, configdrive.StartName)), "\r\n", "\n")
	want := "  # usb:1-1.2 (" + s.Dev + "/ttyUSB0, USB Serial)\n  # Found by listening: 9600 8N1, which is certain.\n"
	if !strings.Contains(text, want) || !strings.Contains(text, "    serial: {port: \"usb:1-1.2\", baud: 9600, data_bits: 8, parity: none, stop_bits: 1}\n    protocol: hl7\n") {
		t.Errorf("got\n%s\nreport\n%s", text, report)
	}
}

func TestStartEntries(t *testing.T) {
	at := probe.Setting{Baud: 4800, DataBits: 7, Parity: "even", StopBits: 1}
	for _, test := range []struct {
		verdict probe.Verdict
		want    string
	}{
		{probe.Verdict{Sure: probe.Likely, Setting: at, Also: []string{"4800 7N2"}}, "# Found by listening: 4800 7E1, which is likely.\n" +
			"# It would sound the same with 4800 7N2: look which of them the analyser is set to.\n- name: x\n  serial: {port: \"usb:1\", baud: 4800, data_bits: 7, parity: even, stop_bits: 1}"},
		{probe.Verdict{Sure: probe.Guess, Setting: at}, "# Listening heard little: perhaps 4800 7E1.\n- name: x\n  serial: {port: \"usb:1\", baud: <<<SPEED, data_bits: 8, parity: none, stop_bits: 1}    # <<< as the analyser's manual says: 9600, 19200 ..."},
		{probe.Verdict{}, "- name: x\n  serial: {port: \"usb:1\", baud: <<<SPEED, data_bits: 8, parity: none, stop_bits: 1}    # <<< as the analyser's manual says: 9600, 19200 ..."},
	} {
		p := proposal{Port: "usb:1", Verdict: test.verdict, YAML: test.verdict.YAML("usb:1")}
		if got := strings.Join(p.entry("x"), "\n"); got != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
}
