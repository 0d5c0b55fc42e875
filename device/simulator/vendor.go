package simulator

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// preparePacket makes a message in a maker's own format ready for the line. What
// is stamped is the time and the mark of a test; an Emerald's result gets a
// number of its own besides, so that two of one second are two.
func (m Message) preparePacket(out *outgoing, o Options, now time.Time) {
	out.format, out.text = m.Format, m.Text
	out.controlID = string(m.Format)
	if o.Verbatim {
		return
	}
	text := bytes.Clone(m.Text)
	if o.change != nil {
		text = o.change(text)
	}
	switch m.Format {
	case vendor.MiniVIDAS:
		out.text = stampVIDAS(text, now)
	case vendor.SpotchemEL:
		out.text = stampSpotchem(text, now)
	case vendor.Emerald:
		out.text, out.controlID = stampEmerald(text, now)
	}
}

// stampVIDAS puts date and time anew into each field that has one, marks the
// packet as a test and makes its sum right.
func stampVIDAS(packet []byte, now time.Time) []byte {
	end := bytes.IndexByte(packet, 0x1D)
	if end < 0 {
		return packet
	}
	fields := bytes.Split(packet[1:end], []byte{0x1E})
	for i, f := range fields {
		name, tail := string(f[:min(len(f), 2)]), []byte(nil)
		if bar := bytes.IndexByte(f, '|'); bar >= 0 {
			tail = f[bar:]
		}
		switch name {
		case "tt":
			fields[i] = append([]byte("tt"+now.Format("15:04")), tail...)
		case "td":
			fields[i] = append([]byte("td"+now.Format("01/02/06")), tail...)
		}
	}
	text := append(bytes.Join(fields, []byte{0x1E}), "\x1expT|\x1d"...)
	rest := packet[min(end+3, len(packet)):]
	return bytes.Join([][]byte{{lis01.STX}, text, []byte(vendor.MiniVIDASSum(text)), rest}, nil)
}

// stampSpotchem puts date and time anew and the mark of a test behind the
// results.
func stampSpotchem(packet []byte, now time.Time) []byte {
	const stamp = len("YY/MM/DD HH:MM")
	end := bytes.IndexByte(packet, lis01.ETX)
	if end < 1+stamp {
		return packet
	}
	text := bytes.TrimRight(packet[1+stamp:end], " ")
	return fmt.Appendf(nil, "\x02%s%s TEST%s", now.Format("06/01/02 15:04"), text, packet[end:])
}

// stampEmerald puts date, time and a number of its own into a frame, marks it as
// a test and makes its sum right. It returns the number too.
func stampEmerald(frame []byte, now time.Time) (stamped []byte, number string) {
	n, err := rand.Int(rand.Reader, big.NewInt(1e9))
	if err != nil {
		panic(err) // it never fails
	}
	number = "SEQ-" + n.String()
	lines := bytes.Split(bytes.TrimRight(frame, "\r\n"), []byte{'\r'})
	var out []byte
	put := func(line string) { out = append(append(out, line...), '\r') }
	for _, line := range lines {
		word, rest, _ := strings.Cut(strings.Trim(string(line), "\n"), ";")
		switch word {
		case "DATE":
			put("DATE;" + now.Format("02/01/2006"))
		case "TIME":
			put("TIME;" + now.Format("15:04:05"))
		case "MODE", "SEQ", "END_RESULT", "END_CALI": // written anew
		case "RESULT":
			put(word)
			put("MODE;TEST")
			put("SEQ;" + number)
		case "CALIBRATION":
			fields := strings.Split(rest, ";")
			if len(fields) > 2 {
				fields[1], fields[2] = now.Format("02/01/2006"), now.Format("15:04:05")
			}
			put(word + ";" + strings.Join(fields, ";"))
			put("MODE;TEST")
			put("SEQ;" + number)
		default:
			put(string(line))
		}
	}
	return vendor.SealEmerald(out), number
}

// packetHost is a host at the other end of a line that takes packets: it never
// says a word.
type packetHost struct{ line port.Line }

func (h *packetHost) send(_ context.Context, m outgoing) (refusal string, err error) {
	return "", write(h.line, m.text, time.Now().Add(writeTime(len(m.text))))
}

// emeraldWait is how long an Emerald waits for an answer.
const emeraldWait = 15 * time.Second

// emeraldHost is a host at the other end of an Emerald's line.
type emeraldHost struct {
	line      port.Line
	replies   *tokens
	connected bool
}

func newEmeraldHost(line port.Line) *emeraldHost {
	return &emeraldHost{line: line, replies: &tokens{line: line, split: vendor.SplitLine}}
}

// send plays one frame with all that comes before it.
func (h *emeraldHost) send(_ context.Context, m outgoing) (refusal string, err error) {
	header, _, _ := bytes.Cut(m.text, []byte{'\r'})
	if !h.connected {
		serial := "0"
		if parts := bytes.Split(header, []byte{';'}); len(parts) > 2 {
			serial = string(parts[2])
		}
		if refusal, err := h.ask("CONNECT;"+serial+";1\r", "ACK_CONNECT"); refusal != "" || err != nil {
			return refusal, err
		}
		h.connected = true
	}
	if bytes.Contains(m.text, []byte("\rEND_RESULT")) {
		ready := fmt.Sprintf("%s\rRESULT_READY;%d\r", header, len(m.text))
		if refusal, err := h.ask(ready, "ACK_RESULT_READY"); refusal != "" || err != nil {
			return refusal, err
		}
		return h.ask(string(m.text), "ACK_RESULT;OK")
	}
	if m.silent() {
		return "", write(h.line, m.text, time.Now().Add(writeTime(len(m.text))))
	}
	return h.ask(string(m.text), "ACK_CALI;*;OK")
}

// ask writes and waits for the answer; one that is not as wanted is the refusal.
// The version behind ACK_CONNECT and the lot for the asterisk do not matter.
func (h *emeraldHost) ask(what, want string) (refusal string, err error) {
	if err := write(h.line, []byte(what), time.Now().Add(writeTime(len(what)))); err != nil {
		return "", err
	}
	deadline := time.Now().Add(emeraldWait)
	for {
		line, err := h.replies.next(deadline)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Sprintf("no %s within %v", want, emeraldWait), nil
		case err != nil:
			return "", err
		}
		got := strings.Trim(string(line), "\r\n")
		before, after, pattern := strings.Cut(want, "*")
		switch {
		case got == "":
		case got == want, pattern && strings.HasPrefix(got, before) && strings.HasSuffix(got, after),
			want == "ACK_CONNECT" && strings.HasPrefix(got, want+";"):
			return "", nil
		default:
			return "answered with " + got, nil
		}
	}
}

// silent reports whether nobody answers the message.
func (m outgoing) silent() bool {
	switch m.format {
	case "":
		return false
	case vendor.Emerald:
		return !bytes.Contains(m.text, []byte("\rEND_"))
	}
	return true
}
