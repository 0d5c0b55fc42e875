//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// mostMemory is what a gateway may take at its peak under any of the attacks,
// well below the 512 MB of a box. The race detector doubles what it takes.
func mostMemory() int {
	const most = 320 << 20
	info, _ := debug.ReadBuildInfo()
	if info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return 2 * most
	}
	return most
}

// besieged is a gateway that is treated badly while other analysers work.
type besieged struct {
	*process
	t         testing.TB
	astm, hl7 string
	sent      int
}

// besiege starts a gateway that takes 500 connections from one address.
func besiege(t testing.TB) *besieged {
	t.Helper()
	directory := t.TempDir()
	b := &besieged{t: t, astm: freePort(t), hl7: freePort(t)}
	const limits = "limits: {connections: 512, per_address: 512}"
	b.process = spawn(t, configFile(t, directory, fmt.Sprintf(`
instruments: [{name: lan, astm: {listen: %q}, %s}, {name: hl7, hl7: {listen: %q}, %s}]
spool: {directory: %q}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
destinations: []
`, b.astm, limits, b.hl7, limits, directory+"/spool")))
	return b
}

// works expects that analysers on other connections get their acknowledgements.
func (b *besieged) works() {
	b.t.Helper()
	b.sent++
	id := fmt.Sprint("good-", b.sent)
	conn := dial(b.t, b.hl7)
	defer conn.Close()
	if !sendHL7(conn, hl7Answers(conn), hl7Text("Good", id, id)) {
		b.t.Errorf("HL7 message %s was not acknowledged", id)
	}
	other := dial(b.t, b.astm)
	defer other.Close()
	if !sendASTM(other, astmText("Good", id, id)) {
		b.t.Errorf("ASTM message %s was not acknowledged", id)
	}
}

// filler is what is sent where a frame or block should end: 10 MB, piece by
// piece.
var filler = bytes.Repeat([]byte("x"), 64<<10)

const fillers = 10 << 20 / (64 << 10)

// flood sends the bytes and the filler, and has the others work meanwhile. It
// ends early where the gateway has closed the connection.
func (b *besieged) flood(conn net.Conn, start []byte) {
	b.t.Helper()
	_, err := conn.Write(start)
	for n := 0; n < fillers && err == nil; n++ {
		if n == fillers/2 {
			b.works()
		}
		_, err = conn.Write(filler)
	}
	b.works()
}

// closes expects that the gateway closes the connection, however much is on its
// way.
func (b *besieged) closes(conn net.Conn) {
	b.t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		b.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		b.t.Error("the connection is still open")
	}
}

// says expects each of the lines in the log, once.
func (b *besieged) says(lines ...string) {
	b.t.Helper()
	for _, line := range lines {
		if n := strings.Count(b.log.text(), line); n != 1 {
			b.t.Errorf("the log says %q %d times, want once", line, n)
		}
	}
}

// bounded expects that the gateway's peak of memory is within the bound.
func (b *besieged) bounded() {
	b.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest + " ?")[0])
	if err != nil {
		b.t.Fatalf("peak of memory: %v", err)
	}
	b.t.Logf("peak of memory: %d MB", kilobytes>>10)
	if kilobytes<<10 > mostMemory() {
		b.t.Errorf("the gateway took %d MB at its peak, want %d at most", kilobytes>>10, mostMemory()>>20)
	}
}

// Bytes that belong to nothing end the connection at limits.junk.
func TestGarbage(t *testing.T) {
	b := besiege(t)
	for _, address := range []string{b.astm, b.hl7} {
		conn := dial(t, address)
		b.flood(conn, nil)
		b.closes(conn)
	}
	for _, name := range []string{"lan", "hl7"} {
		b.says(fmt.Sprintf(`"connection closed","instrument":%q`, name), fmt.Sprintf(`"strange bytes on the line","instrument":%q`, name))
	}
	b.bounded()
}

// A sender that comes again at once with more garbage is no news.
func TestGarbageAgain(t *testing.T) {
	b := besiege(t)
	for range 30 {
		conn := dial(t, b.hl7)
		_, _ = conn.Write(filler) // the gateway may close before it has all
		b.closes(conn)
	}
	b.works()
	b.says(`"strange bytes on the line"`, `"connection closed"`)
}

// A frame without end is refused at limits.frame, and what follows is garbage.
func TestFrameWithoutEnd(t *testing.T) {
	b := besiege(t)
	conn := dial(t, b.astm)
	b.flood(conn, []byte{lis01.ENQ, lis01.STX})
	b.closes(conn)
	b.says("longer than limits.frame", `"connection closed"`)
	b.bounded()
}

// A block without end ends its connection at limits.message. One that breaks off
// before is kept as incomplete.
func TestBlockWithoutEnd(t *testing.T) {
	b := besiege(t)
	short := dial(t, b.hl7)
	b.flood(short, []byte{mllp.StartBlock})
	if err := short.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is kept", func() bool { return strings.Contains(b.log.text(), `"outcome":"incomplete"`) })
	long := dial(t, b.hl7)
	b.flood(long, []byte{mllp.StartBlock})
	b.flood(long, nil) // 20 MB together
	b.closes(long)
	b.says(`"outcome":"incomplete"`, "a block without end within limits.message")
	b.bounded()
}

// Many blocks without end at the same time do not add up to more than the box
// has.
func TestBlocksWithoutEnd(t *testing.T) {
	b := besiege(t)
	var senders sync.WaitGroup
	for range 40 {
		conn := dial(t, b.hl7)
		senders.Go(func() {
			_, err := conn.Write([]byte{mllp.StartBlock})
			for n := 0; n < fillers && err == nil; n++ {
				_, err = conn.Write(filler)
			}
		})
	}
	senders.Wait()
	b.works()
	b.bounded()
}

// Idle connections cost little, and the longest idle one makes room for an
// analyser that has something to say.
func TestIdleConnections(t *testing.T) {
	b := besiege(t)
	for range 500 {
		dial(t, b.astm)
	}
	for range 30 { // more than there is room for, one after the other
		conn := dial(t, b.hl7)
		b.sent++
		if id := fmt.Sprint("good-", b.sent); !sendHL7(conn, hl7Answers(conn), hl7Text("Good", id, id)) {
			t.Fatalf("message %s was not acknowledged", id)
		}
	}
	b.works()
	b.says("it was idle for the longest time")
	b.bounded()
}
