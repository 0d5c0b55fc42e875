package simulator

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/protocols/vendor"
)

func TestReadVendor(t *testing.T) {
	load := func(name string) string {
		data, err := Capture(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	vidas, spotchem, emerald := load("mini_vidas.bin"), load("spotchem_el.bin"), load("celldyn_emerald.bin")
	for name, test := range map[string]struct {
		data string
		want []vendor.Format
	}{
		"a session":                   {"\x05" + vidas + "\x04", []vendor.Format{vendor.MiniVIDAS}},
		"beside ASTM":                 {vidas + spotchem + string(frame(1, "H|\\^&\rL|1\r", true)) + vidas, []vendor.Format{vendor.MiniVIDAS, vendor.SpotchemEL, "", vendor.MiniVIDAS}},
		"a dialogue":                  {"CONNECT;1;2\r" + emerald + "H;1\rSTARTUP;1\r" + emerald + "DISCONNECT;1\r", []vendor.Format{vendor.Emerald, vendor.Emerald, vendor.Emerald}},
		"a frame in LF":               {strings.ReplaceAll(emerald, "\r", "\n"), []vendor.Format{vendor.Emerald}},
		"a frame without its END":     {emerald[:strings.Index(emerald, "END_RESULT")], []vendor.Format{vendor.Emerald}},
		"a frame without its last CR": {strings.TrimSuffix(emerald, "\r"), []vendor.Format{vendor.Emerald}},
	} {
		messages := read(t, []byte(test.data))
		var got []vendor.Format
		for _, m := range messages {
			got = append(got, m.Format)
			if m.Format != "" && vendor.Verify(m.Format, m.Text) != nil {
				t.Errorf("%s: the sum of %q is wrong", name, m.Text)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestStampVendor(t *testing.T) {
	for name, want := range map[string][]string{
		"mini_vidas.bin":      {"\x1ett04:05|", "\x1etd03/02/31|", "\x1expT|", "SIM-5001"},
		"spotchem_el.bin":     {"\x0231/03/02 04:05  ID#", "mmol/L TEST\x03", "SIM-6001"},
		"celldyn_emerald.bin": {"\rDATE;02/03/2031\r", "\rTIME;04:05:06\r", "\rMODE;TEST\r", "\rSEQ;SEQ-", "\rSID;SIM-7001\r"},
	} {
		m := capture(t, name)[0]
		out, err := m.prepare(Options{}, someTime)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range want {
			if !strings.Contains(string(out.text), strings.NewReplacer("03/02/31", someTime.Format("01/02/06"), "31/03/02", someTime.Format("06/01/02"),
				"02/03/2031", someTime.Format("02/01/2006"), "04:05:06", someTime.Format("15:04:05"), "04:05", someTime.Format("15:04")).Replace(part)) {
				t.Errorf("%s: no %q in %q", name, part, out.text)
			}
		}
		if err := vendor.Verify(m.Format, out.text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		again, err := m.prepare(Options{}, someTime)
		if err != nil || m.Format == vendor.Emerald && bytes.Equal(again.text, out.text) {
			t.Errorf("%s: two plays are the same (%v)", name, err)
		}
		if verbatim, err := m.prepare(Options{Verbatim: true}, someTime); err != nil || !bytes.Equal(verbatim.text, m.Text) {
			t.Errorf("%s: verbatim is changed (%v)", name, err)
		}
	}
}

// A host that says what it is told to, after each line with a word that it waits
// for.
func emeraldAnswers(t *testing.T, conn net.Conn, answers map[string]string) {
	in := &tokens{line: conn, split: vendor.SplitLine}
	for {
		line, err := in.next(someTime.AddDate(100, 0, 0))
		if err != nil {
			return
		}
		word, _, _ := strings.Cut(strings.Trim(string(line), "\r\n"), ";")
		if answer := answers[word]; answer != "" {
			if _, err := io.WriteString(conn, answer+"\r"); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestPlayEmerald(t *testing.T) {
	for want, answers := range map[string]map[string]string{
		"":                                   {"CONNECT": "ACK_CONNECT;1", "RESULT_READY": "ACK_RESULT_READY", "END_RESULT": "ACK_RESULT;OK"},
		"answered with ACK_RESULT;CRC_ERROR": {"CONNECT": "ACK_CONNECT;1", "RESULT_READY": "ACK_RESULT_READY", "END_RESULT": "ACK_RESULT;CRC_ERROR"},
		"answered with NO":                   {"CONNECT": "NO"},
	} {
		here, there := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			emeraldAnswers(t, there, answers)
		}()
		result, err := Play(t.Context(), here, capture(t, "celldyn_emerald.bin"), Options{Count: 2})
		here.Close()
		<-done
		switch {
		case err != nil:
			t.Error(err)
		case want == "" && len(result.Acknowledged) != 2, want != "" && (len(result.Refused) != 2 || result.Refused[0].Reason != want):
			t.Errorf("%q: %+v", want, result)
		}
	}
}

// Packets have no acknowledgement, so none is claimed.
func TestPlayPackets(t *testing.T) {
	here, there := net.Pipe()
	heard := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(there)
		heard <- all
	}()
	messages := slices.Concat(capture(t, "mini_vidas.bin"), capture(t, "spotchem_el.bin"))
	result, err := Play(t.Context(), here, messages, Options{Verbatim: true})
	here.Close()
	if got := <-heard; err != nil || len(result.Sent) != 2 || len(result.Acknowledged) != 0 || string(got) != string(messages[0].Text)+string(messages[1].Text) {
		t.Errorf("%+v, %v, heard %q", result, err, got)
	}
}

func TestVendorTargets(t *testing.T) {
	for name, protocol := range map[string]Protocol{"mini_vidas.bin": ASTM, "spotchem_el.bin": ASTM, "celldyn_emerald.bin": Vendor} {
		for _, to := range []Protocol{ASTM, HL7, Vendor, ""} {
			err := Target{Protocol: to, Address: "x:1"}.accepts(capture(t, name), Options{})
			if (err == nil) != (to == protocol || to == "") {
				t.Errorf("%s to %s: %v", name, to, err)
			}
		}
	}
}
