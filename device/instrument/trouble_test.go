package instrument

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/assaygate/assaygate/device/port"
)

// A person who asks why nothing comes is told what the log says once.
func TestTroubleTellsWhyALineIsNotOpenAndThatItIs(t *testing.T) {
	b := newBench(t, Defaults())
	told := make(chan error, 100)
	b.service.Trouble = func(instrument string, err error) {
		if instrument != "analyser" {
			t.Errorf("about %s", instrument)
		}
		told <- err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- b.service.Dial(ctx, Instrument{Name: "analyser", Settings: Defaults()}, port.Settings{Dial: address}, func() {})
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if err := <-told; !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", err)
	}
	if listener, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for err = range told {
		if err == nil {
			break
		}
	}
}

func TestTroubleTellsWhoWasNotLetIn(t *testing.T) {
	b := newBench(t, Defaults())
	told := make(chan error, 100)
	b.service.Trouble = func(_ string, err error) { told <- err }
	m := Instrument{Name: "analyser", Settings: Defaults(), AllowFrom: prefixes("10.20.0.0/24")}
	b.refused(b.listen(m), "\x05")
	var why port.Refusal
	if err := <-told; !errors.As(err, &why) || why != port.RefusedOrigin || !strings.HasPrefix(err.Error(), "127.0.0.1: ") {
		t.Errorf("%v", err)
	}
}
