//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/assaygate/assaygate/device/console/login"
	"github.com/assaygate/assaygate/device/port"
)

// A person opens the console of a box on the network, logs in, and is out as soon
// as the configuration says so.
func TestLoginOverTheNetwork(t *testing.T) {
	directory := t.TempDir()
	config := filepath.Join(directory, "assaygate.yaml")
	text := func(role string) string {
		return fmt.Sprintf("box: {name: box}\nspool: {directory: %q}\nadmin: {listen: \"\"}\nconsole: {listen: \":0\", users: {anna: {password: \"correct horse battery\", role: %s}}}\n",
			filepath.Join(directory, "spool"), role)
	}
	edit(t, config, text("admin"))
	r := startFile(t, config)
	print, err := r.fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	base := "https://" + atPort(t, r.addresses[consoleServer])
	client := trusts(t, print)
	if client.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	read := func(response *http.Response, err error) (int, string, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, response.Header.Get("Location"), string(body)
	}
	if status, to, _ := read(client.Get(base + "/setup")); status != http.StatusSeeOther || to != "/login?to=%2Fsetup" {
		t.Errorf("without a login: %d, %s", status, to)
	}
	_, _, page := read(client.Get(base + "/login"))
	token := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page)
	if token == nil {
		t.Fatalf("no token on\n%s", page)
	}
	status, to, _ := read(client.PostForm(base+"/login", url.Values{"csrf": token[1:], "user": {"anna"}, "password": {"correct horse battery"}, "to": {"/setup"}}))
	if status != http.StatusSeeOther || to != "/setup" {
		t.Fatalf("login: %d, %s", status, to)
	}
	if status, _, page := read(client.Get(base + "/setup")); status != http.StatusOK || !strings.Contains(page, "anna") {
		t.Errorf("after it: %d\n%s", status, page)
	}
	before := r.addresses[consoleServer]
	edit(t, config, text("viewer"))
	r.logs(1, inUse)
	if status, to, _ := read(client.Get(base + "/setup")); status != http.StatusSeeOther || to != "/login?to=%2Fsetup" {
		t.Errorf("after another role: %d, %s", status, to)
	}
	if now := addressOf(t, r, consoleServer); now != before {
		t.Errorf("the console was opened anew, at %s", now)
	}
	if log := r.log.text(); strings.Contains(log, "correct horse") {
		t.Errorf("the password is in the log:\n%s", log)
	}
	edit(t, config, strings.Replace(text("viewer"), `users: {anna: {password: "correct horse battery", role: viewer}}`, "users: {}", 1))
	r.logs(1, "beyond loopback the console needs at least one user")
	eventually(t, "the console is closed", func() bool {
		response, err := client.Get(base + "/login")
		if err == nil {
			response.Body.Close()
		}
		return err != nil
	})
}

// A password is typed twice, and not shown.
func TestPasswordFromATerminal(t *testing.T) {
	for name, test := range map[string]struct{ first, again, want string }{
		"the same": {"correct horse battery", "correct horse battery", "$argon2id$"},
		"others":   {"correct horse battery", "correct horse batter", "the two are not the same"},
	} {
		t.Run(name, func(t *testing.T) {
			master, path, err := port.OpenPTY()
			if err != nil {
				t.Skip(err)
			}
			defer master.Close()
			slave, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer slave.Close()
			cooked(t, slave)
			var out bytes.Buffer
			prompts := &lockedBuffer{}
			command := exec.Command(os.Args[0], "console-password")
			command.Env = append(os.Environ(), asMain+"=1")
			command.Stdin, command.Stdout, command.Stderr = slave, &out, prompts
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			for _, one := range [][2]string{{"New password, which is not shown: ", test.first}, {"Once more: ", test.again}} {
				eventually(t, "it asks", func() bool { return strings.Contains(prompts.text(), one[0]) })
				eventually(t, "what is typed is not shown", func() bool { return lineFlags(t, slave).Lflag&unix.ECHO == 0 })
				if _, err := io.WriteString(master, one[1]+"\r"); err != nil {
					t.Fatal(err)
				}
			}
			_ = command.Wait() // it says why
			said := out.String() + prompts.text()
			if !strings.Contains(said, test.want) || strings.Contains(said, "horse") {
				t.Errorf("said %q", said)
			}
			if test.want == "$argon2id$" {
				if hash, err := login.ParseHash(strings.TrimSpace(out.String())); err != nil || !hash.Matches(test.first) {
					t.Errorf("%q, %v", &out, err)
				}
			}
			shown := make([]byte, 1000)
			_ = master.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			n, _ := master.Read(shown)
			if bytes.Contains(shown[:n], []byte("horse")) {
				t.Errorf("shown: %q", shown[:n])
			}
		})
	}
}

func lineFlags(t *testing.T, terminal *os.File) *unix.Termios {
	t.Helper()
	flags, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return flags
}

// cooked makes a terminal one that a person has: it shows what is typed.
func cooked(t *testing.T, terminal *os.File) {
	t.Helper()
	flags := lineFlags(t, terminal)
	flags.Lflag |= unix.ICANON | unix.ECHO | unix.ISIG
	flags.Iflag |= unix.ICRNL
	flags.Oflag |= unix.OPOST
	if err := unix.IoctlSetTermios(int(terminal.Fd()), unix.TCSETS, flags); err != nil {
		t.Fatal(err)
	}
}
