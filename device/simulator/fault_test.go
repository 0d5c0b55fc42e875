package simulator

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
)

func fault(t testing.TB, text string) Fault {
	t.Helper()
	f, err := ParseFault(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// listener is a host that keeps every write as it came, with its second.
type listener struct {
	t     *testing.T
	host  func() func(chunk []byte) []byte // that of one connection
	start time.Time
	wait  sync.WaitGroup
	mu    sync.Mutex
	heard []string
}

func (l *listener) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, fmt.Sprintf("%d %s", int(time.Since(l.start)/time.Second), what))
}

// open is a new connection to the host.
func (l *listener) open(context.Context) (port.Line, error) {
	ours, theirs := net.Pipe()
	answer := l.host()
	synctest.Wait() // until all that went before is heard
	l.note("opened")
	l.wait.Go(func() {
		defer theirs.Close()
		for chunk := make([]byte, 1<<16); ; {
			n, err := theirs.Read(chunk)
			if err != nil {
				return
			}
			l.note(fmt.Sprintf("%q", chunk[:n]))
			if reply := answer(chunk[:n]); len(reply) > 0 {
				if _, err := theirs.Write(reply); err != nil {
					return
				}
			}
		}
	})
	return ours, nil
}

// playWith plays with a fault, in fake time, as over a network, or as over a
// serial port, which cannot be opened again.
func playWith(t *testing.T, network bool, messages []Message, o Options, answers func() func([]byte) []byte) (result Result, heard []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		host := &listener{t: t, host: answers, start: time.Now()}
		line, _ := host.open(t.Context())
		var err error
		if network {
			result, err = playFaulty(t.Context(), newFaultyLine(line, host.open, o.Fault), messages, o)
		} else {
			result, err = Play(t.Context(), line, messages, o)
		}
		if err != nil {
			t.Error(err)
		}
		line.Close()
		host.wait.Wait()
		heard = host.heard
	})
	return result, heard
}

// strictHost answers as LIS01-A2 has it.
func strictHost() func([]byte) []byte {
	var r lis01.Receiver
	var data []byte
	last := time.Now()
	return func(chunk []byte) (answers []byte) {
		if time.Since(last) > lis01.ReceiverTimeout*time.Second {
			data = nil
			r.Reset()
		}
		last = time.Now()
		for data = append(data, chunk...); len(data) > 0; {
			n, token, _ := lis01.Split(data, false)
			if n == 0 {
				if data[len(data)-1] == lis01.ENQ { // inside a frame; a host waits before it believes that
					data, token = nil, []byte{lis01.ENQ}
				} else {
					break
				}
			}
			data = data[n:]
			_, deliver, reply := r.Step(token)
			if deliver {
				reply = r.Commit(true)
			}
			if reply != 0 {
				answers = append(answers, reply)
			}
		}
		return answers
	}
}

// acksAll acknowledges each whole block.
func acksAll() func([]byte) []byte {
	var data []byte
	return func(chunk []byte) (answers []byte) {
		for data = append(data, chunk...); len(data) > 0; {
			n, block, _ := mllp.Split(data, len(chunk) > 1) // a single byte may not be the last
			if n == 0 {
				break
			}
			data = data[n:]
			if block != nil {
				answers = append(answers, ack("AA", controlID(block))...)
			}
		}
		return answers
	}
}

// The frames of tiny, and what faults make of them.
const (
	enq, eot = "\x05", "\x04"
	frame1   = "\x021H|\\^&\r\x17F9\r\n"
	frame2   = "\x022L|1|N\r\x0305\r\n"
)

// each is one write for each byte.
func each(at int, text string) (list []string) {
	for _, c := range []byte(text) {
		list = append(list, fmt.Sprintf("%d %q", at, string([]byte{c})))
	}
	return list
}

// script makes the expected list: seconds and what came then, in turn.
func script(parts ...any) (list []string) {
	for i := 0; i < len(parts); i += 2 {
		text := fmt.Sprint(parts[i+1])
		if text != "opened" {
			text = fmt.Sprintf("%q", text)
		}
		list = append(list, fmt.Sprintf("%d %s", parts[i], text))
	}
	return list
}

