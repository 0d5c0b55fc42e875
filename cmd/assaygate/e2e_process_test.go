//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// process is a gateway of its own, which a test can kill.
type process struct {
	*exec.Cmd
	log *lockedBuffer
}

// spawn starts a gateway on the configuration and waits until it is ready. The
// words before it, if any, run it: strace and its flags.
func spawn(t testing.TB, config string, before ...string) *process {
	t.Helper()
	p := launch(t, config, before...)
	eventually(t, "the gateway is ready", func() bool {
		if p.ProcessState != nil {
			t.Fatalf("the gateway ended: %s", p.log.text())
		}
		return strings.Contains(p.log.text(), "gateway ready")
	})
	return p
}

// launch is spawn without the wait.
func launch(t testing.TB, config string, before ...string) *process {
	t.Helper()
	return launchWords(t, append(before, os.Args[0], "run", "--config", config)...)
}

// launchWords starts any program, the test's own as assaygate, until the test
// ends.
func launchWords(t testing.TB, words ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(words[0], words[1:]...), log: &lockedBuffer{}}
	p.Env = append(os.Environ(), asMain+"=1")
	p.Stderr = p.log
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that strace's child goes with it
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// kill ends the process as a power cut would, as far as it is concerned.
func (p *process) kill() {
	if p.ProcessState == nil {
		_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL) // it may have ended already
		_ = p.Wait()                                      // its status is that of the kill
	}
}

// freePort is an address that nobody listens on, so that a gateway can come back
// on it. It is not of the range that the system takes for port 0 and for
// outgoing connections, so that no sender has it while the gateway is down.
func freePort(t testing.TB) string {
	t.Helper()
	for {
		address := fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(20000))
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
}

// configFile is a configuration file in the directory.
func configFile(t testing.TB, directory, text string) string {
	t.Helper()
	path := filepath.Join(directory, "assaygate.yaml")
	if err := os.WriteFile(path, []byte("version: 1\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// patience is how long a test's sender waits for an answer.
const patience = 20 * time.Second

// sendHL7 sends a message and reports whether it was answered with AA.
func sendHL7(conn net.Conn, answers *bufio.Scanner, message string) bool {
	_ = conn.SetDeadline(time.Now().Add(patience)) // a dead line shows at the write
	if _, err := conn.Write(mllp.AppendBlock(nil, []byte(message))); err != nil {
		return false
	}
	if !answers.Scan() {
		return false
	}
	m, err := hl7.Parse(bytes.Clone(answers.Bytes()))
	return err == nil && string(m.First("MSA").Field(1)) == "AA"
}

func hl7Answers(conn net.Conn) *bufio.Scanner {
	answers := bufio.NewScanner(conn)
	answers.Split(mllp.Split)
	return answers
}

// sendASTM sends a message of two frames and reports whether the last was
// acknowledged.
func sendASTM(conn net.Conn, message string) bool {
	_ = conn.SetDeadline(time.Now().Add(patience)) // a dead line shows at the write
	half := len(message) / 2
	for _, unit := range [][]byte{
		{lis01.ENQ},
		lis01.AppendFrame(nil, lis01.Frame{Number: '1', Text: []byte(message[:half])}),
		lis01.AppendFrame(nil, lis01.Frame{Number: '2', Text: []byte(message[half:]), End: true}),
	} {
		answer := make([]byte, 1)
		if _, err := conn.Write(unit); err != nil {
			return false
		}
		if _, err := conn.Read(answer); err != nil || answer[0] != lis01.ACK {
			return false
		}
	}
	_, err := conn.Write([]byte{lis01.EOT})
	return err == nil
}

func hl7Text(sender, id, sample string) string {
	return fmt.Sprintf("MSH|^~\\&|%s|Lab|||20260102030405||ORU^R01|%s|P|2.5.1\rPID|1\rOBR|1||%s\rOBX|1|NM|GLU||5.1|mmol/L\r", sender, id, sample)
}

func astmText(sender, id, sample string) string {
	return fmt.Sprintf("H|\\^&|%s||%s|||||||P|1|20260102030405\rP|1\rO|1|%s||^^^GLU\rR|1|^^^GLU|5.1|mmol/L\rL|1|N\r", id, sender, sample)
}

func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
