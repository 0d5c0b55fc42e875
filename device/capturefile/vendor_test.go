package capturefile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/protocols/vendor"
)

const (
	spotchem = "\x0225/03/09 07:05 ID# A-1   [Serum] Na   138  mmol/L\x03"
	astmOnly = "H|\\^&\rL|1\r"
)

// vidas is a sound packet about a sample.
func vidas(sample string) string {
	text := "\x1emtrsl|\x1eci" + sample + "|\x1ertTSH|\x1eqn5|\x1d"
	return "\x02" + text + vendor.MiniVIDASSum([]byte(text)) + "\r\n"
}

// emerald is a frame without its END line.
func emerald(sample string) string {
	return "EMD22;1;SN-9;ANNA\rRESULT\rMODE;NORMAL\rSID;" + sample + "\rWBC;6.9;;;1;2;3;4\r"
}

// ended is a whole frame.
func ended(sample string) string {
	body := emerald(sample)
	return fmt.Sprintf("%sEND_RESULT;%d\r", body, vendor.EmeraldSum([]byte(body)))
}

func TestPackets(t *testing.T) {
	one := frame('1', astmOnly, true)
	for name, c := range map[string]struct {
		data     string
		want     []string
		problems []string
	}{
		"several":               {vidas("A") + vidas("A") + spotchem + "\r\n" + spotchem, []string{vidas("A"), vidas("A"), spotchem + "\r\n", spotchem}, nil},
		"a session":             {"\x05\x06" + vidas("A") + "\x06\x04", []string{vidas("A")}, nil},
		"a repeat in a session": {"\x05" + vidas("A") + vidas("A") + "\x04\x05" + vidas("A") + "\x04", []string{vidas("A"), vidas("A")}, nil},
		"among frames":          {one + vidas("A") + one + spotchem, []string{astmOnly, vidas("A"), astmOnly, spotchem}, nil},
		"among sessions":        {"\x05" + one + "\x04" + spotchem + "\x05" + one + "\x04" + vidas("A"), []string{astmOnly, spotchem, astmOnly, vidas("A")}, nil},
		"one broken off":        {vidas("A")[:12] + vidas("B") + one, []string{vidas("B"), astmOnly}, []string{"byte 0: a packet without end"}},
		"the last broken off":   {one + vidas("B")[:12], []string{astmOnly}, []string{"byte 17: a packet without end"}},
		"bare records among":    {vidas("A") + "H|\\^&\r\n", []string{vidas("A")}, []string{"byte 30: a message outside any frame"}},
		"a wrong sum":           {one + strings.Replace(vidas("A"), "qn5", "qn6", 1), []string{astmOnly, strings.Replace(vidas("A"), "qn5", "qn6", 1)}, []string{"byte 17: the check sum does not match"}},
		"beside a bad frame":    {vidas("A") + "\x02\x0300\r\n" + spotchem, []string{vidas("A"), spotchem}, []string{"byte 30: frame without number: malformed frame: no frame number"}},
	} {
		f := read(t, c.data)
		if !slices.Equal(texts(f), c.want) {
			t.Errorf("%s: %q, want %q", name, texts(f), c.want)
		}
		if !slices.Equal(problems(f), c.problems) {
			t.Errorf("%s: problems %q, want %q", name, problems(f), c.problems)
		}
		for _, m := range f.Transmissions {
			if m.Protocol == Vendor && !strings.HasPrefix(c.data[m.At:], string(m.Text)) {
				t.Errorf("%s: %q is not at byte %d", name, m.Text, m.At)
			}
		}
	}
	formats := read(t, vidas("A")+spotchem).Transmissions
	if formats[0].Format != vendor.MiniVIDAS || formats[1].Format != vendor.SpotchemEL {
		t.Errorf("%+v", formats)
	}
}

func TestEmerald(t *testing.T) {
	wrong := strings.Replace(ended("A"), "6.9", "9.6", 1)
	start := "EMD22;1;SN-9;ANNA\rSTARTUP;1\r"
	if f, err := Read([]byte("CONNECT;9;5\rnothing\r")); !errors.Is(err, ErrNotCapture) {
		t.Errorf("no frame: %v %+v", err, f)
	}
	for name, c := range map[string]struct {
		data     string
		want     []string
		at       []int
		problems []string
	}{
		"a frame":     {ended("A"), []string{ended("A")}, []int{0}, nil},
		"in LF":       {strings.ReplaceAll(ended("A"), "\r", "\n"), []string{ended("A")}, []int{0}, nil},
		"no last end": {strings.TrimSuffix(ended("A"), "\r"), []string{ended("A")}, []int{0}, nil},
		"both directions": {
			"CONNECT;9;5\rACK_CONNECT;5\rEMD22;1\rRESULT_READY;600\rACK_RESULT_READY\r" + ended("A") + "ACK_RESULT;OK\r" + start + "DISCONNECT;9\r",
			[]string{ended("A"), start},
			[]int{68, 68 + len(ended("A")) + 14},
			nil,
		},
		"no END line":                {emerald("A"), []string{ended("A")}, []int{0}, nil},
		"none has its END":           {emerald("A") + emerald("B"), []string{ended("A"), ended("B")}, []int{0, len(emerald("A"))}, nil},
		"one has none":               {emerald("A") + ended("B"), []string{ended("B")}, []int{len(emerald("A"))}, []string{"byte 0: a frame without end"}},
		"the last has none":          {ended("A") + emerald("B"), []string{ended("A")}, []int{0}, []string{"byte 78: a frame without end"}},
		"a recording that broke off": {"CONNECT;9;5\r" + emerald("B"), nil, nil, []string{"byte 12: a frame without end"}},
		"a wrong sum":                {wrong, []string{wrong}, []int{0}, []string{"byte 0: the check sum does not match"}},
		"text around":                {"hello\rworld\r" + ended("A") + "bye\r", []string{ended("A")}, []int{12}, []string{"byte 0: 12 bytes outside any frame", "byte 90: 4 bytes outside any frame"}},
	} {
		f := read(t, c.data)
		var at []int
		for _, m := range f.Transmissions {
			at = append(at, m.At)
			if m.Format != vendor.Emerald || m.Sealed != !strings.Contains(c.data, "END_") {
				t.Errorf("%s: %+v", name, m)
			}
		}
		if !slices.Equal(texts(f), c.want) || !slices.Equal(at, c.at) {
			t.Errorf("%s: %q at %d, want %q at %d", name, texts(f), at, c.want, c.at)
		}
		if !slices.Equal(problems(f), c.problems) {
			t.Errorf("%s: problems %q, want %q", name, problems(f), c.problems)
		}
	}
	if notes := read(t, emerald("A")).Notes(); len(notes) != 1 || !strings.Contains(notes[0], "no END line") {
		t.Errorf("notes %q", notes)
	}
	if f, err := Read([]byte("A letter\rabout RESULTS\r")); !errors.Is(err, ErrNotCapture) {
		t.Errorf("%v %+v", err, f)
	}
}