func TestASTMFaults(t *testing.T) {
	storm := strings.Repeat(enq, 10)
	same := "\x021L|1|N\r\x0304\r\n"
	for _, test := range []struct {
		fault   string
		serial  bool
		count   int
		want    []string
		refused string
	}{
		{fault: "checksum", want: script(0, "opened", 0, enq, 0, "\x021H|\\^&\r\x1709\r\n", 0, frame1, 0, frame2, 0, eot)},
		{
			fault: "checksum:always", refused: "six times",
			want: script(0, "opened", 0, enq, 0, "\x021H|\\^&\r\x1709\r\n", 0, "\x021H|\\^&\r\x1709\r\n", 0, "\x021H|\\^&\r\x1709\r\n",
				0, "\x021H|\\^&\r\x1709\r\n", 0, "\x021H|\\^&\r\x1709\r\n", 0, "\x021H|\\^&\r\x1709\r\n", 0, eot),
		},
		{fault: "numbers", want: script(0, "opened", 0, enq, 0, frame1, 0, "\x024L|1|N\r\x0307\r\n", 0, frame2, 0, eot)},
		{
			fault: "numbers:same", refused: "six times",
			want: script(0, "opened", 0, enq, 0, frame1, 0, same, 0, same, 0, same, 0, same, 0, same, 0, same, 0, eot),
		},
		{
			fault: "numbers:restart", count: 2, // the second is refused, and comes in a session of its own
			want: script(0, "opened", 0, enq, 0, frame1, 0, frame2, 0, frame1, 0, frame1, 0, frame1, 0, frame1, 0, frame1, 0, frame1, 0, eot,
				0, enq, 0, frame1, 0, frame2, 0, eot),
		},
		{fault: "lost-ack", want: script(0, "opened", 0, enq, 0, frame1, 0, frame2, 15, frame2, 15, eot)},
		{fault: "lost-ack:damaged", want: script(0, "opened", 0, enq, 0, frame1, 0, frame2, 0, frame2, 0, eot)},
		{fault: "lost-ack:session", want: script(0, "opened", 0, enq, 0, frame1, 0, frame2, 15, eot, 15, enq, 15, frame1, 15, frame2, 15, eot)},
		{fault: "cut:1", want: script(0, "opened", 0, enq, 0, "opened", 0, enq, 0, frame1, 0, frame2, 0, eot)},
		{fault: "cut:15", want: script(0, "opened", 0, enq, 0, frame1, 0, "\x02", 0, "opened", 0, enq, 0, frame1, 0, frame2, 0, eot)},
		{fault: "cut:1000", want: script(0, "opened", 0, enq, 0, frame1, 0, frame2, 0, "opened", 0, enq, 0, frame1, 0, frame2, 0, eot)},
		{fault: "cut:15", serial: true, want: script(0, "opened", 0, enq, 0, frame1, 0, "\x02", 35, enq, 35, frame1, 35, frame2, 35, eot)},
		{fault: "half-open", want: script(0, "opened", 0, enq, 0, frame1[:12], 90, "opened", 90, enq, 90, frame1, 90, frame2, 90, eot)},
		{fault: "half-open:40", serial: true, want: script(0, "opened", 0, enq, 0, frame1[:12], 40, enq, 40, frame1, 40, frame2, 40, eot)},
		{fault: "slow:1", want: slowly(enq+frame1+frame2+eot, 1)},
		{fault: "split", want: slices.Concat(script(0, "opened"), each(0, enq+frame1+frame2+eot))},
		{fault: "junk", want: script(0, "opened", 0, noise+enq, 0, noise+frame1, 0, noise+frame2, 0, noise+eot)},
		{
			fault: "enq-storm", // within a frame ten are answered as one
			want:  script(0, "opened", 0, storm, 0, frame1, 0, frame2[:6], 0, storm, 2, frame1, 2, frame2, 2, eot),
		},
	} {
		result, heard := playWith(t, !test.serial, tiny(t), Options{Fault: fault(t, test.fault), Verbatim: true, Count: max(test.count, 1)}, strictHost)
		if !slices.Equal(heard, test.want) {
			t.Errorf("%s: heard %q\nwant  %q", test.fault, heard, test.want)
		}
		switch {
		case test.refused == "" && len(result.Acknowledged) == max(test.count, 1) && len(result.Refused) == 0:
		case test.refused != "" && len(result.Refused) == 1 && strings.Contains(result.Refused[0].Reason, test.refused):
		default:
			t.Errorf("%s: %+v", test.fault, result)
		}
	}
}

