// Package imagetest boots the appliance's image in an emulator and does to it what happens to boxes: cables are pulled,
// sticks plugged in, the power is cut, programs hang, updates fail.
//
// `make test-image` and `make test-image-long` build the images and name them by environment variables; without them
// all that starts one is skipped, so that `make test` needs no emulator. docs/image-tests.md tells what is tested, and how
// long each part takes.
package imagetest

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// images are what the Make target has built.
type images struct {
	emulator string // qemu-system-aarch64
	uboot    string // u-boot.bin
	box      string // the image as it is sold
	debug    string // the same with a root shell
	update   string // a bundle for the debug image, of the next version
	releases string // what a repository publishes that has this bundle
	waves    string // and what it publishes later, with one that goes out in waves
	spoilt   string // and with one whose gateway never gets healthy
}

// find returns the images, and skips the test where it was given none.
func find(t *testing.T) images {
	t.Helper()
	i := images{emulator: os.Getenv("ASSAYGATE_QEMU")}
	if i.emulator == "" {
		i.emulator = "qemu-system-aarch64"
	}
	for variable, to := range map[string]*string{
		"ASSAYGATE_IMAGE": &i.box, "ASSAYGATE_IMAGE_DEBUG": &i.debug, "ASSAYGATE_UBOOT": &i.uboot,
		"ASSAYGATE_BUNDLE": &i.update, "ASSAYGATE_RELEASES": &i.releases, "ASSAYGATE_RELEASES_WAVES": &i.waves, "ASSAYGATE_RELEASES_SPOILT": &i.spoilt,
	} {
		path := os.Getenv(variable)
		if path == "" {
			t.Skipf("*** NOT TESTED: the image in an emulator: %s names none (make test-image) ***", variable)
		}
		whole, err := filepath.Abs(path)
		if err == nil {
			_, err = os.Stat(whole)
		}
		if err != nil {
			t.Fatalf("%s: %v (make test-image builds it)", variable, err)
		}
		*to = whole
	}
	return i
}

// Limits are four times what an idle machine of two cores needs, times ASSAYGATE_IMAGE_SLOWER for one that has other work.
// Nothing is slept: each is the end of a wait for a marker.
var (
	bootLimit     = slower(2 * time.Minute)
	stickLimit    = slower(time.Minute)
	momentLimit   = slower(40 * time.Second) // what happens within seconds
	watchdogLimit = slower(4 * time.Minute)  // a gateway that stands still has a minute, the hardware's watchdog 30 s
	installLimit  = slower(2 * time.Minute)
	fallbackLimit = slower(4 * time.Minute)
)

func slower(d time.Duration) time.Duration {
	if n, err := strconv.Atoi(os.Getenv("ASSAYGATE_IMAGE_SLOWER")); err == nil && n > 1 {
		return d * time.Duration(n)
	}
	return d
}

// The markers that a box writes to its console.
const (
	booting = `ASSAYGATE-BOOT: slot ([AB])`
	ready   = `ASSAYGATE-READY`
)

// TestMain is the other end of a connection that the emulator gives to a program of its own; see pipe.
func TestMain(m *testing.M) {
	if to := os.Getenv(pipeVariable); to != "" {
		pipe(to)
		return
	}
	os.Exit(m.Run())
}
