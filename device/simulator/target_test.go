package simulator

import (
	"context"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/assaygate/assaygate/device/port"
)

func TestParseTarget(t *testing.T) {
	serialAt := func(device string, baud int) port.Serial {
		s := port.DefaultSerial()
		s.Port, s.Baud = device, baud
		return s
	}
	for text, want := range map[string]Target{
		"astm://box:4010":             {Protocol: ASTM, Address: "box:4010"},
		"mllp://[::1]:2575/":          {Protocol: HL7, Address: "[::1]:2575"},
		"emerald://box:1200":          {Protocol: Vendor, Address: "box:1200"},
		"astms://box:4010":            {Protocol: ASTM, Address: "box:4010", TLS: &port.TLSFiles{}},
		"mllps://[::1]:2575/":         {Protocol: HL7, Address: "[::1]:2575", TLS: &port.TLSFiles{}},
		"emeralds://box:1200":         {Protocol: Vendor, Address: "box:1200", TLS: &port.TLSFiles{}},
		"serial:/dev/ttyUSB0":         {Serial: serialAt("/dev/ttyUSB0", 9600)},
		"serial:COM3,19200":           {Serial: serialAt("COM3", 19200)},
		"serial:usb:1-1.3,115200":     {Serial: serialAt("usb:1-1.3", 115200)},
		"serial:serial:A50285BI,4800": {Serial: serialAt("serial:A50285BI", 4800)},
	} {
		if got, err := ParseTarget(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "http://box:80", "https://box:80", "s://box:80", "astmss://box:80", "astm://box", "astms://box", "mllp://:1", "serial:", "serial:ttyUSB0", "serial:/dev/x,fast", "serial:/dev/x,1"} {
		if got, err := ParseTarget(text); err == nil || !strings.HasPrefix(err.Error(), "target "+text) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestRunOverTCP(t *testing.T) {
	listener, err := port.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var connections atomic.Int32
	done := make(chan error)
	go func() {
		done <- port.Serve(ctx, listener, func(_ context.Context, conn net.Conn) {
			connections.Add(1)
			d := &dialogue{line: conn, reply: takesAll}
			d.run(ASTM)
		}, nil, nil)
	}()
	messages := slices.Concat(capture(t, "sysmex_xn.astm"), capture(t, "roche_cobas_c111.astm"), capture(t, "two_orders.astm"))
	to := Target{Protocol: ASTM, Address: listener.Addr().String()}
	result, err := Run(t.Context(), to, messages, Options{Count: 3, Connections: 4})
	cancel()
	if err != nil || <-done != nil {
		t.Fatal(err)
	}
	slices.Sort(result.Acknowledged)
	if n := len(slices.Compact(result.Acknowledged)); n != 3*3*4 || len(result.Refused) != 0 || connections.Load() != 4 {
		t.Errorf("%d control ids over %d connections, refused %v", n, connections.Load(), result.Refused)
	}
	if _, err := Run(t.Context(), to, messages, Options{}); err == nil {
		t.Error("nobody listens, and no error")
	}
	if _, err := Run(t.Context(), to, capture(t, "hemoscreen.hl7"), Options{}); err == nil || !strings.Contains(err.Error(), "mllp://") {
		t.Errorf("HL7 to an ASTM target: %v", err)
	}
	if _, err := Run(t.Context(), Target{}, messages, Options{Connections: 2}); err == nil {
		t.Error("two connections over one serial port, and no error")
	}
}