// slowly is one byte after the other, so many a second.
func slowly(text string, perSecond int) []string {
	list := script(0, "opened")
	for i, c := range []byte(text) {
		list = append(list, fmt.Sprintf("%d %q", i/perSecond, string([]byte{c})))
	}
	return list
}

func TestHL7Faults(t *testing.T) {
	one := []Message{{Protocol: HL7, Text: []byte("MSH|^~\\&|A||B||20310405060708||ORU^R01|7|P|2.4\r")}}
	const (
		content = "MSH|^~\\&|A||B||20310405060708||ORU^R01|7|P|2.4\r"
		block   = "\x0b" + content + "\x1c\r"
		half    = len(block) / 2
	)
	for _, test := range []struct {
		fault  string
		serial bool
		want   []string
	}{
		{fault: "lost-ack", want: script(0, "opened", 0, block, 30, block)},
		{fault: "cut:10", want: script(0, "opened", 0, block[:10], 0, "opened", 0, block)},
		{fault: "cut:1000", want: script(0, "opened", 0, block, 0, "opened", 0, block)},
		{fault: "cut:10", serial: true, want: script(0, "opened", 0, block[:10], 35, block)},
		{fault: "half-open", want: script(0, "opened", 0, block[:half], 90, "opened", 90, block)},
		{fault: "slow:5", want: slowly(block, 5)},
		{fault: "split", want: slices.Concat(script(0, "opened"), each(0, block))},
		{fault: "junk", want: script(0, "opened", 0, noise+block)},
		{fault: "no-end", want: script(0, "opened", 0, block[:len(block)-2], 30, block)},
		{fault: "no-cr", want: script(0, "opened", 0, block[:len(block)-1])},
		{fault: "start-twice", want: script(0, "opened", 0, block[:half]+block)},
	} {
		result, heard := playWith(t, !test.serial, one, Options{Fault: fault(t, test.fault), Verbatim: true}, acksAll)
		if !slices.Equal(heard, test.want) {
			t.Errorf("%s: heard %q\nwant  %q", test.fault, heard, test.want)
		}
		if len(result.Acknowledged) != 1 || len(result.Refused) != 0 {
			t.Errorf("%s: %+v", test.fault, result)
		}
	}
	result, heard := playWith(t, true, one, Options{Fault: fault(t, "many"), Verbatim: true, Count: 3}, acksAll)
	expect(t, heard, script(0, "opened", 0, block+block+block)...)
	if len(result.Acknowledged) != 3 {
		t.Errorf("many: %+v", result)
	}
}

// A sender whose message was not answered because the host hung up comes back.
func TestFaultHostHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &listener{t: t, host: strictHost, start: time.Now()}
		here, there := net.Pipe()
		host.wait.Go(func() {
			chunk := make([]byte, 100)
			_, _ = there.Read(chunk) // ENQ
			_, _ = there.Write([]byte{lis01.ACK})
			_, _ = there.Read(chunk)
			time.Sleep(20 * time.Second)
			there.Close()
		})
		o := Options{Fault: fault(t, "half-open"), Verbatim: true}
		result, err := playFaulty(t.Context(), newFaultyLine(here, host.open, o.Fault), tiny(t), o)
		host.wait.Wait()
		if err != nil || len(result.Acknowledged) != 1 {
			t.Errorf("%+v, %v", result, err)
		}
		expect(t, host.heard, script(20, "opened", 20, enq, 20, frame1, 20, frame2, 20, eot)...)
	})
}

