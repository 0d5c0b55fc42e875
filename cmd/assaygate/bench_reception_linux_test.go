package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// BenchmarkReception measures the gateway end to end, as a process with a real
// store and one destination that is down: messages of about 1 KiB with ten
// results, over loopback, each connection with its next message when the last was
// acknowledged, which happens when it is durable. Clients and gateway share the
// processors. It reports, beside the rate and the time from the first byte to the
// acknowledgement: the rate of the raw append and fdatasync of the same run, and
// the gateway's as a multiple of it.
func BenchmarkReception(b *testing.B) {
	server, directory := newLIMS(b), b.TempDir()
	if err := server.Set(senaitetest.Down); err != nil {
		b.Fatal(err)
	}
	astm, hl7 := freePort(b), freePort(b)
	config := configFile(b, directory, fmt.Sprintf(`
instruments:
  - {name: lan, astm: {listen: %q}, limits: {connections: 256, per_address: 256}}
  - {name: hl7, hl7: {listen: %q}, limits: {connections: 256, per_address: 256}}
spool: {directory: %q}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
log: {level: warn}
destinations: [{name: lims, senaite: {url: %q, username: %q, password: %q}}]
`, astm, hl7, directory+"/spool", server.URL, senaitetest.Username, senaitetest.Password))
	p := launchWords(b, gatewayProgram(b), "run", "--config", config)
	eventually(b, "the gateway listens", func() bool { return answersAt(astm) && answersAt(hl7) })
	for _, line := range []struct {
		name, address string
		talk          func(net.Conn) talker
	}{{"hl7", hl7, newHL7Talker}, {"astm", astm, newASTMTalker}} {
		for _, connections := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/connections=%d", line.name, connections), func(b *testing.B) {
				converse(b, line.address, connections, line.talk)
			})
		}
	}
	p.kill()
}

// BenchmarkPeerServers measures servers that nobody here wrote in the same way.
// They answer each message and store nothing. `make bench` installs them.
func BenchmarkPeerServers(b *testing.B) {
	for _, peer := range []string{"medplum", "simple-hl7", "python-hl7"} {
		b.Run(peer, func(b *testing.B) {
			program := filepath.Join(os.Getenv("ASSAYGATE_PEERS"), peer, "serve")
			if _, err := os.Stat(program); err != nil {
				b.Skipf("NOT MEASURED: the peer %s is not there: make bench installs it", peer)
			}
			address := freePort(b)
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				b.Fatal(err)
			}
			p := launchWords(b, program, host, port)
			eventually(b, peer+" listens", func() bool { return answersAt(address) })
			for _, connections := range []int{1, 8, 64} {
				b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
					converse(b, address, connections, newHL7Talker)
				})
			}
			p.kill()
		})
	}
}

// converse sends b.N messages over so many connections.
func converse(b *testing.B, address string, connections int, talk func(net.Conn) talker) {
	talkers := make([]talker, connections)
	for n := range talkers {
		conn := dial(b, address)
		if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		talkers[n] = talk(conn)
	}
	times := make([][]time.Duration, connections)
	before := syncTime(b)
	var next atomic.Int64
	var working sync.WaitGroup
	b.ResetTimer()
	for n, t := range talkers {
		working.Go(func() {
			for next.Add(1) <= int64(b.N) {
				begun := time.Now()
				if err := t.send(fmt.Sprintf("Bench%02d", n), runNumber.Add(1)); err != nil {
					b.Errorf("connection %d: %v", n, err)
					return
				}
				times[n] = append(times[n], time.Since(begun))
			}
		})
	}
	working.Wait()
	b.StopTimer()
	floor := (before + syncTime(b)) / 2 // other work on the machine comes and goes
	each := b.Elapsed() / time.Duration(b.N)
	all := slices.Sorted(slices.Values(slices.Concat(times...)))
	if len(all) == 0 {
		return
	}
	b.ReportMetric(float64(time.Second)/float64(each), "messages/s")
	b.ReportMetric(float64(time.Second)/float64(floor), "floor/s")
	b.ReportMetric(float64(floor)/float64(each), "x-floor")
	b.ReportMetric(milliseconds(all[len(all)/2]), "p50-ms")
	b.ReportMetric(milliseconds(all[len(all)*99/100]), "p99-ms")
}

