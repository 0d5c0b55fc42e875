package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// boot makes a machine of a namespace: a systemd of its own, as PID 1, with its
// journal. Its root stays ours, its /run does not.
const boot = `set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/systemd/journald.conf.d /run/log/journal
mount --bind "$1/journal" /run/log/journal
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nRateLimitBurst=0\n' >/run/systemd/journald.conf.d/test.conf
cp "$1"/units/* /run/systemd/system/
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
exec env -i container=test PATH="$PATH" /usr/lib/systemd/systemd --system --unit=test.target --log-target=journal --show-status=no
`

const testTarget = `[Unit]
DefaultDependencies=no
Wants=systemd-journald.socket systemd-journald.service %s
`

// plantedService runs a gateway in which a part stands still, until it is
// restarted. Its watchdog is short, but not so short that a machine on which all
// of them start at once is taken for a deadlock.
const plantedService = `[Unit]
DefaultDependencies=no
StartLimitIntervalSec=0
[Service]
Type=notify
NotifyAccess=main
Restart=always
RestartSec=1
WatchdogSec=20
TimeoutStartSec=20
TimeoutStartFailureMode=abort
LimitCORE=0
ExecStart=/bin/sh -c 'mkdir %[1]s/once && export %[3]s="%[2]s" || export %[3]s=-; exec %[4]s run --config %[1]s/assaygate.yaml'
`

// A real systemd restarts a gateway in which any loop stands still, and its
// journal has the culprit's name and the stacks.
func TestSystemdRestartsWhatStandsStill(t *testing.T) {
	if os.Getenv("ASSAYGATE_TEST_SYSTEMD") == "" {
		t.Skip("a real systemd is asked by `make test-systemd` only; TestADeadlockInAnyLoopIsFound asks a stand-in")
	}
	for _, needed := range []string{"/usr/lib/systemd/systemd", "/usr/bin/unshare", "/usr/bin/journalctl"} {
		if _, err := os.Stat(needed); err != nil || os.Getuid() != 0 {
			t.Fatalf("this needs root and %s: %v", needed, err)
		}
	}
	directory := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parts := append(watchedParts(), "opening the store")
	var services []string
	for i, part := range parts {
		service := fmt.Sprintf("part%d.service", i)
		services = append(services, service)
		home := filepath.Join(directory, fmt.Sprint(i))
		write(fmt.Sprint(i, "/assaygate.yaml"), "version: 1\n"+everything(t, home))
		write("units/"+service, fmt.Sprintf(plantedService, home, part, plantedPart, os.Args[0]))
	}
	write("units/test.target", fmt.Sprintf(testTarget, strings.Join(services, " ")))
	if err := os.Mkdir(filepath.Join(directory, "journal"), 0o755); err != nil {
		t.Fatal(err)
	}
	machine := exec.Command("unshare", "--fork", "--pid", "--mount", "--mount-proc", "--cgroup", "--ipc", "--uts", "--kill-child",
		"sh", "-c", boot, "boot", directory)
	said := &lockedBuffer{}
	machine.Stdout, machine.Stderr = said, said
	if err := machine.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = machine.Process.Kill() // its systemd goes with it
		_ = machine.Wait()
	})
	for i, part := range parts {
		t.Run(part, func(t *testing.T) {
			journal := func() string {
				out, _ := exec.Command("journalctl", "--directory", filepath.Join(directory, "journal"), "--unit", services[i], "--output", "cat", "--no-pager").Output()
				return string(out) // it says nothing before it has begun
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("%s\n%s", said.text(), journal())
				}
			})
			why, starts := "Watchdog timeout", 2
			if part == "opening the store" {
				why, starts = "start operation timed out", 1
			}
			// What systemd says and what the service says come to the journal by two
			// ways, in either order.
			eventually(t, "it is ready after a restart", func() bool {
				text := journal()
				return strings.Contains(text, "Scheduled restart job") && strings.Count(text, "gateway ready") == starts
			})
			text := journal()
			for _, want := range []string{`systemd is left to restart the process","part":"` + part, "plantedDeadlock(...)", why, "SIGABRT: abort"} {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in the journal", want)
				}
			}
		})
	}
}
