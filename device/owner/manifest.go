package owner

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The names of the manifest and of its signature, beside the files it lists.
const (
	ManifestName  = "assaygate-manifest.json"
	SignatureName = "assaygate-manifest.sig"
)

// Limits of a manifest. They are far above what a stick needs, and small enough
// for a box that reads one from anybody.
const (
	MaxManifest  = 256 << 10 // bytes of the JSON
	MaxSignature = 256       // bytes of the signature's file
	maxFiles     = 1000
	maxSerials   = 1000
	maxWord      = 128 // bytes of a serial number or fleet name
)

// signedLine stands before the JSON under the signature, so that no signature
// made for anything else is one for a manifest.
const signedLine = "assaygate stick manifest v1\n"

// Manifest is what an owner signs: which files, for which boxes, and in which
// order.
type Manifest struct {
	// Revision is compared with what a box took before: it only rises.
	Revision uint64
	// Serials and Fleet say which boxes it is for: those whose serial number is
	// listed, and those that belong to the fleet. With neither it is for every
	// box of the owner.
	Serials []string
	Fleet   string

	// files is the SHA-256 of each file by its slash path.
	files map[string][sha256.Size]byte
}

// document is the manifest as JSON, in the order in which it is written.
type document struct {
	Revision uint64            `json:"revision"`
	Serials  []string          `json:"serials,omitempty"`
	Fleet    string            `json:"fleet,omitempty"`
	Files    map[string]string `json:"files"`
}

// ParseManifest returns the manifest when the signature (the content of the file
// SignatureName) is the key's over these very bytes, and every rule for what is
// in it is kept.
func ParseManifest(data, signature []byte, key ed25519.PublicKey) (Manifest, error) {
	if len(data) > MaxManifest {
		return Manifest{}, fmt.Errorf("%s is larger than %d KiB; sign fewer files", ManifestName, MaxManifest>>10)
	}
	if err := CheckKey(key); err != nil {
		return Manifest{}, err
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(string(signature)))
	if len(signature) > MaxSignature || err != nil || len(raw) != ed25519.SignatureSize {
		return Manifest{}, fmt.Errorf("%s holds no signature; sign the files again with assaygate owner sign", SignatureName)
	}
	if !ed25519.Verify(key, signed(data), raw) {
		return Manifest{}, fmt.Errorf("%s is not signed by this box's owner (%s), or was changed after it was signed; sign with that owner's key: assaygate owner sign", ManifestName, FormatKey(key))
	}
	m, err := decode(data)
	if err != nil {
		return Manifest{}, fmt.Errorf("%s: %w", ManifestName, err)
	}
	return m, nil
}

func signed(data []byte) []byte { return append([]byte(signedLine), data...) }

// seal returns the manifest's JSON and the content of its signature's file.
func (m Manifest) seal(key ed25519.PrivateKey) (data, signature []byte, err error) {
	if err := m.valid(); err != nil {
		return nil, nil, err
	}
	out := document{Revision: m.Revision, Serials: m.Serials, Fleet: m.Fleet, Files: map[string]string{}}
	for name, sum := range m.files {
		out.Files[name] = hex.EncodeToString(sum[:])
	}
	data, err = json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, nil, err
	}
	data = append(data, '\n')
	if len(data) > MaxManifest {
		return nil, nil, fmt.Errorf("the manifest would be larger than %d KiB; sign fewer files", MaxManifest>>10)
	}
	signature = []byte(base64.StdEncoding.EncodeToString(ed25519.Sign(key, signed(data))) + "\n")
	return data, signature, nil
}

