package main

import (
	"encoding/binary"
	"errors"
	"os"
)

// superblock is that of an ext4, as the card has it.
type superblock []byte

// superblock reads it.
func (p *preparing) superblock() (superblock, error) {
	part, err := os.Open(p.Device)
	if err != nil {
		return nil, err
	}
	defer part.Close()
	super := make([]byte, 1024)
	if _, err := part.ReadAt(super, 1024); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint16(super[0x38:]) != 0xEF53 || binary.LittleEndian.Uint32(super[0x18:]) > 6 {
		return nil, errors.New("its superblock is not one")
	}
	return super, nil
}

// Features that have to be known.
const (
	ext4Recover = 0x4
	ext4Wide    = 0x80 // numbers of blocks have 64 bits
)

func (s superblock) feature(one uint32) bool { return binary.LittleEndian.Uint32(s[0x60:])&one != 0 }

// needsReplay reports whether the journal holds what a power cut has interrupted.
func (s superblock) needsReplay() bool { return s.feature(ext4Recover) }

// uuid is another one for each file system that is made.
func (s superblock) uuid() []byte { return s[0x68:0x78] }

// size is how large the file system is, and its blocks.
func (s superblock) size() (size, block int64) {
	block = 1024 << binary.LittleEndian.Uint32(s[0x18:])
	blocks := int64(binary.LittleEndian.Uint32(s[0x4:]))
	if s.feature(ext4Wide) {
		blocks |= int64(binary.LittleEndian.Uint32(s[0x150:])) << 32
	}
	return blocks * block, block
}
