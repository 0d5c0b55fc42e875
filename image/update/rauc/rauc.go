// Package rauc has RAUC do its work, over the system's D-Bus: install a bundle, tell
// of the slots, mark them. It knows RAUC from 1.8 on.
//
// RAUC is asked, and what it says is passed on: whether a bundle may be installed,
// and whether a slot is good, others decide. One connection is made for each
// question, so that a bus or a service that was started anew needs no care.
package rauc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// Where RAUC is on the bus.
const (
	service = "de.pengutronix.rauc"
	object  = dbus.ObjectPath("/")
	face    = "de.pengutronix.rauc.Installer"

	properties = "org.freedesktop.DBus.Properties"
	bus        = "org.freedesktop.DBus"
)

// Limits of time, generous: all that RAUC does scales with how slow the card is.
const (
	// Patience is how long RAUC, or the bus, may take to be there.
	Patience = time.Minute
	// askAgain is the pause between two tries meanwhile.
	askAgain = 500 * time.Millisecond
	// answerWithin is how long an answer may take. It calls U-Boot's tools for some.
	answerWithin = 2 * time.Minute
	// installWithin is how long one bundle may take.
	installWithin = 2 * time.Hour
)

// Client asks RAUC. Its zero value asks the one of the system; all methods may be
// called from any goroutine.
type Client struct {
	// Address is the bus, in D-Bus's notation; "" for the system's.
	Address string
	// Patience is how long RAUC may take to be there, 0 for the usual [Patience].
	Patience time.Duration
}

func (c *Client) patience() time.Duration {
	if c.Patience > 0 {
		return c.Patience
	}
	return Patience
}

// connect returns a connection of its own, which the caller closes.
func (c *Client) connect(ctx context.Context) (*dbus.Conn, error) {
	// In order: the end of an installation must not overtake its progress.
	options := []dbus.ConnOption{dbus.WithContext(ctx), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler())}
	var conn *dbus.Conn
	err := c.patiently(ctx, func() (err error) {
		if c.Address == "" {
			conn, err = dbus.ConnectSystemBus(options...)
		} else {
			conn, err = dbus.Connect(c.Address, options...)
		}
		return err
	}, func(error) bool { return true })
	if err != nil {
		return nil, fmt.Errorf("the D-Bus of the system does not answer: %w", err)
	}
	return conn, nil
}

// patiently does something again for as long as it fails in a way that may pass,
// and RAUC's patience lasts.
func (c *Client) patiently(ctx context.Context, try func() error, passing func(error) bool) error {
	for end := time.Now().Add(c.patience()); ; {
		err := try()
		if err == nil || !passing(err) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(askAgain):
		}
	}
}

// call calls a method, and has a RAUC that is not there yet be started, or waits
// for it.
func (c *Client) call(ctx context.Context, conn *dbus.Conn, method string, args ...any) (*dbus.Call, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var call *dbus.Call
	err := c.patiently(ctx, func() error {
		call = conn.Object(service, object).CallWithContext(ctx, method, 0, args...)
		return call.Err
	}, absent)
	if err == nil {
		return call, nil
	}
	return nil, named(err)
}

// property asks for one value.
func (c *Client) property(ctx context.Context, conn *dbus.Conn, name string, to any) error {
	call, err := c.call(ctx, conn, properties+".Get", face, name)
	if err != nil {
		return fmt.Errorf("ask RAUC for %s: %w", name, err)
	}
	var value dbus.Variant
	if err := call.Store(&value); err != nil {
		return fmt.Errorf("ask RAUC for %s: %w", name, err)
	}
	if err := value.Store(to); err != nil {
		return fmt.Errorf("ask RAUC for %s: %w", name, err)
	}
	return nil
}
