package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"syscall"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/envelope/spool"
)

// readiness is what /readyz says to a program: part by part, and at whose door
// each fault lies. Ready is what the status says, 200 or 503.
type readiness struct {
	Ready bool `json:"ready"`
	// Store is "open" or "closed": whether this process has the store open now.
	Store   string    `json:"store"`
	Reasons []unready `json:"reasons"`
}

// unready is one part that is not as the configuration asks for.
type unready struct {
	Part   string `json:"part"`           // partStore, partListener or partSerial
	Name   string `json:"name,omitempty"` // of the listener, server or instrument
	Cause  string `json:"cause"`
	Reason string `json:"reason"` // for people
	// Excused: readiness does not wait for it.
	Excused bool `json:"excused,omitempty"`
}

const (
	partStore    = "store"
	partListener = "listener"
	partSerial   = "serial"

	storeOpen   = "open"
	storeClosed = "closed"
)

// What a part lacks, as far as an error tells.
const (
	causeStarting = "starting" // it is on its way
	causeCard     = "card"     // the card, or what is on it
	causeRoom     = "room"     // the card is full
	causeAbsent   = "absent"   // an adapter, or the address of an interface, is not there
	causeTaken    = "taken"    // somebody else has it
	causeDevice   = "device"   // it is there, and does not work as it should
	causeFiles    = "files"    // TLS files that cannot be used
	causeGateway  = "gateway"  // this program, its system or its configuration
)

// readiness is what is known now. It waits for nothing.
func (d *daemon) readiness() readiness {
	r := readiness{Ready: d.health.Ready() == nil, Store: storeClosed, Reasons: []unready{}}
	if g, _ := d.standing.now(); g != nil && g.store.Err() == nil {
		r.Store = storeOpen
	}
	if cause, trouble := d.storeState(); trouble != nil {
		r.Reasons = append(r.Reasons, unready{Part: partStore, Cause: cause, Reason: oneLine(trouble)})
	}
	r.Reasons = append(append(r.Reasons, d.doors.unready()...), d.unreadySerial()...)
	return r
}

// unreadySerial are the serial lines that are not open. An adapter may come later,
// so readiness never waits for one.
func (d *daemon) unreadySerial() (list []unready) {
	for _, i := range d.config().opened() {
		if i.Serial == nil || d.metrics.state(i.Name).up {
			continue
		}
		one := unready{Part: partSerial, Name: i.Name, Cause: causeStarting, Reason: "it was not opened yet", Excused: true}
		if why := d.tally.line(i.Name).shut; why != nil {
			one.Cause, one.Reason = serialCause(why), oneLine(why)
		}
		list = append(list, one)
	}
	return list
}

// tellReadiness answers a program that asks /readyz for JSON; anybody else goes on
// to next.
func (d *daemon) tellReadiness(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept"), "application/json") {
			next.ServeHTTP(w, r)
			return
		}
		now := d.readiness()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !now.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(now) // a failure means that the reader left
	})
	return mux
}

// storeCause is what an error of the store lacks.
func storeCause(err error) string {
	switch fault := spool.FaultOf(err); {
	case errors.Is(err, errAsked):
		return causeStarting
	case fault == spool.CardFull:
		return causeRoom
	case fault != "", errors.Is(err, errGone), errors.Is(err, errLost):
		return causeCard
	}
	return causeGateway
}

// doorCause is what an error of a listener lacks.
func doorCause(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return causeAbsent
	case errors.Is(err, syscall.EADDRINUSE):
		return causeTaken
	}
	return causeGateway
}

// serialCause is what an error of a serial port lacks. That the port may not be
// opened is the system's doing; anything else is mostly the adapter's.
func serialCause(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, port.ErrNotActive):
		return causeGateway
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, port.ErrUnplugged), errors.Is(err, syscall.ENXIO):
		return causeAbsent
	}
	return causeDevice
}
