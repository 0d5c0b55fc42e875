package main

import (
	"net"
	"os"
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
	Data       board.DataState    `json:"data"`       // as root found it at the start of the box
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
	facts.Data, _ = s.board.DataNow() // not known off the image
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
