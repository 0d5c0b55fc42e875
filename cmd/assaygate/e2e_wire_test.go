package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
	"github.com/assaygate/assaygate/protocols/vendor"
	"github.com/assaygate/assaygate/uplink/capture"
)

// traced asks for wire traces beside the captures.
func traced(destinations string) string {
	return strings.Replace(destinations, `/captures"}`, `/captures", wire: true}`, 1)
}

// wireText is what a trace shows of both directions.
type wireText struct {
	received, sent []byte
	entries        []capture.Entry
}

// readTraces returns the traces of a directory by the names of their files. All
// of them have to be readable.
func readTraces(t testing.TB, directory string) map[string]wireText {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(directory, "*.wire"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no traces in %s, %v", directory, err)
	}
	found := map[string]wireText{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var w wireText
		for e, err := range capture.Entries(data) {
			if err != nil || !capture.IsTrace(data) {
				t.Errorf("%s: %v", path, err)
			}
			for _, p := range e.Pieces {
				if e.Mark == capture.Sent {
					w.sent = append(w.sent, p.Bytes...)
				} else {
					w.received = append(w.received, p.Bytes...)
				}
			}
			w.entries = append(w.entries, e)
		}
		found[filepath.Base(path)] = w
	}
	return found
}

// traces looks into the wire traces, also where the end of a read cuts the
// canary.
func (s seen) traces(t testing.TB, directory string) {
	t.Helper()
	for name, w := range readTraces(t, directory) {
		s.look("traces", []byte(name))
		s.look("traces", w.received)
		s.look("traces", w.sent)
	}
}

const wireConfig = `
box: {name: ward}
instruments:
  - {name: lan, astm: {listen: "127.0.0.1:0"}}
  - {name: hl7, hl7: {listen: "127.0.0.1:0"}}
  - {name: emerald, emerald: {listen: "127.0.0.1:0"}}
`

// wirePlants are ways in which a patient's name comes over a line: what is sent,
// in parts that are each answered with so many bytes.
func wirePlants() map[string]visit {
	message := `H|\^&|||` + canary + "\rP|1||" + canary + "\rO|1|S1||^^^GLU\rR|1|^^^GLU|5\rL|1|N\r"
	frame := lis01.AppendFrame(nil, lis01.Frame{Number: '1', Text: []byte(message), End: true})
	bad := bytes.Replace(frame, []byte("S1"), []byte("S2"), 1)
	msh := `MSH|^~\&|` + canary + "|b|c|d|20260102030405||"
	emerald := "x;x;x;x\rRESULT\rDATE;09/03/2025\rPID;" + canary + "\rWBC;7.2\rEND_RESULT;1\r"
	text := "\x1emtrsl|\x1epn" + canary + "|\x1d"
	return map[string]visit{
		"ASTM":                  {"lan", []string{"\x05", string(frame), "\x04"}, 2},
		"ASTM byte by byte":     {"lan", strings.Split("\x05"+string(frame)+"\x04", ""), 2},
		"ASTM, wrong checksum":  {"lan", []string{"\x05", string(bad), "\x04"}, 2},
		"ASTM, cut off":         {"lan", []string{"\x05", string(frame[:len(frame)/2])}, 1},
		"HL7":                   {"hl7", []string{string(mllp.AppendBlock(nil, []byte(msh+"ORU^R01|"+canary+"|P|2.5\rPID|1||"+canary+"\r")))}, 30},
		"HL7, refused":          {"hl7", []string{string(mllp.AppendBlock(nil, []byte(msh+"ADT^A01|"+canary+"|P|2.5\r")))}, 30},
		"HL7, cut off":          {"hl7", []string{"\x0b" + msh}, 0},
		"HL7 on an ASTM line":   {"lan", []string{string(mllp.AppendBlock(nil, []byte(msh+"ORU^R01|1|P|2.5\r")))}, 0},
		"ASTM on an HL7 line":   {"hl7", []string{"\x05" + string(frame) + "\x04"}, 0},
		"junk":                  {"lan", []string{strings.Repeat(canary+" ", 100)}, 0},
		"junk in HL7":           {"hl7", []string{strings.Repeat(canary+"\r", 100)}, 0},
		"a mini VIDAS packet":   {"lan", []string{"\x02" + text + vendor.MiniVIDASSum([]byte(text)) + "\r\n"}, 0},
		"a Spotchem EL packet":  {"lan", []string{"\x0225/03/09 07:05 ID# " + canary + " [S] K 4.1 mmol/L\x03\r\n"}, 0},
		"an Emerald's greeting": {"emerald", []string{"CONNECT;" + canary + ";" + canary + "\r"}, 12},
		"an Emerald's frame":    {"emerald", []string{emerald}, 5},
		"an Emerald, cut off":   {"emerald", []string{emerald[:len(emerald)*2/3]}, 0},
	}
}

