package rauc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Slot is one of the places on the card that hold a system.
type Slot struct {
	Name     string // in RAUC: rootfs.0
	Bootname string // in the boot loader: A
	Device   string
	Booted   bool // the running system is in it
	// Good is false of a slot that the boot loader has given up, or that is being
	// written or was when the power failed.
	Good bool
	// Version is that of the bundle that was installed since this system was
	// started; "" where none was, since RAUC's notes are in memory.
	Version string
}

// Slots returns the slots that the boot loader knows, ordered by their bootnames.
func (c *Client) Slots(ctx context.Context) ([]Slot, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	call, err := c.call(ctx, conn, face+".GetSlotStatus")
	if err != nil {
		return nil, fmt.Errorf("ask RAUC for its slots: %w", err)
	}
	var rows []struct {
		Name   string
		Status map[string]dbus.Variant
	}
	if err := call.Store(&rows); err != nil {
		return nil, fmt.Errorf("ask RAUC for its slots: %w", err)
	}
	slots := []Slot{}
	for _, row := range rows {
		text := func(key string) string {
			value, _ := row.Status[key].Value().(string) // absent, or of another kind: not known
			return value
		}
		if text("bootname") == "" {
			continue
		}
		slots = append(slots, Slot{
			Name: row.Name, Bootname: text("bootname"), Device: text("device"), Version: text("bundle.version"),
			Booted: text("state") == "booted", Good: text("boot-status") == "good",
		})
	}
	slices.SortFunc(slots, func(a, b Slot) int { return strings.Compare(a.Bootname, b.Bootname) })
	return slots, nil
}

// The marks of [Client.Mark], and its slots beside those by name.
const (
	Good   = "good"   // gets all its attempts back
	Bad    = "bad"    // is not started any more
	Active = "active" // is the first to be started

	Booted = "booted"
	Other  = "other"
)

// Mark marks a slot, and returns what RAUC says that it has done.
func (c *Client) Mark(ctx context.Context, mark, slot string) (string, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	call, err := c.call(ctx, conn, face+".Mark", mark, slot)
	if err != nil {
		return "", fmt.Errorf("have RAUC mark slot %s %s: %w", slot, mark, err)
	}
	var name, message string
	if err := call.Store(&name, &message); err != nil {
		return "", fmt.Errorf("have RAUC mark slot %s %s: %w", slot, mark, err)
	}
	return message, nil
}

// Compatible returns what bundles this system takes.
func (c *Client) Compatible(ctx context.Context) (compatible string, err error) {
	err = c.ask(ctx, "Compatible", &compatible)
	return compatible, err
}

// BootSlot returns which slot RAUC was told that the system was started from.
func (c *Client) BootSlot(ctx context.Context) (slot string, err error) {
	err = c.ask(ctx, "BootSlot", &slot)
	return slot, err
}

func (c *Client) ask(ctx context.Context, property string, to *string) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return c.property(ctx, conn, property, to)
}
