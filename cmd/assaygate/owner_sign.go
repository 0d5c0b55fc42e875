package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/device/owner"
)

// stickTerms are the flags that say for which boxes a stick is, and after which.
type stickTerms struct {
	Serial   []string `help:"The serial number of a box that it is for, as its report shows it; may be repeated." placeholder:"S" sep:"none"`
	Fleet    string   `help:"The fleet that it is for, as box.fleet of its boxes says." placeholder:"NAME"`
	Revision uint64   `help:"Its revision, which must rise from stick to stick. Default: the time in seconds." placeholder:"N"`
}

func (t stickTerms) manifest() (owner.Manifest, error) {
	if err := validateFleet(t.Fleet); err != nil {
		return owner.Manifest{}, usageError{fmt.Errorf("--%w", err)}
	}
	m := owner.Manifest{Revision: t.Revision, Serials: t.Serial, Fleet: t.Fleet}
	if m.Revision == 0 {
		if !clockSet() {
			return owner.Manifest{}, errors.New("the clock of this computer is wrong; set it, or give --revision")
		}
		m.Revision = uint64(time.Now().Unix())
	}
	return m, nil
}

type ownerSign struct {
	Directory string `arg:"" help:"The stick, or a directory that is copied to one." placeholder:"DIR"`
	privateKey
	stickTerms
}

// Run implements a kong command.
func (c *ownerSign) Run(s *streams) error {
	m, err := c.manifest()
	if err != nil {
		return err
	}
	key, err := c.read()
	if err != nil {
		return err
	}
	return signStick(s, c.Directory, m, key)
}

// signStick signs what a box understands of a directory, and says what that is.
func signStick(s *streams, directory string, m owner.Manifest, key ed25519.PrivateKey) error {
	names, others, err := owner.FilesBelow(directory)
	if err != nil {
		return err
	}
	var understood []string
	for _, name := range names {
		if configdrive.Means(name) {
			understood = append(understood, name)
		} else if why := configdrive.PassedOver(name); why != "" {
			fmt.Fprintf(s.err, "%s is not signed: %s\n", name, why)
		}
	}
	for _, name := range others {
		if configdrive.Means(name) {
			fmt.Fprintf(s.err, "%s is not signed: it is no plain file; copy the file itself\n", name)
		}
	}
	if understood == nil {
		return fmt.Errorf("%s holds nothing that a box understands; put %s there, or an empty file such as collect.txt", directory, configdrive.ConfigName)
	}
	warnOfConfig(s, directory, understood, key)
	if m, err = owner.Sign(directory, understood, m, key); err != nil {
		return err
	}
	for _, name := range m.Files() {
		fmt.Fprintln(s.out, "signed", name)
	}
	_, err = fmt.Fprintf(s.out, "for %s, revision %d, by owner %s\n", m.For(), m.Revision, owner.FormatKey(publicOf(key)))
	return err
}

// warnOfConfig says now what the box would say in its report. It only warns: the
// box may know keys that this program does not know yet.
func warnOfConfig(s *streams, directory string, names []string, key ed25519.PrivateKey) {
	for _, name := range names {
		if !strings.EqualFold(name, configdrive.ConfigName) {
			continue
		}
		path := filepath.Join(directory, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return // signing says it
		}
		config, err := parseConfig(text, path)
		if err != nil {
			fmt.Fprintf(s.err, "%v\nsigned all the same, but a box of this version would refuse it\n", err)
			return
		}
		if config.Owner != nil && config.Owner.PublicKey != owner.FormatKey(publicOf(key)) {
			fmt.Fprintf(s.err, "%s: owner.public_key is another one than that of the signature; a box that has an owner refuses to change it\n", path)
		}
	}
}
