package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/board"
)

// systemFacts is what a support bundle tells of the machine.
type systemFacts struct {
	Serial     string             `json:"serial"`
	Hostname   string             `json:"hostname"`
	Board      string             `json:"board"` // the image's data on it
	Kernel     string             `json:"kernel"`
	Release    string             `json:"release"`
	Memory     string             `json:"memory"`
	Load       string             `json:"load"`
	Uptime     string             `json:"uptime"`
	Processors int                `json:"processors"`
	Time       time.Time          `json:"time"`
	Zone       string             `json:"zone"`
	ClockSet   bool               `json:"clock_set"`
	Free       map[string]float64 `json:"free_bytes"` // by what is kept there
	Card       board.Card         `json:"card"`       // of the store
	Network    []interfaceFacts   `json:"network"`
}

type interfaceFacts struct {
	Name      string   `json:"name"`
	MAC       string   `json:"mac"`
	Up        bool     `json:"up"`
	Addresses []string `json:"addresses"`
}

// system asks the machine. What it does not tell stays empty.
func (s supportSources) system(now time.Time) systemFacts {
	proc := s.board.Proc
	if proc == "" {
		proc = "/proc"
	}
	facts := systemFacts{
		Serial: s.board.Serial(), Board: firstLines(boardData, 50),
		Kernel:  firstLines(filepath.Join(proc, "version"), 1),
		Release: firstLines("/etc/os-release", 20), Memory: firstLines(filepath.Join(proc, "meminfo"), 5),
		Load: firstLines(filepath.Join(proc, "loadavg"), 1), Uptime: firstLines(filepath.Join(proc, "uptime"), 1),
		Processors: runtime.NumCPU(), Time: now, ClockSet: clockSet(),
		Free: map[string]float64{}, Card: s.board.Card(s.directories["store"]), Network: networkFacts(),
	}
	facts.Hostname, _ = os.Hostname()
	facts.Zone, _ = now.Local().Zone()
	for what, directory := range s.directories {
		if free, known := diskFree(directory); known {
			facts.Free[what] = free
		}
	}
	return facts
}

// firstLines are those of a small file, "" where there is none.
func firstLines(path string, most int) string {
	text, err := readBounded(path)
	if err != nil {
		return ""
	}
	lines := strings.SplitAfter(string(text), "\n")
	return strings.TrimSpace(strings.Join(lines[:min(most, len(lines))], ""))
}

func networkFacts() []interfaceFacts {
	list := []interfaceFacts{}
	all, _ := net.Interfaces() // none are known then
	for _, one := range all {
		facts := interfaceFacts{Name: one.Name, MAC: one.HardwareAddr.String(), Up: one.Flags&net.FlagUp != 0, Addresses: []string{}}
		addresses, _ := one.Addrs()
		for _, address := range addresses {
			facts.Addresses = append(facts.Addresses, address.String())
		}
		list = append(list, facts)
	}
	return list
}

// journal reads the newest lines that the gateway's units have logged. Our log
// never holds what a message says.
func journal(ctx context.Context) ([]byte, error) {
	program, err := exec.LookPath("journalctl")
	if err != nil {
		return nil, errors.New("there is no journalctl on this machine; add the gateway's log by hand")
	}
	command := exec.CommandContext(ctx, program, "--unit", "assaygate.service", "--unit", "assaygate-apply.service",
		"--lines", "20000", "--no-pager", "--quiet", "--output", "short-iso-precise")
	newest := &tail{most: maxSupportPart}
	var complaint bytes.Buffer
	command.Stdout, command.Stderr, command.WaitDelay = newest, &complaint, time.Second
	if err := command.Run(); err != nil {
		return nil, errors.Join(errors.New("the journal cannot be read"), err, errors.New(firstLine(complaint.String())))
	}
	return newest.lines(), nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// tail keeps the end of what is written to it.
type tail struct {
	most int
	kept []byte
	cut  bool
}

// Write implements io.Writer.
func (t *tail) Write(data []byte) (int, error) {
	t.kept = append(t.kept, data...)
	if over := len(t.kept) - t.most; over > t.most {
		t.kept, t.cut = append(t.kept[:0], t.kept[over:]...), true
	}
	return len(data), nil
}

// lines are the newest whole lines that fit.
func (t *tail) lines() []byte {
	kept := t.kept
	if over := len(kept) - t.most; over > 0 {
		kept, t.cut = kept[over:], true
	}
	if t.cut {
		_, kept, _ = bytes.Cut(kept, []byte("\n"))
	}
	return kept
}
