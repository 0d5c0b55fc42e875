package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/owner"
)

// ownership is what a box keeps beside its configuration of who owns it: the
// owner is not what a file says now, but what the first one said.
type ownership struct {
	config string // the configuration file; "" for a gateway that runs without one
	// hidden is why what the box keeps is not to be seen, though it is there; nil
	// where it is. A box without its data is not one without an owner.
	hidden error
}

// The files of it, in the directory of the configuration.
const (
	pinFile   = "owner.pub"      // the owner's public key
	takenFile = "stick-revision" // the newest manifest that was taken
)

func (o ownership) path(name string) string { return filepath.Join(filepath.Dir(o.config), name) }

// pinned returns the owner that this box has got, nil for none. A key that is
// there and cannot be read is an error: it must not make the box anybody's.
func (o ownership) pinned() (ed25519.PublicKey, error) {
	if o.hidden != nil {
		return nil, fmt.Errorf("the box's owner cannot be read: %w", o.hidden)
	}
	if o.config == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.path(pinFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the box's owner cannot be read: %w", err)
	}
	key, err := owner.ParseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("the box's owner cannot be read: %s: %w", o.path(pinFile), err)
	}
	return key, nil
}

// of returns the owner of a box that runs this configuration, nil for none. On
// an error nobody may be taken for the owner, and the box not for one without.
func (o ownership) of(c Config) (ed25519.PublicKey, error) {
	key, err := o.pinned()
	if err != nil || key != nil || c.Owner == nil {
		return key, err
	}
	if key, err = owner.ParseKey(c.Owner.PublicKey); err != nil {
		return nil, fmt.Errorf("owner.public_key: %w", err)
	}
	return key, nil
}

// begin settles at the start of the process who owns the box, and says it: an
// owner that the configuration names, where there is none yet, is the one from
// now on. That is how a box gets its owner when its card is written.
func (o ownership) begin(c Config, log *slog.Logger) {
	key, err := o.of(c)
	if err != nil {
		log.Error("the owner of this box is in doubt: no stick is taken until that is put right", "error", err)
		return
	}
	if pinned, err := o.pinned(); err == nil && pinned == nil && key != nil && o.config != "" {
		if err := config.Replace(o.path(pinFile), pinText(key)); err != nil {
			log.Error("the owner of this box is not kept: whoever changes the configuration can change it", "error", err)
		}
	}
	switch {
	case key == nil && c.ConfigDrive == nil: // nor does it take sticks
	case key == nil:
		log.Warn("this box has no owner: it takes any stick; assaygate owner keygen makes a key for one")
	case c.Owner != nil && c.Owner.PublicKey != owner.FormatKey(key):
		log.Error("the configuration names another owner than the one that this box has, which stays: "+errOwnerStays.Error(), "owner", owner.FormatKey(key), "named", c.Owner.PublicKey)
	default:
		log.Info("this box has an owner", "owner", owner.FormatKey(key))
	}
}

func pinText(key ed25519.PublicKey) []byte { return []byte(owner.FormatKey(key) + "\n") }

var errOwnerStays = errors.New("the owner cannot be changed or set without a factory reset")

// permits reports whether a configuration may take the place of the old one as
// far as the owner goes: only the first one of a box that has neither a saved
// configuration nor an owner may set it, and none may change it.
func (o ownership) permits(old, to Config) error {
	if to.Owner == nil {
		return nil // the owner stays, also where a file does not repeat it
	}
	key, err := owner.ParseKey(to.Owner.PublicKey)
	if err != nil {
		return to.document.At("owner.public_key", "%v", err)
	}
	present, err := o.of(old)
	if err != nil || present.Equal(key) {
		return err
	}
	if first, err := o.first(); err != nil || present != nil || !first {
		return errors.Join(err, to.document.At("owner.public_key", "%v", errOwnerStays))
	}
	return nil
}

// judge is permits for a configuration that comes with files, written as one with
// it: the owner that it sets is added to them.
func (o ownership) judge(to Config, files map[string][]byte) error {
	if err := o.permits(Config{}, to); err != nil {
		return err
	}
	return o.pin(to, files)
}

func (o ownership) pin(to Config, files map[string][]byte) error {
	pinned, err := o.pinned()
	if err != nil || pinned != nil || to.Owner == nil {
		return err
	}
	key, err := owner.ParseKey(to.Owner.PublicKey)
	if err != nil {
		return to.document.At("owner.public_key", "%v", err)
	}
	files[o.path(pinFile)] = pinText(key)
	return nil
}

// first reports whether the box has no saved configuration yet.
func (o ownership) first() (bool, error) {
	if o.config == "" {
		return false, nil
	}
	_, err := os.Stat(o.config)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// taken is the newest manifest that a box took.
type taken struct {
	revision uint64
	digest   string // SHA-256 of its JSON, "" where that is not known
}

// taken returns the zero value for a box that took none yet.
func (o ownership) taken() (taken, error) {
	text, err := os.ReadFile(o.path(takenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return o.takenBeforeReset()
	}
	if err != nil {
		return taken{}, fmt.Errorf("which stick was taken last cannot be read: %w", err)
	}
	last, err := parseTaken(text)
	if err != nil {
		return taken{}, fmt.Errorf("which stick was taken last cannot be read: %s: %w; a factory reset removes it", o.path(takenFile), err)
	}
	return last, nil
}

// admits reports whether a box with this serial number, which runs this
// configuration, may take the manifest that was parsed from data.
func (o ownership) admits(m owner.Manifest, data []byte, serial string, c Config) error {
	last, err := o.taken()
	if err != nil {
		return err
	}
	return m.Admits(serial, c.Box.Fleet, last.revision, last.digest == manifestDigest(data))
}

// takenNow is what a box remembers of the manifest, which was parsed from data.
func takenNow(m owner.Manifest, data []byte) taken { return taken{m.Revision, manifestDigest(data)} }

// keep is the file by which the box remembers it: written as one with what the
// manifest brought, or by itself.
func (o ownership) keep(t taken) (path string, content []byte) { return o.path(takenFile), t.text() }

func (t taken) text() []byte { return fmt.Appendf(nil, "%d %s\n", t.revision, t.digest) }

// parseTaken reads what text wrote.
func parseTaken(text []byte) (taken, error) {
	revision, digest, _ := strings.Cut(string(bytes.TrimSpace(text)), " ")
	number, err := strconv.ParseUint(revision, 10, 64)
	if err != nil {
		return taken{}, errors.New("there is no number in it")
	}
	return taken{number, digest}, nil
}

func manifestDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }
