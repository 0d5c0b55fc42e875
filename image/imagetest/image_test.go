package imagetest

import (
	"fmt"
	"testing"
	"time"
)

// TestImage is the life of one box, in cases that follow upon each other. One that is run alone (make test-image
// RUN=update) has the box switched on and configured first.
func TestImage(t *testing.T) {
	i := find(t)
	b := newBox(t, "box", hardware{images: i, debug: true}, i.debug)
	r := &results{began: time.Now()}
	defer func() {
		r.summary()
		fmt.Printf("boots to READY: %v\n", b.boots)
	}()
	r.run(t, "boot", func() error { return bootCase(t, b) })
	r.run(t, "fresh", b.freshCase)
	r.run(t, "stick", b.stickCase)
	r.run(t, "serial", b.serialCase)
	r.run(t, "mllp", b.mllpCase)
	r.run(t, "replug", b.replugCase)
	r.run(t, "usb", b.usbCase)
	r.run(t, "kill", b.killCase)
	r.run(t, "watchdog", b.watchdogCase)
	r.run(t, "readonly", b.readonlyCase)
	r.run(t, "torn", b.tornCase)
	r.run(t, "update", b.updateCase)
	r.run(t, "https", b.httpsCase)
	r.run(t, "fallback", b.fallbackCase)
}
