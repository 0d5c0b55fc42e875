package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A person has the settings of a line found, and takes them over into the editor.
func TestBrowserProbe(t *testing.T) {
	withAndWithoutScripts(t, func(t *testing.T, open func(*running) *tab) {
		s := newSockets(t)
		analyser := s.plug("ttyUSB0", "1-1.2")
		directory, address := t.TempDir(), freePort(t)
		path := filepath.Join(directory, "assaygate.yaml")
		text := strings.Replace(withConsole(directory, freePort(t), address), "instruments: [{name: one,", "instruments:\n  - {name: one,", 1)
		must(t, os.WriteFile(path, []byte(strings.Replace(text, "}}]\ndest", "}}\ndest", 1)), 0o600))
		log := &lockedBuffer{}
		d, err := prepare(flags{Config: path}, log)
		must(t, err)
		d.panel.System = s.System
		r := follow(t, d, log, "gateway ready")
		b := open(r)
		b.console = "http://" + address
		b.visit("/setup/ports")
		b.wants("usb:1-1.2", "nobody")
		b.press("Find the settings of usb:1-1.2")
		b.see("Now make the analyser send")
		analyser.says("\x0bMSH|^~\\&|X|LAB|||20260102030405||ORU^R01|1|P|2.3.1\rOBX|1|NM|GLU||5.4|mmol/L\r\x1c\r")
		if b.mute {
			eventually(t, "it is found", func() bool { state, _ := d.probing("usb:1-1.2"); return !state.Running })
			b.press("Look again")
		}
		b.see("Found: 9600 8N1, certain")
		b.press("Take over into the configuration")
		if text := b.valueOf(configurationLabel); !strings.Contains(text, "  - name: analyser\n    serial: {port: \"usb:1-1.2\", baud: 9600,") {
			t.Errorf("the editor has\n%s", text)
		}
	})
}
