package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// keptOf are the envelopes that a gateway with the configuration keeps of a capture.
func keptOf(t *testing.T, k *keptMessages, file string) (list []envelope.Envelope) {
	t.Helper()
	read, err := readCapture(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, transmission := range read.Transmissions {
		for _, raw := range rawMessages(transmission) {
			raw.Instrument = "lab"
			list = append(list, k.set().Envelopes(raw, time.Now())...)
		}
	}
	if len(list) == 0 {
		t.Fatalf("%s holds no message", file)
	}
	return list
}

func messagesOf(t *testing.T, text string) *keptMessages {
	t.Helper()
	config, err := parseConfig([]byte("version: 1\n"+text), "test")
	if err != nil {
		t.Fatal(err)
	}
	return &keptMessages{daemon: newDaemon(config, newLog(config.Log, &lockedBuffer{}))}
}

func TestRecordsOfEveryCapture(t *testing.T) {
	files, err := filepath.Glob("../../device/simulator/captures/[a-z]*")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d captures, %v", len(files), err)
	}
	more, _ := filepath.Glob("../../device/profile/testdata/captures/*")
	k := messagesOf(t, "")
	for _, file := range append(files, more...) {
		for _, e := range keptOf(t, k, file) {
			records, cut, err := k.records(e)
			if err != nil || cut || len(records) < 2 {
				t.Errorf("%s: %d records, %v", file, len(records), err)
			}
		}
	}
}

func TestRecordsAreNumberedAndNamed(t *testing.T) {
	k := messagesOf(t, "")
	for file, want := range map[string][]string{
		"../../device/profile/testdata/captures/sysmex_xn.astm":        {"R.4 value ", "R.3.5  ", "O.4.3  ", "H.5 sender "},
		"../../device/profile/testdata/captures/hemoscreen.hl7":        {"OBX-5 value ", "MSH-9  ", "OBX-3 test "},
		"../../device/profile/testdata/captures/celldyn_emerald.bin":   {"R.4 value 7.2", "O.3 sample_id SIM-0122"},
		"../../device/profile/testdata/captures/generic_hl7_image.hl7": {"OBX-5.4  Base64"},
	} {
		records, _, err := k.records(keptOf(t, k, file)[0])
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, r := range records {
			for _, f := range r.Fields {
				fmt.Fprintln(&text, f.Place, f.Name, f.Text)
			}
		}
		for _, line := range want {
			if !strings.Contains(text.String(), line) {
				t.Errorf("%s lacks %q:\n%.3000s", file, line, text.String())
			}
		}
	}
}

func TestTextInItsCharacterSet(t *testing.T) {
	k := messagesOf(t, "instruments: [{name: lab, astm: {listen: ':4010'}, charset: gbk}]\n")
	e := envelope.Envelope{Protocol: envelope.ASTM, Instrument: "lab", Raw: []byte("\x021H|\\^&|||\xcd\xf5\r\x0341\r\n")}
	if got := k.text(e); !strings.Contains(got, "王") {
		t.Errorf("GBK is %q", got)
	}
	e.Instrument = "gone"
	if got := k.text(e); !strings.Contains(got, "Íõ") {
		t.Errorf("of an instrument that is gone: %q", got)
	}
}

func TestRecordsAreBounded(t *testing.T) {
	k := messagesOf(t, "")
	raw := []byte("MSH|^~\\&|a||||||ORU^R01|1|P|2.5\rOBX|1|TX|" + strings.Repeat("x", 1<<20) + "\r" + strings.Repeat("OBX|1|NM|a||1\r", 100_000))
	begun := time.Now()
	records, more, err := k.records(envelope.Envelope{Protocol: envelope.HL7, Raw: raw})
	if err != nil || !more || len(records) > fieldsShown {
		t.Errorf("%d records, more %t, %v", len(records), more, err)
	}
	size := 0
	for _, r := range records {
		for _, f := range r.Fields {
			size += len(f.Text)
		}
	}
	if size > 100<<10 {
		t.Errorf("%d bytes", size)
	}
	t.Log(len(raw), "bytes in", time.Since(begun))
}

// What cannot be taken apart is said, and shown as far as it goes.
func TestRecordsOfWhatIsDamaged(t *testing.T) {
	k := messagesOf(t, "")
	for _, raw := range []string{"", "\x00\x01\x02", "not a message", "\x021H|\\^&\r", "MSH"} {
		if _, _, err := k.records(envelope.Envelope{Protocol: envelope.ASTM, Raw: []byte(raw)}); err == nil {
			t.Logf("%q was read", raw)
		}
	}
}
