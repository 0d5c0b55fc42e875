package main

import (
	"crypto/ed25519"
	"fmt"
	"os"

	"github.com/assaygate/assaygate/device/owner"
)

// ownerCommand is what the owner of boxes does, on a computer of his own.
type ownerCommand struct {
	Keygen  ownerKeygen  `cmd:"" help:"Make the owner's key. Example: assaygate owner keygen"`
	Sign    ownerSign    `cmd:"" help:"Sign what a stick carries. Example: assaygate owner sign E: --serial 10000000a1b2c3d4"`
	Open    ownerOpen    `cmd:"" help:"Decrypt a support bundle or a backup. Example: assaygate owner open assaygate-support.tar.gz.age"`
	Restore ownerRestore `cmd:"" help:"Write a signed stick that makes a new box of a backup. Example: assaygate owner restore assaygate-backup.tar.gz.age --box KEY E:"`
}

// privateKey is the flag that names the owner's private key.
type privateKey struct {
	Key string `help:"The file with the owner's private key." placeholder:"FILE" default:"owner.key"`
}

func (k privateKey) read() (ed25519.PrivateKey, error) {
	key, err := owner.ReadKey(k.Key)
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("there is no %s; name the owner's private key with --key, or make one with assaygate owner keygen", k.Key)
	}
	return key, err
}

type ownerKeygen struct {
	privateKey
}

// Run implements a kong command.
func (c *ownerKeygen) Run(s *streams) error {
	key, err := owner.NewKey(c.Key)
	if err != nil {
		return err
	}
	public := owner.FormatKey(publicOf(key))
	_, err = fmt.Fprintf(s.out, `public key %s

For the configuration of each box, on the card or on its first stick:

owner:
  public_key: "%s"

The private key is in %s. Never put it on a box or on a stick. Keep two copies
in two safe places, one of them on paper: without it, a box takes nothing any
more until somebody resets it at the box itself. Whoever has it owns your boxes.
`, public, public, c.Key)
	return err
}
