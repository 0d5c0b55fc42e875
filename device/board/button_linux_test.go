package board

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unsafe"
)

// The layout is the kernel's: include/uapi/linux/gpio.h.
func TestLayoutOfLineRequests(t *testing.T) {
	var r lineRequest
	for name, is := range map[string][2]uintptr{
		"size":     {unsafe.Sizeof(r), 592},
		"consumer": {unsafe.Offsetof(r.consumer), 256},
		"config":   {unsafe.Offsetof(r.config), 288},
		"lines":    {unsafe.Offsetof(r.lines), 560},
		"fd":       {unsafe.Offsetof(r.fd), 588},
		"values":   {unsafe.Sizeof(lineValues{}), 16},
	} {
		if is[0] != is[1] {
			t.Errorf("%s: %d, the kernel has %d", name, is[0], is[1])
		}
	}
	// The request numbers hold the size of what they carry, bits 16 to 29.
	if getLine>>16&0x3fff != unsafe.Sizeof(r) || getValues>>16&0x3fff != unsafe.Sizeof(lineValues{}) {
		t.Error("the numbers of the requests are those of other structures")
	}
}

// A chip that is not there, or is none, is said to be no button.
func TestButtonThatCannotBeRead(t *testing.T) {
	dev := t.TempDir()
	if err := os.WriteFile(filepath.Join(dev, "gpiochip1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, chip := range []string{"gpiochip0", "gpiochip1"} {
		button, err := System{Dev: dev}.Button(Pin{chip, 5})
		if !errors.Is(err, ErrNoButton) || button != nil {
			t.Errorf("%s: %v", chip, err)
		}
	}
}

// The kernel can pretend to have a chip (gpio-sim). Where it does, the button is
// read through it.
func TestButtonOfARealChip(t *testing.T) {
	chips, err := filepath.Glob("/dev/gpiochip*")
	if err != nil || len(chips) == 0 {
		t.Skip("NOT TESTED: reading a button: this machine has no GPIO chip")
	}
	button, err := System{}.Button(Pin{filepath.Base(chips[0]), 0})
	if err != nil {
		t.Skipf("NOT TESTED: reading a button: %v", err)
	}
	defer button.Close()
	if _, err := button.Pressed(); err != nil {
		t.Error(err)
	}
}
