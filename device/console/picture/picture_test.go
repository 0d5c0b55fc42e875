package picture

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
)

// envelopesOf reads a capture as the gateway does, and takes the envelopes through
// their JSON, as the store does.
func envelopesOf(t *testing.T, file string) (list []envelope.Envelope) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	profiles, err := profile.Load(profile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	read, err := capturefile.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, transmission := range read.Transmissions {
		for _, m := range transmission.Messages() {
			raw := profile.Raw{
				Protocol: envelope.Protocol(transmission.Protocol), Format: string(transmission.Format), Text: m.Text, Frames: m.Frames,
				Clock: envelope.ClockSet, Intake: envelope.Accepted,
			}
			for _, e := range profiles.Envelopes(raw, time.Now()) {
				text, err := json.Marshal(e)
				if err != nil {
					t.Fatal(err)
				}
				var stored envelope.Envelope
				if err := json.Unmarshal(text, &stored); err != nil {
					t.Fatal(err)
				}
				list = append(list, stored)
			}
		}
	}
	if len(list) == 0 {
		t.Fatalf("%s holds no message", file)
	}
	return list
}

// own is a capture of ours.
func own(name string) string { return filepath.Join("../../profile/testdata/captures", name) }

// shared is a capture of the project's owner; without it the test is skipped.
func shared(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join("../../../../shared", "captures", name)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("SKIPPED, and so not tested: the capture %s is not here", name)
	}
	return file
}

func wellFormed(t *testing.T, p Plot) string {
	t.Helper()
	svg := string(p.SVG("plot-1"))
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return svg
		} else if err != nil {
			t.Fatalf("%v in %.2000s", err, svg)
		}
	}
}

func TestPlots(t *testing.T) {
	for _, test := range []struct {
		file string
		want []string // title and text of each plot
	}{
		{own("horiba_yumizen_h5xx.astm"), []string{
			"Histogram RbcAlongRes (RBC/PLT): 3 channels from 0 to 278, highest with 20 at 2.5. Thresholds at 42.25.",
			"Scattergram LMNEResAbs (LMNE): 2 points for 3 cells, from 0 to 2047 across and 0 to 2047 up.",
		}},
		{own("celldyn_emerald.bin"), []string{"Histogram WBC: 6 channels from 0 to 5, highest with 9 at 3."}},
		{own("sysmex_xn.astm"), nil},
		{own("generic_hl7_image.hl7"), nil}, // what is called a histogram there is damaged
	} {
		var got []string
		for _, e := range envelopesOf(t, test.file) {
			for _, p := range Of(e) {
				wellFormed(t, p)
				got = append(got, p.Title()+": "+p.Text())
			}
		}
		if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
			t.Errorf("%s:\n%s", test.file, strings.Join(got, "\n"))
		}
	}
}

func TestYumizen(t *testing.T) {
	plots := Of(envelopesOf(t, shared(t, "yumizen_h500.txt"))[0])
	if len(plots) != 3 {
		t.Fatalf("%d plots", len(plots))
	}
	for i, want := range []string{"Histogram RbcAlongRes (RBC/PLT)", "Histogram PltAlongRes (RBC/PLT)", "Scattergram LMNEResAbs (LMNE)"} {
		if plots[i].Title() != want {
			t.Errorf("plot %d is %s", i, plots[i].Title())
		}
		svg := wellFormed(t, plots[i])
		if len(svg) > 40<<10 {
			t.Errorf("%s takes %d bytes", want, len(svg))
		}
		t.Log(plots[i].Text())
	}
}

func TestEmerald(t *testing.T) {
	plots := Of(envelopesOf(t, shared(t, "emerald/emerald22al_result.RECONSTRUCTED.txt"))[0])
	var titles []string
	for _, p := range plots {
		wellFormed(t, p)
		titles = append(titles, p.Title()+": "+p.Text())
	}
	want := []string{
		"Histogram WBC: 128 channels from 0 to 127, highest with 236 at 89. Thresholds at 32, 49.",
		"Histogram RBC: 128 channels from 0 to 127, highest with 246 at 46. Thresholds at 32, 62.",
		"Histogram PLT: 128 channels from 0 to 127, highest with 95 at 21. Thresholds at 91.",
		"Scattergram LMNE: 128 by 128 fields, 1810 of them marked.",
		"Scattergram LMNE SHADE: 128 by 128 fields, 925 of them marked.",
	}
	if strings.Join(titles, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s", strings.Join(titles, "\n"))
	}
}

// observed is a message of Mindray's with one histogram.
func observed(size, data string) envelope.Envelope {
	e := envelope.Envelope{Protocol: envelope.HL7, Records: envelope.Records{H: []envelope.Object{{{Key: "2", Value: `^~\&`}}}}}
	for _, r := range []struct {
		envelope.Result
		value string
	}{
		{envelope.Result{Test: "15051", Name: "RBC Histogram. Left Line", Value: "1"}, "1"},
		{envelope.Result{Test: "15053", Name: "RBC Histogram. Binary Meta Length", Value: size}, size},
		{envelope.Result{Test: "15050", Name: "RBC Histogram. Binary", Kind: envelope.KindImage, Size: len(data)}, "^Application^Octet-stream^Base64^" + data},
	} {
		e.Results = append(e.Results, r.Result)
		e.Records.R = append(e.Records.R, envelope.Object{{Key: "5", Value: r.value}})
	}
	return e
}

