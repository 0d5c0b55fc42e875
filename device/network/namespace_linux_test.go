package network

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	inside       = "ASSAYGATE_TEST_INSIDE"
	firewallFile = "../../image/rootfs-overlay/usr/share/assaygate/firewall.nft"
)

// inNetwork runs the test again in a process with a network of its own, and
// reports whether this is that process.
func inNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	for _, tool := range []string{"nft", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("*** NOT TESTED: %s is not here (make deps) ***", tool)
		}
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), inside+"=yes")
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	output, err := command.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) {
		t.Skipf("*** NOT TESTED: no network namespaces here: %v ***", err)
	}
	if strings.Contains(string(output), "--- SKIP") {
		t.Skipf("*** NOT TESTED: %s ***", output)
	}
	t.Logf("%s", output)
	if err != nil {
		t.Error(err)
	}
	return false
}

// do runs one command of the system.
func do(t *testing.T, input string, args ...string) {
	t.Helper()
	command := exec.Command(args[0], args[1:]...)
	command.Stdin = strings.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// TestRulesLoad loads each golden ruleset into a kernel.
func TestRulesLoad(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	for path, made := range goldens(t) {
		do(t, "", "nft", "-f", firewallFile)
		for _, file := range made.Files {
			if file.Name == "rules.nft" {
				do(t, string(file.Data), "nft", "-f", "-")
				do(t, string(file.Data), "nft", "-f", "-") // again, over itself
			}
		}
		if t.Failed() {
			t.Fatal(path)
		}
	}
}

// host is another machine at the end of a cable.
type host struct {
	t  *testing.T
	do chan func()
}

// plug joins a host to the box: name is the box's interface.
func plug(t *testing.T, name, box string, addresses ...string) *host {
	h := &host{t: t, do: make(chan func())}
	ready := make(chan error)
	var thread int
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		thread = unix.Gettid()
		err := unix.Unshare(unix.CLONE_NEWNET)
		ready <- err
		for f := range h.do {
			f()
		}
	}()
	t.Cleanup(func() { close(h.do) })
	if err := <-ready; err != nil {
		t.Fatalf("no second network: %v", err)
	}
	do(t, "", "ip", "link", "add", name, "type", "veth", "peer", "name", "cable", "netns", strconv.Itoa(thread))
	do(t, "", "ip", "addr", "add", box, "dev", name)
	do(t, "", "ip", "link", "set", name, "up")
	h.at(func() {
		for _, address := range addresses {
			do(t, "", "ip", "addr", "add", address, "dev", "cable")
		}
		do(t, "", "ip", "link", "set", "cable", "up")
		do(t, "", "ip", "route", "add", "default", "via", strings.Split(box, "/")[0], "dev", "cable")
	})
	return h
}

// at runs f at the host.
func (h *host) at(f func()) {
	done := make(chan struct{})
	h.do <- func() { defer close(done); f() }
	<-done
}

// try dials from an address of the host, and says later whether that was taken.
// What is dropped gets no answer; a cable in a kernel needs no second for one.
func (h *host) try(from, to string) (taken func() bool) {
	target := netip.MustParseAddrPort(to)
	var socket int
	var err error
	h.at(func() {
		socket, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		err = errors.Join(err,
			unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 1}),
			unix.Bind(socket, &unix.SockaddrInet4{Addr: netip.MustParseAddr(from).As4()}))
	})
	if err != nil {
		h.t.Fatalf("%s: %v", from, err)
	}
	result := make(chan error, 1)
	go func() {
		defer unix.Close(socket)
		result <- unix.Connect(socket, &unix.SockaddrInet4{Port: int(target.Port()), Addr: target.Addr().As4()})
	}()
	return func() bool {
		err := <-result
		if err != nil && !errors.Is(err, unix.EINPROGRESS) && !errors.Is(err, unix.EHOSTUNREACH) && !errors.Is(err, unix.ENETUNREACH) {
			h.t.Errorf("%s to %s: neither reached nor dropped: %v", from, to, err)
		}
		return err == nil
	}
}

