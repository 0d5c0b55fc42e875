//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"
)

// TestUpdatePolicy asks a real bus, with the image's policy, who may call RAUC: root and
// the update agent's user, and of the latter only what the agent calls. A bus
// knows only users of this machine, so two of these stand for those of a box.
func TestUpdatePolicy(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("*** NOT TESTED: who may call RAUC: to be other users needs root ***")
	}
	for _, tool := range []string{"dbus-daemon", "dbus-send"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("*** NOT TESTED: who may call RAUC: %v (make deps) ***", err)
		}
	}
	policy, err := os.ReadFile("../../image/rootfs-overlay/usr/share/dbus-1/system.d/de.pengutronix.rauc.conf")
	if err != nil {
		t.Fatal(err)
	}
	const agent, gateway, anybody = 1, 2, 65534
	name, err := user.LookupId(strconv.Itoa(agent))
	if err != nil {
		t.Skipf("*** NOT TESTED: who may call RAUC: %v ***", err)
	}
	text := strings.ReplaceAll(string(policy), `user="assaygate-update"`, fmt.Sprintf("user=%q", name.Username))
	directory, err := os.MkdirTemp("", "bus") // others have to get to the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	if err := os.Chmod(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	// As that of the system: nobody may own or call anything that no policy allows.
	system := `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path=` + directory + `/socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/>
<allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus"/></policy>
<include>` + directory + `/rauc.conf</include></busconfig>`
	for name, text := range map[string]string{"system.conf": system, "rauc.conf": text} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	daemon := exec.Command("dbus-daemon", "--config-file="+directory+"/system.conf", "--nofork", "--print-address")
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Process.Kill(); daemon.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address = strings.TrimSpace(address)
	rauc, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rauc.Close() })
	if _, err := rauc.RequestName("de.pengutronix.rauc", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatalf("root may not be RAUC: %v", err)
	}
	for _, call := range []struct {
		user    uint32
		method  string
		allowed bool
	}{
		{0, "de.pengutronix.rauc.Installer.InstallBundle", true},
		{agent, "de.pengutronix.rauc.Installer.InstallBundle", true},
		{agent, "de.pengutronix.rauc.Installer.GetSlotStatus", true},
		{agent, "de.pengutronix.rauc.Installer.Mark", true},
		{agent, "org.freedesktop.DBus.Properties.Get", true},
		{agent, "org.freedesktop.DBus.Properties.Set", false},
		{agent, "org.freedesktop.DBus.Peer.Ping", false},
		{gateway, "de.pengutronix.rauc.Installer.InstallBundle", false},
		{gateway, "de.pengutronix.rauc.Installer.GetSlotStatus", false},
		{gateway, "org.freedesktop.DBus.Properties.Get", false},
		{anybody, "de.pengutronix.rauc.Installer.Mark", false},
	} {
		asking := exec.Command("dbus-send", "--bus="+address, "--print-reply", "--dest=de.pengutronix.rauc", "/nowhere", call.method)
		asking.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: call.user, Gid: call.user}}
		said, _ := asking.CombinedOutput() // nothing is there to be called
		want := "AccessDenied"
		if call.allowed {
			want = "UnknownInterface"
		}
		if !strings.Contains(string(said), want) {
			t.Errorf("%d calls %s; want %s\n%s", call.user, call.method, want, said)
		}
	}
}
