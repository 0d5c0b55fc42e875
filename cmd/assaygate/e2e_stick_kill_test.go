//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStickAndKilledProcess kills the gateway while it deals with a stick: once
// it has read it, once the new configuration is in use, once it has noted that
// the stick was dealt with. The next process comes to the same end each time.
func TestStickAndKilledProcess(t *testing.T) {
	for _, moment := range []string{"a stick is read", "the configuration is in use", "the stick was dealt with"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			b := &stickBox{root: root, stick: filepath.Join(root, "stick"), path: filepath.Join(root, "config", "assaygate.yaml")}
			b.write(t, b.path, b.text(baseConfig))
			p := spawn(t, b.path)
			config := b.limsConfig("password: " + secret)
			b.running = &running{log: p.log}
			b.plug(t, map[string]string{"assaygate.yaml": config})
			eventually(t, "the log says "+moment, func() bool { return strings.Contains(p.log.text(), moment) })
			p.kill()

			p = spawn(t, b.path)
			b.running = &running{log: p.log}
			eventually(t, "the stick is dealt with", func() bool { return strings.Contains(p.log.text(), "the stick was dealt with") })
			b.wantReport(t, "All is well", "LIMS: http://127.0.0.1:1/s")
			file := filepath.Join(root, "config", "secrets", "LIMS")
			want := strings.Replace(config, "password: "+secret, `password_file: "`+file+`"`, 1)
			if got := b.read(t, b.path); got != want {
				t.Errorf("saved is %s", got)
			}
			if got := b.read(t, file); got != secret+"\n" {
				t.Errorf("the secret is %q", got)
			}
			eventually(t, "the secret is off the stick", func() bool { return b.read(t, filepath.Join(b.stick, "assaygate.yaml")) == want })
			names := stickNames(t, b.stick)
			if _, err := os.Stat(filepath.Join(b.stick, "assaygate.tmp")); err == nil {
				t.Errorf("the stick holds %q", names)
			}
		})
	}
}
