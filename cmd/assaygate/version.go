package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"

	"github.com/assaygate/assaygate/device/certificate"
)

// Stamped by the linker: see the Makefile.
var (
	version = "development"
	commit  = "unknown"
	// Of the commit, in seconds of Unix time. No clock can be before it.
	buildTime = ""
)

type versionCommand struct {
	JSON   bool   `name:"json" help:"Print JSON."`
	Config string `help:"The configuration of the gateway whose certificate is told." placeholder:"FILE" type:"path"`
	Data   string `help:"Its data directory, where it has no configuration." placeholder:"DIR"`
}

// Run implements a kong command.
func (c *versionCommand) Run(s *streams) error {
	target := runtime.GOOS + "/" + runtime.GOARCH
	print, failed := c.fingerprint()
	if !c.JSON {
		text := fmt.Sprintf("assaygate %s (%s, %s, %s)\n", version, commit, runtime.Version(), target)
		switch {
		case print != "":
			text += "certificate of this box (SHA-256): " + print + "\n"
		case failed != nil:
			text += "certificate of this box: " + failed.Error() + "\n"
		}
		_, err := io.WriteString(s.out, text)
		return err
	}
	return json.NewEncoder(s.out).Encode(struct {
		Version     string `json:"version"`
		Commit      string `json:"commit"`
		Go          string `json:"go"`
		Target      string `json:"target"`
		Certificate string `json:"certificate_sha256,omitempty"`
	}{version, commit, runtime.Version(), target, print})
}

// fingerprint is that of the certificate of the gateway that is or would be run
// with these flags, "" where there is none yet. What cannot be read by default is
// of no interest to who asks for the version.
func (c *versionCommand) fingerprint() (string, error) {
	f := flags{Config: c.Config, Data: c.Data}
	if *c == (versionCommand{JSON: c.JSON}) && onImage(boardData) {
		f.Config = boxConfig
	}
	named := c.Config != "" || c.Data != ""
	config, _, wrong := loadConfig(f) // its file may be beside a configuration that is wrong
	pair, _, err := f.ownCertificate(config)
	switch {
	case err == nil:
		return certificate.Fingerprint(pair), nil
	case named && wrong != nil:
		return "", wrong
	case named && errors.Is(err, fs.ErrNotExist):
		return "", errors.New("there is none yet; it is made at the first start")
	case named, errors.Is(err, fs.ErrPermission):
		return "", err
	}
	return "", nil
}

// The saved configuration on the image, and that of a box which has none: see the
// gateway's unit.
const (
	boxConfig  = "/data/config/assaygate.yaml"
	boxFactory = "/usr/share/assaygate/factory.yaml"
)