func (h *host) reaches(from, to string) bool { return h.try(from, to)() }

// mark does networkd's part: it puts an interface into its group.
func mark(t *testing.T, interfaces ...string) {
	for _, name := range interfaces {
		do(t, "", "ip", "link", "set", name, "group", fmt.Sprint(group(name)))
	}
}

// TestFirewallWithSockets puts hosts at both interfaces of a box and sees who
// reaches which port: only whom allow_from names, and console and admin never
// at the analyser's interface unless it is named.
func TestFirewallWithSockets(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	do(t, "", "ip", "link", "set", "lo", "up")
	office := plug(t, "eth0", "10.20.0.5/24", "10.20.0.7/24", "10.20.0.8/24")
	analyser := plug(t, "eth1", "192.168.7.1/24", "192.168.7.20/24", "192.168.7.21/24")
	stranger := plug(t, "usb0", "172.16.0.1/24", "172.16.0.2/24")
	ports := []string{"4010", "2575", "1200", "8080", "9110", "4444"}
	for _, port := range ports {
		l, err := net.Listen("tcp", ":"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	load := func(text string) {
		t.Helper()
		d := parse(t, text)
		rules, closed := d.Network.Rules(d.listeners())
		if len(closed) > 0 {
			t.Errorf("closed: %q", closed)
		}
		do(t, rules, "nft", "-f", "-")
	}
	expect := func(when string, want ...string) {
		t.Helper()
		type attempt struct {
			what  string
			taken func() bool
		}
		var all []attempt
		for _, from := range []struct {
			host    *host
			address string
		}{
			{office, "10.20.0.7"}, {office, "10.20.0.8"}, {analyser, "192.168.7.20"}, {analyser, "192.168.7.21"}, {stranger, "172.16.0.2"},
		} {
			for _, box := range []string{"10.20.0.5", "192.168.7.1"} {
				for _, port := range ports {
					all = append(all, attempt{from.address + " " + box + ":" + port, from.host.try(from.address, box+":"+port)})
				}
			}
		}
		var got []string
		for _, one := range all {
			if one.taken() {
				got = append(got, one.what)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: reached are\n%s\nnot\n%s", when, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}

	if !office.reaches("10.20.0.7", "10.20.0.5:4010") {
		t.Fatal("without a firewall nothing can be reached: this test would prove nothing")
	}
	do(t, "", "nft", "-f", firewallFile)
	mark(t, "eth0", "eth1")
	expect("before the configuration is applied")

	load(`
network: {interfaces: {eth0: {addresses: [10.20.0.5/24], serves: [instruments, console]}, eth1: {addresses: [192.168.7.1/24]}}}
listeners:
  - {name: astm, part: instruments, address: ":4010", from: [10.20.0.8/32, 192.168.7.20/32]}
  - {name: hl7, part: instruments, address: "192.168.7.1:2575"}
  - {name: emerald, part: instruments, address: ":1200", from: [10.99.0.0/16]}
  - {name: console, part: console, address: ":8080"}
  - {name: admin, part: admin, address: "192.168.7.1:9110", from: [192.168.7.20/32]}
`)
	configured := []string{
		"10.20.0.7 10.20.0.5:8080", "10.20.0.7 192.168.7.1:8080",
		"10.20.0.8 10.20.0.5:4010", "10.20.0.8 10.20.0.5:8080", "10.20.0.8 192.168.7.1:4010", "10.20.0.8 192.168.7.1:8080",
		"192.168.7.20 10.20.0.5:4010", "192.168.7.20 192.168.7.1:4010", "192.168.7.20 192.168.7.1:2575", "192.168.7.20 192.168.7.1:9110",
		"192.168.7.21 192.168.7.1:2575",
	}
	expect("as configured", configured...)

	// A rule that the kernel refuses changes nothing: neither open nor closed.
	nonsense := exec.Command("nft", "-f", "-")
	nonsense.Stdin = strings.NewReader("flush chain inet assaygate configured\nadd rule inet assaygate configured tcp dport 4444 accept\nadd rule inet assaygate configured nonsense\n")
	if nonsense.Run() == nil {
		t.Error("nonsense was taken")
	}
	expect("after rules that were refused", configured...)

	do(t, "", "ip", "link", "set", "eth1", "group", "0")
	expect("with an adapter that is not the configured one any more", configured[:6]...)
	mark(t, "eth1")

	load("network: {interfaces: {eth0: {addresses: [10.20.0.5/24]}}}\nlisteners: [{name: astm, part: instruments, address: ':4010'}]")
	expect("with another configuration",
		"10.20.0.7 10.20.0.5:4010", "10.20.0.7 192.168.7.1:4010", "10.20.0.8 10.20.0.5:4010", "10.20.0.8 192.168.7.1:4010")
}

// TestNothingIsForwarded makes the box look like a router to hosts at its two
// interfaces: nothing passes.
func TestNothingIsForwarded(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	office := plug(t, "eth0", "10.20.0.5/24", "10.20.0.7/24")
	analyser := plug(t, "eth1", "192.168.7.1/24", "192.168.7.20/24")
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		t.Skipf("forwarding cannot be switched on: %v", err)
	}
	var l net.Listener
	var err error
	analyser.at(func() { l, err = net.Listen("tcp", "192.168.7.20:4010") })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !office.reaches("10.20.0.7", "192.168.7.20:4010") {
		t.Fatal("without a firewall nothing is forwarded: this test would prove nothing")
	}
	do(t, "", "nft", "-f", firewallFile)
	if office.reaches("10.20.0.7", "192.168.7.20:4010") {
		t.Error("a host at one interface reaches a host at the other")
	}
}

// TestNetworkdReads gives every golden file to the real systemd-networkd, which
// names each line that it does not understand.
func TestNetworkdReads(t *testing.T) {
	const networkd = "/lib/systemd/systemd-networkd"
	if _, err := os.Stat(networkd); err != nil {
		t.Skip("*** NOT TESTED: systemd-networkd is not here ***")
	}
	if os.Getuid() != 0 {
		t.Skip("*** NOT TESTED: systemd-networkd reads /run/systemd/network, which needs root ***")
	}
	if os.Getenv(inside) == "" {
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		command.Env = append(os.Environ(), inside+"=yes")
		command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		output, err := command.CombinedOutput()
		if errors.Is(err, syscall.EPERM) || strings.Contains(string(output), "--- SKIP") {
			t.Skipf("*** NOT TESTED: %v %s ***", err, output)
		}
		t.Logf("%s", output)
		if err != nil {
			t.Error(err)
		}
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Skip(err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		t.Skip(err)
	}
	const directory = "/run/systemd/network"
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	number := 0
	for path, made := range goldens(t) {
		for _, file := range made.Files {
			if !strings.HasSuffix(file.Name, ".network") && !strings.HasSuffix(file.Name, ".netdev") {
				continue
			}
			number++
			if err := os.WriteFile(filepath.Join(directory, fmt.Sprintf("%d-%s", number, file.Name)), file.Data, 0o644); err != nil {
				t.Fatal(path, err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(directory, "wrong.network"), []byte("[Match]\nName=x\n[Network]\nPlanted=yes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// It reads the planted file last, and then would stay for the interfaces.
	command := exec.CommandContext(t.Context(), networkd)
	command.Env = []string{"SYSTEMD_LOG_LEVEL=info", "SYSTEMD_LOG_TARGET=console", "SYSTEMD_LOG_COLOR=0"}
	said, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Wait()
	defer command.Process.Kill()
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		switch {
		case strings.Contains(lines.Text(), "Planted"):
			return
		case strings.Contains(lines.Text(), directory):
			t.Errorf("networkd: %s", lines.Text())
		}
	}
	t.Error("networkd ended without reading the planted file")
}