// runNumber makes every message of this process another one.
var runNumber atomic.Int64

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// syncTime is what the file system takes for 1 KiB appended and synced: no store
// that keeps its promise acknowledges a message alone in less.
func syncTime(b *testing.B) time.Duration {
	b.Helper()
	file, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	const n = 300
	kilobyte := make([]byte, 1<<10)
	begun := time.Now()
	for range n {
		if _, err := file.Write(kilobyte); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begun) / n
}

// talker is the client's side of one connection.
type talker interface {
	// send returns once the message is acknowledged.
	send(sender string, number int64) error
}

type hl7Talker struct {
	net.Conn
	answers *bufio.Scanner
}

func newHL7Talker(conn net.Conn) talker { return hl7Talker{conn, hl7Answers(conn)} }

func (t hl7Talker) send(sender string, number int64) error {
	id := fmt.Sprintf("%s-%d", sender, number)
	if _, err := t.Write(mllp.AppendBlock(nil, []byte(hl7Kilobyte(sender, id)))); err != nil {
		return err
	}
	if !t.answers.Scan() {
		return fmt.Errorf("no answer: %w", t.answers.Err())
	}
	if answer := t.answers.Bytes(); !bytes.Contains(answer, []byte("MSA|AA|"+id)) {
		return fmt.Errorf("answered %q", answer)
	}
	return nil
}

type astmTalker struct{ net.Conn }

func newASTMTalker(conn net.Conn) talker { return astmTalker{conn} }

func (t astmTalker) send(sender string, number int64) error {
	text := astmKilobyte(sender, fmt.Sprintf("%s-%d", sender, number))
	units := append([][]byte{{lis01.ENQ}}, lis01.AppendMessage(nil, []byte(text), lis01.SafeText)...)
	answer := make([]byte, 1)
	for _, unit := range units {
		if _, err := t.Write(unit); err != nil {
			return err
		}
		if _, err := io.ReadFull(t, answer); err != nil {
			return err
		}
		if answer[0] != lis01.ACK {
			return fmt.Errorf("answered %q", answer)
		}
	}
	_, err := t.Write([]byte{lis01.EOT})
	return err
}

// hl7Kilobyte is a message of about 1 KiB with ten results, and astmKilobyte the
// same in records.
func hl7Kilobyte(sender, id string) string {
	text := fmt.Sprintf("MSH|^~\\&|%s|Lab|||20260102030405||ORU^R01|%s|P|2.5.1\rPID|1\rOBR|1||%s|PANEL^Full blood count\r", sender, id, id)
	for n := range 10 {
		text += fmt.Sprintf("OBX|%d|NM|PARAM-%02d^Parameter %02d^L||%d.%d|10*3/uL|3.50-11.00|N|||F|||20260102030405||Anna\r", n+1, n, n, 4+n, n)
	}
	return text
}

func astmKilobyte(sender, id string) string {
	text := fmt.Sprintf("H|\\^&|%s||%s|||||||P|1|20260102030405\rP|1\rO|1|%s||^^^PANEL\r", id, sender, id)
	for n := range 10 {
		text += fmt.Sprintf("R|%d|^^^PARAM-%02d^Parameter %02d|%d.%d|10*3/uL|3.50 to 11.00|N||F||Anna|20260102030405|20260102030405\r", n+1, n, n, 4+n, n)
	}
	return text + "L|1|N\r"
}

// gatewayProgram is the binary that ASSAYGATE names, as it is delivered; without
// it the test's own, which is a larger one.
func gatewayProgram(b *testing.B) string {
	b.Helper()
	if program := os.Getenv("ASSAYGATE"); program != "" {
		return program
	}
	b.Log("*** ASSAYGATE names no binary: measured is the test's own, which takes more memory ***")
	return os.Args[0]
}

func answersAt(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
