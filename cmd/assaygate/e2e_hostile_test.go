//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

// mostMemory is what a gateway may take while it is treated badly: far less
// than what is sent to it, and fit for a box of 512 MB.
const mostMemory = 160 << 20

// TestHostileNeighbours sends garbage and messages without end, and holds
// hundreds of idle connections, while another analyser works. Its messages are
// acknowledged all the while, memory is bounded, and the log says it once.
func TestHostileNeighbours(t *testing.T) {
	directory := t.TempDir()
	astmAddress, hl7Address := freePort(t), freePort(t)
	limits := "limits: {connections: 300, per_address: 300}"
	p := spawn(t, configFile(t, directory, fmt.Sprintf(`
instruments: [{name: lan, astm: {listen: %q}, %s}, {name: hl7, hl7: {listen: %q}, %s}]
spool: {directory: %q}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
destinations: []
`, astmAddress, limits, hl7Address, limits, directory+"/spool")))

	good := dial(t, hl7Address)
	answers := hl7Answers(good)
	n := 0
	works := func(while string) {
		t.Helper()
		n++
		if id := fmt.Sprint("good-", n); !sendHL7(good, answers, hl7Text("Good", id, id)) {
			t.Errorf("the good analyser got no answer while %s", while)
		}
	}
	for range 250 {
		dial(t, astmAddress)
		dial(t, hl7Address)
	}
	works("500 connections are idle")
	closed := func(address, name string, data []byte) {
		t.Helper()
		conn := dial(t, address)
		flood(conn, data)
		works(name + " comes in")
		if _, err := bufio.NewReader(conn).WriteTo(discard{}); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", name, err)
		}
	}
	filler := bytes.Repeat([]byte("x"), 10<<20)
	closed(astmAddress, "garbage", filler)
	closed(hl7Address, "garbage", filler)
	closed(astmAddress, "a frame without end", append([]byte{0x05, 0x02}, filler...))
	works("all is over")

	for _, say := range []string{"too many bytes that belong to no frame", "no end within limits.frame"} {
		if n := strings.Count(p.log.text(), say); n == 0 || n > 3 {
			t.Errorf("the log says %d times %q", n, say)
		}
	}
	if memory := residentMemory(t, p.Process.Pid); memory > mostMemory {
		t.Errorf("it takes %d MB, at most %d were expected", memory>>20, mostMemory>>20)
	}
}

// flood writes until all is written or the other side has had enough.
func flood(conn net.Conn, data []byte) { _, _ = conn.Write(data) }

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func residentMemory(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("memory not compared: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatal("no VmHWM in /proc")
	return 0
}
