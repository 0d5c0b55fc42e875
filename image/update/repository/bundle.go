package repository

import (
	"bufio"
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Manifest is what RAUC is told of a bundle, as far as it matters here.
type Manifest struct {
	Compatible, Version string
}

// A bundle of RAUC's format "verity" is a squashfs, behind it a signature as CMS
// that holds the manifest, and behind that the signature's length in 8 bytes, the
// highest first.
const (
	squashfsMagic    = "hsqs"
	trailerLength    = 8
	maxBundleTrailer = 1 << 20 // bytes of the signature, far above what one takes
)

// ReadManifest reads the manifest of a bundle, and so refuses a file that is none,
// is cut off, or has another format than boxes take. It does not check the
// signature, which only a box can: it knows whom it trusts.
func ReadManifest(path string) (Manifest, error) {
	file, err := os.Open(path)
	if err != nil {
		return Manifest{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Manifest{}, err
	}
	m, err := parseBundle(file, info.Size())
	if err != nil {
		return Manifest{}, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func parseBundle(from io.ReaderAt, size int64) (Manifest, error) {
	var magic [len(squashfsMagic)]byte
	if _, err := from.ReadAt(magic[:], 0); err != nil || string(magic[:]) != squashfsMagic {
		return Manifest{}, errors.New("this is no bundle: name the file that ends in .raucb, of make release or make image")
	}
	var trailer [trailerLength]byte
	if _, err := from.ReadAt(trailer[:], size-trailerLength); err != nil {
		return Manifest{}, fmt.Errorf("the end of the bundle: %w", err)
	}
	length := binary.BigEndian.Uint64(trailer[:])
	if length == 0 || length > maxBundleTrailer || int64(length) > size-trailerLength-int64(len(magic)) {
		return Manifest{}, errors.New("the bundle has no signature at its end: it was cut off; copy it again")
	}
	signature := make([]byte, length)
	if _, err := from.ReadAt(signature, size-trailerLength-int64(length)); err != nil {
		return Manifest{}, fmt.Errorf("the signature of the bundle: %w", err)
	}
	text, err := contentOf(signature)
	if err != nil {
		return Manifest{}, err
	}
	return parseManifest(text)
}

// contentOf is what a CMS signature signs and holds.
func contentOf(signature []byte) ([]byte, error) {
	var message struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	var signed struct {
		Version int
		Digests asn1.RawValue
		Content struct {
			Type asn1.ObjectIdentifier
			Data asn1.RawValue `asn1:"explicit,optional,tag:0"`
		}
	}
	// A RawValue with an explicit tag holds the tagged value with its own header.
	_, err := asn1.Unmarshal(signature, &message)
	if err == nil {
		_, err = asn1.Unmarshal(message.Content.Bytes, &signed)
	}
	if err != nil {
		return nil, errors.New("what should be the signature of the bundle is none: it was damaged; copy it again")
	}
	if len(signed.Content.Data.Bytes) == 0 {
		return nil, errors.New("the bundle's format is not verity, which is the only one that boxes take: set format=verity in its manifest")
	}
	var text []byte
	if _, err := asn1.Unmarshal(signed.Content.Data.Bytes, &text); err != nil {
		return nil, errors.New("the manifest in the signature of the bundle cannot be read: it was damaged; copy it again")
	}
	return text, nil
}

// parseManifest reads the lines of the section [update].
func parseManifest(text []byte) (Manifest, error) {
	var m Manifest
	section := ""
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		key, value, is := strings.Cut(line, "=")
		if !is || section != "[update]" {
			continue
		}
		switch strings.TrimSpace(key) {
		case "compatible":
			m.Compatible = strings.TrimSpace(value)
		case "version":
			m.Version = strings.TrimSpace(value)
		}
	}
	if m.Compatible == "" {
		return Manifest{}, errors.New("the bundle's manifest does not say for which board it is: it has no compatible")
	}
	return m, nil
}
