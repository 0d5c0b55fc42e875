//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSyncBeforeAcknowledgement traces the system calls of a gateway: between
// the last read of a message's bytes and the write of its acknowledgement the
// store is synced.
func TestSyncBeforeAcknowledgement(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("NO SYSTEM CALL TRACE: strace is not here; make deps installs it")
	}
	directory := t.TempDir()
	astmAddress, hl7Address, trace := freePort(t), freePort(t), filepath.Join(directory, "trace")
	config := configFile(t, directory, fmt.Sprintf(`
instruments: [{name: lan, astm: {listen: %q}}, {name: hl7, hl7: {listen: %q}}]
spool: {directory: %q}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
destinations: []
`, astmAddress, hl7Address, directory+"/spool"))
	p := spawn(t, config, strace, "-f", "-qq", "-s", "256", "-yy", "-e", "trace=read,write,fsync,fdatasync", "-o", trace)
	defer p.kill()

	hl7Line := dial(t, hl7Address)
	if !sendHL7(hl7Line, hl7Answers(hl7Line), hl7Text("Lab", "trace-1", "S1")) {
		t.Fatal("HL7 message not acknowledged")
	}
	if !sendASTM(dial(t, astmAddress), astmText("Star", "trace-2", "S2")) {
		t.Fatal("ASTM message not acknowledged")
	}
	var calls []call
	eventually(t, "the trace shows both acknowledgements", func() bool {
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		calls = parseTrace(string(text))
		return slices.ContainsFunc(calls, func(c call) bool { return c.acknowledges(hl7Address, "MSA|AA") }) &&
			acknowledged(calls, astmAddress) >= 3
	})
	wantSynced(t, calls, hl7Address, func(c call) bool { return c.acknowledges(hl7Address, "MSA|AA") })
	acks := 0
	wantSynced(t, calls, astmAddress, func(c call) bool {
		if c.acknowledges(astmAddress, `\6`) {
			acks++
		}
		return acks == 3 // of ENQ, of the first frame, of the last
	})
}

// call is one finished system call.
type call struct {
	name, file, data string
}

func (c call) acknowledges(address, answer string) bool {
	return c.name == "write" && strings.Contains(c.file, address) && strings.Contains(c.data, answer)
}

func acknowledged(calls []call, address string) (n int) {
	for _, c := range calls {
		if c.acknowledges(address, `\6`) {
			n++
		}
	}
	return n
}

var (
	wholeCall = regexp.MustCompile(`^\d+ +(\w+)\(\d+<([^>]*(?:->[^>]*)?)>(.*)= (-?\d+)`)
	begunCall = regexp.MustCompile(`^(\d+) +(\w+)\(\d+<([^>]*(?:->[^>]*)?)>(.*)<unfinished \.\.\.>`)
	endedCall = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)= (-?\d+)`)
)

// parseTrace puts the calls in order: reads and syncs where they ended, and
// writes where they began, for by then a sync before them must have ended. A call
// that was interrupted in the trace is put together again.
func parseTrace(text string) (calls []call) {
	begun := map[string]call{}
	for line := range strings.Lines(text) {
		if m := begunCall.FindStringSubmatch(line); m != nil {
			c := call{name: m[2], file: m[3], data: m[4]}
			begun[m[1]] = c
			if c.name == "write" {
				calls = append(calls, c)
			}
		} else if m := endedCall.FindStringSubmatch(line); m != nil && !strings.HasPrefix(m[4], "-") && m[2] != "write" {
			c := begun[m[1]]
			c.data += m[3]
			calls = append(calls, c)
		} else if m := wholeCall.FindStringSubmatch(line); m != nil && !strings.HasPrefix(m[4], "-") {
			calls = append(calls, call{name: m[1], file: m[2], data: m[3]})
		}
	}
	return calls
}

// wantSynced expects a sync of the store's log between the last read from the
// address before the answer and the answer.
func wantSynced(t *testing.T, calls []call, address string, isAnswer func(call) bool) {
	t.Helper()
	answer := slices.IndexFunc(calls, isAnswer)
	if answer < 0 {
		t.Fatalf("no answer to %s in the trace", address)
	}
	for i := answer - 1; i >= 0; i-- {
		switch c := calls[i]; {
		case (c.name == "fsync" || c.name == "fdatasync") && strings.HasSuffix(c.file, "-wal"):
			return
		case c.name == "read" && strings.Contains(c.file, address):
			t.Fatalf("the answer to %s left before a sync: %+v", address, calls[i:answer+1])
		}
	}
	t.Fatalf("no read from %s before the answer", address)
}