// A play with a fault ends with its context, also in a silence.
func TestFaultEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &listener{t: t, host: strictHost, start: time.Now()}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		line, _ := host.open(ctx)
		if _, err := Play(ctx, line, tiny(t), Options{Fault: fault(t, "cut:15")}); err != context.DeadlineExceeded {
			t.Errorf("%v", err)
		}
		if time.Since(host.start) != 10*time.Second {
			t.Errorf("after %v", time.Since(host.start))
		}
		host.wait.Wait()
	})
}

func TestParseFault(t *testing.T) {
	for _, name := range []string{"checksum", "cut:1", "slow", "slow:50", "half-open", "half-open:5", "numbers:same"} {
		if f, err := ParseFault(name); err != nil || f.String() != name {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	for text, want := range map[string]string{
		"":               "is not one of checksum, ",
		"cut":            ", cut:N, half-open[:SECONDS], ",
		"garbage":        ", many",
		"checksum:3":     "is not one of",
		"cut:0":          "N is a whole number from 1",
		"cut:x":          "N is a whole number",
		"slow:":          "BYTES_PER_SECOND is",
		"slow:999999999": "to 100000000",
	} {
		if _, err := ParseFault(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestFaultsThatDoNotFit(t *testing.T) {
	for _, test := range []struct {
		capture, fault string
		o              Options
		want           string
	}{
		{"hemoscreen.hl7", "checksum", Options{}, "does not fit messages in HL7; there are lost-ack, cut:N, "},
		{"sysmex_xn.astm", "no-end", Options{}, "does not fit messages in ASTM; there are checksum, "},
		{"mini_vidas.bin", "cut:3", Options{}, "in a maker's own format; there are slow[:BYTES_PER_SECOND], split"},
		{"celldyn_emerald.bin", "lost-ack", Options{}, "there are slow[:BYTES_PER_SECOND], split"},
		{"hemoscreen.hl7", "many", Options{}, "lies between two messages"},
		{"sysmex_xn.astm", "numbers:restart", Options{Count: 2, Interval: time.Second}, "lies between two messages"},
		{"mini_vidas.bin", "split", Options{}, ""},
		{"celldyn_emerald.bin", "slow", Options{}, ""},
		{"hemoscreen.hl7", "many", Options{Count: 2}, ""},
	} {
		test.o.Fault = fault(t, test.fault)
		err := test.o.Fault.accepts(capture(t, test.capture), test.o)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s with %s: %v, want %q", test.capture, test.fault, err, test.want)
		}
	}
	here, there := net.Pipe()
	defer there.Close()
	if _, err := Play(t.Context(), here, capture(t, "hemoscreen.hl7"), Options{Fault: fault(t, "checksum")}); err == nil {
		t.Error("played, and no error")
	}
}

// The manual has a line for each fault, in the words of --help.
func TestFaultsAreDocumented(t *testing.T) {
	manual, err := os.ReadFile("../../docs/operation.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Faults() {
		if row := fmt.Sprintf("| `%s` | %s | %s |", f.Name, f.Languages(), f.Says); !strings.Contains(string(manual), row) {
			t.Errorf("docs/operation.md lacks\n%s", row)
		}
	}
}

// A host that acknowledges what is spoilt has not passed.
func TestHostThatAcknowledgesAnything(t *testing.T) {
	for name, wrong := range map[string]string{
		"checksum": "a frame with a wrong checksum", "checksum:always": "a frame with a wrong checksum",
		"numbers": "a frame with a wrong number", "numbers:same": "a frame with a wrong number",
	} {
		result, _ := playWith(t, true, tiny(t), Options{Fault: fault(t, name)}, func() func([]byte) []byte { return takesAll })
		if len(result.Refused) != 1 || result.Refused[0].Reason != "it acknowledged "+wrong {
			t.Errorf("%s: %+v", name, result)
		}
	}
}
