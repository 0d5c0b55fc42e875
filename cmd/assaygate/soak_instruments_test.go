//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// soakInstrument is one simulated analyser, with the timers of a real one.
type soakInstrument struct {
	name     string
	unproven bool // its messages prove no identity: neither time nor control id
	open     func(ctx context.Context) (port.Line, error)
	// message makes the number-th message, with one sample for each order.
	message func(name string, number int) (m simulator.Message, samples []string)
}

// soakInstruments are eight analysers, and the entries of the configuration for
// their lines: three share an ASTM listener and two an HL7 listener, two are on
// serial lines of their own, and one speaks its maker's own format.
func soakInstruments(t *testing.T, directory string) (list []soakInstrument, config string) {
	t.Helper()
	astm, hl7, emerald := freePort(t), freePort(t), freePort(t)
	list = []soakInstrument{
		{name: "Astm1", open: dialling(astm), message: astmMessage},
		{name: "Astm2", open: dialling(astm), message: astmMessage},
		{name: "Bare", open: dialling(astm), message: bareMessage, unproven: true},
		{name: "Orders", open: dialling(hl7), message: twoOrders},
		{name: "Hl7", open: dialling(hl7), message: hl7Message},
		{name: "EMD", open: dialling(emerald), message: emeraldMessage(t)},
	}
	config = fmt.Sprintf("  - {name: lan, astm: {listen: %q}}\n  - {name: hl7, hl7: {listen: %q}}\n  - {name: emerald, emerald: {listen: %q}}\n", astm, hl7, emerald)
	master, _, err := port.OpenPTY()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Log("*** no pseudo-terminals on this system: NO serial lines in this soak ***")
		return list, config
	}
	if err != nil {
		t.Fatal(err)
	}
	master.Close()
	for _, name := range []string{"Serial1", "Serial2"} {
		socket := cable(filepath.Join(directory, name))
		list = append(list, soakInstrument{name: name, open: socket.plug, message: astmMessage})
		config += fmt.Sprintf("  - {name: %s, serial: {port: %q}}\n", strings.ToLower(name), string(socket))
	}
	return list, config
}

// soakFrame cuts every ASTM message of this test in two, and not before its last
// byte: the first frame would then look whole, and a person would have to decide
// about it when the line is lost there.
const soakFrame = 80

// work sends numbered messages, each until it is acknowledged. One message in
// ten loses an answer of the gateway, which may be the last.
func (i soakInstrument) work(ctx context.Context, chance *rand.Rand, longest time.Duration, promised *promises) {
	message, samples := i.message(i.name, 0)
	for number := 0; ctx.Err() == nil; {
		line, err := i.open(ctx)
		if err != nil {
			lull(ctx, 20*time.Millisecond) // the gateway is down: dial again
			continue
		}
		for ctx.Err() == nil {
			to := line
			if chance.IntN(10) == 0 {
				to = &forgetful{line, chance.IntN(4)}
			}
			result, err := simulator.Play(ctx, to, []simulator.Message{message}, simulator.Options{Verbatim: true, FrameSize: soakFrame})
			if err != nil || len(result.Acknowledged) != 1 {
				promised.repeat()
				break
			}
			promised.add(samples)
			number++
			message, samples = i.message(i.name, number)
			lull(ctx, time.Duration(chance.Int64N(int64(longest))))
		}
		line.Close()
	}
}

// forgetful is a line that breaks instead of giving an answer, after so many.
type forgetful struct {
	port.Line
	answers int
}

func (f *forgetful) Read(p []byte) (int, error) {
	n, err := f.Line.Read(p)
	if f.answers--; f.answers < 0 && err == nil {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// dialling dials an instrument's listener.
func dialling(address string) func(context.Context) (port.Line, error) {
	return func(ctx context.Context) (port.Line, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
}

// cable is where the gateway finds the terminal of a serial line. Each plugging
// in makes a new terminal, so that bytes on the way are lost with the old one, as
// in a cable.
type cable string

// plug returns the instrument's end once the gateway has opened its own.
func (c cable) plug(ctx context.Context) (port.Line, error) {
	instrument, path, err := port.OpenPTY()
	if err != nil {
		return nil, err
	}
	link := string(c)
	if err := errors.Join(os.Symlink(path, link+".new"), os.Rename(link+".new", link)); err != nil {
		instrument.Close()
		return nil, err
	}
	for ctx.Err() == nil {
		if err := instrument.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			break
		}
		// Where nobody has the other end open, reading fails at once.
		if _, err := instrument.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			return instrument, nil
		}
		lull(ctx, 20*time.Millisecond)
	}
	instrument.Close()
	return nil, io.ErrClosedPipe
}

// soakSample names instrument and number, and the order of a message with
// several.
func soakSample(name string, number int, order string) string {
	return fmt.Sprintf("%s-%d%s", name, number, order)
}

func cutSample(sample string) (name string, number int, ok bool) {
	name, rest, ok := strings.Cut(sample, "-")
	number, err := strconv.Atoi(strings.TrimRight(rest, "ab"))
	return name, number, ok && err == nil
}

func astmMessage(name string, number int) (simulator.Message, []string) {
	sample := soakSample(name, number, "")
	return simulator.Message{Protocol: simulator.ASTM, Text: []byte(astmText(name, "C"+sample, sample))}, []string{sample}
}

// bareMessage has a header without control id and time.
func bareMessage(name string, number int) (simulator.Message, []string) {
	sample := soakSample(name, number, "")
	text := fmt.Sprintf("H|\\^&|||%s|||||||P|1\rP|1\rO|1|%s||^^^GLU\rR|1|^^^GLU|5.1|mmol/L\rL|1|N\r", name, sample)
	return simulator.Message{Protocol: simulator.ASTM, Text: []byte(text)}, []string{sample}
}

func hl7Message(name string, number int) (simulator.Message, []string) {
	sample := soakSample(name, number, "")
	return simulator.Message{Protocol: simulator.HL7, Text: []byte(hl7Text(name, "C"+sample, sample))}, []string{sample}
}

func twoOrders(name string, number int) (simulator.Message, []string) {
	first, second := soakSample(name, number, "a"), soakSample(name, number, "b")
	text := hl7Text(name, "C"+first, first) + fmt.Sprintf("OBR|2||%s\rOBX|1|NM|NA||140|mmol/L\r", second)
	return simulator.Message{Protocol: simulator.HL7, Text: []byte(text)}, []string{first, second}
}

// emeraldMessage makes the messages of a CELL-DYN Emerald of its capture.
func emeraldMessage(t *testing.T) func(string, int) (simulator.Message, []string) {
	t.Helper()
	capture, err := simulator.Capture("celldyn_emerald.bin")
	if err != nil {
		t.Fatal(err)
	}
	body, _, ended := bytes.Cut(capture, []byte("END_RESULT"))
	if !ended || !bytes.Contains(body, []byte("SIM-7001")) {
		t.Fatal("the capture is not as it was")
	}
	return func(name string, number int) (simulator.Message, []string) {
		sample := soakSample(name, number, "")
		text := vendor.SealEmerald(bytes.Replace(body, []byte("SIM-7001"), []byte(sample), 1))
		return simulator.Message{Protocol: simulator.Vendor, Format: vendor.Emerald, Text: text}, []string{sample}
	}
}
