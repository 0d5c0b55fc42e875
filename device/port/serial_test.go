package port

import (
	"errors"
	"strings"
	"testing"
)

func TestSerialValidate(t *testing.T) {
	off := false
	good := []Serial{
		{Port: "/dev/ttyUSB0"},
		{Port: "usb:1-1.3", Baud: 115200, DataBits: 7, Parity: "even", StopBits: 2, Flow: "rtscts", DTR: &off},
		{Port: "serial:A50285BI", Flow: "xonxoff", RTS: &off},
		{Port: "COM3", Parity: "odd"},
	}
	for _, s := range good {
		if err := s.Validate(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, test := range []struct {
		s    Serial
		want string
	}{
		{Serial{}, "port: missing"},
		{Serial{Port: "ttyUSB0"}, "port: ttyUSB0 is not a device path; write /dev/ttyUSB0"},
		{Serial{Port: "usb:"}, "port: usb: has nothing after the colon"},
		{Serial{Port: "/dev/x", Baud: -1}, "baud: -1 is not between 50 and 4000000"},
		{Serial{Port: "/dev/x", DataBits: 9}, "data_bits: 9 is not 7 or 8"},
		{Serial{Port: "/dev/x", Parity: "mark"}, "parity: mark is not one of none, even, odd"},
		{Serial{Port: "/dev/x", StopBits: 3}, "stop_bits: 3 is not 1 or 2"},
		{Serial{Port: "/dev/x", Flow: "dtrdsr"}, "flow: dtrdsr is not one of none, rtscts, xonxoff"},
		{Serial{Port: "/dev/x", Flow: "rtscts", RTS: &off}, "rts: off cannot be held with flow: rtscts"},
	} {
		if err := test.s.Validate(); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %s", test.s, err, test.want)
		}
	}
	all := Serial{Baud: 1, DataBits: 1, Parity: "x", StopBits: 9, Flow: "y"}.Validate()
	if n := strings.Count(all.Error(), "\n") + 1; n != 6 {
		t.Errorf("%d errors at once, want 6: %v", n, all)
	}
}

func TestStableNamesAreLookedUpFirst(t *testing.T) {
	for _, name := range []string{"usb:1-1.3", "serial:A50285BI"} {
		_, err := OpenSerial(t.Context(), Serial{Port: name})
		if !errors.Is(err, ErrNotActive) || !strings.Contains(err.Error(), "name the device, e.g. /dev/ttyUSB0") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
