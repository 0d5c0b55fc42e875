package imagetest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Ports of the box that this machine forwards to. Some of them nothing must answer on.
const (
	mllpPort    = "2575"
	consolePort = "8443"
	adminPort   = "9110"
	sshPort     = "22"
)

// machine is one emulated board, from switching it on until its power is cut. What it is made of is as in a real one: a
// boot loader, an SD card, a hardware watchdog, USB.
type machine struct {
	process *exec.Cmd
	keys    io.Writer // the keyboard of the serial console
	console *transcript
	journal *transcript // of the debug image, once it is asked for
	shell   *shell      // of the debug image
	*monitor
	usb   string // the bus that sticks go to
	ports map[string]string
	ended chan struct{}
	files []io.Closer
}

// hardware is what a machine is made of.
type hardware struct {
	images
	directory string   // for sockets and logs
	card      string   // the image of its SD card
	socket    string   // where it looks for the analyser's cable
	outside   string   // the address of the LIMS that it sees as 10.0.2.100
	server    string   // that of the server of releases, which it sees as releasesAddress
	debug     bool     // whether there is a shell
	more      []string // more of the emulator's arguments
	instead   []string // the arguments of another board
}

// lines returns the emulator's arguments.
func (h hardware) lines() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	network := "user,id=net,restrict=on"
	for guest, here := range map[string]string{"10.0.2.100:80": h.outside, releasesAddress + ":443": h.server} {
		network += fmt.Sprintf(",guestfwd=tcp:%s-cmd:env %s=%s %s", guest, pipeVariable, here, self)
	}
	for _, port := range []string{mllpPort, consolePort, adminPort, sshPort} {
		network += ",hostfwd=tcp:127.0.0.1:0-:" + port
	}
	in := func(name string) string { return filepath.Join(h.directory, name) }
	console := []string{
		"-display", "none", "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console", "-qmp", "unix:" + in("qmp") + ",server=on,wait=off",
	}
	if h.instead != nil { // the Pi's console is the second of its serial lines
		return slices.Concat([]string{"-serial", "null"}, console, h.instead), nil
	}
	args := []string{
		"-M", "virt", "-cpu", "max,pauth=off,sve=off", "-smp", "2", "-m", "512",
		"-no-user-config", "-nodefaults",
		"-device", "sdhci-pci", "-drive", "if=none,id=card,format=raw,file=" + h.card, "-device", "sd-card,drive=card",
		"-device", "i6300esb", "-action", "watchdog=reset", "-device", "virtio-rng-pci",
		"-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile=",
		"-object", "filter-dump,id=packets,netdev=net,file=" + in("packets.pcap"),
		"-netdev", "user,id=other,restrict=on", // of the network adapter that somebody plugs in
		// The cable is plugged in while somebody listens at the socket.
		"-device", "qemu-xhci,id=usb", "-chardev", "socket,id=cable,path=" + h.socket + ",reconnect=1",
		"-device", "usb-serial,chardev=cable,serial=" + adapterSerial + ",bus=usb.0,port=1",
	}
	if h.uboot != "" {
		args = append(args, "-bios", h.uboot)
	}
	if h.debug {
		args = append(
			args, "-device", "virtio-serial-pci",
			"-chardev", "socket,id=shell,server=on,wait=off,path="+in("shell"), "-device", "virtserialport,chardev=shell,name=org.assaygate.debug",
			"-chardev", "socket,id=journal,server=on,wait=off,path="+in("journal"), "-device", "virtserialport,chardev=journal,name=org.assaygate.journal",
		)
	}
	return slices.Concat(console, args, h.more), nil
}

