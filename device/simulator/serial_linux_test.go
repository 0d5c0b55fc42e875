package simulator

import (
	"slices"
	"sync"
	"testing"

	"github.com/assaygate/assaygate/device/port"
)

// The simulator has the device here, and the host the other end of the cable.
func TestRunOverSerial(t *testing.T) {
	master, path, err := port.OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	target, err := ParseTarget("serial:" + path + ",19200")
	if err != nil {
		t.Fatal(err)
	}
	// With the device open before, the host sees no hang-up at its first read.
	line, err := target.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var heard []byte
	d := &dialogue{line: master, reply: func(token []byte) []byte {
		heard = append(heard, token...)
		return takesAll(token)
	}}
	var wait sync.WaitGroup
	wait.Go(func() { d.run(ASTM) })

	messages := capture(t, "roche_cobas_c111.astm")
	result, err := Play(t.Context(), line, messages, Options{Verbatim: true})
	if err != nil || len(result.Acknowledged) != 1 {
		t.Errorf("%+v, %v", result, err)
	}
	line.Close()
	wait.Wait()
	master.Close()
	want, err := Capture("roche_cobas_c111.astm")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q\nwant  %q", heard, want)
	}
}
