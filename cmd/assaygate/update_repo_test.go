package main

import (
	"bytes"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// bundleFile writes a bundle as RAUC makes it: bundle FILE BOARD VERSION, where
// the board is a Raspberry Pi and the version has three digits. It is the one
// bundle of the tests with other words in its manifest.
func bundleFile(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile("../../image/update/repository/testdata/real.raucb")
	ts.Check(err)
	for old, new := range map[string]string{"assaygate-raspberrypi4_64": "assaygate-" + args[1], "v1.2.0": "v" + args[2]} {
		if len(old) != len(new) || !bytes.Contains(text, []byte(old)) {
			ts.Fatalf("%s cannot stand in place of %s", new, old)
		}
		text = bytes.ReplaceAll(text, []byte(old), []byte(new))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}