func TestChannelsOfBytes(t *testing.T) {
	for _, test := range []struct{ size, data, want string }{
		{"2", "AAAABwEA", "3 channels from 0 to 2, highest with 256 at 2. Thresholds at 1."},
		{"1", "AAAABwEA", "6 channels from 0 to 5, highest with 7 at 3. Thresholds at 1."},
		{"4", "AAAABwEA", ""}, // it does not come out even
		{"", "AAAABwEA", ""},
		{"-1", "AAAABwEA", ""},
		{"2", "not base64", ""},
	} {
		got := ""
		for _, p := range Of(observed(test.size, test.data)) {
			wellFormed(t, p)
			got += p.Text()
			if p.Title() != "Histogram RBC" {
				t.Errorf("it is called %s", p.Title())
			}
		}
		if got != test.want {
			t.Errorf("%s bytes a channel: %q", test.size, got)
		}
	}
}

func TestDocument(t *testing.T) {
	e := envelopesOf(t, own("generic_hl7_image.hl7"))[0]
	for n, want := range []bool{false, true, false, false, false} {
		document, is := DocumentOf(e, n)
		if is != want {
			t.Errorf("result %d: %t", n, is)
		}
		if !is {
			continue
		}
		if data, err := document.Bytes(); err != nil || len(data) != 30 || string(data[:2]) != "BM" {
			t.Errorf("result %d: %q, %v", n, data, err)
		}
	}
}

// TestHostile draws what an instrument may send and no analyser would.
func TestHostile(t *testing.T) {
	name := "<script>alert(1)</script>\u202Eevil\x00\"'&" + strings.Repeat("x", 1<<20)
	svg := wellFormed(t, Plot{Test: name, X: []float64{1}, Y: []float64{1}, Right: 2, Top: 2}.settled(t))
	if strings.Contains(svg, "<script") || strings.Contains(svg, "\u202E") || len(svg) > 4<<10 {
		t.Errorf("%.3000s", svg)
	}
	many := make([]float64, mostPoints)
	for i := range many {
		many[i] = float64(i % 997)
	}
	svg = wellFormed(t, Plot{X: many, Y: many[1:], Cloud: true}.with(many).settled(t))
	if len(svg) > 200<<10 {
		t.Errorf("a cloud takes %d bytes", len(svg))
	}
}

func (p Plot) with(y []float64) Plot {
	p.Y = append([]float64{5}, y[:len(p.X)-1]...)
	return p
}

func (p Plot) settled(t *testing.T) Plot {
	t.Helper()
	if !p.settle() {
		t.Fatal("it is not drawn")
	}
	return p
}

func FuzzFrame(f *testing.F) {
	f.Add("WBC CURVE;0;0;3;9;1;0;\rWBC THRESHOLDS;1;2;0\rLMNE MATRIX;\rZ5;82;U7fb\rT\r")
	f.Add("A CURVE;1\n CURVE;99999999999\nMATRIX;\nU7ff;\n;1;\nT\nX MATRIX;\nZffffffff")
	f.Fuzz(func(t *testing.T, frame string) {
		bounded(t, envelope.Envelope{Metadata: envelope.Metadata{Extra: envelope.Object{{Key: "emerald", Value: frame}}}})
	})
}

func FuzzObservations(f *testing.F) {
	f.Add("2", "AAAABwEA")
	f.Add("4", "/////w==")
	f.Fuzz(func(t *testing.T, size, data string) { bounded(t, observed(size, data)) })
}

func FuzzRecords(f *testing.F) {
	f.Add(`{"kind":"HISTOGRAM","domain":"d","stream":"s","x_min":0,"x_max":5,"points":{"X":[1,2],"Y":[3,4]},"thresholds":{"X":[1]},"x_ticks":[1,2]}`)
	f.Add(`{"kind":"MATRIX","points":{"X":[1e308,2],"Y":[-1e308,4],"Pop":[1,-7],"Qty":[1]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var o envelope.Object
		if json.Unmarshal([]byte(text), &o) == nil {
			bounded(t, envelope.Envelope{Records: envelope.Records{M: []envelope.Object{o}}})
		}
	})
}

// bounded draws all that is in an envelope.
func bounded(t *testing.T, e envelope.Envelope) {
	t.Helper()
	plots := Of(e)
	if len(plots) > mostPlots {
		t.Fatalf("%d plots", len(plots))
	}
	for _, p := range plots {
		if svg := wellFormed(t, p); len(svg) > 300<<10 {
			t.Fatalf("%s takes %d bytes", p.Title(), len(svg))
		}
	}
}
