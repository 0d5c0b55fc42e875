package envelope

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func sample() Envelope {
	return Envelope{
		ID: "0190-1", MessageID: "0190-0", Digest: "ab", Sequence: 7, DuplicateOf: "0180-1",
		Protocol: ASTM, Instrument: "xn", Profile: "sysmex_xn", Box: "box", Clock: ClockSet,
		ReceivedAt: time.Date(2026, 1, 2, 3, 4, 5, 600000000, time.UTC),
		Kind:       KindResult, SampleID: "27", Problem: "R.13 is not a time",
		Audit:   AuditHead{Row: 12, Hash: "9f"},
		Results: []Result{{Test: "WBC", Value: "<0.5", Units: "10*3/µL", Flags: "N", Kind: KindResult}},
		Metadata: Metadata{
			ASTM: "\x021H|\\^&\r\x0345\r\n", LIS2A: "H|\\^&\r\x03", Version: "1.0.0", HeaderRx: `.*XN\^`,
			Extra: Object{{"unmapped_records", Object{{"S", []any{Object{{"1", "S"}}}}}}},
		},
		Records: Records{
			H: []Object{{{"type", "H"}, {"sender", Object{{"name", "XN"}, {"_", nil}}}}},
			M: []Object{{{"axis_x", Floats{0, 278, 1.08695650100708}}, {"x_min", 0.5}, {"domain", []any{[]any{"A", nil}}}}},
		},
	}
}

func TestJSONIsTheContract(t *testing.T) {
	text, err := sample().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"metadata":{"envelope_version":"1.1","astm":"\u00021H|\\^&\r\u000345\r\n","lis2a":"H|\\^&\r\u0003","hl7":"",` +
		`"version":"1.0.0","header_rx":".*XN\\^","unmapped_records":{"S":[{"1":"S"}]}},` +
		`"H":[{"type":"H","sender":{"name":"XN","_":null}}],"P":[],"O":[],"R":[],"C":[],` +
		`"M":[{"axis_x":[0.0,278.0,1.08695650100708],"x_min":0.5,"domain":[["A",null]]}],"L":[],"Q":[],` +
		`"assaygate":{"id":"0190-1","message_id":"0190-0","digest":"ab","protocol":"astm","instrument":"xn","profile":"sysmex_xn",` +
		`"box":"box","received_at":"2026-01-02T03:04:05.6Z","clock":"set","sequence":7,"duplicate_of":"0180-1","problem":"R.13 is not a time",` +
		`"sample_id":"27","kind":"result","results":[{"test":"WBC","name":"","value":"<0.5","units":"10*3/µL","reference_range":"","flags":"N","status":"","observed_at":"","kind":"result"}],"audit":{"row":12,"hash":"9f"}}}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	want := sample()
	text, err := want.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var got Envelope
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Records.M, want.Records.M) || !reflect.DeepEqual(got.Metadata, want.Metadata) || !reflect.DeepEqual(got.Results, want.Results) || got.Audit != want.Audit {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	again, err := got.MarshalJSON()
	if err != nil || string(again) != string(text) {
		t.Errorf("a second time: %s (%v)\nfirst: %s", again, err, text)
	}
}

func TestEmptyEnvelopeHasEveryBucket(t *testing.T) {
	text, err := Envelope{}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"H":[],"P":[],"O":[],"R":[],"C":[],"M":[],"L":[],"Q":[]`, `"results":[]`, `"sample_id":null`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestNoOtherTypesInObjects(t *testing.T) {
	if _, err := (Object{{"x", 1}}).MarshalJSON(); err == nil {
		t.Error("an int was written: reading it back would give another type")
	}
}

func TestObjectSet(t *testing.T) {
	var o Object
	o.Set("a", "1")
	o.Set("b", "2")
	o.Set("a", "3")
	if o.Text("a") != "3" || o.Text("b") != "2" || o.Text("c") != "" || len(o) != 2 {
		t.Errorf("got %v", o)
	}
}

func TestAllowed(t *testing.T) {
	allowed := &Allowed{Fields: map[string][]int{"O": {3}}, DropUnmatched: true}
	for _, tt := range []struct {
		name string
		n    int
		want bool
	}{{"O", 3, true}, {"O", 4, false}, {"O", 2, true}, {"P", 3, false}} {
		if got := allowed.Keeps(tt.name, tt.n, 1, 2); got != tt.want {
			t.Errorf("%s.%d kept: %v, want %v", tt.name, tt.n, got, tt.want)
		}
	}
	if !allowed.Drops("P") || allowed.Drops("O") {
		t.Error("drops what it names, or keeps what it does not")
	}
	var nothing *Allowed
	if !nothing.Keeps("P", 6) || nothing.Drops("P") {
		t.Error("no allowlist drops something")
	}
	allowed.DropUnmatched = false
	if !allowed.Keeps("P", 6) || allowed.Drops("P") {
		t.Error("an unmatched record does not pass whole")
	}
}

// Any text and any JSON comes back as it was.
func FuzzObject(f *testing.F) {
	f.Add(`{"a":"\u0002x\r\n","b":[1.5,2],"c":null,"d":[{"e":true}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var o, again Object
		if json.Unmarshal([]byte(text), &o) != nil {
			return
		}
		written, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &again); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		twice, err := again.MarshalJSON()
		if err != nil || string(twice) != string(written) {
			t.Fatalf("%s then %s (%v)", written, twice, err)
		}
	})
}

// Texts are written as encoding/json writes them without HTML's escapes, wherever
// in the text what has to be escaped stands.
func FuzzText(f *testing.F) {
	for _, text := range []string{"", "plain", "1234567\"", "12345678\\", "\x00", "µ", "\xff", "a\r\n\tb", "\u2028", "0123456789abcdef\x1f", "\x7f~!#[]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := appendString(nil, text)
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		if want := strings.ToValidUTF8(text, "\uFFFD"); strings.ToValidUTF8(back, "") != back || len([]rune(back)) != len([]rune(text)) || utf8.ValidString(text) && back != want {
			t.Errorf("%q came back as %q", text, back)
		}
		for _, c := range got {
			if c < ' ' {
				t.Errorf("%q has a control character", got)
			}
		}
	})
}
