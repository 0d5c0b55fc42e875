package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/device/owner"
)

type ownerRestore struct {
	Backup    string `arg:"" help:"The backup, as the old box wrote it." placeholder:"BACKUP"`
	Directory string `arg:"" help:"The stick, or a directory that is copied to one." placeholder:"DIR"`
	Box       string `help:"The public key of the new box, as its report shows it." required:"" placeholder:"KEY"`
	privateKey
	stickTerms
}

// Run implements a kong command.
func (c *ownerRestore) Run(s *streams) error {
	box, err := owner.ParseKey(c.Box)
	if err != nil {
		return usageError{fmt.Errorf("--box: this is no public key of a box; give the 44 characters that its report shows (%w)", err)}
	}
	m, err := c.manifest()
	if err != nil {
		return err
	}
	key, err := c.read()
	if err != nil {
		return err
	}
	archive, about, err := c.open(key)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Backup, err)
	}
	if publicOf(key).Equal(box) {
		return usageError{errors.New("--box: this is the owner's key; give the one of the new box, as its report shows it")}
	}
	if err := os.MkdirAll(c.Directory, 0o700); err != nil {
		return err
	}
	if err := encryptFile(filepath.Join(c.Directory, configdrive.RestoreName), archive, box); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "backup of %s (%s), made %s\n", about.Box, about.Serial, about.Made.Format("2006-01-02 15:04 MST"))
	return signStick(s, c.Directory, m, key)
}

// open decrypts the backup, and makes sure that it is one.
func (c *ownerRestore) open(key ed25519.PrivateKey) ([]byte, about, error) {
	file, err := os.Open(c.Backup)
	if err != nil {
		return nil, about{}, err
	}
	defer file.Close()
	content, err := owner.Decrypt(file, key)
	if err != nil {
		return nil, about{}, err
	}
	archive, err := io.ReadAll(io.LimitReader(content, 2*maxBackup))
	if err != nil {
		return nil, about{}, fmt.Errorf("it is not whole: %w", err)
	}
	b, err := readBackup(bytes.NewReader(archive))
	return archive, b.about, err
}

func encryptFile(path string, content []byte, to ed25519.PublicKey) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	encrypted, err := owner.Encrypt(file, to)
	if err == nil {
		_, err = encrypted.Write(content)
		err = errors.Join(err, encrypted.Close())
	}
	return errors.Join(err, file.Sync(), file.Close())
}