// visit is one connection.
type visit struct {
	line    string
	sent    []string
	replies int // bytes that come back at the least
}

// send makes the visit over a connection of its own, and returns the name of the
// trace behind its time.
func (p visit) send(t testing.TB, address string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, part := range p.sent {
		if _, err := io.WriteString(conn, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	answer, err := io.ReadAll(conn) // a line that is closed for junk may be reset
	if len(answer) < p.replies || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes came back, %v", len(answer), err)
	}
	return p.line + "-" + regexp.MustCompile(`[^\w.-]`).ReplaceAllString(conn.LocalAddr().String(), "_") + ".wire"
}

// TestCanaryInTraces has a patient's name come over every kind of line in every
// way. Under an allowlist no trace shows it; without one each does, or the test
// would prove nothing.
func TestCanaryInTraces(t *testing.T) {
	for name, privacy := range map[string]string{
		"no allowlist": "", "of ASTM": "privacy: {astm: {allow: {R: [4]}}}\n", "of HL7": "privacy: {hl7: {allow: {OBX: [5]}}}\n",
		"that lets others pass": "privacy: {astm: {allow: {R: [4]}, drop_unmatched_records: false}, hl7: {allow: {OBX: [5]}, drop_unmatched_segments: false}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory := t.TempDir()
			r := start(t, base(directory)+wireConfig+privacy+traced(lims(newLIMS(t), directory)))
			plants := wirePlants()
			onlookers := r.lookOnAll()
			traceOf := map[string]string{}
			for _, what := range slices.Sorted(maps.Keys(plants)) {
				traceOf[what] = plants[what].send(t, r.addresses[plants[what].line])
			}
			for _, o := range onlookers {
				o.wantCanary(privacy == "")
			}
			r.end()
			found := readTraces(t, filepath.Join(directory, "captures"))
			for what, p := range plants {
				w := traceNamed(found, traceOf[what])
				if w.entries == nil {
					t.Errorf("%s: no trace %s in %q", what, traceOf[what], slices.Sorted(maps.Keys(found)))
					continue
				}
				if end := w.entries[len(w.entries)-1]; end.Note != "the line ended" {
					t.Errorf("%s: the trace ends with %+v", what, end)
				}
				if privacy != "" {
					p.wantVeiled(t, what, w)
				} else {
					p.wantShown(t, what, w)
				}
			}
		})
	}
}

// wantCanary expects that who looks on sees the patient's name, or all but that.
func (o *onlooker) wantCanary(shown bool) {
	o.t.Helper()
	s := seen{}
	s.look("stream", []byte(o.wanted("note ended: ")))
	if shown != (len(s["stream"]) > 0) {
		o.t.Errorf("live: shown is %q, in\n%s", s["stream"], o.seen())
	}
}

func traceNamed(found map[string]wireText, end string) wireText {
	for name, w := range found {
		if strings.HasSuffix(name, "Z-"+end) {
			return w
		}
	}
	return wireText{}
}

// wantShown expects all bytes of both directions.
func (p visit) wantShown(t *testing.T, what string, w wireText) {
	if want := strings.Join(p.sent, ""); string(w.received) != want {
		t.Errorf("%s: received %q, want %q", what, w.received, want)
	}
	if !bytes.Contains(w.received, []byte(canary[:8])) || len(w.sent) < p.replies {
		t.Errorf("%s: the other test proves nothing: %q, %q", what, w.received, w.sent)
	}
	if p.line == "hl7" && p.replies > 0 && !bytes.Contains(w.sent, []byte(canary)) {
		t.Errorf("%s: sent %q: the other test proves nothing of answers", what, w.sent)
	}
}

// wantVeiled expects control characters, and that every byte is counted.
func (p visit) wantVeiled(t *testing.T, what string, w wireText) {
	shown := fmt.Sprintf("%s%s", w.received, bytes.ReplaceAll(w.sent, []byte("MSA|A"), nil))
	if letters := regexp.MustCompile(`[^\x02-\x06\x0b\r\n\x15\x17\x1c0-7AER]`).FindString(shown); letters != "" || strings.Contains(shown, "ER") {
		t.Errorf("%s: the trace shows %q", what, shown)
	}
	size := 0
	for _, e := range w.entries {
		for _, piece := range e.Pieces {
			if e.Mark == capture.Received {
				size += len(piece.Bytes) + piece.Hidden
			}
		}
	}
	if want := len(strings.Join(p.sent, "")); size != want {
		t.Errorf("%s: %d bytes are accounted for, want %d", what, size, want)
	}
	if p.line == "hl7" && p.replies > 0 && !bytes.Contains(w.sent, []byte("MSA|A")) {
		t.Errorf("%s: %q does not show the code of the answer", what, w.sent)
	}
}
