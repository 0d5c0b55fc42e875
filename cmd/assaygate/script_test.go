package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// TestScripts runs the command as people and their scripts do.
func TestScripts(t *testing.T) {
	captures, err := filepath.Abs("../../device/simulator/captures")
	if err != nil {
		t.Fatal(err)
	}
	replays, err := filepath.Abs("testdata/replay")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("CAPTURES", captures)
			env.Setenv("REPLAY", replays)
			env.Setenv("USER", "anna")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else each command takes a second longer
			env.Values[labKey{}] = &lab{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "ports": ports, "expand": expand, "senaite": senaiteCommand, "messages": messages, "settles": settles,
			"helps": helps, "terminate": terminate, "sql": statement,
			"key": publicKey, "differs": differs, "bundle": bundleFile,
		},
		RequireUniqueNames: true,
	})
}

// exits runs a command and expects this exit status: exits 2 assaygate check.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	status := 0
	var ended *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &ended):
		status = ended.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if status != want {
		ts.Fatalf("exit status %d, want %d", status, want)
	}
}

// ports sets variables to addresses that nobody listens on. They are not of the
// range that the system takes for listeners on port 0, so that the other tests
// do not get them meanwhile.
func ports(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		for {
			address := fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(20000))
			listener, err := net.Listen("tcp", address)
			if err != nil {
				continue
			}
			ts.Check(listener.Close())
			ts.Setenv(name, address)
			break
		}
	}
}

// terminate sends SIGTERM to what runs in the background.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, command := range ts.BackgroundCmds() {
		ts.Check(command.Process.Signal(syscall.SIGTERM))
	}
}

// expand replaces the variables in files.
func expand(ts *testscript.TestScript, _ bool, files []string) {
	for _, file := range files {
		text := os.Expand(ts.ReadFile(file), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
	}
}

// lab holds a script's fake SENAITE.
type lab struct{ server *senaitetest.Server }

type labKey struct{}

// senaiteCommand is a fake SENAITE: `senaite start` sets SENAITE to its URL, LOGIN
// to the same with user and password, WRONG_LOGIN with another one, and
// SENAITE_ADDRESS; `senaite down` and
// `senaite up`; `senaite answers CODE` to every request, `senaite poison TEXT`
// to messages with the text; `senaite hang`; `senaite asked` waits until it was
// asked something; `senaite has N` waits until it has taken N messages; `senaite
// got TEXT` expects the text in one that it has taken, `senaite lacks TEXT` in
// none; `senaite same` expects the first two to differ only in what each receipt
// makes anew.
func senaiteCommand(ts *testscript.TestScript, _ bool, args []string) {
	of := ts.Value(labKey{}).(*lab)
	server := of.server
	switch args[0] {
	case "start":
		server = senaitetest.New()
		ts.Defer(server.Close)
		of.server = server
		ts.Setenv("SENAITE", server.URL)
		at, err := url.Parse(server.URL)
		ts.Check(err)
		ts.Setenv("SENAITE_ADDRESS", at.Host)
		at.User = url.UserPassword(senaitetest.Username, senaitetest.Password)
		ts.Setenv("LOGIN", at.String())
		at.User = url.UserPassword(senaitetest.Username, "wrong")
		ts.Setenv("WRONG_LOGIN", at.String())
	case "down":
		ts.Check(server.Set(senaitetest.Down))
	case "up":
		ts.Check(server.Set(senaitetest.Up))
	case "answers":
		code, err := strconv.Atoi(args[1])
		ts.Check(err)
		ts.Check(server.Set(senaitetest.Status(code)))
	case "poison":
		server.Poison(func(message string) bool { return strings.Contains(message, args[1]) })
	case "hang":
		ts.Check(server.Set(senaitetest.Hang))
	case "asked":
		for end := time.Now().Add(30 * time.Second); server.Requests("") == 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				ts.Fatalf("nobody asked")
			}
		}
	case "same":
		pushes := server.Pushes()
		if a, b := meaningOf(ts, pushes[0].Message), meaningOf(ts, pushes[1].Message); a != b {
			ts.Fatalf("the first message is\n%s\nthe second\n%s", a, b)
		}
	case "got", "lacks":
		if (args[0] == "got") != slices.ContainsFunc(server.Pushes(), func(p senaitetest.Push) bool { return strings.Contains(p.Message, args[1]) }) {
			ts.Fatalf("of %d messages not %s %q", len(server.Pushes()), args[0], args[1])
		}
	case "has":
		want, err := strconv.Atoi(args[1])
		ts.Check(err)
		for end := time.Now().Add(30 * time.Second); len(server.Pushes()) < want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				ts.Fatalf("%d messages, want %d", len(server.Pushes()), want)
			}
		}
		if got := len(server.Pushes()); got != want {
			ts.Fatalf("%d messages, want %d", got, want)
		}
	default:
		ts.Fatalf("senaite %s: unknown", args[0])
	}
}

