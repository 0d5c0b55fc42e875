package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/device/port"
)

// gatewayPorts is what a running gateway has open, as GET /v1/ports of its
// control socket tells it. Only the gateway can read the modem lines of these
// ports without disturbing them: it has them for itself alone.
type gatewayPorts struct {
	PID   int        `json:"pid"` // 0: no gateway was asked
	Ports []heldPort `json:"ports"`
}

// heldPort is one of them.
type heldPort struct {
	Instrument string           `json:"instrument"`
	Name       string           `json:"name"` // as configured
	Path       string           `json:"path"`
	Modem      *port.ModemLines `json:"modem"` // nil where the driver has none
}

// holder is the line that has the device, nil where none has.
func (g gatewayPorts) holder(path string) *heldPort {
	for i := range g.Ports {
		if sameFile(g.Ports[i].Path, path) {
			return &g.Ports[i]
		}
	}
	return nil
}

// heldPorts is what this process has open.
func (d *daemon) heldPorts() gatewayPorts {
	g := gatewayPorts{PID: os.Getpid(), Ports: []heldPort{}}
	for _, held := range d.panel.Held() {
		p := heldPort{Instrument: held.Owner, Name: held.Name, Path: held.Path}
		if m, err := held.Modem(); err == nil {
			p.Modem = &m
		}
		g.Ports = append(g.Ports, p)
	}
	return g
}

// ports lists the serial ports from within the gateway, for reports. It opens
// none.
func (d *daemon) ports(ctx context.Context) ([]portEntry, error) {
	devices, err := d.panel.Devices()
	if err != nil {
		return nil, err
	}
	view := portsView{
		devices: devices, instruments: d.config().Instruments, lookup: d.panel.Lookup,
		gateway: d.heldPorts(), system: d.panel.System,
	}
	return view.list(ctx), nil
}

// proposals listens to the ports that no line of the gateway has open, all at the
// same time, until each is found or ctx ends.
func (d *daemon) proposals(ctx context.Context) ([]proposal, error) {
	devices, err := d.panel.Devices()
	if err != nil {
		return nil, err
	}
	held := d.heldPorts()
	devices = slices.DeleteFunc(devices, func(one port.Device) bool { return held.holder(one.Path) != nil })
	return probePorts(ctx, d.panel.System, devices, nil), nil
}

// withPorts is the control API with GET /v1/ports beside it.
func (d *daemon) withPorts(control http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", control)
	mux.HandleFunc("GET /v1/ports", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// A failed write means that the asker left.
		_ = json.NewEncoder(w).Encode(d.heldPorts())
	})
	return mux
}

// askPorts asks a running gateway what it has open.
func askPorts(ctx context.Context, socket string) (g gatewayPorts, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gateway/v1/ports", nil)
	if err != nil {
		return g, fmt.Errorf("asking the gateway: %w", err)
	}
	response, err := (&http.Client{Transport: api.Socket(socket)}).Do(request)
	if err != nil {
		return g, fmt.Errorf("asking the gateway: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return g, fmt.Errorf("the gateway answered %s; it may be of an older version", response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(&g); err != nil {
		return g, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return g, nil
}