// valid reports what a manifest may not say, whoever signed it.
func (m Manifest) valid() error {
	switch {
	case m.Revision == 0:
		return errors.New("the revision must be 1 or more")
	case len(m.files) == 0:
		return errors.New("it lists no files")
	case len(m.files) > maxFiles:
		return fmt.Errorf("it lists more than %d files", maxFiles)
	case len(m.Serials) > maxSerials:
		return fmt.Errorf("it lists more than %d serial numbers; use a fleet name", maxSerials)
	}
	seen := map[string]string{}
	for _, name := range m.Files() {
		if err := checkPath(name); err != nil {
			return err
		}
		if other, twice := seen[fold(name)]; twice {
			return fmt.Errorf("%q and %q are one name on a stick, which does not tell upper from lower case; rename one", other, name)
		}
		seen[fold(name)] = name
	}
	for _, serial := range m.Serials {
		if err := checkWord("serial number", serial); err != nil {
			return err
		}
	}
	if m.Fleet != "" {
		return checkWord("fleet name", m.Fleet)
	}
	return nil
}

// Files returns the slash paths of the files that are signed, in order.
func (m Manifest) Files() []string {
	names := make([]string, 0, len(m.files))
	for name := range m.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Check reports whether the file of that slash path is signed with exactly this
// content. Upper and lower case are one, as on the stick.
func (m Manifest) Check(name string, data []byte) error {
	signedName, sum, listed := m.find(name)
	if !listed {
		return fmt.Errorf("%s is not signed; sign the stick again with assaygate owner sign, or take the file off it", name)
	}
	got := sha256.Sum256(data)
	if subtle.ConstantTimeCompare(got[:], sum[:]) != 1 {
		return fmt.Errorf("%s was changed after it was signed; sign the stick again with assaygate owner sign", signedName)
	}
	return nil
}

func (m Manifest) find(name string) (string, [sha256.Size]byte, bool) {
	for listed, sum := range m.files {
		if fold(listed) == fold(name) {
			return listed, sum, true
		}
	}
	return "", [sha256.Size]byte{}, false
}

// Whole reports the signed files that are not among the names: a stick from
// which one was taken away says something else than its owner signed.
func (m Manifest) Whole(names []string) error {
	there := map[string]bool{}
	for _, name := range names {
		there[fold(name)] = true
	}
	var missing []string
	for _, name := range m.Files() {
		if !there[fold(name)] {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("signed, but not on the stick: %s; put it back, or sign the stick again with assaygate owner sign", strings.Join(missing, ", "))
}

// Admits reports whether a box may take it: one with this serial number and
// fleet ("" where it has none), which took the revision last before (0 for
// none). same says that it is the very manifest that the box took last, which
// is taken again: a stick may stay in its socket.
func (m Manifest) Admits(serial, fleet string, last uint64, same bool) error {
	if !m.isFor(serial, fleet) {
		return fmt.Errorf("signed for %s; this box is %s", m.For(), describe(serial, fleet))
	}
	if m.Revision < last || m.Revision == last && !same {
		return fmt.Errorf("signed as revision %d, but this box took revision %d before; sign the stick again: the revision must rise", m.Revision, last)
	}
	return nil
}

func (m Manifest) isFor(serial, fleet string) bool {
	if len(m.Serials) == 0 && m.Fleet == "" {
		return true
	}
	if m.Fleet != "" && m.Fleet == fleet {
		return true
	}
	// Serial numbers are read off labels and typed.
	return serial != "" && slices.ContainsFunc(m.Serials, func(s string) bool { return strings.EqualFold(s, serial) })
}

// For says in words which boxes it is for.
func (m Manifest) For() string {
	const shown = 5
	var parts []string
	switch n := len(m.Serials); {
	case n == 1:
		parts = append(parts, "box "+m.Serials[0])
	case n > shown:
		parts = append(parts, fmt.Sprintf("boxes %s and %d more", strings.Join(m.Serials[:shown], ", "), n-shown))
	case n > 1:
		parts = append(parts, "boxes "+strings.Join(m.Serials, ", "))
	}
	if m.Fleet != "" {
		parts = append(parts, "the boxes of fleet "+m.Fleet)
	}
	if parts == nil {
		return "every box of this owner"
	}
	return strings.Join(parts, " and ")
}

func describe(serial, fleet string) string {
	if serial == "" {
		serial = "one without a serial number"
	}
	if fleet == "" {
		return serial + ", of no fleet"
	}
	return serial + " of fleet " + fleet
}