// meaningOf is a pushed message without what each receipt makes anew.
func meaningOf(ts *testscript.TestScript, message string) string {
	var fields map[string]map[string]any
	var all map[string]any
	ts.Check(json.Unmarshal([]byte(message), &all))
	part, err := json.Marshal(map[string]any{"assaygate": all["assaygate"]})
	ts.Check(err)
	ts.Check(json.Unmarshal(part, &fields))
	for _, key := range []string{"id", "message_id", "digest", "received_at", "sequence", "audit"} {
		if _, there := fields["assaygate"][key]; !there {
			ts.Fatalf("no %s in %s", key, message)
		}
		delete(fields["assaygate"], key)
	}
	all["assaygate"] = fields["assaygate"]
	text, err := json.Marshal(all)
	ts.Check(err)
	return string(text)
}

// messages reads the list that a command printed as JSON, expects so many of
// them with the fields that scripts rely on, and sets a variable to the id of
// the newest.
func messages(ts *testscript.TestScript, _ bool, args []string) {
	var list []map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &list))
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if list == nil || len(list) != want {
		ts.Fatalf("%d messages, want %d", len(list), want)
	}
	for _, m := range list {
		for _, key := range []string{"id", "message_id", "instrument", "received_at", "kind", "sample_id", "states"} {
			if _, there := m[key]; !there {
				ts.Fatalf("no %s in %v", key, m)
			}
		}
		_, err := time.Parse(time.RFC3339, fmt.Sprint(m["received_at"]))
		ts.Check(err)
		if _, isObject := m["states"].(map[string]any); !isObject {
			ts.Fatalf("states are %v", m["states"])
		}
	}
	if len(args) > 1 {
		ts.Setenv(args[1], fmt.Sprint(list[0]["id"]))
	}
}

// publicKey sets a variable to the key in the status that a command printed.
func publicKey(ts *testscript.TestScript, _ bool, args []string) {
	var status struct {
		Key string `json:"public_key"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &status))
	if status.Key == "" {
		ts.Fatalf("there is no key")
	}
	ts.Setenv(args[0], status.Key)
}

// differs expects that two variables do.
func differs(ts *testscript.TestScript, _ bool, args []string) {
	if ts.Getenv(args[0]) == ts.Getenv(args[1]) {
		ts.Fatalf("both are %s", ts.Getenv(args[0]))
	}
}

// settles waits until nothing is pending in a store: settles data.
func settles(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		ts.Check(ts.Exec("assaygate", "spool", "list", "--json", "--state", "pending", "--data", args[0]))
		if strings.TrimSpace(ts.ReadFile("stdout")) == "[]" {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("not settled within a minute: %s", ts.ReadFile("stdout"))
		}
	}
}

// statement changes a database behind the gateway's back: sql FILE STATEMENT.
func statement(ts *testscript.TestScript, _ bool, args []string) {
	database, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = database.Exec(args[1])
	ts.Check(errors.Join(err, database.Close()))
}

// helps expects that a command explains itself, with an example: a line that
// shows the command itself.
func helps(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("assaygate", append(slices.Clone(args), "--help")...))
	text := strings.Join(strings.Fields(ts.ReadFile("stdout")), " ")
	command := strings.Join(append([]string{"assaygate"}, args...), " ")
	if !strings.Contains(text, "Usage: "+command) {
		ts.Fatalf("no usage of %s", command)
	}
	if _, example, found := strings.Cut(text, "Example: "); !found || !strings.HasPrefix(example, command) {
		ts.Fatalf("no example of %s", command)
	}
}
