package instrument

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/protocols/vendor"
)

// emeraldSettings are those of a line of its own.
func emeraldSettings() Settings {
	s := Defaults()
	s.Protocol, s.Profile = "vendor", "celldyn_emerald"
	return s
}

const emeraldHead = "EMD22;1;SN-9;ANNA\r"

// emeraldFrame is a frame with its right sum.
func emeraldFrame(end string, lines ...string) string {
	text := emeraldHead + strings.Join(lines, "\r") + "\r"
	return fmt.Sprintf("%s%s;%d\r", text, end, vendor.EmeraldSum([]byte(text)))
}

func emeraldResult(sample string) string {
	return emeraldFrame("END_RESULT", "RESULT", "DATE;09/03/2025", "TIME;07:05:33", "MODE;NORMAL", "SID;"+sample, "WBC;6.9 ;;;3.7;3.8;10.0;10.1")
}

func TestEmeraldIsStoredBeforeItsOK(t *testing.T) {
	b := newBench(t, emeraldSettings())
	b.say("CONNECT;SN-9;5\r", "ACK_CONNECT;5\r")
	b.say(emeraldHead+"RESULT_READY;600\r", "ACK_RESULT_READY\r")
	whole := emeraldResult("A-1")
	b.say(whole[:40], "")
	b.say(whole[40:], "ACK_RESULT;OK\r")
	b.wantKept("accepted " + whole)
	cali := emeraldFrame("END_CALI", "CALIBRATION;1;09/03/2025;07:05:33;LOT1;x", "WBC;1;2")
	b.say(cali, "ACK_CALI;LOT1;OK\r")
	startUp := emeraldHead + "STARTUP;09/03/2025;07:05:33;PASSED\r"
	b.say(startUp+"DISCONNECT;SN-9\rCONNECT;SN-9;6\r", "ACK_CONNECT;6\r") // the first two get no reply
	b.wantKept("accepted "+whole, "accepted "+cali, "accepted "+startUp)
}

func TestEmeraldStoreFailure(t *testing.T) {
	b := newBench(t, emeraldSettings())
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.say(emeraldResult("A-1"), "ACK_RESULT;ERROR\r")
}

func TestEmeraldWrongSum(t *testing.T) {
	damaged := strings.Replace(emeraldResult("A-1"), "6.9", "9.6", 1)
	settings := emeraldSettings()
	b := newBench(t, settings)
	b.say(damaged, "ACK_RESULT;CRC_ERROR\r")
	b.wantKept("rejected " + damaged)
	b.hangUp()
	settings.Quirks.Checksum = "ignore"
	b.connect(settings)
	b.say(damaged, "ACK_RESULT;OK\r")
	b.wantKept("rejected "+damaged, "accepted "+damaged)
}

func TestEmeraldBrokenOff(t *testing.T) {
	cut := emeraldHead + "RESULT\rSID;A-1\r"
	b := newBench(t, emeraldSettings())
	b.say(cut+emeraldResult("A-2"), "ACK_RESULT;OK\r")
	b.say(cut+"CONNECT;1;2\r", "ACK_CONNECT;2\r")
	b.say(cut+"WB", "")
	b.hangUp()
	b.wantKept("incomplete "+cut, "accepted "+emeraldResult("A-2"), "incomplete "+cut, "incomplete "+cut+"WB")
}

func TestEmeraldUnknownCommands(t *testing.T) {
	b := newBench(t, emeraldSettings())
	b.say("HELLO;1\rWORLD\r"+emeraldResult("A-1"), "ACK_RESULT;OK\r")
	if _, err := io.WriteString(b.line, strings.Repeat("HELLO;1\r", 1<<10)); err != nil {
		t.Fatal(err)
	}
	if err := <-b.ended; !errors.Is(err, errJunk) {
		t.Errorf("line ended with %v, want %v", err, errJunk)
	}
	b.ended <- nil
	b.wantKept("accepted " + emeraldResult("A-1"))
}

func TestEmeraldTooLong(t *testing.T) {
	settings := emeraldSettings()
	settings.Limits.Message = 1 << 10
	b := newBench(t, settings)
	b.say(emeraldHead+"RESULT\r"+strings.Repeat("X;1\r", 1<<8), "ACK_RESULT;ERROR\r")
	if err := <-b.ended; !errors.Is(err, errTooLong) {
		t.Errorf("line ended with %v, want %v", err, errTooLong)
	}
	b.ended <- nil
	if got := b.kept(); len(got) != 1 || !strings.HasPrefix(got[0], "rejected "+emeraldHead) {
		t.Errorf("kept %.80q", got)
	}
	b.connect(settings)
	if _, err := io.WriteString(b.line, strings.Repeat("x", 65<<10)); err != nil {
		t.Fatal(err)
	}
	if err := <-b.ended; !errors.Is(err, errLongLine) {
		t.Errorf("line ended with %v, want %v", err, errLongLine)
	}
	b.ended <- nil
}
