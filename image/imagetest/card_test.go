package imagetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"unicode/utf16"
)

const sector = 512

// newCard writes an image to a card: one that is larger, as every card is, so that the first boot has something to grow
// into. The emulator wants a power of two.
func newCard(image, path string) error {
	if out, err := exec.Command("cp", "--sparse=always", image, path).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	size := int64(1)
	for size <= info.Size() {
		size *= 2
	}
	return errors.Join(os.Chmod(path, 0o600), os.Truncate(path, size))
}

// partition is one of a card's, in bytes.
type partition struct{ begin, end int64 }

// partitions are those of a card or image by their names.
func partitions(path string) (map[string]partition, error) {
	list := map[string]partition{}
	err := eachEntry(path, func(name string, entry []byte) {
		list[name] = partition{int64(binary.LittleEndian.Uint64(entry[32:])) * sector, int64(binary.LittleEndian.Uint64(entry[40:])+1) * sector}
	})
	return list, err
}

// partitionGUIDs are those of their own, as the kernel writes them.
func partitionGUIDs(path string) (map[string]string, error) {
	list := map[string]string{}
	err := eachEntry(path, func(name string, entry []byte) {
		id := entry[16:32]
		list[name] = fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(id), binary.LittleEndian.Uint16(id[4:]), binary.LittleEndian.Uint16(id[6:]), id[8:10], id[10:])
	})
	return list, err
}

// eachEntry goes over the entries of a GPT.
func eachEntry(path string, visit func(name string, entry []byte)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	header := make([]byte, sector)
	if _, err := file.ReadAt(header, sector); err != nil {
		return err
	}
	if string(header[:8]) != "EFI PART" {
		return fmt.Errorf("%s has no GPT", path)
	}
	at := int64(binary.LittleEndian.Uint64(header[72:])) * sector
	count, size := int(binary.LittleEndian.Uint32(header[80:])), int64(binary.LittleEndian.Uint32(header[84:]))
	for i := range count {
		entry := make([]byte, size)
		if _, err := file.ReadAt(entry, at+int64(i)*size); err != nil {
			return err
		}
		if bytes.Equal(entry[:16], make([]byte, 16)) {
			continue
		}
		var name []uint16
		for letters := entry[56:128]; len(letters) > 1 && (letters[0]|letters[1]) != 0; letters = letters[2:] {
			name = append(name, binary.LittleEndian.Uint16(letters))
		}
		visit(string(utf16.Decode(name)), entry)
	}
	return nil
}

// sum is the checksum of a region of a file.
func sum(path string, of partition) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, io.NewSectionReader(file, of.begin, of.end-of.begin)); err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// same says whether a region of two files is the same, byte for byte.
func same(one, other string, region partition) (bool, error) {
	first, err1 := sum(one, region)
	second, err2 := sum(other, region)
	return first == second, errors.Join(err1, err2)
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// squashfsSize is how much of its partition a squashfs takes.
func squashfsSize(path string, of partition) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	super := make([]byte, 48)
	if _, err := file.ReadAt(super, of.begin); err != nil {
		return 0, err
	}
	if string(super[:4]) != "hsqs" {
		return 0, fmt.Errorf("there is no squashfs at %d of %s", of.begin, path)
	}
	return int64(binary.LittleEndian.Uint64(super[40:])), nil
}
