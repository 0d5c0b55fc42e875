package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"

	"github.com/assaygate/assaygate/envelope/spool"
)

// blameless is why an image is not good yet though nothing says that it is to
// blame: the card or the surroundings keep it from showing that it works.
type blameless struct{ error }

// Unwrap returns why.
func (u blameless) Unwrap() error { return u.error }

// healthy asks whether this image works here: nil says that it has shown it, an
// unproven that it cannot, any other error that it does not work. All of it is
// found on the box: no analyser, LIMS or server of updates has a say.
//
//	what is found                                                verdict
//	the gateway does not run, or does not answer                 does not work
//	a part of it stands still (/healthz)                         does not work
//	the store is not open yet, or its opening goes on            does not work, so far
//	the store cannot be opened: of a newer release, ...          does not work
//	the saved configuration and its second copy are refused      does not work
//	a listener or a serial port may not be opened                does not work
//	the configuration cannot be read off the card                unproven
//	the store is closed: card read-only, broken, corrupt, full   unproven
//	somebody else has the address of a listener                  unproven
//	a serial port is there, and cannot be opened                 unproven
//	the admin endpoint cannot be reached, the gateway runs,
//	and systemd does not know its store to be open               unproven
//	the store is open, whatever the card says since              works
//	an adapter, or the address of an interface, is not there     works
//	TLS files of a listener cannot be used                       works
//	the saved configuration is refused, its second copy runs     works
//
// A card that hangs looks as a gateway that stands still: that is held against the
// image, and costs a start or two.
func (c *slotCommand) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	f := flags{Config: c.Config, Factory: c.Factory}
	start, err := f.load(true)
	if err == nil {
		err = start.accepted()
	} else {
		err = blameCard(err)
	}
	if err != nil {
		return err
	}
	config := start.config
	to, err := f.asking(config)
	if err != nil || config.closesAdmin() {
		return systemdSays(ctx) // there is nobody to ask
	}
	defer to.client.CloseIdleConnections()
	if err = to.ask(ctx, "/healthz"); errors.Is(err, errNoAnswer) && (to.scheme == "https" || !loopback(to.address)) {
		return systemdSays(ctx) // its address or its files may be what is missing
	}
	if err != nil {
		return err
	}
	now, err := to.readiness(ctx)
	if err != nil {
		return err
	}
	return now.verdict()
}

// accepted is nil where this release takes what the box ran with last. A file that
// is refused while its second copy is not was spoilt, or put there by hand.
func (s started) accepted() error {
	if s.refused == nil || !s.factory {
		return nil
	}
	return blameCard(fmt.Errorf("the configuration is refused: %w", s.refused))
}

// blameCard makes an error blameless that says of the card that it cannot be read.
func blameCard(err error) error {
	if spool.FaultOf(err) != "" {
		return blameless{err}
	}
	return err
}

// closesAdmin reports whether there is no admin endpoint to be asked.
func (c Config) closesAdmin() bool {
	_, wanted := c.serversMade()[adminServer]
	return !wanted
}

// verdict is what the parts say together. What only this image can be blamed for
// comes first.
func (r readiness) verdict() error {
	var open error
	for _, one := range r.Reasons {
		switch one.Cause {
		case causeAbsent, causeFiles:
		case causeCard, causeRoom:
			if r.Store != storeOpen {
				open = blameless{one.err()}
			}
		case causeTaken, causeDevice:
			open = blameless{one.err()}
		default:
			return one.err()
		}
	}
	if open == nil && r.Store != storeOpen {
		open = errors.New("the store is not open")
	}
	return open
}

func (u unready) err() error { return errors.New(strings.TrimSpace(u.Name + " " + u.Reason)) }

// systemdSays asks systemd about the gateway, where that has no endpoint: it runs
// once the store was opened or its card is at fault, and its status line tells
// which.
func systemdSays(ctx context.Context) error {
	if err := runQuietly("systemctl", "is-active", "--quiet", "assaygate.service"); err != nil {
		return errors.New("the gateway does not run")
	}
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=StatusText", "--value", "assaygate.service").Output()
	switch text := strings.TrimSpace(string(out)); {
	case err != nil:
		return blameless{fmt.Errorf("the gateway runs, and has no endpoint to be asked: %w", err)}
	case !strings.HasSuffix(text, statusOpen):
		return blameless{fmt.Errorf("the gateway runs, and says: %s", text)}
	}
	return nil
}

// readiness asks part by part. A gateway that is not ready answers too.
func (a endpoint) readiness(ctx context.Context) (r readiness, err error) {
	status, text, err := a.get(ctx, "/readyz", "application/json", 64<<10)
	if err == nil && status != http.StatusOK && status != http.StatusServiceUnavailable {
		err = a.refusal("/readyz", status, text)
	}
	if err != nil {
		return readiness{}, err
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return readiness{}, fmt.Errorf("readyz: what answers at %s does not tell its parts: %w", a.address, err)
	}
	return r, nil
}
