//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/protocols/mllp"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// What has its CA is in SENAITE though the process is killed before the sender
// has its AA; and when the sender repeats it for that, it gets both, and SENAITE
// has it once.
func TestKilledBetweenCAAndAA(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	if err := server.Set(senaitetest.Down); err != nil {
		t.Fatal(err)
	}
	address := freePort(t)
	config := configFile(t, directory, fmt.Sprintf(`
instruments: [{name: hl7, hl7: {listen: %q}}]
spool: {directory: %q}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
destinations: [{name: lims, senaite: {url: %q, username: %q, password: %q}}]
`, address, directory+"/spool", server.URL, senaitetest.Username, senaitetest.Password))
	message := strings.Replace(hl7Text("BOTH", "BOTH-1", "BOTH-1"), "|2.5.1\r", "|2.5.1|||AL|AL\r", 1)
	// ask sends the message and returns as soon as it has read that many answers.
	ask := func(answers int) (codes string) {
		conn := dial(t, address)
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(mllp.AppendBlock(nil, []byte(message))); err != nil {
			t.Fatal(err)
		}
		for in := bufio.NewReaderSize(conn, 16); answers > 0; answers-- {
			text, err := in.ReadString(mllp.EndBlock)
			if err != nil && err != io.EOF {
				t.Fatal(err)
			}
			_, msa, _ := strings.Cut(text, "\rMSA|")
			codes += msa[:min(9, len(msa))] + " "
		}
		return codes
	}
	p := spawn(t, config)
	if got := ask(1); got != "CA|BOTH-1 " {
		t.Fatalf("answered %q", got)
	}
	p.kill()

	if err := server.Set(senaitetest.Up); err != nil {
		t.Fatal(err)
	}
	p = spawn(t, config)
	eventually(t, "the message is in SENAITE", func() bool { return len(missing(t, []string{"BOTH-1"}, server.Pushes())) == 0 })
	if got := ask(2); got != "CA|BOTH-1 AA|BOTH-1 " {
		t.Fatalf("answered %q", got)
	}
	p.kill()
	if heldBack := wantSound(t, directory+"/spool"); heldBack != 1 || len(server.Pushes()) != 1 {
		t.Errorf("%d held back, %d pushes; want 1 of each", heldBack, len(server.Pushes()))
	}
}
