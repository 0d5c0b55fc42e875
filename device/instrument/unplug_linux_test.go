package instrument

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/envelope/spool"
)

// cable is a serial line whose plug is pulled and put in again: behind the same
// name there is another device each time, as with a USB adapter.
type cable struct {
	t      *testing.T
	path   string
	master *os.File
}

// fail ends the goroutine that plays this cable.
func (c *cable) fail(format string, args ...any) {
	c.t.Errorf(c.path+": "+format, args...)
	runtime.Goexit()
}

// plug makes the device and waits until the box has it open.
func (c *cable) plug() {
	master, device, err := port.OpenPTY()
	if err != nil {
		c.fail("%v", err)
	}
	c.master = master
	if err := os.Symlink(device, c.path); err != nil {
		c.fail("%v", err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		master.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := master.Read(make([]byte, 1))
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case time.Now().After(end):
			c.fail("the line was not opened: %v", err)
		}
	}
}

func (c *cable) pull() {
	if err := errors.Join(os.Remove(c.path), c.master.Close()); err != nil {
		c.t.Error(err)
	}
}

// play sends the units of a session, each after the ACK of the one before, but
// only so many bytes of all.
func (c *cable) play(units []string, bytes int) {
	for _, unit := range units {
		part := unit[:min(bytes, len(unit))]
		bytes -= len(part)
		if _, err := io.WriteString(c.master, part); err != nil {
			c.fail("%v", err)
		}
		if len(part) < len(unit) {
			return
		}
		if unit == "\x04" {
			continue
		}
		answer := make([]byte, 1)
		c.master.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.ReadFull(c.master, answer); err != nil || string(answer) != ack {
			c.fail("%.20q got %q, %v", unit, answer, err)
		}
	}
}

// keptOf is what is stored of one instrument, oldest first.
func (b *bench) keptOf(name string) (list []string) {
	b.t.Helper()
	summaries, err := b.store.List(b.t.Context(), spool.Filter{Limit: 1000, Instrument: name})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range slices.Backward(summaries) {
		raw, err := b.store.Raw(b.t.Context(), s.ID)
		if err != nil {
			b.t.Fatal(err)
		}
		list = append(list, string(s.Intake)+" "+string(raw))
	}
	return list
}

// A plug that is pulled at any byte of a session costs nothing that was
// acknowledged and publishes nothing that was cut off; when it is back, also
// after the fifth time in a row, the sender says all of it again.
func TestUnplugAtEveryByte(t *testing.T) {
	one, two := frame('1', "H|\\^&\rO|1|S1\r", true), frame('2', "R|1|G|5\rL|1\r", true)
	units := []string{"\x05", one, two, "\x04"}
	enq, first, all := 1, 1+len(one), 1+len(one)+len(two)
	b := newBench(t, Defaults())
	b.hangUp()
	directory := t.TempDir()
	var wait sync.WaitGroup
	for cut := range all + 1 {
		flaps := 1
		if cut%8 == 0 {
			flaps = 5
		}
		name := fmt.Sprintf("cut-%d", cut)
		wait.Go(func() {
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			c := &cable{t: t, path: directory + "/" + name}
			go func() {
				serial := port.DefaultSerial()
				serial.Port = c.path
				ended <- b.service.Serial(ctx, Instrument{Name: name, Settings: Defaults()}, port.Settings{Serial: &serial}, func() {})
			}()
			defer func() {
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}()
			for range flaps {
				c.plug()
				c.play(units, cut)
				c.pull()
			}
			c.plug()
			c.play(units, all+1)
			defer c.pull()

			// A frame whose line end is missing counts as whole after a moment.
			whole, part, none := "accepted "+one+two, "incomplete "+one, ""
			possible := []string{none}
			switch end := strings.Index(one, "\x03") + 3; {
			case cut == all:
				possible = []string{whole}
			case cut >= first+strings.Index(two, "\x03")+3:
				possible = []string{part, "accepted " + one + two[:cut-first]}
			case cut >= first:
				possible = []string{part}
			case cut >= enq+end:
				possible = []string{none, "incomplete " + one[:cut-enq]}
			}
			kept := b.keptOf(name)
			if n := len(kept); n == 0 || kept[n-1] != whole {
				t.Errorf("%s: kept %q", name, kept)
				return
			}
			cuts := kept[:len(kept)-1]
			if len(cuts) > flaps || len(cuts) < flaps && !slices.Contains(possible, none) {
				t.Errorf("%s: %d times: kept %q", name, flaps, kept)
			}
			for _, one := range cuts {
				if !slices.Contains(possible, one) {
					t.Errorf("%s: kept %q, want one of %q", name, one, possible)
				}
			}
		})
	}
	wait.Wait()
}