// on switches a machine on.
func (h hardware) on() (*machine, error) {
	args, err := h.lines()
	if err != nil {
		return nil, err
	}
	m := &machine{process: exec.Command(h.emulator, args...), ended: make(chan struct{}), usb: "usb.0"}
	log := func(name string) *os.File {
		file, openErr := os.OpenFile(filepath.Join(h.directory, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		err = errors.Join(err, openErr)
		m.files = append(m.files, file)
		return file
	}
	m.console, m.journal = newTranscript("the console", log("console.log")), newTranscript("the journal", log("journal.log"))
	m.process.Stderr = log("emulator.log")
	shellLog := log("shell.log")
	keys, err1 := m.process.StdinPipe()
	screen, err2 := m.process.StdoutPipe()
	if err := errors.Join(err, err1, err2); err != nil {
		return nil, err
	}
	m.keys = keys
	// What an earlier machine has left would be taken for this one's.
	for _, name := range []string{"qmp", "shell", "journal"} {
		_ = os.Remove(filepath.Join(h.directory, name))
	}
	if err := m.process.Start(); err != nil {
		return nil, fmt.Errorf("%w (make deps installs it)", err)
	}
	go func() {
		m.console.follow(screen)
		_ = m.process.Wait() // how it ended says nothing: it is killed
		close(m.ended)
	}()
	if err := m.connect(h, shellLog); err != nil {
		m.cut()
		said, _ := os.ReadFile(filepath.Join(h.directory, "emulator.log"))
		return nil, fmt.Errorf("%w: %s", err, tail(string(said)))
	}
	return m, nil
}

// connect opens the machine's sockets, as soon as the emulator has made them.
func (m *machine) connect(h hardware, shellLog *os.File) (err error) {
	in := func(name string) string { return filepath.Join(h.directory, name) }
	if err := m.poll(momentLimit, "the emulator's monitor", func() (bool, error) {
		m.monitor, err = openMonitor(in("qmp"))
		return err == nil, nil
	}); err != nil {
		return err
	}
	if h.instead != nil {
		return nil
	}
	if m.ports, err = m.forwards(); err != nil || !h.debug {
		return err
	}
	if m.shell, err = openShell(in("shell"), shellLog); err != nil {
		return err
	}
	journal, err := net.Dial("unix", in("journal"))
	if err != nil {
		return err
	}
	m.files = append(m.files, m.shell.conn, journal)
	go m.journal.follow(journal)
	return nil
}

// poll asks again and again for what gives no word by itself.
func (m *machine) poll(within time.Duration, what string, is func() (bool, error)) error {
	ask := time.NewTicker(50 * time.Millisecond)
	defer ask.Stop()
	end := time.NewTimer(within)
	defer end.Stop()
	for {
		if there, err := is(); there || err != nil {
			return err
		}
		select {
		case <-ask.C:
		case <-m.ended:
			return fmt.Errorf("the emulator has ended before there was %s", what)
		case <-end.C:
			return fmt.Errorf("no %s within %v", what, within)
		}
	}
}

// cut cuts the power.
func (m *machine) cut() {
	_ = m.process.Process.Kill() // it may have ended
	<-m.ended
	if m.monitor != nil {
		m.monitor.conn.Close()
	}
	for _, file := range m.files {
		file.Close()
	}
}

// booted waits until the machine, which was switched on or reset at this place of its console, is ready, and returns the
// slot that it runs.
func (m *machine) booted(from int, within time.Duration) (slot string, next int, err error) {
	match, next, err := m.console.wait(within, from, booting)
	if err != nil {
		return "", next, err
	}
	_, next, err = m.console.wait(within, next, ready)
	if err == nil && m.shell != nil {
		err = m.followJournal()
	}
	return match[1], next, err
}

// followJournal has the box write its journal, from the start of the system on, to a port of its own.
func (m *machine) followJournal() error {
	_, err := m.do("journalctl -b -f -n all -o short-monotonic >/dev/virtio-ports/org.assaygate.journal 2>&1 &")
	return err
}

// do runs a command on the box, which must succeed.
func (m *machine) do(command string) (string, error) {
	output, status, err := m.shell.run(momentLimit, command)
	if err == nil && status != 0 {
		err = fmt.Errorf("%s: status %d: %s", command, status, tail(output))
	}
	return strings.TrimSpace(output), err
}
